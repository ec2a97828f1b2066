"""Quantiles and fractions of many native histograms at once: the bounds of the shapes they have, and the kernel's call.

Invariant: the bounds of a shape stand as the counts of its buckets do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import Bucket, negative_buckets, positive_buckets
from nunchi.model.histogram_columns import HistogramColumns, Shape
from nunchi.query.kernels import native_histograms

Floats = NDArray[np.float64]


class ShapeBounds:
    """The bounds of the buckets of some histograms' shapes."""

    def __init__(self, columns: HistogramColumns, numbers: NDArray[np.int32]) -> None:
        self._columns = columns
        self._numbers = np.ascontiguousarray(numbers)
        used, place = np.unique(columns.shape_of[numbers], return_inverse=True)
        shapes = [columns.shapes[shape] for shape in used.tolist()]
        self._shape_of = np.zeros(len(columns), np.int32)
        self._shape_of[numbers] = place
        sides = [sides_of(shape) for shape in shapes]
        buckets = [bucket for above, below in sides for bucket in (*above, *below)]
        self._above = np.array([len(above) for above, _ in sides], np.int64)
        self._below = np.array([len(below) for _, below in sides], np.int64)
        self._begins = np.cumsum(self._above + self._below) - self._above - self._below
        self._thresholds = np.array([shape.zero_threshold for shape in shapes], np.float64)
        self._are_custom = np.array([shape.has_custom_buckets for shape in shapes], np.uint8)
        self._lowers = np.array([bucket.lower for bucket in buckets], np.float64)
        self._uppers = np.array([bucket.upper for bucket in buckets], np.float64)

    def quantiles(self, ranks: Floats) -> Floats:
        """The quantile of each histogram; `ranks` are float64[n]."""
        return self._evaluated(ranks, ranks, is_quantile=True)

    def fractions(self, lower: Floats, upper: Floats) -> Floats:
        """The part of the observations of each histogram between two bounds; these are float64[n]."""
        return self._evaluated(lower, upper, is_quantile=False)

    def _evaluated(self, first: Floats, second: Floats, *, is_quantile: bool) -> Floats:
        columns = self._columns
        result = np.empty(len(self._numbers))
        whole = np.ascontiguousarray
        native_histograms.evaluate(
            self._numbers, self._shape_of, whole(columns.counts), whole(columns.sums), whole(columns.zero_counts),
            whole(columns.offsets), whole(columns.buckets), self._begins, self._above, self._below, self._thresholds,
            self._are_custom, self._lowers, self._uppers, is_quantile, first, second, result,
        )  # fmt: skip
        return result


def sides_of(shape: Shape) -> tuple[Sequence[Bucket], Sequence[Bucket]]:
    """The buckets of both sides, the negative one from zero outwards; nothing is counted in them."""
    below = shape.width - shape.positive_width
    empty = Histogram(
        schema=shape.schema, positive_spans=shape.positive_spans, positive_buckets=(0.0,) * shape.positive_width,
        negative_spans=shape.negative_spans, negative_buckets=(0.0,) * below, custom_values=shape.custom_values,
    )  # fmt: skip
    return positive_buckets(empty), negative_buckets(empty)
