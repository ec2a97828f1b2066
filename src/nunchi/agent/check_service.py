"""A check that asks a service: it always says whether the service answered, and in time for that to be delivered.

Invariant: a run of a service check ends with its `up` metric, 0 with a reason in the error that it raises, or 1. Where the
service answered and refused a part, it is up and the run fails with that.
"""

from abc import abstractmethod
from typing import ClassVar

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

# This much of a run's deadline goes into waiting for the service; the rest is for saying that it did not answer.
DEADLINE_SHARE = 0.8
REFUSALS_SHOWN_MAX = 3


class ServiceCheck(Check):
    """`measure` asks and emits. What it raises makes `up_metric` 0; what it had emitted before stands."""

    up_metric: ClassVar[str]
    is_default = False

    def __init__(self, settings: CheckSettings) -> None:
        super().__init__(settings)
        self._refusals: list[str] = []

    @property
    @abstractmethod
    def target(self) -> str:
        """What is asked, for messages: an address without secrets."""

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        self._refusals = []
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
        if self._refusals:
            raise ServiceError("; ".join(self._refusals[:REFUSALS_SHOWN_MAX]))

    def note_refusal(self, reason: str) -> None:
        """The service answered, and refuses a part of what it was asked: the run goes on and fails at its end."""
        self._refusals.append(reason)

    @abstractmethod
    def measure(self, context: Context, deadline: Deadline) -> None:
        """Ask, within the deadline, and emit."""
