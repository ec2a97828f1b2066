"""What a store tells of changes to its past, so that results computed earlier can be trusted or thrown away.

New samples at the end of time are changes as well: they have timestamps, and whoever asks compares these with what he read.
What comes late, or is deleted, is told apart: between which timestamps, and of which metrics.
Invariant: an answer never names less than the truth; it may name more, when the log was shortened.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher, equal_names

ENTRIES_MAX = 1024
NEVER_MS = 2**62
RECENT_MS: Final = 5 * 60 * 1000  # what is older when it is written is late; a choice, nothing depends on it
SPANS_MAX = 16  # remembered of one metric
NAMES_MAX = 10_000
DAMAGED: Final = "\ufffd"


class Span(NamedTuple):
    """From one timestamp to another, both included."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed after a version.

    version       of the store now; ask with it next time
    oldest_ms     from here on anything may have changed; `NEVER_MS` where nothing has
    kept_from_ms  older samples were removed by their age
    spans         what else has changed, of the metrics asked for
    """

    version: int
    oldest_ms: int
    kept_from_ms: int
    spans: tuple[Span, ...] = ()


class ChangeSource(Protocol):
    """A store that knows what has changed."""

    def changes(self, since: int, names: frozenset[str] | None = None) -> Changes:
        """Changes after a version to metrics of these names, None: to any; a querier opened later sees all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Late:
    """A change to the past: of these metrics, None: of any."""

    span: Span
    names: frozenset[str] | None

    @classmethod
    def of_matchers(cls, matchers: Sequence[Matcher], first_ms: int, last_ms: int) -> "Late":
        """A change to whatever some matchers select."""
        return cls(Span(first_ms, last_ms), equal_names(matchers))


class _LateSpan(NamedTuple):
    version: int
    span: Span

    def merge(self, newer: "_LateSpan") -> "_LateSpan":
        first, last = self.span, newer.span
        return _LateSpan(newer.version, Span(min(first.first_ms, last.first_ms), max(first.last_ms, last.last_ms)))


class ChangeLog:
    """Implements `ChangeSource` for a store that reports each commit, after it is visible and before anybody is told of it.

    Of changes at the end of time only those are remembered that are older than every later one: the minimum over any recent
    past can be told from these. Steady writing adds an entry per commit; when they are too many, the oldest two become one.
    Late changes are remembered by metric, the latest `SPANS_MAX` of each; older ones become one that covers them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._kept_from_ms = -NEVER_MS
        self._entries: deque[tuple[int, int]] = deque()
        self._late: dict[str | None, deque[_LateSpan]] = {}

    def record(self, oldest_ms: int = NEVER_MS, late: Late | None = None) -> None:
        """A commit changed samples from a timestamp on, and late ones."""
        with self._lock:
            self._version += 1
            if oldest_ms < NEVER_MS:
                self._record_recent(oldest_ms)
            if late is not None:
                for name in (None,) if late.names is None else late.names:
                    self._record_late(name, late.span)

    def record_cells(
        self,
        series: NDArray[np.int32],
        times: NDArray[np.int64],
        now_ms: int,
        names_of: Callable[[NDArray[np.int32]], Iterable[str]],
    ) -> None:
        """A commit changed these cells; `names_of` tells the metric names of some series."""
        if not len(times):
            return
        oldest_ms = int(times.min())
        if oldest_ms >= now_ms - RECENT_MS:
            self.record(oldest_ms)
            return
        is_late = times < now_ms - RECENT_MS
        recent, late = times[~is_late], times[is_late]
        names: frozenset[str] | None = frozenset(names_of(np.unique(series[is_late])))
        if any(DAMAGED in name for name in names or ()):
            names = None
        span = Span(int(late.min()), int(late.max()))
        self.record(int(recent.min()) if len(recent) else NEVER_MS, Late(span, names))

    def _record_recent(self, oldest_ms: int) -> None:
        while self._entries and self._entries[-1][1] >= oldest_ms:
            self._entries.pop()
        self._entries.append((self._version, oldest_ms))
        if len(self._entries) > ENTRIES_MAX:
            _, oldest = self._entries.popleft()
            self._entries[0] = (self._entries[0][0], oldest)

    def _record_late(self, name: str | None, span: Span) -> None:
        if name not in self._late and len(self._late) >= NAMES_MAX:
            self._forget_names()
        spans = self._late.setdefault(name, deque())
        spans.append(_LateSpan(self._version, span))
        if len(spans) > SPANS_MAX:
            oldest = spans.popleft()
            spans[0] = oldest.merge(spans[0])

    def _forget_names(self) -> None:
        """One span of any metric covers all that were remembered."""
        everything = [each for spans in self._late.values() for each in spans]
        merged = everything[0]
        for each in sorted(everything):
            merged = merged.merge(each)
        self._late = {None: deque([merged])}

    def remove_before(self, timestamp_ms: int) -> None:
        """Samples older than this were removed by their age."""
        with self._lock:
            self._kept_from_ms = max(self._kept_from_ms, timestamp_ms)

    def changes(self, since: int, names: frozenset[str] | None = None) -> Changes:
        """See `ChangeSource.changes`."""
        with self._lock:
            oldest_ms = next((oldest for version, oldest in self._entries if version > since), NEVER_MS)
            asked = self._late if names is None else (None, *names)
            spans = [each.span for name in asked for each in self._late.get(name, ()) if each.version > since]
            return Changes(self._version, oldest_ms, self._kept_from_ms, tuple(sorted(set(spans))))
