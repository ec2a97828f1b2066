"""The index and the tombstones of a Prometheus block: which series it has, where their chunks are, what was deleted of them.

Formats: tsdb/docs/format/{index,tombstones}.md of Prometheus, index versions 1 and 2. Invariant: nothing is believed before its
checksum was compared; a damaged index is refused as a whole, because it says whose every chunk is.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import SEPARATOR
from nunchi.wire.errors import DamagedFile, UnknownVersion
from nunchi.wire.kernels import prometheus_chunks as checks
from nunchi.wire.kernels import prometheus_index as kernel

INDEX_MAGIC = 0xBAAAD700
TOMBSTONES_MAGIC = 0x0130BA30
TOMBSTONES_VERSION = 1
VERSIONS = (1, 2)
SERIES_ALIGNMENT = 16  # of version 2

# places of symbols, series, label indexes, their table, postings, their table; crc32c
CONTENTS = struct.Struct(">6QI")

Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PrometheusIndex:
    """Series `i` has the label key `keys[i]` and the chunks `chunk_offsets[i]` to `chunk_offsets[i + 1]`.

    refs         int64[series]: by which tombstones know them
    chunk_refs   int64[chunks]: number of the segment, counted from 0, above 32 bits of the place in it
    begin_times, end_times  int64[chunks], both included
    """

    keys: list[bytes]
    refs: Longs
    chunk_offsets: Longs
    begin_times: Longs
    end_times: Longs
    chunk_refs: Longs


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Samples of a series from `start_ms` to `end_ms`, both included, were deleted."""

    ref: int
    start_ms: int
    end_ms: int


def parse_index(data: NDArray[np.uint8]) -> PrometheusIndex:
    """The series of an index file; raises `WireError`."""
    if len(data) < 5 + CONTENTS.size:
        raise DamagedFile(f"{len(data)} bytes are too few for an index")
    magic, version = struct.unpack(">IB", data[:5].tobytes())
    if magic != INDEX_MAGIC:
        raise DamagedFile(f"it begins with {magic:#010x}, an index with {INDEX_MAGIC:#010x}")
    if version not in VERSIONS:
        raise UnknownVersion(f"it has format version {version}, this nunchi reads 1 and 2")
    table = data[-CONTENTS.size :]
    symbols_at, series_at, *others, checksum = CONTENTS.unpack(table.tobytes())
    if checks.crc32c(table[:-4]) != checksum:
        raise DamagedFile("its table of contents fails its checksum")
    series_end = min([place for place in others if place > series_at], default=len(data) - CONTENTS.size)
    series_end = min(series_end, len(data))
    if series_at > series_end:
        raise DamagedFile(f"its table of contents names byte {series_at} of {len(data)}")
    symbols = _parse_symbols(data, symbols_at, by_place=version == 1)
    alignment = SERIES_ALIGNMENT if version == 2 else 1
    damaged, *arrays = kernel.scan_series(data, series_at, series_end, alignment)
    if damaged:
        raise DamagedFile(f"the series at byte {damaged} is damaged")
    refs, pair_ends, pairs, chunk_ends, begin_times, end_times, chunk_refs, begins, ends = (
        np.frombuffer(array, np.int64) for array in arrays
    )
    _check_series(data, begins, ends)
    return PrometheusIndex(
        _keys(symbols, pairs.tolist(), pair_ends.tolist()),
        refs,
        np.concatenate([np.zeros(1, np.int64), chunk_ends]),
        begin_times,
        end_times,
        chunk_refs,
    )


def _parse_symbols(data: NDArray[np.uint8], at: int, *, by_place: bool) -> dict[int, bytes]:
    """Texts by their number, or by their place in the file."""
    size = int.from_bytes(data[at : at + 4].tobytes())
    content = data[at + 4 : at + 4 + size]
    if len(content) != size or size < 4:
        raise DamagedFile(f"its symbols at byte {at} are cut")
    if checks.crc32c(content) != int.from_bytes(data[at + 4 + size : at + 8 + size].tobytes()):
        raise DamagedFile(f"its symbols at byte {at} fail their checksum")
    raw = content.tobytes()
    count, place = int.from_bytes(raw[:4]), 4
    symbols: dict[int, bytes] = {}
    for number in range(count):
        begin, length, shift = place, 0, 0
        while place < size:
            byte = raw[place]
            place += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        symbols[at + 4 + begin if by_place else number] = raw[place : place + length]
        place += length
    if place > size or (SEPARATOR in raw[4:] and any(SEPARATOR in text for text in symbols.values())):
        raise DamagedFile(f"its symbols at byte {at} do not add up to texts")
    return symbols


def _check_series(data: NDArray[np.uint8], begins: Longs, ends: Longs) -> None:
    good = np.zeros(len(begins), np.uint8)
    checks.check_chunks(data, begins, ends - begins - 1, good)
    if not good.all():
        raise DamagedFile(f"the series at byte {begins[np.argmin(good)]} fails its checksum")


def _keys(symbols: dict[int, bytes], pairs: list[int], pair_ends: list[int]) -> list[bytes]:
    keys = []
    begin = 0
    try:
        for end in pair_ends:
            keys.append(SEPARATOR.join([symbols[word] for word in pairs[begin:end]]) + SEPARATOR)
            begin = end
    except KeyError as error:
        raise DamagedFile(f"a series names symbol {error.args[0]}, which is not there") from None
    return keys


def parse_tombstones(data: bytes) -> list[Tombstone]:
    """What a tombstones file says; raises `WireError`."""
    if len(data) < 9:
        raise DamagedFile(f"{len(data)} bytes are too few for tombstones")
    magic, version = struct.unpack(">IB", data[:5])
    if magic != TOMBSTONES_MAGIC:
        raise DamagedFile(f"it begins with {magic:#010x}, tombstones with {TOMBSTONES_MAGIC:#010x}")
    if version != TOMBSTONES_VERSION:
        raise UnknownVersion(f"it has format version {version}, this nunchi reads {TOMBSTONES_VERSION}")
    if checks.crc32c(data[5:-4]) != int.from_bytes(data[-4:]):
        raise DamagedFile("it fails its checksum")
    found = []
    words = Varints(data[5:-4])
    while not words.is_at_end:
        found.append(Tombstone(words.unsigned(), words.signed(), words.signed()))
    return found


class Varints:
    """Numbers and texts off the front of some bytes; raises `DamagedFile` where they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether all was taken."""
        return self.at >= len(self._data)

    def take(self, size: int) -> bytes:
        """Some bytes."""
        if size > len(self._data) - self.at:
            raise DamagedFile(f"{size} bytes are missing at byte {self.at}")
        self.at += size
        return self._data[self.at - size : self.at]

    def unsigned(self) -> int:
        """A number that is not negative."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise DamagedFile(f"the number before byte {self.at} does not end")

    def signed(self) -> int:
        """A number."""
        value = self.unsigned()
        return value >> 1 if not value & 1 else -(value >> 1) - 1

    def text(self) -> bytes:
        """A length and as many bytes."""
        return self.take(self.unsigned())
