"""The file of label keys that gives the head's runs their names: `head/N.series`. docs/formats/run.md has the bytes.

Records (series_ref, label key), appended when a run is sealed that needs them, written anew when dead series are dropped.
Invariant: a later record of a series_ref replaces an earlier one.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cramjam
import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import SERIES_VERSION, check_version

MAGIC = b"NUNCHISR"
FILE_HEADER = struct.Struct("<8sI")
# crc32 of what follows, bytes of the packed body, bytes of the body, series
RECORD_HEADER = struct.Struct("<IIII")
COMPRESSION_LEVEL = 3
RECORD_SERIES_MAX = 65_536


def encode_series(refs: NDArray[np.int32], keys: bytes, ends: NDArray[np.int64]) -> bytes:
    """One record."""
    body = refs.astype("<i4").tobytes() + np.diff(ends).astype("<u4").tobytes() + keys
    packed = bytes(cramjam.zstd.compress(body, COMPRESSION_LEVEL))
    checked = struct.pack("<III", len(packed), len(body), len(refs)) + packed
    return struct.pack("<I", zlib.crc32(checked)) + checked


def file_header() -> bytes:
    """What a file begins with."""
    return FILE_HEADER.pack(MAGIC, SERIES_VERSION)


def read_series(disk: Disk, path: Path, size: int) -> Iterator[tuple[NDArray[np.int32], bytes, NDArray[np.int64]]]:
    """All records in the first `size` bytes; raises `CorruptionError` at the first that is damaged."""
    data = disk.read(path, 0, size)
    if len(data) < size or len(data) < FILE_HEADER.size:
        raise CorruptionError(f"{path} has {len(data)} of the {size} bytes that belong to it")
    magic, version = FILE_HEADER.unpack_from(data)
    if magic != MAGIC:
        raise CorruptionError(f"{path} is not a file of label keys")
    check_version(path, version, SERIES_VERSION)
    at = FILE_HEADER.size
    while at < len(data):
        if at + RECORD_HEADER.size > len(data):
            raise CorruptionError(f"{path}: byte {at}: a record is cut")
        checksum, packed, length, count = RECORD_HEADER.unpack_from(data, at)
        end = at + RECORD_HEADER.size + packed
        if end > len(data) or zlib.crc32(data[at + 4 : end]) != checksum:
            raise CorruptionError(f"{path}: the record at byte {at} fails its checksum")
        body = bytes(cramjam.zstd.decompress(data[at + RECORD_HEADER.size : end], length))
        refs = np.frombuffer(body, "<i4", count)
        ends = np.zeros(count + 1, np.int64)
        np.cumsum(np.frombuffer(body, "<u4", count, 4 * count), out=ends[1:])
        yield refs.astype(np.int32), body[8 * count :], ends
        at = end


def whole_bytes(disk: Disk, path: Path) -> int:
    """How much of a file is whole records from its beginning, for whoever does not know how much of it counts."""
    data = disk.read(path)
    at = FILE_HEADER.size
    while at + RECORD_HEADER.size <= len(data):
        checksum, packed, _, _ = RECORD_HEADER.unpack_from(data, at)
        end = at + RECORD_HEADER.size + packed
        if end > len(data) or zlib.crc32(data[at + 4 : end]) != checksum:
            break
        at = end
    return at
