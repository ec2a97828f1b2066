"""What a commit has beside numbers, as bytes of a WAL record: histograms and starts. docs/formats/wal.md has the layout.

Numbers go through the same pages as those of files, so that they compress and are checked alike.
Invariant: what is decoded has as many entries as it was asked for, or is a `CorruptionError`.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HINTS, HistogramColumns
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.histogram_chunks import HINT_MASK, IS_INTEGER, flags_of
from nunchi.tsdb.page import VALUES_MAX, decode_page, encode_page, page_bytes
from nunchi.tsdb.reading import offsets_of
from nunchi.tsdb.shapes import decode_shapes, encode_shapes

# histograms, bytes of their shapes
HEADER = struct.Struct("<II")
NUMBERS_MAX = 1 << 26
"""Numbers of one kind in a record."""


def encode_histograms(histograms: HistogramColumns) -> bytes:
    """Some histograms."""
    used, shape_of = np.unique(histograms.shape_of, return_inverse=True)
    shapes = encode_shapes([histograms.shapes[shape] for shape in used.tolist()])
    numbers = (histograms.counts, histograms.zero_counts, histograms.sums, histograms.buckets)
    return b"".join(
        (
            HEADER.pack(len(histograms), len(shapes)),
            shapes,
            shape_of.astype("<i4").tobytes(),
            flags_of(histograms).tobytes(),
            *(encode_numbers(array) for array in numbers),
        )
    )


def decode_histograms(content: bytes) -> HistogramColumns:
    """The inverse of `encode_histograms`; raises `CorruptionError`."""
    try:
        count, shape_bytes = HEADER.unpack_from(content)
        at = HEADER.size + shape_bytes
        shapes = decode_shapes(content[HEADER.size : at])
        shape_of = np.frombuffer(content, "<i4", count, at).astype(np.int32)
        flags = np.frombuffer(content, np.uint8, count, at + 4 * count)
    except (struct.error, ValueError):
        raise CorruptionError("histograms of a record of the WAL are cut off") from None
    if count and not 0 <= shape_of.min() <= shape_of.max() < len(shapes):
        raise CorruptionError("histograms of a record of the WAL have no shape")
    at += 5 * count
    offsets = offsets_of(np.array([shape.width for shape in shapes], np.int64)[shape_of])
    arrays = []
    for size in (count, count, count, int(offsets[-1])):
        numbers, at = decode_numbers(content, at, size)
        arrays.append(numbers)
    counts, zero_counts, sums, buckets = arrays
    hints = np.minimum(flags & HINT_MASK, len(HINTS) - 1).astype(np.uint8)
    return HistogramColumns(
        shapes, shape_of, counts, sums, zero_counts, hints, (flags & IS_INTEGER) > 0, offsets, buckets
    )


def encode_numbers(numbers: NDArray[np.float64]) -> bytes:
    """Numbers as a column each in as many pages as they need."""
    parts = [numbers[begin : begin + VALUES_MAX] for begin in range(0, len(numbers), VALUES_MAX)]
    return b"".join(encode_page(np.ascontiguousarray(part), np.array([0, len(part)], np.int64)) for part in parts)


def decode_numbers(content: bytes, at: int, count: int) -> tuple[NDArray[np.float64], int]:
    """So many numbers from a place on, and the place behind them; raises `CorruptionError`."""
    if count > NUMBERS_MAX:
        raise CorruptionError("a record of the WAL is out of bounds")
    view = memoryview(content)
    found: list[NDArray[np.float64]] = [np.zeros(0)]
    left = count
    while left > 0:
        numbers, _ = decode_page(view, at)
        at += page_bytes(view, at)
        found.append(numbers)
        left -= len(numbers)
        if len(numbers) == 0:
            break
    if left:
        raise CorruptionError("numbers of a record of the WAL do not add up")
    return np.concatenate(found), at
