"""Fewer buckets for native histograms that are finer than wanted: by factor between bounds, and by number.

Invariant: what is returned has at most the buckets and the schema allowed; what cannot have is said, never cut.
"""

import math

import numpy as np

from nunchi.model.histogram import SCHEMA_MAX, SCHEMA_MIN, Histogram
from nunchi.model.histogram_arithmetic import to_schema
from nunchi.model.histogram_columns import HistogramColumns


class TooManyBuckets(ValueError):  # noqa: N818 (what was found)
    """A histogram has more buckets than allowed at its lowest resolution."""


def schema_of_factor(bucket_factor: float) -> int:
    """The finest schema whose bounds lie at least this factor apart; 0: all are allowed."""
    if bucket_factor <= 1:
        return SCHEMA_MAX
    return math.floor(min(max(-math.log2(math.log2(bucket_factor)), SCHEMA_MIN), SCHEMA_MAX))


def coarsen(columns: HistogramColumns, schema_max: int, buckets_max: int) -> HistogramColumns:
    """Histograms of at most this schema and, unless 0, as many buckets; raises `TooManyBuckets`."""
    schemas = np.array([shape.schema for shape in columns.shapes], np.int64)[columns.shape_of]
    is_fine = schemas > schema_max
    if buckets_max:
        is_fine |= np.diff(columns.offsets) > buckets_max
    if not is_fine.any():
        return columns
    histograms = [
        _coarse(columns.histogram(number), schema_max, buckets_max) if is_fine[number] else columns.histogram(number)
        for number in range(len(columns))
    ]
    return HistogramColumns.of(histograms, columns.is_integer.tolist())


def _coarse(histogram: Histogram, schema_max: int, buckets_max: int) -> Histogram:
    if histogram.schema > schema_max:
        histogram = to_schema(histogram, schema_max)
    while buckets_max and _width(histogram) > buckets_max:
        if histogram.schema <= SCHEMA_MIN:
            raise TooManyBuckets(f"{_width(histogram)} buckets, {buckets_max} allowed")
        histogram = to_schema(histogram, histogram.schema - 1)
    return histogram


def _width(histogram: Histogram) -> int:
    return len(histogram.positive_buckets) + len(histogram.negative_buckets)
