"""Samples on their way: one entry a cell, as the appender judges them, the log keeps them and the head takes them.

Invariant: a value that stands for a histogram has its number in the same cells' `histograms`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.tsdb.references import are_references, numbers_of, references, renumbered


class Cells(NamedTuple):
    """Series, timestamps and values; `starts`: since when each counts, 0 where unknown, None: all unknown."""

    refs: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    starts: NDArray[np.int64] | None = None
    histograms: HistogramColumns | None = None

    @property
    def is_plain(self) -> bool:
        """Whether there are numbers only, without starts."""
        return self.starts is None and self.histograms is None

    def take(self, which: NDArray[Any] | slice) -> "Cells":
        """Some of the cells."""
        starts = None if self.starts is None else self.starts[which]
        return Cells(self.refs[which], self.times[which], self.values[which], starts, self.histograms)

    def compacted(self) -> "Cells":
        """The same cells with no other histograms than theirs, numbered in the order of the cells."""
        if self.histograms is None:
            return self
        found = are_references(self.values)
        if not found.any():
            return self._replace(histograms=None)
        numbers = numbers_of(self.values[found])
        if len(numbers) == len(self.histograms) and (np.diff(numbers, prepend=-1) == 1).all():
            return self
        values = self.values.copy()
        values[found] = references(np.arange(len(numbers)))
        return self._replace(values=values, histograms=self.histograms.take(numbers))


NO_CELLS = Cells(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64))


def join_cells(several: Sequence[Cells]) -> Cells:
    """All cells of several, in order."""
    if len(several) == 1:
        return several[0]
    if not several:
        return NO_CELLS
    starts = None
    if any(cells.starts is not None for cells in several):
        parts = [np.zeros(len(cells.refs), np.int64) if cells.starts is None else cells.starts for cells in several]
        starts = np.concatenate(parts)
    values, histograms = [], []
    count = 0
    for cells in several:
        values.append(cells.values if cells.histograms is None else renumbered(cells.values, count))
        if cells.histograms is not None:
            histograms.append(cells.histograms)
            count += len(cells.histograms)
    return Cells(
        np.concatenate([cells.refs for cells in several]), np.concatenate([cells.times for cells in several]),
        np.concatenate(values), starts, HistogramColumns.concatenate(histograms) if histograms else None,
    )  # fmt: skip
