"""Native histograms in our push payload, the sender's side: written, and read back from the spool, with the standard library
alone (docs/formats/payload.md). What the receiver does is in `payload_histogram_columns`.

Invariant: what is read and encoded again says the same; histograms that are cut alike share one shape.
"""

import struct
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.wire.payload_planes import floats, integers, little, planes

SECTION_HEAD = struct.Struct("<III")  # shapes, histograms, buckets of all
SHAPE_HEAD = struct.Struct("<bdHHH")  # schema, zero threshold, spans above zero, spans below, bounds
SPAN = struct.Struct("<iI")  # offset, length
HINTS = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)  # by number; only ever continued
HINT_BITS = 0x03
IS_INTEGER = 0x04

Shape = tuple[int, float, tuple[BucketSpan, ...], tuple[BucketSpan, ...], tuple[float, ...]]


def encode_histograms(rounds: Sequence[Sequence[Histogram]]) -> list[bytes]:
    """The section of all rounds' histograms."""
    shapes: dict[Shape, int] = {}
    shape_of, marks = array("I"), bytearray()
    counts, sums, zeros, buckets = array("d"), array("d"), array("d"), array("d")
    for one in (histogram for histograms in rounds for histogram in histograms):
        shape = one.schema, one.zero_threshold, one.positive_spans, one.negative_spans, one.custom_values
        shape_of.append(shapes.setdefault(shape, len(shapes)))
        own = (*one.positive_buckets, *one.negative_buckets)
        is_integer = all(number % 1 == 0 for number in (one.count, one.zero_count, *own))
        marks.append(HINTS.index(one.reset_hint) | (IS_INTEGER if is_integer else 0))
        counts.append(one.count)
        sums.append(one.sum)
        zeros.append(one.zero_count)
        buckets.extend(own)
    numbers = counts + sums + zeros
    return [
        SECTION_HEAD.pack(len(shapes), len(shape_of), len(buckets)),
        planes(little(array("I", map(len, rounds))), 4),
        *map(_encode_shape, shapes),
        planes(little(shape_of), 4),
        bytes(marks),
        planes(little(numbers), 8),
        planes(little(buckets), 8),
    ]


def _encode_shape(shape: Shape) -> bytes:
    schema, zero_threshold, above, below, bounds = shape
    head = SHAPE_HEAD.pack(schema, zero_threshold, len(above), len(below), len(bounds))
    spans = b"".join(SPAN.pack(*span) for span in (*above, *below))
    return head + spans + struct.pack(f"<{len(bounds)}d", *bounds)


def read_histograms(take: Callable[[int], bytes], rounds: int) -> list[tuple[Histogram, ...]]:
    """The histograms of each round, of bytes that this program wrote; `take` gives the next so many."""
    shape_count, count, bucket_count = SECTION_HEAD.unpack(take(SECTION_HEAD.size))
    sizes = integers(take(4 * rounds))
    shapes = [_read_shape(take) for _ in range(shape_count)]
    shape_of = integers(take(4 * count))
    marks = take(count)
    numbers = floats(take(8 * 3 * count))
    buckets = floats(take(8 * bucket_count))
    found, at = [], 0
    for place in range(count):
        schema, zero_threshold, above, below, bounds = shapes[shape_of[place]]
        middle = at + sum(span.length for span in above)
        end = middle + sum(span.length for span in below)
        found.append(
            Histogram(
                schema, numbers[place], numbers[count + place], zero_threshold, numbers[2 * count + place],
                above, tuple(buckets[at:middle]), below, tuple(buckets[middle:end]), bounds,
                HINTS[marks[place] & HINT_BITS],
            )
        )  # fmt: skip
        at = end
    return [tuple(found[end - size : end]) for end, size in zip(accumulate(sizes), sizes, strict=True)]


def _read_shape(take: Callable[[int], bytes]) -> Shape:
    schema, zero_threshold, above, below, bounds = SHAPE_HEAD.unpack(take(SHAPE_HEAD.size))
    spans = [BucketSpan(*SPAN.unpack(take(SPAN.size))) for _ in range(above + below)]
    return (
        schema, zero_threshold, tuple(spans[:above]), tuple(spans[above:]), struct.unpack(f"<{bounds}d", take(8 * bounds))
    )  # fmt: skip
