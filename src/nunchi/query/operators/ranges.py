"""Functions of windows: `rate(x[5m])`, `max_over_time(rate(x[1m])[1h:])`. A window's samples come in tiles, from a store or
from the steps of a subquery; one kernel call evaluates some rows of a tile at all steps.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_columns import CODE_OF_HINT
from nunchi.model.labels import METRIC_NAME
from nunchi.model.staleness import ABSENT
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import CellWriter, HistogramGrid, floats_of, overlay
from nunchi.query.kernels import extended, windows
from nunchi.query.operators import tables
from nunchi.query.operators.histogram_rates import Undecided, WindowFunction
from nunchi.query.operators.histogram_rows import evaluate_stacked
from nunchi.query.operators.mixed_windows import START_FUNCTIONS, RowSamples, special_rows, window_sizes
from nunchi.query.operators.operator import Batch, Scope, VectorOperator, any_drops, series_slices
from nunchi.query.operators.parameters import check_smoothing, remark_quantiles
from nunchi.query.operators.select import Reader, reference_times
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import MAYBE_NOT_COUNTER
from nunchi.query.syntax.nodes import Extension
from nunchi.storage.contracts import Tile

KEEPS_NAME = frozenset(("last_over_time", "first_over_time", "absent_over_time"))
COUNTER_FUNCTIONS = frozenset(("rate", "increase"))
COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


class WindowSource(Protocol):
    """Where the samples of a range come from."""

    references: NDArray[np.int64]
    range_ms: int

    def series(self) -> LabelTable:
        """Whose samples `tiles` brings."""
        ...

    def tiles(self) -> Iterator[tuple[Tile, NDArray[np.bool_] | None]]:
        """Samples, and per row of the tile whether its name is to be dropped."""
        ...


class StoredWindows:
    """The windows of a range selector."""

    def __init__(self, scope: Scope, node: plan.RangeSelect, function: str) -> None:
        self._reader = Reader(scope, node, function)
        self.references = self._reader.references
        self.range_ms = node.range_ms

    def series(self) -> LabelTable:
        """See `WindowSource.series`."""
        return self._reader.series()

    def tiles(self) -> Iterator[tuple[Tile, NDArray[np.bool_] | None]]:
        """See `WindowSource.tiles`."""
        return ((tile, None) for tile in self._reader.tiles())


def subquery_times(references: NDArray[np.int64], range_ms: int, step_ms: int) -> NDArray[np.int64]:
    """The multiples of the step that all windows together cover, left-open."""
    before_ms = int(references[0]) - range_ms
    first_ms = step_ms * (before_ms // step_ms) + step_ms
    return np.arange(first_ms, int(references[-1]) + 1, step_ms, dtype=np.int64)


class SubqueryWindows:
    """The windows of a subquery: the child's steps as samples."""

    def __init__(
        self, node: plan.Subquery, references: NDArray[np.int64], times: NDArray[np.int64], child: VectorOperator
    ) -> None:
        self.references = references
        self.range_ms = node.range_ms
        self._child = child
        self._times = times

    def series(self) -> LabelTable:
        """See `WindowSource.series`."""
        return self._child.series()

    def tiles(self) -> Iterator[tuple[Tile, NDArray[np.bool_] | None]]:
        """See `WindowSource.tiles`."""
        steps = len(self._times)
        for batch in self._child.batches():
            count = len(batch.series)
            cells = np.where(batch.floats, batch.values, ABSENT)
            grid = without_hints(batch)
            yield (
                Tile(
                    series=batch.series,
                    vector_of=np.zeros(count, np.int32),
                    vectors=self._times,
                    vector_offsets=np.array([0, steps], np.int64),
                    values=cells.reshape(-1),
                    offsets=np.arange(count + 1, dtype=np.int64) * steps,
                    histogram_of=None if grid is None else grid.numbers.reshape(-1),
                    histograms=None if grid is None else grid.columns,
                ),
                batch.drop_name,
            )


def without_hints(batch: Batch) -> HistogramGrid | None:
    """The histograms of a batch; what they knew of resets is not about the step before."""
    grid = batch.histograms
    if grid is None:
        return None
    gauge, unknown = CODE_OF_HINT[ResetHint.GAUGE], CODE_OF_HINT[ResetHint.UNKNOWN]
    hints = np.where(grid.columns.hints == gauge, np.uint8(gauge), np.uint8(unknown))
    return HistogramGrid(grid.numbers, grid.columns.with_hints(hints)).only(batch.present)


def subquery_references(scope: Scope, node: plan.Subquery) -> NDArray[np.int64]:
    """Where the windows of a subquery end at each step."""
    return reference_times(scope, node.at, node.offset_ms)


class RangeFunction:
    """One function of the windows of a source. `parameters` are float64[steps] each."""

    def __init__(
        self, scope: Scope, node: plan.RangeFunction, source: WindowSource, parameters: list[NDArray[np.float64]]
    ) -> None:
        self._scope = scope
        self._node = node
        self._source = source
        zeros = np.zeros(scope.steps)
        self._first, self._second = (*parameters, zeros, zeros)[:2]
        self._drops_name = node.name not in KEEPS_NAME
        if node.name == "double_exponential_smoothing":
            check_smoothing(self._first, self._second)

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        table = self._source.series()
        return tables.drop_metadata(table) if self._drops_name and not self._scope.context.delays_names else table

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        scope, source = self._scope, self._source
        context, steps = scope.context, scope.steps
        suspects = self._suspect_names()
        for tile, drop_name in source.tiles():
            for rows in series_slices(len(tile.series), scope.rows_per_batch()):
                values = np.empty((len(rows), steps))
                present = np.empty((len(rows), steps), np.bool_)
                with context.budget.give_way():
                    held = self._evaluate(tile, rows, values, present.view(np.uint8))
                context.budget.tick(held)
                if scope.counts is not None:
                    scope.counts.add(window_sizes(tile, rows, source.references, source.range_ms))
                series = tile.series[rows]
                grid = self._evaluate_mixed(tile, rows, values, present)
                if suspects is not None:
                    self._remark_suspects(suspects[series[floats_of(present, grid).any(axis=1)]])
                if self._node.name == "quantile_over_time":
                    remark_quantiles(scope, self._node.parameters[0], self._first, present)
                drops = None if drop_name is None else drop_name[rows]
                if self._drops_name and context.delays_names:
                    drops = np.ones(len(rows), np.bool_)
                yield Batch(series, values, present, any_drops(drops), grid)

    def _evaluate(
        self, tile: Tile, rows: NDArray[np.int64], values: NDArray[np.float64], present: NDArray[np.uint8]
    ) -> int:
        name, window, source = self._node.name, self._node.window, self._source
        cells = (tile.vector_of, tile.vectors, tile.vector_offsets, tile.values, tile.offsets, rows)
        if isinstance(window, plan.RangeSelect) and window.extension is not None:
            code, is_smoothed = extended.FUNCTIONS[name], window.extension is Extension.SMOOTHED
            lookback_ms = self._scope.context.lookback_ms
            return extended.evaluate(
                code, is_smoothed, *cells, source.references, source.range_ms, lookback_ms, values, present
            )
        with self._scope.context.cores.borrowed() as threads:
            return windows.evaluate(
                windows.FUNCTIONS[name], *cells, source.references, self._scope.times, source.range_ms,
                self._first, self._second, values, present, threads,
            )  # fmt: skip

    def _evaluate_mixed(
        self, tile: Tile, rows: NDArray[np.int64], values: NDArray[np.float64], present: NDArray[np.bool_]
    ) -> HistogramGrid | None:
        """Once more the windows that the kernel cannot evaluate alone."""
        with_starts = self._node.name in START_FUNCTIONS
        if tile.histogram_of is None and (tile.starts is None or not with_starts):
            return None
        context, source = self._scope.context, self._source
        table = source.series()
        names = tables.column(table, METRIC_NAME)
        window = self._node.window
        extension = window.extension if isinstance(window, plan.RangeSelect) else None
        function = WindowFunction(self._node.name, extension, context.notices, window.position)
        writer = CellWriter(values, present)
        places = special_rows(tile, rows, with_starts=with_starts)
        at_once: HistogramGrid | None = None
        left = np.ones(values.shape, np.bool_)
        if extension is None:
            asked = function.name, tile, rows, np.array(places, np.int64), source.references, source.range_ms
            at_once, left = evaluate_stacked(*asked)
        if at_once is not None:
            present |= at_once.mask
        for place in places:
            if not left[place].any():
                continue
            row = int(rows[place])
            name = table.symbols.text(int(names[tile.series[row]]))
            samples = RowSamples(tile, row)
            if extension is not None:
                present[place] = False
                windows_of_row = samples.extended_windows(
                    source.references, source.range_ms, context.lookback_ms, is_smoothed=extension is Extension.SMOOTHED
                )
            else:
                windows_of_row = samples.windows(
                    source.references, source.range_ms, left[place], with_starts=with_starts
                )
            for step, held in windows_of_row:
                value = function.evaluate(held, name)
                if not isinstance(value, Undecided):
                    writer.write((place, step), value)
            context.budget.tick()
        return overlay(values.shape, [(slice(None), at_once), (slice(None), writer.grid())])

    def _suspect_names(self) -> NDArray[np.int32] | None:
        """int32[series]: the metric name where it is no counter's, else 0; None where there is no such series."""
        if self._node.name not in COUNTER_FUNCTIONS:
            return None
        table = self._source.series()
        names = tables.column(table, METRIC_NAME)
        distinct = tables.used(names)
        fine = [not text or text.endswith(COUNTER_SUFFIXES) for text in tables.texts(table.symbols, distinct)]
        if all(fine):
            return None
        if not any(fine):
            return names
        return np.where(np.isin(names, distinct[np.array(fine)]), np.int32(0), names)

    def _remark_suspects(self, names: NDArray[np.int32]) -> None:
        symbols = self._scope.context.symbols
        for name in tables.texts(symbols, tables.used(names)):
            if name:
                self._scope.context.notices.inform(MAYBE_NOT_COUNTER.format(name), self._node.window.position)
