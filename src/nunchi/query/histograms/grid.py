"""Histograms as values: which cells of a block hold one, and the columns they stand in.

Numbers and histograms share one presence. Invariant: a number counts only where its cell is present; what is elsewhere is
left over from whoever computed the block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns

Value: TypeAlias = float | Histogram


@dataclass(frozen=True, slots=True, eq=False)
class HistogramGrid:
    """`numbers` int32[...], as the values beside it: a place in `columns`, or `FLOAT`."""

    numbers: NDArray[np.int32]
    columns: HistogramColumns

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[...]: which cells hold histograms."""
        found: NDArray[np.bool_] = self.numbers != FLOAT
        return found

    def rows(self, rows: NDArray[np.int64] | slice | tuple[slice | NDArray[np.int64], ...]) -> "HistogramGrid":
        """Only some rows, in this order."""
        return HistogramGrid(self.numbers[rows], self.columns)

    def histogram(self, *cell: int) -> Histogram:
        """The histogram of a cell that has one."""
        return self.columns.histogram(int(self.numbers[cell]))

    def field(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a column of the histograms has for each cell; without meaning where there is none."""
        return values[np.maximum(self.numbers, 0)]

    def only(self, cells: NDArray[np.bool_]) -> "HistogramGrid":
        """Histograms of some cells alone."""
        return HistogramGrid(np.where(cells, self.numbers, np.int32(FLOAT)), self.columns)


def rows_of(grid: HistogramGrid | None, rows: NDArray[np.int64] | slice) -> HistogramGrid | None:
    """Some rows of a grid that may not be."""
    return None if grid is None else grid.rows(rows)


def floats_of(present: NDArray[np.bool_], grid: HistogramGrid | None) -> NDArray[np.bool_]:
    """Which of the present cells are numbers."""
    return present if grid is None else present & (grid.numbers == FLOAT)


def histograms_of(present: NDArray[np.bool_], grid: HistogramGrid | None) -> NDArray[np.bool_]:
    """Which of the present cells are histograms."""
    return np.zeros(present.shape, np.bool_) if grid is None else present & (grid.numbers != FLOAT)


def compacted(grid: HistogramGrid | None, present: NDArray[np.bool_]) -> HistogramGrid | None:
    """The same with columns that hold nothing but the present cells' histograms."""
    if grid is None:
        return None
    cells = histograms_of(present, grid)
    numbers = np.full(present.shape, FLOAT, np.int32)
    numbers[cells] = np.arange(int(cells.sum()))
    return HistogramGrid(numbers, grid.columns.take(grid.numbers[cells]))


def overlay(
    shape: tuple[int, ...], parts: Iterable[tuple[NDArray[np.int64] | slice, HistogramGrid | None]]
) -> HistogramGrid | None:
    """One grid of this shape from grids of some of its rows each; later ones win where they have histograms."""
    numbers = np.full(shape, FLOAT, np.int32)
    columns: list[HistogramColumns] = []
    base = 0
    for rows, grid in parts:
        if grid is None:
            continue
        numbers[rows] = np.where(grid.mask, grid.numbers + np.int32(base), numbers[rows])
        columns.append(grid.columns)
        base += len(grid.columns)
    return HistogramGrid(numbers, HistogramColumns.concatenate(columns)) if columns else None


class CellWriter:
    """Writes values, numbers or histograms, into the cells of a block one by one; `grid` gives the histograms."""

    def __init__(
        self, values: NDArray[np.float64], present: NDArray[np.bool_], before: HistogramGrid | None = None
    ) -> None:
        self._values = values
        self._present = present
        self._before = before
        self._cells: list[tuple[int, ...]] = []
        self._floats: list[tuple[int, ...]] = []
        self._histograms: list[Histogram] = []

    def write(self, cell: tuple[int, ...], value: Value | None) -> None:
        """The value of a cell; None: it has none."""
        self._present[cell] = value is not None
        if isinstance(value, Histogram):
            self._cells.append(cell)
            self._histograms.append(value)
        elif value is not None:
            self._values[cell] = value
            self._floats.append(cell)

    def grid(self) -> HistogramGrid | None:
        """The histograms written, and those of before that nothing was written over."""
        written = None
        if self._cells:
            numbers = np.full(self._values.shape, FLOAT, np.int32)
            numbers[tuple(np.array(self._cells).T)] = np.arange(len(self._cells))
            written = HistogramGrid(numbers, HistogramColumns.of(self._histograms))
        before = self._before
        if before is not None and self._floats:
            numbers = before.numbers.copy()
            numbers[tuple(np.array(self._floats).T)] = FLOAT
            before = HistogramGrid(numbers, before.columns)
        if written is None or before is None:
            return written or before
        return overlay(self._values.shape, [(slice(None), before), (slice(None), written)])


def cells_where(mask: NDArray[np.bool_]) -> Sequence[tuple[int, ...]]:
    """The places of a mask's true cells, row after row."""
    return list(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
