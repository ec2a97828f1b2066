"""How buckets are cut, as bytes: each `Shape` once, in the log and in files of chunks. docs/formats/histograms.md.

Invariant: whatever is decoded has a width of at most `BUCKETS_MAX`.
"""

import struct
from collections.abc import Sequence

from nunchi.model.histogram import BucketSpan
from nunchi.model.histogram_columns import Shape
from nunchi.tsdb.errors import CorruptionError

BUCKETS_MAX = 1 << 16
"""Buckets of one histogram, spans of one side, and bounds of custom buckets."""

# schema, zero threshold, positive spans, negative spans, custom bounds
HEADER = struct.Struct("<idIII")
SPAN = struct.Struct("<iI")


def is_storable(shape: Shape) -> bool:
    """Whether a shape is within bounds."""
    spans = (*shape.positive_spans, *shape.negative_spans)
    sizes = (shape.width, len(spans), len(shape.custom_values))
    return max(sizes) <= BUCKETS_MAX and all(-(2**31) <= span.offset < 2**31 for span in spans)


def encode_shapes(shapes: Sequence[Shape]) -> bytes:
    """All of them, one after the other."""
    parts = []
    for shape in shapes:
        spans = (*shape.positive_spans, *shape.negative_spans)
        parts.append(
            HEADER.pack(
                shape.schema,
                shape.zero_threshold,
                len(shape.positive_spans),
                len(shape.negative_spans),
                len(shape.custom_values),
            )
        )
        parts.extend(SPAN.pack(*span) for span in spans)
        parts.append(struct.pack(f"<{len(shape.custom_values)}d", *shape.custom_values))
    return b"".join(parts)


def decode_shapes(content: bytes) -> tuple[Shape, ...]:
    """The inverse of `encode_shapes`; raises `CorruptionError`."""
    shapes = []
    at = 0
    try:
        while at < len(content):
            schema, threshold, positive, negative, customs = HEADER.unpack_from(content, at)
            at += HEADER.size
            if max(positive + negative, customs) > BUCKETS_MAX:
                raise CorruptionError("a histogram's shape is out of bounds")
            spans = [BucketSpan(*SPAN.unpack_from(content, at + i * SPAN.size)) for i in range(positive + negative)]
            at += len(spans) * SPAN.size
            bounds = struct.unpack_from(f"<{customs}d", content, at)
            at += 8 * customs
            shape = Shape(schema, threshold, tuple(spans[:positive]), tuple(spans[positive:]), bounds)
            if shape.width > BUCKETS_MAX:
                raise CorruptionError("a histogram's shape is out of bounds")
            shapes.append(shape)
    except struct.error:
        raise CorruptionError("the shapes of histograms are cut off") from None
    return tuple(shapes)
