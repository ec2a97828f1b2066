"""What all probes have in common: several targets at once, each with its own success, duration and reason.

Names are blackbox_exporter's; the target is the label `target`. Invariant: one target that hangs delays no other, and every
target has its `probe_success` before the run's deadline.
"""

import socket
import threading
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

from nunchi.agent.check import Check, Context
from nunchi.agent.check_service import DEADLINE_SHARE
from nunchi.agent.clients.address import SocketAddress, resolve
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.kit.settings import FieldError

TARGETS_MAX = 100
REASONS_SHOWN_MAX = 5
FAMILIES = {"any": 0, "ip4": 2, "ip6": 10}
IpProtocol = Literal["any", "ip4", "ip6"]


def require_targets(targets: tuple[str, ...]) -> None:
    """FieldError for too many targets, or one twice."""
    if len(targets) > TARGETS_MAX:
        raise FieldError(f"{TARGETS_MAX} targets are the most of one instance: make another", "targets")
    if len(set(targets)) < len(targets):
        raise FieldError("a target is there twice", "targets")


@dataclass(slots=True)
class Attempt:
    """One target in one run. `emit` is its own until it has ended."""

    target: str
    deadline: Deadline
    clock: Clock
    emit: Emission = field(init=False)
    reason: str = ""
    duration_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.emit = Emission(samples_max=200, labels={"target": self.target})

    def resolve(self, host: str, ip_protocol: IpProtocol) -> str:
        """The first address of a name; its lookup time and kind are shown."""
        began = self.clock.monotonic()
        answers: list[SocketAddress] = resolve(host, 1, self.deadline, FAMILIES[ip_protocol])
        self.emit.gauge("probe_dns_lookup_time_seconds", self.clock.monotonic() - began)
        address = str(answers[0][1][0])
        self.emit.gauge("probe_ip_protocol", 6 if ":" in address else 4)
        self.emit.gauge("probe_ip_addr_hash", address_hash(address))
        return address


class ProbeCheck(Check):
    """`probe` raises ServiceError for a target that fails; the run then fails with all reasons, after all targets are shown."""

    is_default = False

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """What is probed."""

    @abstractmethod
    def probe(self, attempt: Attempt) -> None:
        """Ask one target and emit."""

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        deadline = Deadline(context.clock, context.deadline_seconds * DEADLINE_SHARE)
        attempts = [Attempt(target, deadline, context.clock) for target in self.targets]
        threads = [threading.Thread(target=self._attempt, args=(one,), name="probe", daemon=True) for one in attempts]
        for thread in threads:
            thread.start()
        reasons: list[str] = []
        grace = Deadline(context.clock, context.deadline_seconds * (1 + DEADLINE_SHARE) / 2)
        for attempt, thread in zip(attempts, threads, strict=True):
            thread.join(max(0.0, grace.seconds - grace.elapsed_seconds()))
            if thread.is_alive():
                attempt = Attempt(attempt.target, deadline, context.clock)  # noqa: PLW2901 - the other one is not ours any more
                attempt.reason, attempt.duration_seconds = "hangs", deadline.seconds
            show(context.emit, attempt)
            if attempt.reason:
                reasons.append(f"{attempt.target}: {attempt.reason.removeprefix(f'{attempt.target}: ')}")
        if reasons:
            more = f" and {len(reasons) - REASONS_SHOWN_MAX} more" if len(reasons) > REASONS_SHOWN_MAX else ""
            raise ServiceError("; ".join(reasons[:REASONS_SHOWN_MAX]) + more)

    def _attempt(self, attempt: Attempt) -> None:
        began = attempt.clock.monotonic()
        try:
            self.probe(attempt)
        except (ServiceError, InputError) as error:
            attempt.reason = str(error)
        except OSError as error:
            attempt.reason = error.strerror or str(error)
        except Exception as error:  # a thread has no one above it: this becomes the reason
            attempt.reason = f"{type(error).__name__}: {error}"
        attempt.duration_seconds = attempt.clock.monotonic() - began


def show(emit: Emission, attempt: Attempt) -> None:
    """One target's samples, in the run's emission."""
    for name, labels, value in attempt.emit.samples:
        emit.add(attempt.emit.types[name], name, value, dict(labels))
    emit.gauge("probe_duration_seconds", attempt.duration_seconds, target=attempt.target)
    emit.gauge("probe_success", 0 if attempt.reason else 1, target=attempt.target)


def address_hash(address: str) -> int:
    """32 bits of FNV-1a over the address's bytes: changes when the address does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = 2166136261
    for byte in socket.inet_pton(family, address.partition("%")[0]):
        found = ((found ^ byte) * 16777619) & 0xFFFFFFFF
    return found
