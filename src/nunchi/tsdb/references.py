"""Histograms among float cells: a NaN of our own stands for the histogram of a number, wherever cells are copied and merged.

The high 16 bits are `TAG`, the other 48 the number. Numbers are those of the cells' own place: a batch, a generation, a file;
whoever takes cells elsewhere renumbers them. Invariant: no number that came from outside has such bits (`without_references`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.staleness import NORMAL_NAN_BITS

TAG = np.uint64(0xFFFC)
SHIFT = np.uint64(48)
NUMBER_MASK = np.uint64((1 << 48) - 1)
BASE = int(TAG) << int(SHIFT)


def references(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """The cells that stand for histograms of these numbers."""
    cells: NDArray[np.float64] = (numbers.astype(np.uint64) | np.uint64(BASE)).view(np.float64)
    return cells


def are_references(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which cells stand for histograms."""
    found: NDArray[np.bool_] = values.view(np.uint64) >> SHIFT == TAG
    return found


def numbers_of(cells: NDArray[np.float64]) -> NDArray[np.int64]:
    """The numbers of cells that all stand for histograms."""
    return (cells.view(np.uint64) & NUMBER_MASK).astype(np.int64)


def renumbered(values: NDArray[np.float64], base: int) -> NDArray[np.float64]:
    """The cells with `base` added to each number."""
    if base == 0:
        return values
    moved = values.copy()
    moved.view(np.uint64)[are_references(values)] += np.uint64(base)
    return moved


def without_references(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cells where what has the bits of a reference is an ordinary NaN."""
    found = are_references(values)
    if not found.any():
        return values
    cleaned = values.copy()
    cleaned.view(np.uint64)[found] = NORMAL_NAN_BITS
    return cleaned


def content_of(histograms: HistogramColumns, number: int) -> bytes:
    """What a histogram says, hint apart: equal for equal ones, down to the bits."""
    begin, end = histograms.offsets[number], histograms.offsets[number + 1]
    numbers = (histograms.counts, histograms.sums, histograms.zero_counts)
    shape = repr(histograms.shapes[histograms.shape_of[number]]).encode()
    return b"".join((*(array[number].tobytes() for array in numbers), histograms.buckets[begin:end].tobytes(), shape))


class Arena:
    """Histograms that only ever get more, known by their numbers. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._parts: tuple[tuple[int, HistogramColumns], ...] = ()
        self.buckets = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, histograms: HistogramColumns) -> int:
        """Keep some more; returns the number of the first. Parts of like size become one, so that there are few."""
        base = self._count
        self._count += len(histograms)
        self.buckets += len(histograms.buckets)
        parts = [*self._parts, (base, histograms)]
        while len(parts) > 1 and len(parts[-2][1]) < 2 * len(parts[-1][1]):
            (begin, before), (_, after) = parts[-2:]
            parts[-2:] = [(begin, HistogramColumns.concatenate([before, after]))]
        self._parts = tuple(parts)
        return base

    def take(self, numbers: NDArray[np.int64]) -> HistogramColumns:
        """Those of the numbers, in this order."""
        parts = self._parts
        part_of = np.searchsorted([begin for begin, _ in parts], numbers, side="right") - 1
        used = np.unique(part_of).tolist()
        taken = [parts[i][1].take(numbers[part_of == i] - parts[i][0]) for i in used]
        joined = HistogramColumns.concatenate(taken)
        if len(used) == 1:
            return joined
        places = np.empty(len(numbers), np.int64)
        places[np.argsort(part_of, kind="stable")] = np.arange(len(numbers))
        return joined.take(places)

    @property
    def row_bytes(self) -> int:
        """Bytes of one on average, decoded."""
        return 64 + 8 * self.buckets // max(1, self._count)
