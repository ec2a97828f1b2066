"""Prometheus's write-ahead log: pages to records, records to series, samples, histograms, deletions and metadata.

Format: tsdb/docs/format/wal.md of Prometheus; the log of out-of-order samples (wbl) has the same. Invariant: a record is whole
or it is not there; behind damage in a segment nothing of that segment is believed, as Prometheus repairs it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import cramjam
import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import SEPARATOR
from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire.errors import DamagedFile
from nunchi.wire.kernels import prometheus_chunks as checks
from nunchi.wire.kernels import prometheus_index as kernel
from nunchi.wire.prometheus_index import Tombstone, Varints

PAGE_BYTES = 32 * 1024
RECORD_BYTES_MAX = 1 << 30
# type and compression, bytes, crc32c
FRAGMENT = struct.Struct(">BHI")
KIND_MASK, SNAPPY_FLAG, ZSTD_FLAG = 0x07, 0x08, 0x10
PADDING, WHOLE, FIRST, MIDDLE, LAST = range(5)

SERIES, SAMPLES, TOMBSTONES, EXEMPLARS, MARKERS, METADATA, HISTOGRAMS, FLOAT_HISTOGRAMS = range(1, 9)
CUSTOM_HISTOGRAMS, CUSTOM_FLOAT_HISTOGRAMS = 9, 10
OF_HISTOGRAMS = frozenset({HISTOGRAMS, FLOAT_HISTOGRAMS, CUSTOM_HISTOGRAMS, CUSTOM_FLOAT_HISTOGRAMS})
OF_FLOAT_HISTOGRAMS = frozenset({FLOAT_HISTOGRAMS, CUSTOM_FLOAT_HISTOGRAMS})
IGNORED = frozenset({EXEMPLARS, MARKERS})
SPANS_MAX, BUCKETS_MAX = 1 << 16, 1 << 17

_HINTS = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)
_METADATA_TYPES = (
    MetricType.UNKNOWN, MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM, MetricType.GAUGE_HISTOGRAM,
    MetricType.SUMMARY, MetricType.INFO, MetricType.STATESET,
)  # fmt: skip


def read_records(data: memoryview) -> Iterator[bytes]:
    """The records of a segment in their order, decompressed; raises `DamagedFile` where one is not whole.

    A torn end, which a killed Prometheus leaves, is no damage: what is in it was never complete.
    """
    at = 0
    parts: list[bytes] = []
    while at < len(data):
        if PAGE_BYTES - at % PAGE_BYTES < FRAGMENT.size or data[at] & KIND_MASK == PADDING:
            at += PAGE_BYTES - at % PAGE_BYTES
            continue
        if at + FRAGMENT.size > len(data):
            return
        flags, size, checksum = FRAGMENT.unpack_from(data, at)
        begin = at + FRAGMENT.size
        if begin + size > len(data):
            return
        content = data[begin : begin + size]
        if size > PAGE_BYTES - begin % PAGE_BYTES or checks.crc32c(content) != checksum:
            raise DamagedFile(f"the record at byte {at} fails its checksum")
        at = begin + size
        kind = flags & KIND_MASK
        if (kind in {WHOLE, FIRST}) == bool(parts) or kind > LAST:
            raise DamagedFile(f"the record before byte {at} has no beginning or no end")
        parts.append(bytes(content))
        if kind in {WHOLE, LAST}:
            yield _decompressed(b"".join(parts), flags, at)
            parts = []


def _decompressed(record: bytes, flags: int, at: int) -> bytes:
    try:
        if flags & SNAPPY_FLAG:
            length = cramjam.snappy.decompress_raw_len(record)
            if length > RECORD_BYTES_MAX:
                raise DamagedFile(f"the record before byte {at} claims {length} bytes")
            return bytes(cramjam.snappy.decompress_raw(record))
        if flags & ZSTD_FLAG:
            return bytes(cramjam.zstd.decompress(record))
    except cramjam.DecompressionError as error:
        raise DamagedFile(f"the record before byte {at} cannot be decompressed: {error}") from None
    return record


@dataclass(frozen=True, slots=True, eq=False)
class LogSamples:
    """Samples of a record: which series, when, what."""

    refs: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def decode_series(record: bytes) -> list[tuple[int, bytes]]:
    """(ref, label key) of each series of a series record; raises `DamagedFile`."""
    words = Varints(record)
    words.take(1)
    found = []
    while not words.is_at_end:
        ref = int.from_bytes(words.take(8))
        labels = [words.text() for _ in range(2 * words.unsigned())]
        found.append((ref, SEPARATOR.join(labels) + SEPARATOR if labels else b""))
    return found


def decode_samples(record: bytes) -> LogSamples:
    """The samples of a samples record; raises `DamagedFile`."""
    found = kernel.decode_samples(memoryview(record)[1:])
    if found is None:
        raise DamagedFile("a record of samples is cut")
    refs, times, values = found
    return LogSamples(np.frombuffer(refs, np.int64), np.frombuffer(times, np.int64), np.frombuffer(values, np.float64))


def decode_tombstones(record: bytes) -> list[Tombstone]:
    """The deletions of a tombstones record; raises `DamagedFile`."""
    words = Varints(record)
    words.take(1)
    found = []
    while not words.is_at_end:
        found.append(Tombstone(int.from_bytes(words.take(8)), words.signed(), words.signed()))
    return found


def decode_metadata(record: bytes) -> list[tuple[int, Metadata]]:
    """(ref, metadata) of a metadata record; raises `DamagedFile`."""
    words = Varints(record)
    words.take(1)
    found = []
    while not words.is_at_end:
        ref, kind = words.unsigned(), words.take(1)[0]
        fields = {words.text(): words.text() for _ in range(words.unsigned())}
        unit, help_text = (fields.get(name, b"").decode(errors="replace") for name in (b"UNIT", b"HELP"))
        known = _METADATA_TYPES[kind] if kind < len(_METADATA_TYPES) else MetricType.UNKNOWN
        found.append((ref, Metadata(known, help_text, unit)))
    return found


def decode_histograms(record: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], HistogramColumns]:
    """Refs, times and histograms of a record of histograms of either kind; raises `DamagedFile`."""
    is_float = record[0] in OF_FLOAT_HISTOGRAMS
    words = Varints(record)
    words.take(1)
    refs: list[int] = []
    times: list[int] = []
    histograms: list[Histogram] = []
    if not words.is_at_end:
        ref, time = int.from_bytes(words.take(8)), int.from_bytes(words.take(8), signed=True)
        while not words.is_at_end:
            refs.append(ref + words.signed())
            times.append(time + words.signed())
            histograms.append(_decode_histogram(words, is_float=is_float))
    columns = HistogramColumns.of(histograms, [not is_float] * len(histograms))
    return np.array(refs, np.int64), np.array(times, np.int64), columns


def _decode_histogram(words: Varints, *, is_float: bool) -> Histogram:
    hint, schema = words.take(1)[0], words.signed()
    threshold = _double(words)
    if is_float:
        zero_count, count = _double(words), _double(words)
    else:
        zero_count, count = float(words.unsigned()), float(words.unsigned())
    total = _double(words)
    above, below = _spans(words), _spans(words)
    positive, negative = _buckets(words, is_float=is_float), _buckets(words, is_float=is_float)
    bounds: tuple[float, ...] = ()
    if schema == CUSTOM_SCHEMA:
        bounds = tuple(_double(words) for _ in range(_bounded(words.unsigned(), BUCKETS_MAX)))
    if sum(span.length for span in above) != len(positive) or sum(span.length for span in below) != len(negative):
        raise DamagedFile("a histogram of the log does not have as many buckets as its spans cover")
    return Histogram(
        schema, count, total, threshold, zero_count, above, positive, below, negative, bounds,
        _HINTS[hint] if hint < len(_HINTS) else ResetHint.UNKNOWN,
    )  # fmt: skip


def _spans(words: Varints) -> tuple[BucketSpan, ...]:
    return tuple(BucketSpan(words.signed(), words.unsigned()) for _ in range(_bounded(words.unsigned(), SPANS_MAX)))


def _buckets(words: Varints, *, is_float: bool) -> tuple[float, ...]:
    count = _bounded(words.unsigned(), BUCKETS_MAX)
    if is_float:
        return tuple(_double(words) for _ in range(count))
    total, counts = 0, []
    for _ in range(count):
        total += words.signed()
        counts.append(float(total))
    return tuple(counts)


def _bounded(count: int, count_max: int) -> int:
    if count > count_max:
        raise DamagedFile(f"a histogram of the log claims {count} parts")
    return count


def _double(words: Varints) -> float:
    value: float = struct.unpack(">d", words.take(8))[0]
    return value
