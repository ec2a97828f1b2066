"""Native histograms in `prometheus.WriteRequest` messages: to columns, and back for senders.

Invariant: a histogram that is damaged or contradicts itself costs only itself; it is left out and counted.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.model.histogram_columns import CODE_OF_HINT, HistogramColumns, Shape
from nunchi.wire.kernels.histograms import HistogramDecoder
from nunchi.wire.prometheus_proto import bytes_field, double_field, encode_varint, integer_field

SHAPES_KNOWN_MAX = 4096


def decode_histograms(
    body: bytes, places: NDArray[np.int64], known: dict[bytes, Shape] | None = None
) -> tuple[HistogramColumns, NDArray[np.bool_]]:
    """The histogram messages at (begin, end) of a body, int64[n, 2], and bool[n]: which of them are fine.

    Who reads the same histograms time after time keeps the shapes that are `known`, at most `SHAPES_KNOWN_MAX` of them.
    """
    keys, shape_of, counts, sums, zero_counts, hints, are_integer, offsets, buckets, fine = HistogramDecoder().decode(
        body, places
    )
    shapes = tuple(map(_shape, keys)) if known is None else _known_shapes(keys, known)
    columns = HistogramColumns(shapes, shape_of, counts, sums, zero_counts, hints, are_integer, offsets, buckets)
    return columns, fine


def _known_shapes(keys: Sequence[bytes], known: dict[bytes, Shape]) -> tuple[Shape, ...]:
    if len(known) > SHAPES_KNOWN_MAX:
        known.clear()
    for key in keys:
        if key not in known:
            known[key] = _shape(key)
    return tuple(known[key] for key in keys)


def _shape(key: bytes) -> Shape:
    schema, above, below, bounds = struct.unpack_from("=4q", key)
    (zero_threshold,) = struct.unpack_from("=d", key, 32)
    numbers = struct.unpack_from(f"={2 * (above + below)}q", key, 40)
    spans = [BucketSpan(*numbers[at : at + 2]) for at in range(0, len(numbers), 2)]
    custom_values = struct.unpack_from(f"={bounds}d", key, 40 + 16 * (above + below))
    return Shape(schema, zero_threshold, tuple(spans[:above]), tuple(spans[above:]), custom_values)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _packed_doubles(number: int, values: Sequence[float]) -> bytes:
    return bytes_field(number, struct.pack(f"<{len(values)}d", *values)) if values else b""


def _packed_deltas(number: int, counts: Sequence[float]) -> bytes:
    whole = [int(count) for count in counts]
    deltas = [count - before for before, count in zip([0, *whole], whole, strict=False)]
    return bytes_field(number, b"".join(encode_varint(_zigzag(delta)) for delta in deltas)) if deltas else b""


def _spans(number: int, spans: Sequence[BucketSpan]) -> bytes:
    return b"".join(
        bytes_field(number, integer_field(1, _zigzag(span.offset)) + integer_field(2, span.length)) for span in spans
    )


def encode_histogram(histogram: Histogram, timestamp_ms: int, *, is_integer: bool = False) -> bytes:
    """A `prometheus.Histogram` message."""
    if is_integer:
        counts = integer_field(1, int(histogram.count)), integer_field(6, int(histogram.zero_count))
        below, above = _packed_deltas(9, histogram.negative_buckets), _packed_deltas(12, histogram.positive_buckets)
    else:
        # A count of zero is written too: it says which kind of histogram this is.
        counts = (
            double_field(2, histogram.count) or encode_varint(2 << 3 | 1) + bytes(8),
            double_field(7, histogram.zero_count) or encode_varint(7 << 3 | 1) + bytes(8),
        )
        below, above = _packed_doubles(10, histogram.negative_buckets), _packed_doubles(13, histogram.positive_buckets)
    return b"".join(
        (
            counts[0],
            double_field(3, histogram.sum),
            integer_field(4, _zigzag(histogram.schema)),
            double_field(5, histogram.zero_threshold),
            counts[1],
            _spans(8, histogram.negative_spans),
            below,
            _spans(11, histogram.positive_spans),
            above,
            integer_field(14, CODE_OF_HINT[histogram.reset_hint]),
            integer_field(15, timestamp_ms),
            _packed_doubles(16, histogram.custom_values),
        )
    )
