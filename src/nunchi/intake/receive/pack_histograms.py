"""From the parts of histograms, as packs bring them, to columns of histograms.

Invariant: whatever parts an agent announces and sends, what is handed on is histograms: one a series, cut as they say, with
counts that are finite and not negative.
"""

from array import array
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import SCHEMA_MAX, SCHEMA_MIN, BucketSpan, spans_over
from nunchi.model.histogram_columns import HistogramColumns, Shape
from nunchi.model.staleness import NORMAL_NAN_BITS
from nunchi.wire.errors import WireError
from nunchi.wire.pack_histograms import CUTS_REMEMBERED_MAX, HEAD_PARTS, PartKind, parse_part
from nunchi.wire.payload_histogram_columns import check_counts, check_shape
from nunchi.wire.payload_histograms import HINT_BITS, IS_INTEGER

Cut = tuple[int, int, int, tuple[BucketSpan, ...], tuple[BucketSpan, ...]]  # series, schema, marks, spans of both sides
HEAD = [PartKind.COUNT, PartKind.SUM, PartKind.ZERO_COUNT, PartKind.ZERO_THRESHOLD]


class PartColumns:
    """What the columns of a dictionary of parts stand for; only ever grows."""

    def __init__(self) -> None:
        self.series: list[bytes] = []
        self._series: dict[bytes, int] = {}
        self._parts: list[tuple[int, PartKind, int, int]] = []  # series, kind, schema, number
        self._arrays: tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int64]] | None = None
        self._cuts: dict[bytes, Cut] = {}

    def add(self, keys: Sequence[bytes]) -> list[bytes]:
        """The next columns; which series are new with them. Raises WireError, and then nothing was added."""
        parsed = [parse_part(key) for key in keys]
        known = len(self.series)
        for series_key, kind, schema, number in parsed:
            series = self._series.setdefault(series_key, len(self.series))
            if series == len(self.series):
                self.series.append(series_key)
            self._parts.append((series, kind, schema, number))
        return self.series[known:]

    def assemble(
        self, columns: NDArray[np.int32], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], HistogramColumns]:
        """The series of each histogram, and the histograms. Every column has been added. Raises WireError."""
        columns, values, sizes = self._grouped(columns, values)
        begins = np.cumsum(sizes) - sizes
        shapes: dict[Shape, int] = {}
        series, shape_of, marks = array("i"), array("i"), array("B")
        thresholds = values[begins + 3].tolist()
        for begin, size, zero_threshold in zip(begins.tolist(), sizes.tolist(), thresholds, strict=True):
            own, schema, mark, above, below = self._cut_of(columns[begin : begin + size])
            shape = Shape(schema, zero_threshold, above, below)
            if shape not in shapes:
                check_shape(shape)
            shape_of.append(shapes.setdefault(shape, len(shapes)))
            series.append(own)
            marks.append(mark)
        is_bucket = np.ones(len(values), np.bool_)
        for part in range(HEAD_PARTS):
            is_bucket[begins + part] = False
        sums, all_marks = values[begins + 1], np.array(marks, np.uint8)
        sums.view(np.uint64)[np.isnan(sums)] = NORMAL_NAN_BITS  # markers of ours never come from outside
        found = HistogramColumns(
            tuple(shapes), np.array(shape_of, np.int32), values[begins], sums, values[begins + 2],
            all_marks & np.uint8(HINT_BITS), (all_marks & np.uint8(IS_INTEGER)).astype(np.bool_),
            np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes - HEAD_PARTS))), values[is_bucket],
        )  # fmt: skip
        check_counts(found)
        return np.array(series, np.int32), found

    def _grouped(
        self, columns: NDArray[np.int32], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
        """Cells one histogram after the other, in the order of their counts, each in the order of its parts; and how many
        each has. Raises WireError.
        """
        series_of, is_count, rank_of = self._known()
        count = int(is_count[columns].sum())
        owners = series_of[columns]
        if not count or not is_count[columns[:count]].all():
            raise WireError("pack: the counts of histograms stand before all else")
        places = np.full(len(self.series), -1, np.int64)
        places[owners[:count]] = np.arange(count)
        of_histogram = places[owners]
        sizes = np.bincount(of_histogram[of_histogram >= 0], minlength=count).astype(np.int64)
        if (of_histogram < 0).any() or (of_histogram[:count] != np.arange(count)).any() or (sizes < HEAD_PARTS).any():
            raise WireError("pack: a histogram has not all its parts, or a series has two")
        order = np.lexsort((rank_of[columns], of_histogram))
        return columns[order], values[order], sizes

    def _known(self) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int64]]:
        """By column: which series, whether it is a count, and its place among all parts, by series, kind and number."""
        if self._arrays is None or len(self._arrays[0]) != len(self._parts):
            series = np.array([part[0] for part in self._parts], np.int32)
            kinds = np.array([part[1] for part in self._parts], np.int8)
            numbers = np.array([part[3] for part in self._parts], np.int64)
            rank_of = np.empty(len(series), np.int64)
            rank_of[np.lexsort((numbers, kinds, series))] = np.arange(len(series))
            self._arrays = series, kinds == PartKind.COUNT, rank_of
        return self._arrays

    def _cut_of(self, columns: NDArray[np.int32]) -> Cut:
        raw = columns.tobytes()
        cut = self._cuts.get(raw)
        if cut is None:
            cut = read_cut([self._parts[column] for column in columns.tolist()])
            if len(self._cuts) >= CUTS_REMEMBERED_MAX:
                self._cuts.clear()
            self._cuts[raw] = cut
        return cut


def read_cut(parts: Sequence[tuple[int, PartKind, int, int]]) -> Cut:
    """How a histogram of these parts is cut. Raises WireError where they are not one histogram's, in their order."""
    series, _, schema, marks = parts[0]
    if any(one[0] != series or one[2] != schema for one in parts) or [one[1] for one in parts[:HEAD_PARTS]] != HEAD:
        raise WireError("pack: parts of several histograms are mixed")
    if not SCHEMA_MIN <= schema <= SCHEMA_MAX or marks & ~(HINT_BITS | IS_INTEGER):
        raise WireError(f"pack: a histogram's schema {schema} or its marks are not known")
    buckets = [(kind, number) for _, kind, _, number in parts[HEAD_PARTS:]]
    if any(left >= right for left, right in pairwise(buckets)) or any(kind < PartKind.ABOVE for kind, _ in buckets):
        raise WireError("pack: the buckets of a histogram are not in order")
    above = [number for kind, number in buckets if kind is PartKind.ABOVE]
    below = [number for kind, number in buckets if kind is PartKind.BELOW]
    return series, schema, marks, spans_over(above), spans_over(below)
