"""Native histograms of our push payload, the receiver's side: bytes to `HistogramColumns` (docs/formats/payload.md).

Invariant: as in `payload`, every length and number is checked before it is used; counts are finite and not negative, so that
whatever is handed on is a histogram.
"""

import struct
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN, BucketSpan
from nunchi.model.histogram_columns import FLOAT, HistogramColumns, Shape
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS
from nunchi.wire.errors import WireError
from nunchi.wire.payload_histograms import HINT_BITS, IS_INTEGER, SECTION_HEAD, SHAPE_HEAD, SPAN

WIDTH_MAX = 20_000  # buckets of one histogram
INDEX_MAX = 1 << 30


class Source(Protocol):
    """Bytes that are taken from the front; see `payload.Source`."""

    def take(self, length: int) -> bytes:
        """The next bytes."""
        ...

    def unpack(self, shape: struct.Struct) -> tuple[int, ...]:
        """The next numbers."""
        ...

    def planes(self, count: int, width: int) -> bytes:
        """The next numbers of `width` bytes, which stand plane by plane."""
        ...

    def integers(self, count: int) -> NDArray[np.uint32]:
        """The next 32-bit numbers."""
        ...


def read_histogram_columns(
    source: Source, cells: list[int], values: NDArray[np.float64]
) -> tuple[HistogramColumns, NDArray[np.int32]]:
    """The histograms, and int32[cells of all rounds]: which of them each cell is. `cells` has how many each round has;
    in `values`, cells that are histograms become *absent*. Raises WireError.
    """
    shape_count, count, bucket_count = source.unpack(SECTION_HEAD)
    sizes = source.integers(len(cells)).astype(np.int64)
    ends = np.fromiter(accumulate(cells), np.int64, len(cells))
    if int(sizes.sum()) != count or (sizes > np.array(cells, np.int64)).any():
        raise WireError("payload: its rounds do not have as many histograms as it declares")
    shapes = tuple(_read_shape(source) for _ in range(shape_count))
    shape_of = source.integers(count)
    marks = np.frombuffer(source.take(count), np.uint8)
    numbers = _floats(source, 3 * count)
    counts, sums, zero_counts = numbers[:count], numbers[count : 2 * count], numbers[2 * count :]
    buckets = _floats(source, bucket_count)
    if count and (not shapes or shape_of.max() >= len(shapes)):
        raise WireError("a histogram has a shape that is not there")
    widths = np.array([shape.width for shape in shapes], np.int64)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(widths[shape_of], out=offsets[1:])
    if offsets[-1] != bucket_count:
        raise WireError("payload: its histograms do not have as many buckets as their shapes")
    sums.view(np.uint64)[np.isnan(sums)] = NORMAL_NAN_BITS  # markers of ours never come from outside
    found = HistogramColumns(
        shapes, shape_of.astype(np.int32), counts, sums, zero_counts, marks & np.uint8(HINT_BITS),
        (marks & np.uint8(IS_INTEGER)).astype(np.bool_), offsets, buckets,
    )  # fmt: skip
    check_counts(found)
    histogram_of = np.full(len(values), FLOAT, np.int32)
    places = np.repeat(ends - np.cumsum(sizes), sizes) + np.arange(count)
    histogram_of[places] = np.arange(count, dtype=np.int32)
    values[places] = ABSENT
    return found, histogram_of


def _floats(source: Source, count: int) -> NDArray[np.float64]:
    return np.frombuffer(source.planes(count, 8), "<f8").astype(np.float64)


def _read_shape(source: Source) -> Shape:
    schema, zero_threshold, above, below, bounds = SHAPE_HEAD.unpack(source.take(SHAPE_HEAD.size))
    spans = [BucketSpan(*SPAN.unpack(source.take(SPAN.size))) for _ in range(above + below)]
    custom_values = struct.unpack(f"<{bounds}d", source.take(8 * bounds))
    shape = Shape(schema, zero_threshold, tuple(spans[:above]), tuple(spans[above:]), custom_values)
    check_shape(shape)
    return shape


def check_shape(shape: Shape) -> None:
    """Whether histograms can be cut so. Raises WireError."""
    schema = shape.schema
    if not (SCHEMA_MIN <= schema <= SCHEMA_MAX and not shape.custom_values) and not _is_custom(shape):
        raise WireError(f"a histogram's schema {schema} is not known, or does not fit its bounds")
    if not 0 <= shape.zero_threshold < float("inf"):
        raise WireError("a histogram's zero bucket has no width")
    if shape.width > WIDTH_MAX:
        raise WireError(f"a histogram has more than {WIDTH_MAX} buckets")
    for side in (shape.positive_spans, shape.negative_spans):
        _check_spans(side)


def _is_custom(shape: Shape) -> bool:
    """Whether its bounds are listed, ascending, and its buckets are theirs."""
    bounds = shape.custom_values
    end = sum(span.offset + span.length for span in shape.positive_spans)
    return (
        shape.schema == CUSTOM_SCHEMA
        and not shape.negative_spans
        and all(left < right for left, right in pairwise(bounds))
        and all(bound == bound for bound in bounds)  # noqa: PLR0124 (no NaN)
        and min((span.offset for span in shape.positive_spans), default=0) >= 0
        and end <= len(bounds) + 1
    )


def _check_spans(spans: tuple[BucketSpan, ...]) -> None:
    index = 0
    for number, span in enumerate(spans):
        if number and span.offset < 0:
            raise WireError("the buckets of a histogram overlap")
        index += span.offset + span.length
        if abs(span.offset) > INDEX_MAX or abs(index) > INDEX_MAX:
            raise WireError("the buckets of a histogram are out of bounds")


def check_counts(found: HistogramColumns) -> None:
    """Whether counts are counts. Raises WireError."""
    for counts in (found.counts, found.zero_counts, found.buckets):
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise WireError("a histogram has a count that is negative or infinite")
    passed = np.zeros(len(found.buckets) + 1)
    np.cumsum(found.buckets, out=passed[1:])
    observed = passed[found.offsets[1:]] - passed[found.offsets[:-1]] + found.zero_counts
    whole = found.is_integer
    if (observed[whole] > found.counts[whole]).any():
        raise WireError("a histogram has more observations in its buckets than in all")
