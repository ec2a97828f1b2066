"""What a store tells of changes to its past, so that results computed earlier can be trusted or thrown away.

New samples at the end of time are changes as well: they have timestamps, and whoever asks compares these with what he read.
What comes late, or is deleted, is told apart: between which timestamps, and of which metrics.
Invariant: an answer never names less than the truth; it may name more, when the log was shortened.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
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
UNNAMED_COMMITS_MAX = 1024
UNNAMED_CELLS_MAX = 1 << 18
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


class MetricNames(Protocol):
    """What series that are known by numbers are called; may be asked by any thread, and must not wait for a writer."""

    def metrics_of(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """A number per series, equal for equal metric names; -1 where there is no name."""
        ...

    def metric_texts(self, metrics: NDArray[np.int64]) -> list[str]:
        """The names of such numbers, none of them -1."""
        ...


class _Unnamed(NamedTuple):
    """Late cells of a commit, of whose series nobody has asked yet what they are called."""

    span: Span
    series: NDArray[np.int32]
    names: MetricNames


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
    Late changes are remembered by metric, the latest `SPANS_MAX` of each; older ones become one that covers them. Who appends
    leaves only which series these were: names are looked up for all commits since the last time, when somebody asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._kept_from_ms = -NEVER_MS
        self._entries: deque[tuple[int, int]] = deque()
        self._late: dict[str | None, deque[_LateSpan]] = {}
        self._unnamed: list[_Unnamed] = []
        self._unnamed_cells = 0

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
        self, span: Span, parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]], now_ms: int, names: MetricNames
    ) -> None:
        """A commit changed cells of these series at these times, all of them within `span`."""
        late_until_ms = now_ms - RECENT_MS
        if span.first_ms >= late_until_ms:
            self.record(span.first_ms)
            return
        oldest_ms = NEVER_MS
        if span.last_ms >= late_until_ms:
            series, times = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            is_late = times < late_until_ms
            parts, late, recent = [(series[is_late], times[is_late])], times[is_late], times[~is_late]
            span = Span(int(late.min()), int(late.max()))
            oldest_ms = int(recent.min())
        with self._lock:
            self._version += 1
            if oldest_ms < NEVER_MS:
                self._record_recent(oldest_ms)
            for changed, _ in parts:
                if len(changed):
                    self._unnamed.append(_Unnamed(span, changed, names))
                    self._unnamed_cells += len(changed)
            if len(self._unnamed) > UNNAMED_COMMITS_MAX or self._unnamed_cells > UNNAMED_CELLS_MAX:
                self._name()

    def name(self) -> None:
        """Look up all names that are still to be looked up: whoever tells them may go."""
        with self._lock:
            self._name()

    def _name(self) -> None:
        """Remember late cells by metric. Those that lie near each other count as one change: backfilling is one."""
        unnamed, self._unnamed, self._unnamed_cells = self._unnamed, [], 0
        for span, some in _neighbours(unnamed):
            for name in _names_of(some) or (None,):
                self._record_late(name, span)

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
            if self._unnamed:
                self._name()
            oldest_ms = next((oldest for version, oldest in self._entries if version > since), NEVER_MS)
            asked = self._late if names is None else (None, *names)
            spans = [each.span for name in asked for each in self._late.get(name, ()) if each.version > since]
            return Changes(self._version, oldest_ms, self._kept_from_ms, tuple(sorted(set(spans))))


def _neighbours(unnamed: list[_Unnamed]) -> Iterator[tuple[Span, list[_Unnamed]]]:
    """Those whose spans touch or nearly do, and the span of them together."""
    near: list[_Unnamed] = []
    first_ms = last_ms = 0
    for one in sorted(unnamed, key=lambda one: one.span):
        if near and one.span.first_ms > last_ms + RECENT_MS:
            yield Span(first_ms, last_ms), near
            near = []
        first_ms, last_ms = (first_ms, max(last_ms, one.span.last_ms)) if near else one.span
        near.append(one)
    if near:
        yield Span(first_ms, last_ms), near


def _names_of(unnamed: Sequence[_Unnamed]) -> frozenset[str] | None:
    """The metrics of some late cells; None: any."""
    texts: set[str] = set()
    for names in {id(one.names): one.names for one in unnamed}.values():
        series = np.concatenate([one.series for one in unnamed if one.names is names])
        metrics = names.metrics_of(series)
        is_there = np.zeros(int(metrics.max()) + 2, np.bool_)
        is_there[metrics] = True  # the last place is that of -1
        if is_there[-1]:
            texts.add("")
        texts.update(names.metric_texts(np.flatnonzero(is_there[:-1])))
    return None if any(DAMAGED in text for text in texts) else frozenset(texts)
