"""Chunks of Prometheus's blocks and head: bytes to samples. Plain XOR, histograms and float histograms.

Format: tsdb/docs/format/{chunks,head_chunks}.md of Prometheus. Invariant: a damaged chunk costs only itself.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import BucketSpan, ResetHint
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT, HistogramColumns, Shape
from nunchi.model.staleness import ABSENT
from nunchi.wire.errors import DamagedFile, UnknownVersion
from nunchi.wire.kernels import prometheus_chunks as kernel

SEGMENT_MAGIC = 0x85BD40DD
HEAD_MAGIC = 0x0130BC91
HEADER_BYTES = 8
VERSION = 1
XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
OUT_OF_ORDER = 0x80  # beside the encoding, in head chunks
# series ref, first and last time, encoding
HEAD_CHUNK = struct.Struct(">QqqB")

Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]
_COUNTER_RESET, _GAUGE = 2, 3


@dataclass(frozen=True, slots=True, eq=False)
class ChunkSamples:
    """The samples of some chunks, chunk after chunk.

    chunk_of      int64[n]: which chunk a sample is of
    histogram_of  as in `model.batch.Batch`
    lost          bool[chunks]: damaged, or of an encoding that is not known here
    """

    chunk_of: Longs
    times: Longs
    values: NDArray[np.float64]
    histogram_of: NDArray[np.int32] | None
    histograms: HistogramColumns | None
    lost: NDArray[np.bool_]


def check_header(data: Bytes, magic: int) -> None:
    """Whether a file of chunks begins as it must; raises `WireError`."""
    if len(data) < HEADER_BYTES:
        raise DamagedFile(f"{len(data)} bytes are too few for a file of chunks")
    found, version = struct.unpack(">IB", data[:5].tobytes())
    if found != magic:
        raise DamagedFile(f"it begins with {found:#010x}, a file of chunks with {magic:#010x}")
    if version != VERSION:
        raise UnknownVersion(f"it has format version {version}, this nunchi reads {VERSION}")


def locate_chunks(data: Bytes, places: Longs) -> tuple[Longs, Longs, NDArray[np.bool_]]:
    """Of the chunks at some places of a segment: where the encoding byte is, bytes behind it, and whether it is whole."""
    begins, sizes = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
    good = np.empty(len(places), np.uint8)
    kernel.locate_chunks(data, places, begins, sizes)
    kernel.check_chunks(data, begins, sizes, good)
    return begins, sizes, good.astype(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class HeadChunks:
    """The chunks of one file of `chunks_head`, in its order; `damage` says why it was left before its end."""

    refs: Longs
    begin_times: Longs
    end_times: Longs
    begins: Longs
    sizes: Longs
    damage: str = ""


def scan_head_chunks(data: Bytes) -> HeadChunks:
    """The whole chunks of a file of `chunks_head`; raises `WireError` where it is none."""
    check_header(data, HEAD_MAGIC)
    rows: list[tuple[int, int, int, int, int]] = []
    at, damage, view = HEADER_BYTES, "", data.data
    while at + HEAD_CHUNK.size < len(data):
        ref, begin_time, end_time, _ = HEAD_CHUNK.unpack_from(view, at)
        if ref == 0:
            break  # room that was taken in advance
        size, begin = _uvarint(data, at + HEAD_CHUNK.size)
        end = begin + size
        if end + 4 > len(data) or kernel.crc32c(data[at:end]) != int.from_bytes(data[end : end + 4].tobytes()):
            damage = f"the chunk at byte {at} is damaged or cut; what follows it is not read"
            break
        rows.append((ref, begin_time, end_time, at, begin))
        at = end + 4
    refs, begin_times, end_times, places, begins = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    ends = np.append(places[1:], at)[: len(places)] - 4
    return HeadChunks(refs, begin_times, end_times, begins, ends - begins, damage)


def head_encodings(data: Bytes, chunks: HeadChunks) -> Bytes:
    """uint8[chunks]: the encoding byte of each, which stands before the size."""
    sizes = np.array([_uvarint_bytes(size) for size in chunks.sizes.tolist()], np.int64)
    found: Bytes = data[chunks.begins - sizes - 1]
    return found


def decode_chunks(data: Bytes, begins: Longs, sizes: Longs, encodings: Bytes) -> ChunkSamples:
    """The samples of the chunks `data[begins[i] : begins[i] + sizes[i]]`."""
    ends = begins + sizes
    counts = np.zeros(len(begins), np.int64)
    kernel.chunk_counts(data, begins, ends, counts)
    is_xor = encodings == XOR
    lost = counts < 0
    counts[~is_xor | lost] = 0
    offsets = np.zeros(len(begins) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    times, values = np.empty(offsets[-1], np.int64), np.empty(offsets[-1])
    good = np.zeros(len(begins), np.uint8)
    kernel.decode_xor(data, begins, ends, offsets, times, values, good)
    lost |= is_xor & (good == 0)
    chunk_of = np.repeat(np.arange(len(begins)), counts)
    if lost.any():
        kept = ~lost[chunk_of]
        chunk_of, times, values = chunk_of[kept], times[kept], values[kept]
    if is_xor.all():
        return ChunkSamples(chunk_of, times, values, None, None, lost)
    return _with_histograms(data, begins, ends, encodings, ChunkSamples(chunk_of, times, values, None, None, lost))


def _with_histograms(data: Bytes, begins: Longs, ends: Longs, encodings: Bytes, plain: ChunkSamples) -> ChunkSamples:
    parts: list[HistogramColumns] = []
    times, chunks = [plain.times], [plain.chunk_of]
    lost = plain.lost.copy()
    for i in np.flatnonzero(encodings != XOR).tolist():
        found = decode_histogram_chunk(data[begins[i] : ends[i]], int(encodings[i]))
        if found is None:
            lost[i] = True
            continue
        own_times, columns = found
        times.append(own_times)
        chunks.append(np.full(len(own_times), i, np.int64))
        parts.append(columns)
    chunk_of, all_times = np.concatenate(chunks), np.concatenate(times)
    histograms = HistogramColumns.concatenate(parts) if parts else None
    total = len(histograms) if histograms is not None else 0
    values = np.concatenate([plain.values, np.full(total, ABSENT)])
    histogram_of = np.full(len(values), FLOAT, np.int32)
    histogram_of[len(plain.values) :] = np.arange(total)
    order = np.argsort(chunk_of, kind="stable")
    return ChunkSamples(chunk_of[order], all_times[order], values[order], histogram_of[order], histograms, lost)


def decode_histogram_chunk(chunk: Bytes, encoding: int) -> tuple[Longs, HistogramColumns] | None:
    """Times and histograms of one chunk behind its encoding byte; None where it is damaged or of another encoding."""
    if encoding not in {HISTOGRAM, FLOAT_HISTOGRAM}:
        return None
    found = kernel.decode_histograms(np.ascontiguousarray(chunk), encoding == FLOAT_HISTOGRAM)
    if found is None:
        return None
    schema, threshold, spans, above, bounds, times, counts, sums, zero_counts, buckets, header = found
    shape = Shape(schema, threshold, *_sides(np.frombuffer(spans, np.int64).tolist(), above), _floats(bounds))
    own_times = np.frombuffer(times, np.int64)
    total = len(own_times)
    hints = np.full(total, CODE_OF_HINT[ResetHint.GAUGE if header == _GAUGE else ResetHint.UNKNOWN], np.uint8)
    if header == _COUNTER_RESET:
        hints[:1] = CODE_OF_HINT[ResetHint.RESET]
    columns = HistogramColumns(
        (shape,),
        np.zeros(total, np.int32),
        np.frombuffer(counts, np.float64),
        np.frombuffer(sums, np.float64),
        np.frombuffer(zero_counts, np.float64),
        hints,
        np.full(total, encoding == HISTOGRAM, np.bool_),
        np.arange(total + 1, dtype=np.int64) * shape.width,
        np.frombuffer(buckets, np.float64),
    )
    return own_times, columns


def _sides(numbers: Sequence[int], above: int) -> tuple[tuple[BucketSpan, ...], tuple[BucketSpan, ...]]:
    spans = tuple(BucketSpan(offset, length) for offset, length in zip(numbers[::2], numbers[1::2], strict=True))
    return spans[:above], spans[above:]


def _floats(raw: bytes) -> tuple[float, ...]:
    return tuple(np.frombuffer(raw, np.float64).tolist())


def _uvarint(data: Bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; one that ends nowhere is larger than any file."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        byte = int(data[at])
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return 1 << 62, at


def _uvarint_bytes(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)
