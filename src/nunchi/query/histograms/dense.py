"""Histograms of one family (schema, zero bucket and custom bounds are equal) as rows of a matrix: what sums and rates run on.

Invariant: a row is count, sum, zero count, then the buckets of the positive side and of the negative side by ascending index.
"""

from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import bucket_indices, spans_over
from nunchi.model.histogram_columns import HistogramColumns, Shape
from nunchi.query.kernels import native_histograms

COUNT, SUM, ZERO_COUNT, FIELDS = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class DenseHistograms:
    """`matrix` float64[n, 3 + buckets]; `family` is a shape without spans."""

    family: Shape
    positive: list[int]
    negative: list[int]
    matrix: NDArray[np.float64]

    def columns(self, matrix: NDArray[np.float64], hints: NDArray[np.uint8]) -> HistogramColumns:
        """Columns of histograms over the same buckets; empty ones are left out."""
        count = len(matrix)
        filled = matrix[:, FIELDS:] != 0
        shape_of: NDArray[np.intp]
        if count and (filled == filled[0]).all():  # as it is mostly, and much cheaper to see
            patterns, shape_of = filled[:1], np.zeros((count,), np.intp)
        else:
            patterns, shape_of = _patterns(filled)
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(filled.sum(axis=1), out=offsets[1:])
        return HistogramColumns(
            tuple(map(self._shape, patterns)),
            shape_of.astype(np.int32),
            matrix[:, COUNT].copy(),
            matrix[:, SUM].copy(),
            matrix[:, ZERO_COUNT].copy(),
            hints,
            np.zeros(count, np.bool_),
            offsets,
            matrix[:, FIELDS:][filled],
        )

    def _shape(self, filled: NDArray[np.bool_]) -> Shape:
        above, below = filled[: len(self.positive)].tolist(), filled[len(self.positive) :].tolist()
        return replace(
            self.family,
            positive_spans=spans_over(list(compress(self.positive, above))),
            negative_spans=spans_over(list(compress(self.negative, below))),
        )


def _patterns(filled: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """The different rows, and which of them each row is; sorting them would take longer than all else here."""
    packed = np.packbits(filled, axis=1)
    known: dict[bytes, int] = {}
    row_of = [known.setdefault(row.tobytes(), len(known)) for row in packed]
    firsts = np.full(len(known), len(filled), np.intp)
    numbers = np.array(row_of, np.intp)
    np.minimum.at(firsts, numbers, np.arange(len(filled)))
    return filled[firsts], numbers


def family_of(shape: Shape) -> Shape:
    """What histograms must have in common to be added bucket by bucket."""
    return replace(shape, positive_spans=(), negative_spans=())


def families(columns: HistogramColumns, numbers: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
    """int64[n]: equal numbers for histograms of one family."""
    known: dict[Shape, int] = {}
    places = [known.setdefault(family_of(shape), len(known)) for shape in columns.shapes]
    return np.array(places, np.int64)[columns.shape_of[numbers]]


def width_of(columns: HistogramColumns, numbers: NDArray[np.int64] | NDArray[np.int32]) -> int:
    """How wide the matrix of some histograms is."""
    shapes = [columns.shapes[place] for place in np.unique(columns.shape_of[numbers]).tolist()]
    positive = {index for shape in shapes for index in bucket_indices(shape.positive_spans)}
    negative = {index for shape in shapes for index in bucket_indices(shape.negative_spans)}
    return FIELDS + len(positive) + len(negative)


def dense(columns: HistogramColumns, numbers: NDArray[np.int64] | NDArray[np.int32]) -> DenseHistograms:
    """Histograms of one family, at least one, as rows."""
    shape_of = columns.shape_of[numbers]
    used = np.unique(shape_of).tolist()
    sides = {
        place: (
            list(bucket_indices(columns.shapes[place].positive_spans)),
            list(bucket_indices(columns.shapes[place].negative_spans)),
        )
        for place in used
    }
    positive = sorted({index for side, _ in sides.values() for index in side})
    negative = sorted({index for _, side in sides.values() for index in side})
    column_of_positive = {index: FIELDS + at for at, index in enumerate(positive)}
    column_of_negative = {index: FIELDS + len(positive) + at for at, index in enumerate(negative)}
    matrix = np.zeros((len(numbers), FIELDS + len(positive) + len(negative)))
    matrix[:, COUNT] = columns.counts[numbers]
    matrix[:, SUM] = columns.sums[numbers]
    matrix[:, ZERO_COUNT] = columns.zero_counts[numbers]
    for place in used:
        rows = np.flatnonzero(shape_of == place)
        above, below = sides[place]
        targets = np.array([*(column_of_positive[i] for i in above), *(column_of_negative[i] for i in below)], np.int64)
        begins = columns.offsets[numbers[rows]]
        matrix[rows[:, None], targets] = columns.buckets[begins[:, None] + np.arange(len(targets))]
    return DenseHistograms(family_of(columns.shapes[used[0]]), positive, negative, matrix)


def window_sums(matrix: NDArray[np.float64], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """The compensated sum of the rows `begins[i]` to `ends[i]`, in their order."""
    result = np.zeros((len(begins), matrix.shape[1]))
    native_histograms.sums(matrix, begins, ends, result)
    return result


def sums_of(matrix: NDArray[np.float64], cells: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """The compensated sum of the rows of each cell, in their order. `cells` int64[n], ascending, below `count`."""
    borders = np.searchsorted(cells, np.arange(count + 1))
    return window_sums(matrix, borders[:-1], borders[1:])
