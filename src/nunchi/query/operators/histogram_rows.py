"""Which windows of native histograms are evaluated many rows at once, and how their values come together."""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.operators.histogram_changes import CHANGES, changes_of
from nunchi.query.operators.histogram_sums import TOTALS, sums_of
from nunchi.query.operators.stacked_rows import stack
from nunchi.storage.contracts import Tile


def evaluate_stacked(
    name: str,
    tile: Tile,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    references: NDArray[np.int64],
    range_ms: int,
) -> tuple[HistogramGrid | None, NDArray[np.bool_]]:
    """The histograms of windows of the rows `rows[places]`, and which windows, bool[rows, steps], are left to look at."""
    left = np.zeros((len(rows), len(references)), np.bool_)
    left[places] = True
    is_change = name in CHANGES
    if tile.histogram_of is None or tile.starts is not None or not (is_change or name in TOTALS):
        return None, left
    stacked = stack(tile, rows, places, references, range_ms)
    left[places] = stacked.ends > stacked.begins
    numbers = np.full(left.shape, FLOAT, np.int32)
    parts: list[HistogramColumns] = []
    base = 0
    for alike in stacked.alike():
        found = changes_of(name, alike, references, range_ms) if is_change else sums_of(name, alike)
        left[alike.places] &= ~found.done
        numbers[alike.places[found.rows], found.steps] = np.arange(base, base + len(found.rows))
        parts.append(found.columns)
        base += len(found.rows)
    return HistogramGrid(numbers, HistogramColumns.concatenate(parts)) if base else None, left
