"""The native histograms of grouped reductions: sums and means of them; what other reductions ignore is remarked on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.query.histograms.grid import HistogramGrid, histograms_of
from nunchi.query.histograms.totals import HistogramTotals
from nunchi.query.operators.operator import Batch, Scope
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import IGNORED_IN_AGGREGATION, MIXED_KINDS_AGGREGATION, MIXED_SCHEMAS_AGGREGATION

# Reductions that count elements whatever they are.
COUNTING: Final = frozenset(("count", "group"))
ADDING: Final = frozenset(("sum", "avg"))


class FoldedHistograms:
    """Gathers the histograms of a reduction's input, and reduces them beside the numbers."""

    def __init__(self, scope: Scope, node: plan.Aggregate) -> None:
        self._scope = scope
        self._node = node
        self._columns: list[HistogramColumns] = []
        self._cells: list[NDArray[np.int64]] = []

    def fold(self, batch: Batch, groups: NDArray[np.int64]) -> None:
        """Take in the histograms of a batch."""
        assert batch.histograms is not None
        rows, steps = np.nonzero(histograms_of(batch.present, batch.histograms))
        if not len(rows):
            return
        if self._node.operator not in ADDING:
            text = IGNORED_IN_AGGREGATION.format(self._node.operator)
            self._scope.context.notices.inform(text, self._node.child.position)
            return
        taken = batch.histograms.columns.take(batch.histograms.numbers[rows, steps])
        self._scope.context.budget.hold(1, len(taken.buckets) + len(taken))
        self._columns.append(taken)
        self._cells.append(groups[rows] * self._scope.steps + steps)

    def result(self, present: NDArray[np.bool_]) -> HistogramGrid | None:
        """The groups' histograms; `present`, where they have numbers, becomes where they have anything."""
        if not self._columns:
            return None
        notices, position = self._scope.context.notices, self._node.child.position
        columns, cells = HistogramColumns.concatenate(self._columns), np.concatenate(self._cells)
        everywhere = present.reshape(-1)
        mixed = everywhere[cells]
        if mixed.any():
            notices.warn(MIXED_KINDS_AGGREGATION, position)
            everywhere[cells[mixed]] = False
        pure = np.flatnonzero(~mixed).astype(np.int32)
        if not len(pure):
            return None
        totals = HistogramTotals(notices, position, is_mean=self._node.operator == "avg")
        found = totals.of(columns, pure, cells[pure])
        if len(found.incompatible):
            notices.warn(MIXED_SCHEMAS_AGGREGATION, position)
        everywhere[found.cells] = True
        numbers = np.full(present.size, FLOAT, np.int32)
        numbers[found.cells] = np.arange(len(found.cells))
        return HistogramGrid(numbers.reshape(present.shape), found.columns)
