"""The contract of a format: bytes of a source become samples. Formats stand in `formats/`, one a file.

Invariant: a body is read whole, or refused with the place of what is wrong; what a format has and we cannot store (texts, empty
values) is left out and counted by its reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nunchi.kit.errors import InputError
from nunchi.model.metadata import MetricType


class RelayError(InputError):
    """A body that cannot be read; the message has the place."""


@dataclass(frozen=True, slots=True)
class RelayedSample:
    """One sample, with a timestamp of its own."""

    name: str
    labels: Mapping[str, str]
    value: float
    timestamp_ms: int
    type: MetricType = MetricType.UNKNOWN


@dataclass(slots=True)
class Reading:
    """What a body held. `left_out` counts by reason."""

    samples: list[RelayedSample] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str) -> None:
        """Count something that no series could hold."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write samples. `read(body, now_ms, parameters)` raises RelayError; `parameters` are those of the URL."""

    name: str
    content_types: tuple[str, ...]
    read: Callable[[bytes, int, Mapping[str, str]], Reading]
