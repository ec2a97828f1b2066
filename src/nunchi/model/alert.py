"""An alert on its way from a rule to people: who it is (labels), what to tell (annotations), since when and until when.

Invariant: two alerts with equal labels are the same alert at different times; nothing else identifies one.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache

from nunchi.model.labels import Labels

ALERT_NAME = "alertname"
FINGERPRINT_CACHE_MAX = 65_536
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


class AlertState(Enum):
    """Of an alert inside of its rule."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Alert:
    """Times are milliseconds since the epoch; `ends_at_ms` 0 says that no end is known.

    An end in the future means: take it for resolved then, unless it is heard of again. `is_timeout` marks an end that was
    assumed, not told.
    """

    labels: Labels
    annotations: Labels = field(default_factory=Labels)
    starts_at_ms: int = 0
    ends_at_ms: int = 0
    generator_url: str = ""
    updated_at_ms: int = 0
    is_timeout: bool = False

    @property
    def name(self) -> str:
        """The label `alertname`."""
        return self.labels.get(ALERT_NAME)

    @property
    def fingerprint(self) -> int:
        """64 bits that identify the label set, the same as Alertmanager's."""
        return fingerprint(self.labels)

    def is_resolved(self, now_ms: int) -> bool:
        """Whether the alert has ended by this time."""
        return 0 < self.ends_at_ms <= now_ms

    def merge(self, younger: "Alert", now_ms: int) -> "Alert":
        """One alert of two reports about the same activity; the one updated last gives annotations and URL."""
        older = self
        if younger.updated_at_ms < older.updated_at_ms:
            older, younger = younger, older
        ends_at_ms = younger.ends_at_ms
        if older.ends_at_ms > younger.ends_at_ms and (
            older.is_resolved(now_ms) if younger.is_resolved(now_ms) else not older.is_timeout
        ):
            ends_at_ms = older.ends_at_ms
        return replace(younger, starts_at_ms=min(older.starts_at_ms, younger.starts_at_ms), ends_at_ms=ends_at_ms)


@lru_cache(maxsize=FINGERPRINT_CACHE_MAX)
def fingerprint(labels: Labels) -> int:
    """FNV-1a, 64 bits, over the label key."""
    state = _FNV_OFFSET
    for octet in labels.key():
        state = ((state ^ octet) * _FNV_PRIME) & _MASK
    return state
