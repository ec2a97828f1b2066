"""Cells outside the order of their series: late ones, and those that replace others.

Invariant: of cells with one timestamp the one that came last counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.reading import Longs, Parts
from nunchi.tsdb.references import Arena, are_references


class LateLayer:
    """Cells outside the order of their series, as a layer; sorted once."""

    def __init__(self, cells: Cells, arena: Arena) -> None:
        refs, times, values, starts, _ = cells.take(np.lexsort((cells.times, cells.refs)))
        last = np.append((refs[1:] != refs[:-1]) | (times[1:] != times[:-1]), True)[: len(refs)]
        refs, self._times, self._values = refs[last], times[last], values[last]
        self._starts = None if starts is None else starts[last]
        self.refs, firsts = np.unique(refs, return_index=True)
        self.offsets = np.append(firsts, len(refs)).astype(np.int64)
        self._arena = arena
        self._has_histograms: NDArray[np.bool_] | None = None
        if len(arena) and len(refs):
            self._has_histograms = np.logical_or.reduceat(are_references(self._values), firsts)

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`."""
        if len(self.refs) == 0:
            return Parts.join([])
        places = np.searchsorted(self.refs, refs)
        places[places == len(self.refs)] = 0
        series = np.flatnonzero(self.refs[places] == refs)
        columns = places[series].astype(np.int64)
        rows = [
            (int(times.searchsorted(start_ms)), int(times.searchsorted(end_ms, side="right")))
            for times in (self._times[self.offsets[c] : self.offsets[c + 1]] for c in columns.tolist())
        ]
        bounds = np.array(rows, np.int64).reshape(-1, 2)
        some = bounds[:, 0] < bounds[:, 1]
        series, columns, bounds = series[some], columns[some], bounds[some]
        begins, ends, base = bounds[:, 0].copy(), bounds[:, 1].copy(), self.offsets[columns]
        return Parts(series, columns, columns, begins, ends, self._times[base + begins], self._times[base + ends - 1])

    def decode_values(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: Any) -> None:
        """See `Layer.decode_values`."""
        _copy_rows(self._values, self.offsets[columns], begins, ends, targets, values)

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """See `Layer.decode_times`."""
        _copy_rows(self._times, self.offsets[vectors], begins, ends, targets, times)

    def decode_starts(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """See `Layer.decode_starts`."""
        if self._starts is not None:
            _copy_rows(self._starts, self.offsets[columns], begins, ends, targets, starts)

    def has_starts(self, columns: Longs) -> bool:
        """See `Layer.has_starts`."""
        return self._starts is not None

    def histogram_bytes(self, columns: Longs) -> Longs | None:
        """See `Layer.histogram_bytes`."""
        if self._has_histograms is None or not self._has_histograms[columns].any():
            return None
        return self._has_histograms[columns] * np.int64(self._arena.row_bytes)

    def histograms(self, numbers: Longs) -> HistogramColumns:
        """See `Layer.histograms`."""
        return self._arena.take(numbers)


def _copy_rows(
    source: NDArray[Any], base: Longs, begins: Longs, ends: Longs, targets: Longs, out: NDArray[Any]
) -> None:
    counts = ends - begins
    steps = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    out[np.repeat(targets, counts) + steps] = source[np.repeat(base + begins, counts) + steps]
