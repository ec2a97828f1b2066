"""Native histograms as arrays: how stores hand them over, and how the engine carries them. No object per sample.

Histograms that are cut alike share a `Shape`; what differs from sample to sample stands in arrays, bucket counts one histogram
after the other. Invariant: a histogram has as many bucket counts as its shape is wide: the positive side, then the negative.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.staleness import STALE_BITS

HINTS: Final = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)
CODE_OF_HINT: Final = {hint: code for code, hint in enumerate(HINTS)}
FLOAT: Final = -1
"""Instead of a histogram's number: the cell holds a plain number, or nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the buckets of histograms are cut. Stored once for all that are cut so."""

    schema: int = 0
    zero_threshold: float = 0.0
    positive_spans: tuple[BucketSpan, ...] = ()
    negative_spans: tuple[BucketSpan, ...] = ()
    custom_values: tuple[float, ...] = ()

    @classmethod
    def of(cls, histogram: Histogram) -> "Shape":
        """The shape of a histogram."""
        return cls(
            histogram.schema,
            histogram.zero_threshold,
            histogram.positive_spans,
            histogram.negative_spans,
            histogram.custom_values,
        )

    @property
    def has_custom_buckets(self) -> bool:
        """Whether the bounds are listed rather than computed."""
        return self.schema == CUSTOM_SCHEMA

    @property
    def positive_width(self) -> int:
        """How many buckets the positive side has."""
        return sum(span.length for span in self.positive_spans)

    @property
    def width(self) -> int:
        """How many buckets both sides have."""
        return self.positive_width + sum(span.length for span in self.negative_spans)


@dataclass(frozen=True, slots=True, eq=False)
class HistogramColumns:
    """Some histograms, known by their numbers from 0.

    shape_of     int32[n], places in `shapes`
    counts, sums, zero_counts  float64[n]; a `sum` that is the staleness marker says that the series ended
    hints        uint8[n], places in `HINTS`
    is_integer   bool[n]: the counts are whole numbers and came as such
    offsets      int64[n + 1]; `buckets[offsets[i]:offsets[i + 1]]` are the counts of histogram `i`
    buckets      float64[...], absolute counts
    """

    shapes: tuple[Shape, ...]
    shape_of: NDArray[np.int32]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    zero_counts: NDArray[np.float64]
    hints: NDArray[np.uint8]
    is_integer: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    buckets: NDArray[np.float64]

    @classmethod
    def of(cls, histograms: Sequence[Histogram], are_integer: Iterable[bool] = ()) -> "HistogramColumns":
        """The columns of histograms that are objects."""
        shapes: dict[Shape, int] = {}
        shape_of = [shapes.setdefault(Shape.of(histogram), len(shapes)) for histogram in histograms]
        sides = [(*histogram.positive_buckets, *histogram.negative_buckets) for histogram in histograms]
        flags = list(are_integer) or [False] * len(histograms)
        return cls(
            tuple(shapes),
            np.array(shape_of, np.int32),
            np.array([histogram.count for histogram in histograms], np.float64),
            np.array([histogram.sum for histogram in histograms], np.float64),
            np.array([histogram.zero_count for histogram in histograms], np.float64),
            np.array([CODE_OF_HINT[histogram.reset_hint] for histogram in histograms], np.uint8),
            np.array(flags, np.bool_),
            np.cumsum([0, *map(len, sides)], dtype=np.int64),
            np.array([count for side in sides for count in side], np.float64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["HistogramColumns"]) -> "HistogramColumns":
        """All histograms of several columns; those of each begin where the ones before end."""
        if len(parts) == 1:
            return parts[0]
        shapes: dict[Shape, int] = {}
        places = [np.array([shapes.setdefault(s, len(shapes)) for s in part.shapes], np.int32) for part in parts]
        ends = np.cumsum([0, *(len(part.buckets) for part in parts)])
        offsets = [part.offsets[1:] + end for part, end in zip(parts, ends.tolist(), strict=False)]
        return cls(
            tuple(shapes),
            _join([place[part.shape_of] for place, part in zip(places, parts, strict=True)], np.int32),
            _join([part.counts for part in parts], np.float64),
            _join([part.sums for part in parts], np.float64),
            _join([part.zero_counts for part in parts], np.float64),
            _join([part.hints for part in parts], np.uint8),
            _join([part.is_integer for part in parts], np.bool_),
            _join([np.zeros(1, np.int64), *offsets], np.int64),
            _join([part.buckets for part in parts], np.float64),
        )

    def __len__(self) -> int:
        return len(self.counts)

    def is_stale(self) -> NDArray[np.bool_]:
        """bool[n]: which are staleness markers."""
        marked: NDArray[np.bool_] = self.sums.view(np.uint64) == STALE_BITS
        return marked

    def take(self, numbers: NDArray[np.int64] | NDArray[np.int32]) -> "HistogramColumns":
        """Only these, in this order; one may be taken several times."""
        begins = self.offsets[numbers]
        sizes = self.offsets[numbers + 1] - begins
        offsets = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        places = np.repeat(begins - offsets[:-1], sizes) + np.arange(offsets[-1])
        return HistogramColumns(
            self.shapes,
            self.shape_of[numbers],
            self.counts[numbers],
            self.sums[numbers],
            self.zero_counts[numbers],
            self.hints[numbers],
            self.is_integer[numbers],
            offsets,
            self.buckets[places],
        )

    def with_hints(self, hints: NDArray[np.uint8]) -> "HistogramColumns":
        """The same with other reset hints."""
        return HistogramColumns(
            self.shapes, self.shape_of, self.counts, self.sums, self.zero_counts, hints, self.is_integer,
            self.offsets, self.buckets,
        )  # fmt: skip

    def histogram(self, number: int) -> Histogram:
        """One of them as an object."""
        shape = self.shapes[self.shape_of[number]]
        counts = self.buckets[self.offsets[number] : self.offsets[number + 1]].tolist()
        width = shape.positive_width
        return Histogram(
            shape.schema,
            float(self.counts[number]),
            float(self.sums[number]),
            shape.zero_threshold,
            float(self.zero_counts[number]),
            shape.positive_spans,
            tuple(counts[:width]),
            shape.negative_spans,
            tuple(counts[width:]),
            shape.custom_values,
            HINTS[self.hints[number]],
        )

    def histograms(self) -> list[Histogram]:
        """All of them as objects."""
        return [self.histogram(number) for number in range(len(self))]


def _join(parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
