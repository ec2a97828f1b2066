"""The obvious store: a sorted list of samples per series, in memory, behind one lock.

It is the oracle that other stores are compared with, so it prefers being plainly right to being fast or small. What is in it
ends with the process; samples older than the retention are dropped, series without samples are forgotten.
Invariant: a series' timestamps are strictly ascending.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.clock import Clock
from nunchi.model.batch import Batch, Conflict, Reason
from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator, all_match
from nunchi.model.metadata import Metadata
from nunchi.model.staleness import ABSENT
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.storage.changes import ChangeLog, Changes, Span
from nunchi.storage.contracts import (
    FUTURE_MS_MAX,
    MARK_BYTES_MAX,
    TILE_BYTES,
    AppendResult,
    Rejection,
    SelectHints,
    StoreStatistics,
    Tile,
)
from nunchi.storage.exemplars import ExemplarBuffer, SeriesExemplars, select_exemplars
from nunchi.storage.memory_series import ChangedNames, Sample, Series

RETENTION_MS = 15 * 24 * 3600 * 1000
PRUNE_INTERVAL_MS = 60_000


class MemoryStore:
    """Implements `storage.contracts.Store` and `storage.changes.ChangeSource`."""

    def __init__(self, clock: Clock, retention_ms: int = RETENTION_MS, late_max_ms: int = 0) -> None:
        self.clock = clock
        self.retention_ms = retention_ms
        self.late_max_ms = late_max_ms
        self.lock = threading.RLock()
        self.by_key: dict[bytes, Series] = {}
        self.by_name: dict[str, dict[bytes, Series]] = {}
        self._metadata: dict[str, Metadata] = {}
        self._marks: dict[str, bytes] = {}
        self.exemplar_buffer = ExemplarBuffer()
        self._prune_at_ms = 0
        self._log = ChangeLog()

    def appender(self) -> "MemoryAppender":
        """See `Store.appender`."""
        return MemoryAppender(self)

    def querier(self) -> "MemoryQuerier":
        """See `Store.querier`."""
        return MemoryQuerier(self)

    def metadata(self) -> Mapping[str, Metadata]:
        """See `Store.metadata`."""
        with self.lock:
            return dict(self._metadata)

    def exemplars(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[SeriesExemplars]:
        """See `Store.exemplars`."""
        with self.lock:
            return select_exemplars(self.exemplar_buffer.series(), selectors, start_ms, end_ms)

    def marks(self) -> Mapping[str, bytes]:
        """See `Store.marks`."""
        with self.lock:
            return dict(self._marks)

    def statistics(self) -> StoreStatistics:
        """See `Store.statistics`."""
        with self.lock:
            filled = [series for series in self.by_key.values() if series.timestamps]
            return StoreStatistics(
                series=len(filled),
                samples=sum(len(series.timestamps) for series in filled),
                min_time_ms=min((series.timestamps[0] for series in filled), default=0),
                max_time_ms=max((series.timestamps[-1] for series in filled), default=0),
            )

    def changes(self, since: int, names: frozenset[str] | None = None) -> Changes:
        """See `ChangeSource.changes`."""
        return self._log.changes(since, names)

    def publish(
        self,
        pending: "dict[bytes, Pending]",
        metadata: Mapping[str, Metadata],
        marks: Mapping[str, bytes],
        exemplars: Sequence[tuple[bytes, Exemplar]],
    ) -> None:
        """Make an appender's samples visible, all at once."""
        changed: list[tuple[int, str]] = []
        with self.lock:
            for key, cells in pending.items():
                series = self.by_key.get(key)
                if series is None:
                    series = self.by_key[key] = Series(Labels.from_key(key))
                    self.by_name.setdefault(series.labels.metric_name, {})[key] = series
                for timestamp_ms, (sample, conflict) in cells.items():
                    if conflict is Conflict.REPLACE or series.find(timestamp_ms) is None:
                        changed.append((timestamp_ms, series.labels.metric_name))
                        series.put(timestamp_ms, sample, conflict)
            self._metadata.update(metadata)
            for key, exemplar in exemplars:
                self.exemplar_buffer.add(key, exemplar)
            self._marks = {key: value for key, value in {**self._marks, **marks}.items() if value}
            self._prune()
            if changed:
                times = np.array([at for at, _ in changed], np.int64)
                names = ChangedNames([name for _, name in changed])
                span = Span(int(times.min()), int(times.max()))
                self._log.record_cells(span, ((names.series, times),), self.clock.now_ms(), names)

    def _prune(self) -> None:
        now_ms = self.clock.now_ms()
        if now_ms < self._prune_at_ms:
            return
        self._prune_at_ms = now_ms + PRUNE_INTERVAL_MS
        self._log.remove_before(now_ms - self.retention_ms)
        for key, series in list(self.by_key.items()):
            series.drop_before(now_ms - self.retention_ms)
            if not series.timestamps:
                name = series.labels.metric_name
                del self.by_key[key]
                del self.by_name[name][key]
                if not self.by_name[name]:
                    del self.by_name[name]


Pending = dict[int, tuple[Sample, Conflict]]


class MemoryAppender:
    """Implements `storage.contracts.Appender`: cells wait in a dictionary until they are committed."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._pending: dict[bytes, Pending] = {}
        self._metadata: dict[str, Metadata] = {}
        self._marks: dict[str, bytes] = {}
        self._exemplars: list[tuple[bytes, Exemplar]] = []

    def append(self, batch: Batch) -> AppendResult:
        """See `Appender.append`."""
        store, layout, result = self._store, batch.layout, AppendResult()
        now_ms = store.clock.now_ms()
        late_max_ms = store.late_max_ms if batch.late_max_seconds is None else round(batch.late_max_seconds * 1000)
        keys: dict[int, bytes] = {}
        cells = zip(batch.cell_timestamps().tolist(), batch.columns.tolist(), _samples(batch), strict=True)
        with store.lock:
            for timestamp_ms, column, sample in cells:
                key = keys.get(column)
                if key is None:
                    key = keys[column] = layout.key(column)
                reason = self._judge(key, timestamp_ms, sample, now_ms, late_max_ms, batch.on_conflict)
                if reason is None:
                    result.accepted += 1
                    says_more = batch.on_conflict is Conflict.REPLACE and sample.start_ms != 0
                    found = self._find(key, timestamp_ms)
                    if found is None or says_more or not found.has_same_bits(sample):
                        self._pending.setdefault(key, {})[timestamp_ms] = (sample, batch.on_conflict)
                else:
                    result.reject(Rejection(reason, layout.labels(column), timestamp_ms))
            self._judge_exemplars(batch, result)
        self._metadata.update(batch.metadata)
        return result

    def _judge_exemplars(self, batch: Batch, result: AppendResult) -> None:
        pending = dict(self._exemplars)
        for column, exemplar in batch.exemplars:
            key = batch.layout.key(column)
            refusal = self._store.exemplar_buffer.judge(key, exemplar, pending.get(key))
            if refusal is None:
                pending[key] = exemplar
                self._exemplars.append((key, exemplar))
            else:
                result.refuse_exemplar(refusal)

    def _judge(
        self, key: bytes, timestamp_ms: int, sample: Sample, now_ms: int, late_max_ms: int, conflict: Conflict
    ) -> Reason | None:
        if timestamp_ms > now_ms + FUTURE_MS_MAX:
            return Reason.TOO_FAR_IN_FUTURE
        if timestamp_ms < now_ms - self._store.retention_ms:
            return Reason.TOO_OLD
        series, pending = self._store.by_key.get(key), self._pending.get(key, {})
        newest = max(series.timestamps[-1] if series and series.timestamps else timestamp_ms, *pending, timestamp_ms)
        found = self._find(key, timestamp_ms)
        if found is not None:
            settled = found.has_same_bits(sample) or conflict is Conflict.REPLACE
            return None if settled else Reason.DUPLICATE_TIMESTAMP
        if newest - timestamp_ms > late_max_ms:
            return Reason.TOO_OLD if late_max_ms else Reason.OUT_OF_ORDER
        return None

    def _find(self, key: bytes, timestamp_ms: int) -> Sample | None:
        """What stands at a time, what is pending included."""
        pending = self._pending.get(key, {}).get(timestamp_ms)
        if pending is not None:
            return pending[0]
        series = self._store.by_key.get(key)
        return series.find(timestamp_ms) if series else None

    def mark(self, key: str, value: bytes) -> None:
        """See `Appender.mark`."""
        assert len(value) <= MARK_BYTES_MAX, key
        self._marks[key] = value

    def commit(self) -> None:
        """See `Appender.commit`."""
        pending, self._pending = self._pending, {}
        metadata, self._metadata = self._metadata, {}
        marks, self._marks = self._marks, {}
        exemplars, self._exemplars = self._exemplars, []
        self._store.publish(pending, metadata, marks, exemplars)

    def rollback(self) -> None:
        """See `Appender.rollback`."""
        self._pending = {}
        self._metadata = {}
        self._marks = {}
        self._exemplars = []


class Held(NamedTuple):
    """The samples of one series in a selection: copies. `rich` by place."""

    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    rich: dict[int, Sample]


class MemorySelection:
    """Implements `storage.contracts.Selection` over copies made when it was selected."""

    def __init__(self, labels: LabelTable, samples: list[Held], vectors: list[int]) -> None:
        self.labels = labels
        self.vectors = np.array(vectors, np.int64)
        self.sizes = np.array([len(held.values) for held in samples], np.int64)
        self._samples = samples

    def read(self, begin: int, end: int, tile_bytes: int = TILE_BYTES) -> Iterator[Tile]:
        """See `Selection.read`."""
        first = begin
        while first < end:
            after, size = first, 0
            while after < end and (after == first or size + 8 * int(self.sizes[after]) <= tile_bytes):
                size += 8 * int(self.sizes[after])
                after += 1
            yield self._tile(first, after)
            first = after

    def _tile(self, begin: int, end: int) -> Tile:
        distinct, vector_of = np.unique(self.vectors[begin:end], return_inverse=True)
        samples = self._samples[begin:end]
        timestamps = [np.empty(0, np.int64)] * len(distinct)
        for vector, held in zip(vector_of.tolist(), samples, strict=True):
            timestamps[vector] = held.timestamps
        offsets = _offsets([len(held.values) for held in samples])
        return Tile(
            np.arange(begin, end, dtype=np.int64),
            vector_of.astype(np.int32),
            np.concatenate(timestamps),
            _offsets([len(stamps) for stamps in timestamps]),
            np.concatenate([held.values for held in samples]),
            offsets,
            *_rich_columns(samples, offsets),
        )

    def close(self) -> None:
        """See `Selection.close`."""
        self._samples = []


def _rich_columns(
    samples: list[Held], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int32] | None, HistogramColumns | None, NDArray[np.int64] | None]:
    """A tile's histograms and start timestamps, None where there are none."""
    cells = {int(offsets[i]) + at: sample for i, held in enumerate(samples) for at, sample in held.rich.items()}
    histogram_of, histograms, starts = None, None, None
    found = [(cell, sample) for cell, sample in cells.items() if sample.histogram is not None]
    if found:
        histogram_of = np.full(offsets[-1], FLOAT, np.int32)
        histogram_of[[cell for cell, _ in found]] = np.arange(len(found))
        objects = [sample.histogram for _, sample in found if sample.histogram is not None]
        histograms = HistogramColumns.of(objects, [sample.is_integer for _, sample in found])
    if any(sample.start_ms for sample in cells.values()):
        starts = np.zeros(offsets[-1], np.int64)
        starts[list(cells)] = [sample.start_ms for sample in cells.values()]
    return histogram_of, histograms, starts


def _samples(batch: Batch) -> Iterator[Sample]:
    """The cells of a batch as samples."""
    values = batch.values.tolist()
    if batch.histogram_of is None and batch.starts is None:
        yield from map(Sample, values)
        return
    numbers = [FLOAT] * len(values) if batch.histogram_of is None else batch.histogram_of.tolist()
    starts = [0] * len(values) if batch.starts is None else batch.starts.tolist()
    for value, number, start_ms in zip(values, numbers, starts, strict=True):
        if number == FLOAT or batch.histograms is None:
            yield Sample(value, start_ms=start_ms)
        else:
            is_integer = bool(batch.histograms.is_integer[number])
            yield Sample(ABSENT, batch.histograms.histogram(number), is_integer, start_ms)


class MemoryQuerier:
    """Implements `storage.contracts.Querier`."""

    def __init__(self, store: MemoryStore) -> None:
        self.symbols = Symbols()
        self._store = store
        self._vector_ids: dict[bytes, int] = {}
        self._next_vector = count()

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints | None = None
    ) -> MemorySelection:
        """See `Querier.select`."""
        found: list[Labels] = []
        samples: list[Held] = []
        with self._store.lock:
            matching = self._matching(matchers, start_ms, end_ms)
            for series, begin, end in sorted(matching, key=lambda match: match[0].labels.pairs):
                found.append(series.labels)
                times = _copy(series.timestamps, begin, end, np.int64)
                rich = series.rich_within(begin, end)
                samples.append(Held(times, _copy(series.values, begin, end, float), rich))
        vectors = [self._vector_id(held.timestamps) for held in samples]
        return MemorySelection(LabelTable.of(self.symbols, found), samples, vectors)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0) -> list[str]:
        """See `Querier.label_names`."""
        with self._store.lock:
            names = {name for series, _, _ in self._matching(matchers, start_ms, end_ms) for name in series.labels}
        return sorted(names)[: limit or None]

    def label_values(
        self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0
    ) -> list[str]:
        """See `Querier.label_values`."""
        with self._store.lock:
            found = {series.labels.get(name) for series, _, _ in self._matching(matchers, start_ms, end_ms)}
        return sorted(found - {""})[: limit or None]

    def close(self) -> None:
        """See `Querier.close`."""

    def _matching(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[tuple[Series, int, int]]:
        for series in self._candidates(matchers):
            begin, end = bisect_left(series.timestamps, start_ms), bisect_right(series.timestamps, end_ms)
            if begin < end and all_match(matchers, series.labels):
                yield series, begin, end

    def _candidates(self, matchers: Sequence[Matcher]) -> list[Series]:
        for matcher in matchers:
            if matcher.name == METRIC_NAME and matcher.operator is MatchOperator.EQUAL:
                return list(self._store.by_name.get(matcher.value, {}).values())
        return list(self._store.by_key.values())

    def _vector_id(self, timestamps: NDArray[np.int64]) -> int:
        content = timestamps.tobytes()
        found = self._vector_ids.get(content)
        if found is None:
            found = self._vector_ids[content] = next(self._next_vector)
        return found


def _offsets(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _copy(source: Any, begin: int, end: int, kind: Any) -> NDArray[Any]:
    return np.array(memoryview(source)[begin:end], kind)
