"""A check that asks a service: it always says whether the service answered, and in time for that to be delivered.

Invariant: a run of a service check ends with its `up` metric, 0 with a reason in the error that it raises, or 1.
"""

from abc import abstractmethod
from typing import ClassVar

from nunchi.agent.check import Check, Context
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

DEADLINE_SHARE = (
    0.8  # of the run's deadline goes into waiting for the service; the rest is for saying that it did not answer
)


class ServiceCheck(Check):
    """`measure` asks and emits. What it raises makes `up_metric` 0; what it had emitted before stands."""

    up_metric: ClassVar[str]
    is_default = False

    @property
    @abstractmethod
    def target(self) -> str:
        """What is asked, for messages: an address without secrets."""

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        try:
            self.measure(context, Deadline(context.clock, context.deadline_seconds * DEADLINE_SHARE))
        except Exception as error:
            context.emit.gauge(self.up_metric, 0)
            if isinstance(error, ServiceError):
                raise
            if isinstance(error, OSError):
                raise ServiceError(f"{self.target}: {error.strerror or error}") from error
            if isinstance(error, (ValueError, LookupError, TypeError)):
                raise ServiceError(f"{self.target}: its answer cannot be read: {error}") from error
            raise
        context.emit.gauge(self.up_metric, 1)

    @abstractmethod
    def measure(self, context: Context, deadline: Deadline) -> None:
        """Ask, within the deadline, and emit."""
