"""Sums and means of native histograms: cells of one family at once, the others histogram by histogram."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, harmonize
from nunchi.model.histogram_columns import CODE_OF_HINT, HINTS, HistogramColumns
from nunchi.query.histograms.dense import COUNT, SUM, DenseHistograms, dense, families, sums_of
from nunchi.query.notices import Notices
from nunchi.query.remarks import RECONCILED, RESETS_COLLIDE


def hint_of_sum(hints: set[ResetHint]) -> ResetHint:
    """The reset hint of a sum of histograms with these."""
    if ResetHint.GAUGE in hints:
        return ResetHint.GAUGE
    return next(iter(hints)) if len(hints) == 1 else ResetHint.UNKNOWN


def means_by_steps(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The running mean of each column, for what a sum overflows; compensated."""
    mean, rest = matrix[0].copy(), np.zeros(matrix.shape[1])
    overflows = np.isinf(np.sum(matrix, axis=0)) & np.isfinite(matrix).all(axis=0)
    plain = sums_of(matrix, np.zeros(len(matrix), np.int64), 1)[0] / len(matrix)
    for count, row in enumerate(matrix[1:], 2):
        part = (count - 1) / count
        before, lost, value = part * mean, part * rest, row / count
        mean = before + value
        larger = np.abs(before) >= np.abs(value)
        rest = np.where(np.isinf(mean), 0.0, lost + np.where(larger, (before - mean) + value, (value - mean) + before))
    result: NDArray[np.float64] = np.where(overflows, mean + rest, plain)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """The totals of some cells: where they belong, the histograms, and which cells have none for what they mix."""

    cells: NDArray[np.int64]
    columns: HistogramColumns
    incompatible: NDArray[np.int64]


class HistogramTotals:
    """Makes totals, and remarks on them at a place of the expression."""

    def __init__(self, notices: Notices, position: int, *, is_mean: bool) -> None:
        self._notices = notices
        self._position = position
        self._is_mean = is_mean

    def of(self, columns: HistogramColumns, numbers: NDArray[np.int32], cells: NDArray[np.int64]) -> Totals:
        """The totals of histograms by cell; `cells` int64[n], any numbers, in the order in which to add."""
        order = np.argsort(cells, kind="stable")
        numbers = numbers[order]
        distinct, cell_of = np.unique(cells[order], return_inverse=True)
        count = len(distinct)
        hints = self._hints(columns.hints[numbers], cell_of, count)
        family = families(columns, numbers)
        first, last = np.full(count, len(columns.shapes), np.int64), np.full(count, -1, np.int64)
        np.minimum.at(first, cell_of, family)
        np.maximum.at(last, cell_of, family)
        parts: list[HistogramColumns] = []
        places: list[NDArray[np.int64]] = []
        for kind in np.unique(first[first == last]).tolist():
            chosen = np.flatnonzero((first == kind) & (last == kind))
            rows = np.flatnonzero((first == kind)[cell_of] & (last == kind)[cell_of])
            parts.append(self._alike(columns, numbers[rows], np.searchsorted(chosen, cell_of[rows]), hints[chosen]))
            places.append(chosen)
        incompatible: list[int] = []
        for cell in np.flatnonzero(first != last).tolist():
            histograms = [columns.histogram(number) for number in numbers[cell_of == cell].tolist()]
            try:
                parts.append(HistogramColumns.of([self.total(histograms)]))
                places.append(np.array([cell]))
            except IncompatibleError:
                incompatible.append(cell)
        found = np.concatenate([np.empty(0, np.int64), *places])
        return Totals(distinct[found], HistogramColumns.concatenate(parts), distinct[np.array(incompatible, np.int64)])

    def _hints(self, hints: NDArray[np.uint8], cell_of: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
        seen = np.zeros((count, len(HINTS)), np.bool_)
        seen[cell_of, hints] = True
        resets, none = seen[:, CODE_OF_HINT[ResetHint.RESET]], seen[:, CODE_OF_HINT[ResetHint.NOT_RESET]]
        if (resets & none).any():
            self._notices.warn(RESETS_COLLIDE.format("aggregation"), self._position)
        only = np.where(seen.sum(axis=1) == 1, seen.argmax(axis=1), CODE_OF_HINT[ResetHint.UNKNOWN])
        gauge = CODE_OF_HINT[ResetHint.GAUGE]
        return np.where(seen[:, gauge], gauge, only).astype(np.uint8)

    def _alike(
        self, columns: HistogramColumns, numbers: NDArray[np.int32], cells: NDArray[np.int64], hints: NDArray[np.uint8]
    ) -> HistogramColumns:
        rows = dense(columns, numbers)
        return rows.columns(self._reduced(rows.matrix, cells, len(hints)), hints)

    def _reduced(self, matrix: NDArray[np.float64], cells: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        total = sums_of(matrix, cells, count)
        if not self._is_mean:
            return total
        mean: NDArray[np.float64] = total / np.bincount(cells, minlength=count).reshape(-1, 1)
        for cell in np.flatnonzero(np.isinf(total[:, [COUNT, SUM]]).any(axis=1)).tolist():
            mean[cell] = means_by_steps(matrix[cells == cell])
        return mean

    def total(self, histograms: list[Histogram]) -> Histogram:
        """The total of histograms of any families; raises `IncompatibleError`."""
        layout, reconciled = histograms[0], False
        for histogram in histograms[1:]:
            layout, _, mismatch = harmonize(layout, histogram)
            reconciled = reconciled or mismatch
        if reconciled:
            self._notices.inform(RECONCILED.format("aggregation"), self._position)
        hints = {histogram.reset_hint for histogram in histograms}
        if {ResetHint.RESET, ResetHint.NOT_RESET} <= hints:
            self._notices.warn(RESETS_COLLIDE.format("aggregation"), self._position)
        fitted = [harmonize(layout, histogram)[1] for histogram in histograms]
        rows: DenseHistograms = dense(HistogramColumns.of(fitted), np.arange(len(fitted)))
        total = self._reduced(rows.matrix, np.zeros(len(fitted), np.int64), 1)
        return replace(rows.columns(total, np.zeros(1, np.uint8)).histogram(0), reset_hint=hint_of_sum(hints))
