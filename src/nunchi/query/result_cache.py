"""Results of range queries, kept so that a dashboard which asks again with a later end evaluates only what is new.

Never stale: an entry remembers the store's version, and each use drops the steps within whose reach a sample of its metrics
has changed since (`storage.changes`, `plan.reach`, `plan.names`); what is left before, between and behind is used.
Never stored: steps newer than now - lookback, results with remarks, expressions whose
steps depend on where the query begins or ends. Invariant: entries are immutable; together they take at most `bytes_max`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.telemetry import Telemetry
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.query.engine import Engine, OpenQuerier, QueryOptions
from nunchi.query.histograms.grid import HistogramGrid, compacted, overlay, rows_of
from nunchi.query.limits import CELL_BYTES, Budget
from nunchi.query.operators import tables
from nunchi.query.plan.names import metric_names_of
from nunchi.query.plan.reach import Reach, reach_of
from nunchi.query.syntax.nodes import StringLiteral
from nunchi.query.values import Matrix, QueryResult, Statistics
from nunchi.storage.changes import NEVER_MS, Changes, ChangeSource, Span

BYTES_MAX = 64 * 1024 * 1024
STEPS_MIN = 3  # below that evaluating is as cheap as looking
SHARE_MAX = 4  # an entry takes at most this part of all
PIECES_MAX = 4  # stretches of kept steps in one answer; each gap between them is a query


class _Key(NamedTuple):
    expression: str
    step_ms: int
    phase_ms: int
    lookback_ms: int
    subquery_step_ms: int


class _Reads(NamedTuple):
    """What an expression reads: how far around a step, and which metrics (None: any)."""

    reach: Reach
    names: frozenset[str] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A result over consecutive steps, right at a version of the store. Its labels stand under symbols of its own."""

    matrix: Matrix
    version: int
    bytes: int

    @property
    def first_ms(self) -> int:
        return int(self.matrix.times[0])

    @property
    def last_ms(self) -> int:
        return int(self.matrix.times[-1])


class ResultCache:
    """Stands before an engine for range queries. Safe to use from several threads."""

    def __init__(
        self,
        source: ChangeSource,
        now_ms: Callable[[], int],
        bytes_max: int = BYTES_MAX,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._source = source
        self._now_ms = now_ms
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        telemetry = telemetry or Telemetry()
        self._steps = telemetry.counter("nunchi_query_cache_steps_total", "Steps of range queries.", "origin")
        self._dropped = telemetry.counter("nunchi_query_cache_dropped_total", "Kept results dropped.", "reason")
        size = telemetry.gauge("nunchi_query_cache_bytes", "Memory that kept results take.")
        size.observe_with(lambda: float(self._bytes))

    @property
    def bytes(self) -> int:
        """Memory that kept results take."""
        return self._bytes

    def range(
        self,
        engine: Engine,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions,
    ) -> QueryResult:
        """What `Engine.range` answers, of which kept steps are not evaluated again."""
        steps = (end_ms - start_ms) // step_ms + 1 if step_ms > 0 else 0
        reads = self._reads(engine, expression, start_ms, end_ms, step_ms, options) if steps >= STEPS_MIN else None
        if reads is None:
            return engine.range(open_querier, expression, start_ms, end_ms, step_ms, options)
        lookback_ms = options.lookback_ms or engine.settings.lookback_ms
        key = _Key(expression, step_ms, start_ms % step_ms, lookback_ms, engine.subquery_step_ms)
        last_ms = start_ms + (steps - 1) * step_ms
        budget = options.budget or engine.budget()
        kept, version = self._find(key, reads, start_ms, last_ms)
        options = replace(options, budget=budget, takes_samples=options.takes_samples and not kept)
        pieces: list[QueryResult] = []
        for first, last in _missing(kept, start_ms, last_ms, step_ms):
            pieces.append(engine.range(open_querier, expression, first, last, step_ms, options))
        reused = sum(len(piece.times) for piece in kept)
        self._steps.add(reused, "kept")
        self._steps.add(steps - reused, "evaluated")
        if not kept:
            (result,) = pieces
        else:
            budget.hold(max(map(len, kept)), steps)
            result = _joined(kept, pieces, np.arange(start_ms, last_ms + 1, step_ms, dtype=np.int64), budget)
        is_new = bool(pieces) and not result.warnings and not result.infos
        if is_new and isinstance(result.value, Matrix):
            self._store(key, result.value, version, reads.reach, self._now_ms() - lookback_ms)
        return result

    def _reads(
        self, engine: Engine, expression: str, start_ms: int, end_ms: int, step_ms: int, options: QueryOptions
    ) -> "_Reads | None":
        planned = engine.plan(expression, step_ms, end_ms - start_ms)
        if isinstance(planned, StringLiteral) or not engine.is_plan_lasting(expression):
            return None
        reach = reach_of(planned, options.lookback_ms or engine.settings.lookback_ms)
        return None if reach is None else _Reads(reach, metric_names_of(planned))

    def _find(self, key: _Key, reads: _Reads, first_ms: int, last_ms: int) -> tuple[list[Matrix], int]:
        """The kept steps within a range that are still right, in pieces by time, and the store's version at which they are."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        if entry is None:
            return [], self._source.changes(0).version
        changes = self._source.changes(entry.version, reads.names)
        right = _still_right(entry.matrix, reads.reach, changes)
        if not right:
            self._forget(key, entry, "changed")
        inside = [piece for each in right if (piece := _cut(each, first_ms, last_ms)) is not None]
        largest = sorted(inside, key=lambda piece: -len(piece.times))[:PIECES_MAX]
        return sorted(largest, key=lambda piece: int(piece.times[0])), changes.version

    def _store(self, key: _Key, matrix: Matrix, version: int, reach: Reach, newest_ms: int) -> None:
        """Keep the steps that are not too new."""
        if any(last > newest_ms for _, last in reach.pinned):
            return
        old = _cut(matrix, int(matrix.times[0]), newest_ms - max(0, reach.after_ms))
        if old is None or len(old.times) < STEPS_MIN:
            return
        rows = np.flatnonzero(old.present.any(axis=1))
        entry_bytes_max = self._bytes_max // SHARE_MAX
        kept, size = None, len(rows) * len(old.times) * CELL_BYTES
        if size <= entry_bytes_max:
            kept, size = _compact(old, rows)
        if kept is None or size > entry_bytes_max:
            self._dropped.add(1, "too_large")
            return
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = _Entry(kept, version, size)
            self._bytes += size - (before.bytes if before else 0)
            while self._bytes > self._bytes_max:
                _, gone = self._entries.popitem(last=False)
                self._bytes -= gone.bytes
                self._dropped.add(1, "space")

    def _forget(self, key: _Key, entry: _Entry, reason: str) -> None:
        with self._lock:
            if self._entries.get(key) is entry:
                del self._entries[key]
                self._bytes -= entry.bytes
                self._dropped.add(1, reason)


def _still_right(matrix: Matrix, reach: Reach, changes: Changes) -> list[Matrix]:
    """The steps none of whose samples were changed or removed, in pieces by time."""
    touched = [*changes.spans, Span(changes.oldest_ms, NEVER_MS)]
    if any(last >= span.first_ms and first <= span.last_ms for first, last in reach.pinned for span in touched):
        return []
    if any(first < changes.kept_from_ms for first, _ in reach.pinned):
        return []
    if reach.is_empty:
        return [matrix]
    begin_ms, pieces = changes.kept_from_ms + reach.before_ms, []
    for span in sorted(touched):
        pieces.append(_cut(matrix, begin_ms, span.first_ms - reach.after_ms - 1))
        begin_ms = max(begin_ms, span.last_ms + reach.before_ms + 1)
    return [piece for piece in pieces if piece is not None]


def _cut(matrix: Matrix, first_ms: int, last_ms: int) -> Matrix | None:
    """The steps within a range; None where there are none."""
    begin, end = np.searchsorted(matrix.times, first_ms, "left"), np.searchsorted(matrix.times, last_ms, "right")
    if begin >= end:
        return None
    if begin == 0 and end == len(matrix.times):
        return matrix
    grid = matrix.histograms
    return Matrix(
        matrix.labels, matrix.times[begin:end], matrix.values[:, begin:end], matrix.present[:, begin:end],
        None if grid is None else HistogramGrid(grid.numbers[:, begin:end], grid.columns),
    )  # fmt: skip


def _missing(kept: list[Matrix], first_ms: int, last_ms: int, step_ms: int) -> list[tuple[int, int]]:
    """What is to be evaluated: all, or what stands before, between and behind the kept steps."""
    begins = [first_ms, *(int(piece.times[-1]) + step_ms for piece in kept)]
    ends = [*(int(piece.times[0]) - step_ms for piece in kept), last_ms]
    return [span for span in zip(begins, ends, strict=True) if span[0] <= span[1]]


def _joined(kept: list[Matrix], pieces: list[QueryResult], times: NDArray[np.int64], budget: Budget) -> QueryResult:
    """One result of kept and evaluated steps: equal label sets become one series; the order is that of the engine."""
    matrices = [piece.value for piece in pieces if isinstance(piece.value, Matrix)]
    symbols = matrices[0].labels.symbols if matrices else tables.QuerySymbols(Symbols())
    parts = [*kept, *matrices]
    table = tables.concatenate(symbols, [_moved(part.labels, symbols) for part in parts])
    row_of, firsts = tables.group(table)
    values = np.zeros((len(firsts), len(times)))
    present = np.zeros(values.shape, np.bool_)
    begin = 0
    grids: list[tuple[slice, HistogramGrid]] = []
    for part in parts:
        rows, at = row_of[begin : begin + len(part)], int(np.searchsorted(times, part.times[0]))
        columns = slice(at, at + len(part.times))
        values[rows, columns], present[rows, columns] = part.values, part.present
        if part.histograms is not None:
            numbers = np.full(values.shape, FLOAT, np.int32)
            numbers[rows, columns] = part.histograms.numbers
            grids.append((slice(None), HistogramGrid(numbers, part.histograms.columns)))
        begin += len(part)
    labels = table.take(firsts)
    rows = np.flatnonzero(present.any(axis=1))
    rows = rows[tables.sorted_order(labels.take(rows))]
    histograms = rows_of(overlay(values.shape, grids), rows)
    matrix = Matrix(labels.take(rows), times, values[rows], present[rows], histograms)
    seconds = [(piece.statistics.prepared_seconds, piece.statistics.executed_seconds) for piece in pieces]
    statistics = Statistics(
        budget.samples,
        budget.peak_cells,
        budget.queued_seconds,
        sum(prepared for prepared, _ in seconds),
        sum(executed for _, executed in seconds),
    )
    warnings = list(dict.fromkeys(text for piece in pieces for text in piece.warnings))
    infos = list(dict.fromkeys(text for piece in pieces for text in piece.infos))
    return QueryResult(matrix, warnings, infos, statistics)


def _moved(table: LabelTable, symbols: Symbols) -> LabelTable:
    """A table under other symbols."""
    if table.symbols is symbols:
        return table
    ids = tables.used(np.concatenate([table.names, table.values]))
    if not len(ids):
        return LabelTable(symbols, table.names, table.values, table.offsets)
    low = int(ids[0])
    others = np.zeros(int(ids[-1]) - low + 1, np.int32)
    others[ids - low] = symbols.intern_all(tables.texts(table.symbols, ids))
    return LabelTable(symbols, others[table.names - low], others[table.values - low], table.offsets)


def _compact(matrix: Matrix, rows: NDArray[np.int64]) -> tuple[Matrix, int]:
    """A copy of some series that holds on to nothing of the query, and about how many bytes it takes."""
    symbols = Symbols()
    labels = _moved(matrix.labels.take(rows), symbols)
    present = matrix.present[rows]
    histograms = compacted(rows_of(matrix.histograms, rows), present)
    kept = Matrix(labels, matrix.times.copy(), matrix.values[rows], present, histograms)
    texts = sum(64 + len(symbols.text(number)) for number in range(len(symbols)))
    arrays = (kept.times, kept.values, kept.present, labels.names, labels.values, labels.offsets)
    size = texts + sum(array.nbytes for array in arrays)
    if histograms is not None:
        size += histograms.numbers.nbytes + 48 * len(histograms.columns) + histograms.columns.buckets.nbytes
    return kept, size
