"""Rows of a tile stacked, so that functions of windows look at the histograms of many series at once.

Invariant: windows are places among the samples of the stack, and a window never leaves its row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.staleness import ABSENT_BITS, STALE_BITS
from nunchi.query.histograms.dense import families, width_of
from nunchi.storage.contracts import Tile

# Cells of the matrices of one stack, which stay small; a stack has one row at least.
CELLS_MAX: Final = 1 << 21


class StackValues(NamedTuple):
    """The histograms of some windows of a stack: rows, steps, columns; and the windows, bool[rows, steps], that are done."""

    rows: NDArray[np.int64]
    steps: NDArray[np.int64]
    columns: HistogramColumns
    done: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StackedRows:
    """The samples of some rows, row after row; staleness markers and empty cells left out.

    places      int64[rows], which rows these are
    offsets     int64[rows + 1]; `times[offsets[i]:offsets[i + 1]]` and `numbers`, of `columns`, are those of a row
    begins, ends  int64[rows, steps], the samples of each window
    """

    columns: HistogramColumns
    places: NDArray[np.int64]
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    numbers: NDArray[np.int32]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    def count(self, samples: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64[rows]: how many of some samples each row has."""
        before = np.concatenate([[0], np.cumsum(samples)])
        counts: NDArray[np.int64] = before[self.offsets[1:]] - before[self.offsets[:-1]]
        return counts

    def only(self, rows: NDArray[np.int64]) -> "StackedRows":
        """Some rows, in this order."""
        sizes = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        moved = (self.offsets[rows] - offsets[:-1]).reshape(-1, 1)
        kept = np.repeat(moved.reshape(-1), sizes) + np.arange(offsets[-1])
        return replace(
            self, places=self.places[rows], offsets=offsets, times=self.times[kept], numbers=self.numbers[kept],
            begins=self.begins[rows] - moved, ends=self.ends[rows] - moved,
        )  # fmt: skip

    def alike(self) -> Iterator["StackedRows"]:
        """Stacks of the rows that hold nothing but histograms that can be added bucket by bucket, all of a stack."""
        held = np.flatnonzero((np.diff(self.offsets) > 0) & (self.count(self.numbers == FLOAT) == 0))
        pure = self.only(held)
        if not len(held):
            return
        family = families(pure.columns, pure.numbers)
        first = family[pure.offsets[:-1]]
        is_one = pure.count(family != np.repeat(first, np.diff(pure.offsets))) == 0
        for kind in np.unique(first[is_one]).tolist():
            rows = np.flatnonzero(is_one & (first == kind))
            together = pure.only(rows)
            cells = width_of(together.columns, together.numbers) * (len(together.times) + together.ends.size)
            parts = min(len(rows), cells // CELLS_MAX + 1)
            for part in np.array_split(np.arange(len(rows)), parts):
                yield together.only(part)


def stack(
    tile: Tile, rows: NDArray[np.int64], places: NDArray[np.int64], references: NDArray[np.int64], range_ms: int
) -> StackedRows:
    """The rows `rows[places]` of a tile with histograms, and their windows (reference - range, reference]."""
    assert tile.histogram_of is not None
    assert tile.histograms is not None
    chosen = rows[places]
    sizes = tile.offsets[chosen + 1] - tile.offsets[chosen]
    borders = np.concatenate([[0], np.cumsum(sizes)])
    turn = np.arange(borders[-1])
    cells = np.repeat(tile.offsets[chosen] - borders[:-1], sizes) + turn
    numbers, bits = tile.histogram_of[cells], tile.values[cells].view(np.uint64)
    stale = tile.histograms.is_stale()
    is_number = (bits != ABSENT_BITS) & (bits != STALE_BITS)
    kept = np.flatnonzero(np.where(numbers == FLOAT, is_number, ~stale[np.maximum(numbers, 0)]))
    times = tile.vectors[(np.repeat(tile.vector_offsets[tile.vector_of[chosen]] - borders[:-1], sizes) + turn)[kept]]
    offsets = np.searchsorted(kept, borders)
    begins, ends = np.empty((2, len(chosen), len(references)), np.int64)
    for row, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        own = times[begin:end]
        begins[row] = np.searchsorted(own, references - range_ms, side="right")
        ends[row] = np.searchsorted(own, references, side="right")
    first = offsets[:-1].reshape(-1, 1)
    return StackedRows(tile.histograms, places, offsets, times, numbers[kept], begins + first, ends + first)
