"""Cells outside the order of their series: late ones, and those that replace others.

Invariant: of cells with one timestamp the one that came last counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.tsdb.cells import Cells, join_cells
from nunchi.tsdb.kernels import late as kernel
from nunchi.tsdb.reading import Longs, Parts
from nunchi.tsdb.references import Arena, are_references


class LateLayer:
    """Cells outside the order of their series, as a layer: sorted, of each place one. `arena` has their histograms."""

    def __init__(self, cells: Cells, arena: Arena) -> None:
        self._cells = cells
        self._arena = arena
        refs, _, self._values, self._starts, _ = cells
        self._times = cells.times
        firsts = np.flatnonzero(np.diff(refs, prepend=-1))
        self.refs, self.offsets = refs[firsts], np.append(firsts, len(refs)).astype(np.int64)
        self._min_time, self._max_time = int(self._times.min(initial=2**62)), int(self._times.max(initial=-(2**62)))
        self._has_histograms: NDArray[np.bool_] | None = None
        if len(arena) and len(refs):
            self._has_histograms = np.logical_or.reduceat(are_references(self._values), firsts)

    @classmethod
    def of(cls, cells: Cells, arena: Arena) -> "LateLayer":
        """Of cells in the order in which they came."""
        cells = cells.take(np.lexsort((cells.times, cells.refs)))
        differs = (np.diff(cells.refs) != 0) | (np.diff(cells.times) != 0)
        return cls(cells.take(np.append(differs, True)), arena)

    def __len__(self) -> int:
        return len(self._times)

    def merged(self, newer: "LateLayer") -> "LateLayer":
        """Both as one."""
        chosen = np.empty(len(self) + len(newer), np.int64)
        count = kernel.merge_places(*self._cells[:2], *newer._cells[:2], chosen)  # noqa: SLF001 (one of the same class)
        return LateLayer(join_cells([self._cells, newer._cells]).take(chosen[:count]), self._arena)  # noqa: SLF001 (likewise)

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`."""
        if self._max_time < start_ms or self._min_time > end_ms:
            return Parts.join([])
        places = np.searchsorted(self.refs, refs)
        places[places == len(self.refs)] = 0
        series = np.flatnonzero(self.refs[places] == refs)
        columns = places[series].astype(np.int64)
        begins, ends = np.empty(len(columns), np.int64), np.empty(len(columns), np.int64)
        kernel.cut_columns(self._times, self.offsets, columns, start_ms, end_ms, begins, ends)
        some = begins < ends
        if not some.all():
            series, columns, begins, ends = series[some], columns[some], begins[some], ends[some]
        base = self.offsets[columns]
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
