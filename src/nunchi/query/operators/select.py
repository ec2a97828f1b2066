"""Selectors: samples of a store at every step. The newest sample in (t - lookback, t], unless that is a staleness marker."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.kernels import extended, instant
from nunchi.query.operators.mixed_select import MixedSmoothing, select_mixed, select_starts, with_exact_hints
from nunchi.query.operators.operator import Batch, Scope, series_slices
from nunchi.query.operators.selections import Request
from nunchi.query.plan import nodes as plan
from nunchi.query.syntax.nodes import At, Edge
from nunchi.storage.contracts import Selection, Tile


def reference_times(scope: Scope, at: At | None, offset_ms: int) -> NDArray[np.int64]:
    """int64[steps]: where a selector looks at each step."""
    if at is None:
        return scope.times - offset_ms if offset_ms else scope.times
    context = scope.context
    pinned = at if isinstance(at, int) else context.start_ms if at is Edge.START else context.end_ms
    return np.full(scope.steps, pinned - offset_ms, np.int64)


def request_of(scope: Scope, node: plan.InstantSelect | plan.RangeSelect, function: str = "") -> Request:
    """What a selector asks the store at all steps; `function` is that of a range."""
    context, references = scope.context, reference_times(scope, node.at, node.offset_ms)
    if isinstance(node, plan.InstantSelect):
        return Request.of_instant(node, references, context.lookback_ms, context.step_ms)
    return Request.of_range(node, references, context.lookback_ms, context.step_ms, function)


class Reader:
    """Opens a selection when its series are first asked for, and reads it tile by tile."""

    def __init__(self, scope: Scope, select: plan.InstantSelect | plan.RangeSelect, function: str = "") -> None:
        self.references = reference_times(scope, select.at, select.offset_ms)
        self._scope = scope
        self._select = select
        self._function = function
        self._selection: Selection | None = None
        self._labels: LabelTable | None = None

    def _opened(self) -> Selection:
        if self._selection is None:
            request = request_of(self._scope, self._select, self._function)
            self._selection = self._scope.context.selections.take(request)
        return self._selection

    def series(self) -> LabelTable:
        """The series selected, under the query's symbols."""
        if self._labels is None:
            self._labels = self._scope.context.symbols.adopt(self._opened().labels)
        return self._labels

    def tiles(self) -> Iterator[Tile]:
        """The samples; the budget is asked between tiles."""
        selection, budget = self._opened(), self._scope.context.budget
        budget.tick()
        for tile in selection.read(0, len(selection.labels)):
            yield with_exact_hints(tile) if self._select.exact_hints else tile
            budget.tick()
        selection.close()


class InstantSelect:
    """An instant selector: its values, the times of what it finds, or `smoothed` values between samples."""

    def __init__(self, scope: Scope, node: plan.InstantSelect) -> None:
        self._scope = scope
        self._node = node
        self._reader = Reader(scope, node)

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self._reader.series()

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        scope, budget = self._scope, self._scope.context.budget
        for tile in self._reader.tiles():
            for rows in series_slices(len(tile.series), scope.rows_per_batch()):
                values = np.empty((len(rows), scope.steps))
                present = np.empty((len(rows), scope.steps), np.bool_)
                with budget.give_way():
                    found = self._select(tile, rows, values, present.view(np.uint8))
                budget.tick(found)
                grid = self._select_mixed(tile, rows, values, present)
                if scope.counts is not None:
                    scope.counts.add(present.sum(axis=0, dtype=np.int64))
                yield Batch(tile.series[rows], values, present, None, grid)

    def _select_mixed(
        self, tile: Tile, rows: NDArray[np.int64], values: NDArray[np.float64], present: NDArray[np.bool_]
    ) -> HistogramGrid | None:
        """Once more the rows that the kernel cannot select alone."""
        node, references, lookback_ms = self._node, self._reader.references, self._scope.context.lookback_ms
        if node.wants_starts:
            select_starts(tile, rows, references, lookback_ms, values, present)
            return None
        if tile.histogram_of is None:
            return None
        if node.extension is not None:
            smoothing = MixedSmoothing(self._scope.context.notices, node.position, self.series())
            return smoothing.select(tile, rows, references, lookback_ms, values, present)
        grid = select_mixed(tile, rows, references, lookback_ms, values, present, wants_times=node.wants_times)
        return None if node.wants_times else grid

    def _select(
        self, tile: Tile, rows: NDArray[np.int64], values: NDArray[np.float64], present: NDArray[np.uint8]
    ) -> int:
        cells = (tile.vector_of, tile.vectors, tile.vector_offsets, tile.values, tile.offsets, rows)
        references, lookback_ms = self._reader.references, self._scope.context.lookback_ms
        if self._node.extension is not None:
            return extended.select_smoothed(*cells, references, lookback_ms, values, present)
        return instant.select_instant(*cells, references, lookback_ms, self._node.wants_times, values, present)
