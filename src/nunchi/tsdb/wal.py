"""The write-ahead log: what was acknowledged and is not sealed yet. docs/formats/wal.md has the bytes.

One record a commit, checksummed, in numbered segments. `append` returns when the record is with the operating system (survives
the process), or on the disk where every record is synced (survives the machine). A segment whose sync failed is abandoned: what
it held unsynced is written again, to the next one, before anything more is acknowledged.
Invariant: the bytes of an acknowledged record stand whole in some segment until `cut` is told that they are sealed.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cramjam

from nunchi.kit.disk import AppendFile, Disk, DiskError, DiskFull
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import SEGMENT_SUFFIX, WAL_VERSION, Folder, check_version, number_of

SEGMENT_BYTES_MAX = 64 << 20
UNSYNCED_BYTES_MAX = 32 << 20
RECORD_BYTES_MAX = 1 << 30
RESERVED_BYTES = 2 << 20
"""What appending leaves of a disk, for what makes room on it: a manifest that no longer lists expired blocks."""
UNLOOKED_BYTES_MAX = 64 << 10
"""How much is appended before the free room is looked at again."""
DAMAGED_SPANS_MAX = 100
SEGMENT_MAGIC = b"NUNCHIWL"
RECORD_MAGIC = b"\xa7NWR"
RAW, SNAPPY = 0, 1

# magic, format version, crc32 of both
SEGMENT_HEADER = struct.Struct("<8sII")
# magic, crc32 of what follows, bytes of the payload, codec, bytes once decompressed, and a `Span`
RECORD_HEADER = struct.Struct("<4sIIBIqqI")
_CHECKED = struct.Struct("<IBIqqI")
NO_TIME_MIN, NO_TIME_MAX = 2**62, -(2**62)


def segment_header() -> bytes:
    """What a segment begins with."""
    named = struct.pack("<8sI", SEGMENT_MAGIC, WAL_VERSION)
    return named + struct.pack("<I", zlib.crc32(named))


class Span(NamedTuple):
    """What is known of a record, or of many, without reading their bodies: all its timestamps lie from `oldest_ms` to
    `newest_ms`, all its series_refs below `places`.
    """

    oldest_ms: int = NO_TIME_MIN
    newest_ms: int = NO_TIME_MAX
    places: int = 0


def encode_record(body: bytes, span: Span, *, compressed: bool) -> bytes:
    """The bytes of a record."""
    payload, codec = body, RAW
    if compressed:
        packed = bytes(cramjam.snappy.compress_raw(body))
        if len(packed) < len(body):
            payload, codec = packed, SNAPPY
    checked = _CHECKED.pack(len(payload), codec, len(body), *span) + payload
    return RECORD_MAGIC + struct.pack("<I", zlib.crc32(checked)) + checked


@dataclass(slots=True)
class Salvage:
    """What reading segments found wrong with them; of the damaged places the first ones, (begin, end)."""

    torn_bytes: int = 0
    damaged_bytes: int = 0
    damaged_places: int = 0
    damaged_spans: list[tuple[int, int]] = field(default_factory=list)

    def add(self, other: "Salvage") -> None:
        """What was wrong with others as well."""
        self.torn_bytes += other.torn_bytes
        self.damaged_bytes += other.damaged_bytes
        self.damaged_places += other.damaged_places
        self.damaged_spans += other.damaged_spans[: DAMAGED_SPANS_MAX - len(self.damaged_spans)]


@dataclass(slots=True, eq=False)
class Survey:
    """Where a segment's whole records begin, what is known of them unread, and what is wrong with the rest.

    body_bytes  of all records, once decompressed
    """

    number: int
    span: Span
    begins: "array[int]"
    body_bytes: int
    salvage: Salvage


def _survey(data: memoryview, number: int) -> Survey:
    begins, salvage = array("q"), Salvage()
    oldest_ms, newest_ms, places, body_bytes = *Span(), 0
    at, end, header_size, unpack = SEGMENT_HEADER.size, len(data), RECORD_HEADER.size, RECORD_HEADER.unpack_from
    while at < end:
        if not _is_whole(data, at):
            following = _next_record(data, at + 1)
            if following < 0:
                salvage.torn_bytes += end - at
                break
            salvage.damaged_bytes += following - at
            salvage.damaged_places += 1
            if len(salvage.damaged_spans) < DAMAGED_SPANS_MAX:
                salvage.damaged_spans.append((at, following))
            at = following
            continue
        _, _, size, _, length, oldest, newest, own_places = unpack(data, at)
        begins.append(at)
        body_bytes += length
        oldest_ms, newest_ms, places = min(oldest_ms, oldest), max(newest_ms, newest), max(places, own_places)
        at += header_size + size
    return Survey(number, Span(oldest_ms, newest_ms, places), begins, body_bytes, salvage)


def _is_whole(data: memoryview, at: int) -> bool:
    if at + RECORD_HEADER.size > len(data):
        return False
    magic, checksum, size, codec, length, _, _, _ = RECORD_HEADER.unpack_from(data, at)
    end = at + RECORD_HEADER.size + size
    is_possible = magic == RECORD_MAGIC and end <= len(data) and length <= RECORD_BYTES_MAX
    return bool(is_possible and (codec == SNAPPY or length == size) and zlib.crc32(data[at + 8 : end]) == checksum)


def _body_of(data: memoryview, at: int) -> bytes:
    _, _, size, codec, length, _, _, _ = RECORD_HEADER.unpack_from(data, at)
    begin = at + RECORD_HEADER.size
    payload = data[begin : begin + size]
    if codec == RAW:
        return bytes(payload)
    body = bytearray(length)
    try:
        written = cramjam.snappy.decompress_raw_into(payload, body)
    except cramjam.DecompressionError as error:
        raise CorruptionError(f"the record at byte {at} cannot be decompressed: {error}") from None
    if written != length:
        raise CorruptionError(f"the record at byte {at} is {written} bytes long and says {length}")
    return bytes(body)


def _next_record(data: memoryview, at: int) -> int:
    whole = bytes(data[at:])
    place = whole.find(RECORD_MAGIC)
    while place >= 0:
        if _is_whole(data, at + place):
            return at + place
        place = whole.find(RECORD_MAGIC, place + 1)
    return -1


class Wal:
    """Appends records; opened behind all segments that are there."""

    def __init__(self, disk: Disk, folder: Folder, *, sync_always: bool, compressed: bool) -> None:
        self._disk = disk
        self._folder = folder
        self._sync_always = sync_always
        self._compressed = compressed
        self._file: AppendFile | None = None
        self._unsynced: list[bytes] = []
        self._unsynced_bytes = 0
        self._first_unsynced = 0
        self._room_bytes = 0
        self._rewrite = False
        self.number = 1

    def open(self, first: int) -> None:
        """Find the place behind all segments that are there, and not before `first`."""
        self.number = max([first - 1, *self.segments()]) + 1

    def sync_segments(self, numbers: Sequence[int]) -> None:
        """Sync what a killed process left with the operating system: what is found at start is acknowledged again."""
        for number in numbers:
            file = self._disk.open_append(self._folder.segment(number))
            try:
                file.sync()
            finally:
                file.close()

    def segments(self) -> list[int]:
        """Numbers of the segments on disk, ascending."""
        names = self._disk.list(self._folder.wal)
        return sorted(n for name in names if (n := number_of(name, SEGMENT_SUFFIX)) is not None)

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(self._disk.size(self._folder.segment(number)) or 0 for number in self.segments())

    def append(self, body: bytes, span: Span) -> None:
        """Add a record; raises a `DiskError`, and then the record is not there, or at most there unacknowledged."""
        record = encode_record(body, span, compressed=self._compressed)
        self._check_room(len(record))
        try:
            self._append_record(record)
        except DiskFull:
            raise
        except DiskError:
            self._append_record(record)  # the segment is of no more use: another one may be
        self._unsynced.append(record)
        self._unsynced_bytes += len(record)
        if self._sync_always or self._unsynced_bytes >= UNSYNCED_BYTES_MAX:
            try:
                self.sync()
            except DiskError:
                # Not acknowledged: it must not come back when the others are written again. Replay may still find it.
                if self._unsynced and self._unsynced[-1] is record:
                    self._unsynced.pop()
                    self._unsynced_bytes -= len(record)
                raise

    def _check_room(self, needed_bytes: int) -> None:
        """Raise `DiskFull` where only the reserve is left. A look holds for `UNLOOKED_BYTES_MAX` of one segment."""
        self._room_bytes -= needed_bytes
        if self._room_bytes >= 0:
            return
        left_bytes = self._disk.free_bytes(self._folder.wal) - RESERVED_BYTES - needed_bytes
        self._room_bytes = max(0, min(left_bytes, UNLOOKED_BYTES_MAX))
        if left_bytes < 0:
            reason = f"no space left but {RESERVED_BYTES >> 20} MiB, kept for what makes room; free some space"
            raise DiskFull("append to", self._folder.segment(self.number), reason)

    def sync(self) -> None:
        """Return when every record appended is on the disk."""
        if self._rewrite:
            self._write_again()
            return
        if self._file is None or not self._unsynced:
            return
        try:
            self._file.sync()
        except DiskError:
            self._rewrite = True
            self._write_again()
            return
        self._forget_unsynced()

    def sync_beside(self, lock: AbstractContextManager[Any]) -> None:
        """Sync what was appended by now, without the lock under which others append meanwhile."""
        with lock:
            if self._rewrite:
                self._write_again()
                return
            file, until = self._file, self._first_unsynced + len(self._unsynced)
        if file is None or until == self._first_unsynced:
            return
        failure: DiskError | None = None
        try:
            file.sync()
        except DiskError as error:
            failure = error
        with lock:
            if file is not self._file:
                return  # whoever left the segment has synced it, or will write its records again
            if failure is not None:
                self._rewrite = True
                self._write_again()
                return
            synced = self._unsynced[: max(0, until - self._first_unsynced)]
            del self._unsynced[: len(synced)]
            self._first_unsynced += len(synced)
            self._unsynced_bytes -= sum(map(len, synced))

    def rotate(self) -> int:
        """Begin a new segment, synced up to here; its number. What is appended from now on is in it or behind it."""
        if self._unsynced or self._rewrite:
            self.sync()
        self._leave_segment()
        return self.number

    def cut(self, first: int) -> int:
        """Remove the segments before `first`; returns how many."""
        old = [number for number in self.segments() if number < first]
        for number in old:
            self._disk.remove(self._folder.segment(number))
        return len(old)

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._leave_segment()

    def _append_record(self, content: bytes) -> None:
        if self._rewrite:
            self._write_again()
        if self._file is not None and self._file.size + len(content) > SEGMENT_BYTES_MAX:
            if self._unsynced:
                self.sync()
            self._leave_segment()
        file = self._file or self._open_segment()
        try:
            file.append(content)
        except DiskFull:
            raise
        except DiskError:
            self._rewrite = bool(self._unsynced)
            self._leave_segment()
            raise

    def _open_segment(self) -> AppendFile:
        file = self._disk.open_append(self._folder.segment(self.number))
        try:
            if file.size == 0:
                file.append(segment_header())
        except DiskError:
            file.close()
            raise
        self._file = file
        return file

    def _forget_unsynced(self) -> None:
        self._first_unsynced += len(self._unsynced)
        self._unsynced, self._unsynced_bytes = [], 0

    def _leave_segment(self) -> None:
        file, self._file = self._file, None
        self._room_bytes = 0
        if file is not None:
            self.number += 1
            try:
                file.close()
            except DiskError:
                self._rewrite = bool(self._unsynced)

    def _write_again(self) -> None:
        """The unsynced records, whole, in a new segment, synced."""
        self._leave_segment()
        file = self._open_segment()
        try:
            file.append(b"".join(self._unsynced))
            file.sync()
        except DiskError:
            self._leave_segment()
            self._rewrite = True
            raise
        self._forget_unsynced()
        self._rewrite = False


def survey_segment(disk: Disk, folder: Folder, number: int) -> Survey:
    """What is in a segment, every checksum compared; raises `NewerVersionError`, `OlderVersionError`."""
    path = folder.segment(number)
    mapped = disk.map(path)
    try:
        data = mapped.view
        if len(data) >= SEGMENT_HEADER.size:
            _, version, checksum = SEGMENT_HEADER.unpack_from(data)
            if checksum == zlib.crc32(data[: SEGMENT_HEADER.size - 4]):
                check_version(path, version, WAL_VERSION, oldest=WAL_VERSION)
        return _survey(data, number)
    finally:
        data = memoryview(b"")
        mapped.close()


def newest_by_record(disk: Disk, folder: Folder, survey: Survey) -> list[int]:
    """The newest timestamp of each of a segment's whole records, bodies unread."""
    mapped = disk.map(folder.segment(survey.number))
    try:
        data = mapped.view
        return [RECORD_HEADER.unpack_from(data, at)[6] for at in survey.begins]
    finally:
        data = memoryview(b"")
        mapped.close()


def read_surveyed(disk: Disk, folder: Folder, survey: Survey, begins: Sequence[int] | None = None) -> Iterator[bytes]:
    """The bodies of a segment's whole records, or of those of them that begin there; raises `CorruptionError`."""
    mapped = disk.map(folder.segment(survey.number))
    try:
        data = mapped.view
        for at in survey.begins if begins is None else begins:
            yield _body_of(data, at)
    finally:
        data = memoryview(b"")
        mapped.close()


def read_segment(disk: Disk, folder: Folder, number: int, salvage: Salvage) -> Iterator[bytes]:
    """The bodies of a segment's whole records; what is not one is accounted for in `salvage`."""
    survey = survey_segment(disk, folder, number)
    salvage.add(survey.salvage)
    yield from read_surveyed(disk, folder, survey)
