"""Native histograms in a file of chunks: rows of one shape are a matrix, kept column by column in pages like floats.

Consecutive histograms of one series that are cut alike are a *stretch*: flags, count, zero count, sum and each bucket are a
column each, so that differences are those of one bucket over time. Histograms are numbered through the file.
Invariant: a stretch lies in one page.
"""

from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HINTS, HistogramColumns, Shape
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.pages import PAGE_VALUES, PageCache, Pages, PageSource, PagesWriter
from nunchi.tsdb.reading import Longs, expand, offsets_of
from nunchi.tsdb.references import references
from nunchi.tsdb.sections import Sections, SectionsWriter
from nunchi.tsdb.shapes import decode_shapes, encode_shapes

FIXED_COLUMNS = 4
"""Of a stretch, before its buckets: flags, counts, zero counts, sums."""
HINT_MASK = 3
IS_INTEGER = 4


def flags_of(histograms: HistogramColumns) -> NDArray[np.uint8]:
    """Hint, and whether the counts came as integers, in a byte each."""
    flags: NDArray[np.uint8] = histograms.hints | (histograms.is_integer.astype(np.uint8) * IS_INTEGER)
    return flags


class HistogramsWriter:
    """Histograms of columns, in the order of the columns' numbers."""

    def __init__(self, file: SectionsWriter) -> None:
        self._pages = PagesWriter(file.append)
        self._shapes: dict[Shape, int] = {}
        self._columns: list[Longs] = []
        self._counts: list[Longs] = []
        self._stretch_counts: list[int] = []
        self._stretch_shapes: list[int] = []
        self._stretch_columns: list[int] = []
        self.buckets = 0

    def add(self, columns: Longs, counts: Longs, histograms: HistogramColumns) -> None:
        """The columns `columns[i]`, each with `counts[i]` of the histograms, which stand in this order."""
        if len(columns) == 0:
            return
        self._columns.append(columns)
        self._counts.append(counts)
        self.buckets += len(histograms.buckets)
        places = np.array([self._shapes.setdefault(s, len(self._shapes)) for s in histograms.shapes], np.int64)
        shape_of = places[histograms.shape_of]
        is_first = np.append(True, shape_of[1:] != shape_of[:-1])
        is_first[offsets_of(counts)[:-1]] = True
        borders = [*np.flatnonzero(is_first).tolist(), len(shape_of)]
        heads = np.stack(
            [flags_of(histograms).astype(np.float64), histograms.counts, histograms.zero_counts, histograms.sums]
        )
        for begin, end in pairwise(borders):
            width = int(histograms.offsets[begin + 1] - histograms.offsets[begin])
            rows_max = max(1, PAGE_VALUES // (FIXED_COLUMNS + width))
            for first in range(begin, end, rows_max):
                after = min(first + rows_max, end)
                matrix = histograms.buckets[histograms.offsets[first] : histograms.offsets[after]]
                matrix = matrix.reshape(after - first, width).T
                values = np.concatenate([heads[:, first:after].ravel(), matrix.ravel()])
                sizes = np.full(FIXED_COLUMNS + width, after - first, np.int64)
                self._stretch_columns.append(self._pages.add_whole(values, sizes))
                self._stretch_counts.append(after - first)
                self._stretch_shapes.append(int(shape_of[first]))

    def finish(self) -> dict[str, NDArray[Any]]:
        """The arrays of the directory; none where there are no histograms."""
        self._pages.flush()
        if not self._columns:
            return {}
        return {
            "histogram_columns": np.concatenate(self._columns).astype(np.int32),
            "histogram_firsts": offsets_of(np.concatenate(self._counts)),
            "histogram_shapes": np.frombuffer(encode_shapes(tuple(self._shapes)), np.uint8),
            "stretch_firsts": offsets_of(np.array(self._stretch_counts, np.int64)),
            "stretch_shapes": np.array(self._stretch_shapes, np.int32),
            "stretch_columns": np.array(self._stretch_columns, np.int64),
            "histogram_pages": self._pages.places, "histogram_page_firsts": self._pages.firsts,
        }  # fmt: skip


class Histograms:
    """The histograms that a file has."""

    def __init__(self, sections: Sections, source: PageSource) -> None:
        array = sections.array
        self._columns, self._firsts = array("histogram_columns"), array("histogram_firsts")
        self._shapes = decode_shapes(array("histogram_shapes").tobytes())
        self._widths = np.array([shape.width for shape in self._shapes], np.int64)
        self._stretch_firsts, self._stretch_shapes = array("stretch_firsts"), array("stretch_shapes")
        self._stretch_columns = array("stretch_columns")
        self.pages = Pages(source, array("histogram_pages"), array("histogram_page_firsts"))
        count = len(self._stretch_shapes)
        if len(self._stretch_firsts) != count + 1 or len(self._stretch_columns) != count:
            raise CorruptionError(f"{sections.path}: the directory of its histograms does not add up")
        if count and not 0 <= self._stretch_shapes.min() <= self._stretch_shapes.max() < len(self._shapes):
            raise CorruptionError(f"{sections.path}: the shapes of its histograms do not add up")
        buckets = int((np.diff(self._stretch_firsts) * self._widths[self._stretch_shapes]).sum())
        self.row_bytes = 64 + 8 * buckets // max(1, int(self._firsts[-1]))

    def through(self, cache: PageCache) -> "Histograms":
        """The same histograms, their pages through another cache."""
        other = copy(self)
        other.pages = self.pages.through(cache)
        return other

    def find(self, columns: Longs) -> tuple[Longs, Longs]:
        """Which of some columns are of histograms, and the number of the first histogram of each."""
        places = np.searchsorted(self._columns, columns)
        places[places == len(self._columns)] = 0
        which = np.flatnonzero(self._columns[places] == columns)
        return which, self._firsts[places[which]]

    def refer(self, firsts: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]) -> None:
        """References to rows of columns whose first histograms are known, to `values[targets[i]:]`."""
        counts = ends - begins
        steps = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        values[np.repeat(targets, counts) + steps] = references(np.repeat(firsts + begins, counts) + steps)

    def take(self, numbers: Longs) -> HistogramColumns:
        """The histograms of the numbers, in this order; raises `CorruptionError`."""
        order = np.argsort(numbers, kind="stable")
        ascending = numbers[order]
        stretch_of = np.searchsorted(self._stretch_firsts, ascending, side="right") - 1
        stretches, begins = np.unique(stretch_of, return_index=True)
        ends = np.append(begins[1:], len(ascending))
        firsts = self._stretch_firsts[stretches]
        lows, highs = ascending[begins] - firsts, ascending[ends - 1] - firsts + 1
        columns = FIXED_COLUMNS + self._widths[self._stretch_shapes[stretches]]
        cells = offsets_of(columns * (highs - lows))
        found = np.empty(int(cells[-1]))
        self._decode(stretches, columns, lows, highs, found)
        shape_of = self._stretch_shapes[stretch_of]
        offsets = offsets_of(self._widths[shape_of])
        heads = np.empty((FIXED_COLUMNS, len(numbers)))
        buckets = np.empty(int(offsets[-1]))
        for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            matrix = found[cells[i] : cells[i + 1]].reshape(int(columns[i]), -1)
            rows = ascending[begin:end] - firsts[i] - lows[i]
            heads[:, begin:end] = matrix[:FIXED_COLUMNS, rows]
            buckets[offsets[begin] : offsets[end]] = matrix[FIXED_COLUMNS:, rows].T.ravel()
        flags = heads[0].astype(np.uint8)
        taken = HistogramColumns(
            self._shapes, shape_of.astype(np.int32), heads[1], heads[3], heads[2],
            np.minimum(flags & HINT_MASK, len(HINTS) - 1).astype(np.uint8), (flags & IS_INTEGER) > 0, offsets, buckets,
        )  # fmt: skip
        if len(order) < 2 or (np.diff(order) == 1).all():
            return taken
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return taken.take(back)

    def _decode(self, stretches: Longs, columns: Longs, lows: Longs, highs: Longs, found: NDArray[np.float64]) -> None:
        """All columns of some stretches, rows `lows[i]` to `highs[i]`, one after the other."""
        wanted = np.repeat(self._stretch_columns[stretches], columns) + expand_counts(columns)
        low, high = np.repeat(lows, columns), np.repeat(highs, columns)
        self.pages.decode(wanted, low, high, offsets_of(high - low)[:-1], found)

    def columns_of(self, first: int, after: int) -> Longs:
        """The columns that have histograms in some columns of the pages."""
        touched = np.flatnonzero((self._stretch_columns >= first) & (self._stretch_columns < after))
        places = np.searchsorted(self._firsts, self._stretch_firsts[touched], side="right") - 1
        return np.unique(self._columns[places]).astype(np.int64)


def expand_counts(counts: Longs) -> Longs:
    """0, 1, … up to each count, one after the other."""
    offsets = offsets_of(counts)
    return expand(offsets, np.arange(len(counts), dtype=np.int64)) - np.repeat(offsets[:-1], counts)
