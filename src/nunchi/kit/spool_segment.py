"""One file of a spool's records, and beside it the list of those that are settled. What a spool is, says `spool`.

`<number>.records`: the magic, then records: head, checksum of the head, content. `<number>.settled`: record ids with a
checksum each. Invariant: a record is believed only if both its checksums hold; a settled id that does not check is passed over,
so that damage can bring a record back but never make one vanish.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nunchi.kit.disk import AppendFile, Disk, DiskMissing

RECORDS_SUFFIX, SETTLED_SUFFIX = ".records", ".settled"
MAGIC = b"nunchi spool 1\n\n"
HEAD = struct.Struct("<QqIII")  # id, when it was put (ms since the epoch), weight, length and checksum of the content
CHECKSUM = struct.Struct("<I")  # of the head
SETTLED = struct.Struct("<QI")  # id, its checksum
OVERHEAD_BYTES = HEAD.size + CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Place:
    """Where the content of a record begins in its segment, and what its head says."""

    record: int
    put_ms: int
    weight: int
    offset: int
    length: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What could not be believed: records whose content is wrong, their weight, and bytes that are no records."""

    records: int = 0
    weight: int = 0
    bytes: int = 0


class Segment:
    """A pair of files. `live` counts the records that are not settled; the spool keeps it. Ids are known from `scan` on."""

    def __init__(self, folder: Path, number: int, disk: Disk) -> None:
        self.number = number
        self.path = folder / f"{number:016x}{RECORDS_SUFFIX}"
        self.live = 0
        self.size = 0
        self.newest_record = 0
        self._settled_path = folder / f"{number:016x}{SETTLED_SUFFIX}"
        self._disk = disk
        self._records: AppendFile | None = None
        self._settled: AppendFile | None = None

    # Writing.

    def begin(self) -> None:
        """Make the file, to be written. Raises DiskError."""
        self._records = self._disk.open_append(self.path)
        self._records.append(MAGIC)
        self.size = self._records.size

    def append(self, record: int, put_ms: int, weight: int, content: bytes) -> Place:
        """Write a record. Raises DiskError, and then nothing of it is there or the file refuses more."""
        assert self._records is not None
        checksum = zlib.crc32(content)
        head = HEAD.pack(record, put_ms, weight, len(content), checksum)
        offset = self._records.append(head + CHECKSUM.pack(zlib.crc32(head)) + content) + OVERHEAD_BYTES
        self.size = self._records.size
        return Place(record, put_ms, weight, offset, len(content), checksum)

    def settle(self, record: int) -> None:
        """Note that a record is not to be found again. Raises DiskError."""
        if self._settled is None:
            self._settled = self._disk.open_append(self._settled_path)
        self._settled.append(SETTLED.pack(record, zlib.crc32(record.to_bytes(8, "little"))))

    def clear(self) -> None:
        """Forget all records, which are settled, and go on writing at the beginning. Raises DiskError."""
        assert self._records is not None
        assert self.live == 0
        self._records.truncate(len(MAGIC))
        self.size = self._records.size
        if self._settled is not None:
            self._settled.truncate(0)

    def sync(self) -> None:
        """What was written survives a crash of the machine. Raises DiskError."""
        if self._records is not None:
            self._records.sync()

    def begin_sync(self) -> Callable[[], None]:
        """`sync` of what was written so far, as a call for another thread. Raises DiskError, and so may the call."""
        assert self._records is not None
        return self._records.begin_sync()

    def close(self) -> None:
        """Give the files back. Raises DiskError."""
        records, settled = self._records, self._settled
        self._records = self._settled = None
        for file in (records, settled):
            if file is not None:
                file.close()

    def remove(self) -> None:
        """Remove both files, the records first: a settled list alone means nothing. Raises DiskError."""
        try:
            self.close()
        finally:
            for path in (self.path, self._settled_path):
                if self._disk.size(path) is not None:
                    self._disk.remove(path)
            self.size = 0

    # Reading.

    def read(self, place: Place) -> bytes | None:
        """The content of a record, None where it is damaged. Raises DiskError."""
        content = self._disk.read(self.path, place.offset, place.length)
        return content if len(content) == place.length and zlib.crc32(content) == place.checksum else None

    def scan(self) -> tuple[list[Place], Damage]:
        """Every record that is whole and not settled, in the order in which they were put. Raises DiskError.

        `newest_record` is then the newest id that was ever given, settled or not: a crash may bring a settled record back.
        """
        data = self._disk.read(self.path)
        self.size = len(data)
        if data[: len(MAGIC)] != MAGIC:
            return [], Damage(bytes=len(data))
        settled = self._read_settled()
        self.newest_record = max(settled, default=0)
        places, damaged, damaged_weight = [], 0, 0
        at = len(MAGIC)
        while (place := _place_at(data, at)) is not None:
            at = place.offset + place.length
            self.newest_record = max(self.newest_record, place.record)
            if place.record in settled:
                continue
            if zlib.crc32(data[place.offset : at]) == place.checksum:
                places.append(place)
            else:
                damaged, damaged_weight = damaged + 1, damaged_weight + place.weight
        return places, Damage(damaged, damaged_weight, len(data) - at)

    def _read_settled(self) -> set[int]:
        try:
            data = self._disk.read(self._settled_path)
        except DiskMissing:
            return set()
        whole = len(data) - len(data) % SETTLED.size
        return {
            record
            for record, checksum in SETTLED.iter_unpack(data[:whole])
            if zlib.crc32(record.to_bytes(8, "little")) == checksum
        }


def _place_at(data: bytes, at: int) -> Place | None:
    """The record that begins at `at`; None where there is none, or only the beginning of one."""
    begin = at + OVERHEAD_BYTES
    if begin > len(data):
        return None
    head = data[at : at + HEAD.size]
    if CHECKSUM.unpack_from(data, at + HEAD.size)[0] != zlib.crc32(head):
        return None
    record, put_ms, weight, length, checksum = HEAD.unpack(head)
    return Place(record, put_ms, weight, begin, length, checksum) if begin + length <= len(data) else None


def find_segments(folder: Path, disk: Disk) -> list[Segment]:
    """The segments in a folder, oldest first; settled lists without one are removed. Raises DiskError."""
    names = disk.list(folder)
    for name in names:
        if name.endswith(SETTLED_SUFFIX) and name.removesuffix(SETTLED_SUFFIX) + RECORDS_SUFFIX not in names:
            disk.remove(folder / name)
    numbers = sorted(
        int(name.removesuffix(RECORDS_SUFFIX), 16)
        for name in names
        if name.endswith(RECORDS_SUFFIX) and _is_hexadecimal(name.removesuffix(RECORDS_SUFFIX))
    )
    return [Segment(folder, number, disk) for number in numbers]


def _is_hexadecimal(text: str) -> bool:
    return len(text) == 16 and all(digit in "0123456789abcdef" for digit in text)
