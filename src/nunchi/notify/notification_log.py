"""What was sent last to whom about which alert group: so that nothing is told twice, and no end is forgotten.

Invariant: an entry lives for two repeat intervals after its latest sending; without an entry nothing counts as told.
"""

from dataclasses import dataclass, replace
from enum import Enum

from nunchi.kit.clock import Clock

ENTRIES_MAX = 200_000


class NotificationCause(Enum):
    """Why a notification is due, in the words that receivers may show."""

    FIRST = "first notification"
    NEW_ALERTS = "new alerts added"
    ALL_RESOLVED = "all alerts resolved"
    SOME_RESOLVED = "some alerts resolved"
    REPEAT = "repeat interval elapsed"


@dataclass(frozen=True, slots=True)
class LogKey:
    """One alert group as one integration of a receiver knows it."""

    group_key: str
    receiver: str
    kind: str
    index: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The fingerprints told last: of firing and of resolved alerts."""

    timestamp_ms: int
    firing: frozenset[int]
    resolved: frozenset[int]
    expires_at_ms: int

    def cause(
        self, firing: frozenset[int], resolved: frozenset[int], now_ms: int, repeat_ms: int, *, sends_resolved: bool
    ) -> NotificationCause | None:
        """Why these alerts should be told now, None where they should not."""
        if not firing <= self.firing:
            return NotificationCause.NEW_ALERTS if self.firing else NotificationCause.FIRST
        if not firing:
            return NotificationCause.ALL_RESOLVED if self.firing else None
        if sends_resolved and not resolved <= self.resolved:
            return NotificationCause.SOME_RESOLVED
        return NotificationCause.REPEAT if self.timestamp_ms < now_ms - repeat_ms else None


class NotificationLog:
    """Entries by key, in memory."""

    def __init__(self, clock: Clock, entries_max: int = ENTRIES_MAX) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._entries: dict[LogKey, LogEntry] = {}
        self._told: dict[tuple[str, str], set[LogKey]] = {}

    def find(self, key: LogKey) -> LogEntry | None:
        """What was told last."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.expires_at_ms > self._clock.now_ms() else None

    def put(self, key: LogKey, firing: frozenset[int], resolved: frozenset[int], repeat_ms: int) -> None:
        """These were told now. The oldest entry gives way where there are too many."""
        now_ms = self._clock.now_ms()
        self._remove(key)
        if len(self._entries) >= self._entries_max:
            self._remove(next(iter(self._entries)))
        self._entries[key] = LogEntry(now_ms, firing, resolved, now_ms + 2 * repeat_ms)
        self._told.setdefault((key.group_key, key.receiver), set()).add(key)

    def extend(self, group_key: str, receiver: str, repeat_ms: int) -> None:
        """Keep what is known of a group for longer: while its alerts are muted, their ends are still to be told."""
        expires_at_ms = self._clock.now_ms() + 2 * repeat_ms
        for key in self._told.get((group_key, receiver), ()):
            if self.find(key) is not None:
                self._entries[key] = replace(self._entries[key], expires_at_ms=expires_at_ms)

    def was_told_firing(self, group_key: str, receiver: str, fingerprint: int) -> bool:
        """Whether any integration of a receiver believes that this alert fires."""
        for key in self._told.get((group_key, receiver), ()):
            entry = self.find(key)
            if entry is not None and fingerprint in entry.firing:
                return True
        return False

    def expire(self) -> None:
        """Forget entries whose time is over."""
        now_ms = self._clock.now_ms()
        for key in [key for key, entry in self._entries.items() if entry.expires_at_ms <= now_ms]:
            self._remove(key)

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: LogKey) -> None:
        if self._entries.pop(key, None) is not None:
            keys = self._told[key.group_key, key.receiver]
            keys.discard(key)
            if not keys:
                del self._told[key.group_key, key.receiver]
