"""What a store tells of changes to its past, so that results computed earlier can be trusted or thrown away.

New samples at the end of time are changes as well: they have timestamps, and whoever asks compares these with what he read.
Invariant: an answer never names a later time than the truth; it may name an earlier one, when the log was shortened.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

ENTRIES_MAX = 1024
NEVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed after a version.

    version       of the store now; ask with it next time
    oldest_ms     the oldest timestamp of any sample added, replaced or deleted since; `NEVER_MS` where there is none
    kept_from_ms  older samples were removed by their age
    """

    version: int
    oldest_ms: int
    kept_from_ms: int


class ChangeSource(Protocol):
    """A store that knows what has changed."""

    def changes(self, since: int) -> Changes:
        """Changes after a version; what a querier opened later sees contains all of them."""
        ...


class ChangeLog:
    """Implements `ChangeSource` for a store that reports each commit, after it is visible and before anybody is told of it.

    Only the changes that are older than every later one are remembered: the minimum over any recent past can be told from
    these. Steady writing adds an entry per commit; when they are too many, the oldest two become one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._kept_from_ms = -NEVER_MS
        self._entries: deque[tuple[int, int]] = deque()

    def record(self, oldest_ms: int) -> None:
        """A commit changed samples, of which this is the oldest timestamp."""
        with self._lock:
            self._version += 1
            while self._entries and self._entries[-1][1] >= oldest_ms:
                self._entries.pop()
            self._entries.append((self._version, oldest_ms))
            if len(self._entries) > ENTRIES_MAX:
                _, oldest = self._entries.popleft()
                self._entries[0] = (self._entries[0][0], oldest)

    def remove_before(self, timestamp_ms: int) -> None:
        """Samples older than this were removed by their age."""
        with self._lock:
            self._kept_from_ms = max(self._kept_from_ms, timestamp_ms)

    def changes(self, since: int) -> Changes:
        """See `ChangeSource.changes`."""
        with self._lock:
            for version, oldest_ms in self._entries:
                if version > since:
                    return Changes(self._version, oldest_ms, self._kept_from_ms)
            return Changes(self._version, NEVER_MS, self._kept_from_ms)
