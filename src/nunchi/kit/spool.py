"""A durable, bounded queue of byte records, first in first out, for what must outlive the process that made it.

put: a record comes in. take: the oldest (or the newest) that waits is outstanding. accept: it arrived. reject: it is given up.
keep: it waits again in its old place.

Faults and what becomes of them:
* the process is killed at any byte: nothing that `put` returned from is lost, what was outstanding waits again;
* the machine crashes: what was put after the last `sync` may be missing or torn; checksums find what is torn, it is left out;
* the disk is full, or fails: records are held in memory, bounded, and move to the disk once it takes them; what the disk had,
  stays. A failed note that a record is settled brings the record back after a restart: at least once, never less;
* bytes rot: a record is dropped alone where only its content is wrong, else with what follows it in its segment.
Bounds: bytes on disk, bytes in memory, number and age of records. The oldest go, and `on_drop` hears reason and weight.
Age is measured by the monotonic clock while the process lives, so that a wall clock that jumps drops nothing.
Invariant: a record is waiting, outstanding or gone, and leaves only by accept, reject or a drop that was reported.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError
from nunchi.kit.logs import Logger
from nunchi.kit.spool_segment import OVERHEAD_BYTES, Damage, Place, Segment
from nunchi.kit.spool_segments import AtOnce, Background, SpoolSegments

FULL, OLD, DAMAGED = "spool_full", "too_old", "spool_damaged"

OnDrop = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """The most that may wait: bytes on disk, bytes in memory while the disk takes none, age, number."""

    bytes_max: int
    age_seconds_max: float
    memory_bytes_max: int = 4 << 20
    records_max: int = 100_000


@dataclass(frozen=True, slots=True)
class Record:
    """What was taken. `weight` is what the record counts for, in its owner's unit."""

    id: int
    content: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class SpoolStatistics:
    """What waits or is outstanding. `memory_bytes` of it would not outlive the process; `disk_error` says why.

    `oldest_seconds` is the age of the oldest record that waits.
    """

    records: int
    weight: int
    bytes: int
    disk_bytes: int
    memory_bytes: int
    oldest_seconds: float
    disk_error: str


@dataclass(slots=True, eq=False)
class _Kept:
    """One record: in a segment, or in memory, or (its segment was dropped while it was outstanding) nowhere."""

    weight: int
    put_at: float
    put_ms: int
    size: int
    segment: Segment | None = None
    place: Place | None = None
    content: bytes | None = None


class Spool:
    """Not for several threads. A folder that cannot be used is a spool in memory."""

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        disk: Disk,
        clock: Clock,
        log: Logger,
        on_drop: OnDrop,
        background: Background | None = None,
    ) -> None:
        """`background` is where a sync waits for the disk; without one its caller does."""
        self._folder = folder
        self.limits = limits
        self._clock = clock
        self._log = log
        self._on_drop = on_drop
        self._segments = SpoolSegments(folder, disk, clock, log, background or AtOnce())
        self._records: dict[int, _Kept] = {}
        self._waiting: list[int] = []
        self._in_memory: dict[int, None] = {}
        self._newest: tuple[int, bytes] = (-1, b"")
        self._next_record = 1
        self._is_losing = False  # said once, until all that waits has gone
        self._memory_bytes = 0
        self._bytes = 0
        self._weight = 0

    def open(self) -> None:
        """Find what an earlier process left. Raises DiskLocked where a live one uses the folder, and nothing else."""
        for segment, places, damage in self._segments.open():
            self._find_records(segment, places, damage)
        self._waiting.sort()
        self._drop_excess()

    def close(self) -> None:
        """Write what can be written and give everything back; what waits is found by the next `open`."""
        self._segments.hurry()
        self._move_to_disk()
        self._segments.close()

    # The verbs.

    def put(self, content: bytes, weight: int) -> int:
        """Queue a record and return its id; ids only grow."""
        record = self._next_record
        self._next_record += 1
        kept = _Kept(
            weight, self._clock.monotonic(), self._clock.now_ms(), OVERHEAD_BYTES + len(content), content=content
        )
        self._add(record, kept)
        self._in_memory[record] = None
        self._memory_bytes += kept.size
        self._move_to_disk()
        self._newest = (record, content)
        self._drop_excess()
        return record

    def take(self, *, newest: bool = False) -> Record | None:
        """The oldest record that waits, or the newest; it is outstanding from now on. None where nothing waits."""
        self._drop_excess()
        while self._waiting:
            record = self._waiting.pop() if newest else self._waiting.pop(0)
            kept = self._records[record]
            content = self._content(record, kept)
            if content is not None:
                return Record(record, content, kept.weight)
            self._drop(record, DAMAGED)
        return None

    def accept(self, record: int) -> None:
        """An outstanding record arrived."""
        self._settle(record)
        self._is_losing = self._is_losing and bool(self._records)

    def reject(self, record: int) -> None:
        """An outstanding record is given up; its owner counts it."""
        self._settle(record)

    def keep(self, record: int) -> None:
        """An outstanding record waits again, unless it was dropped meanwhile."""
        kept = self._records[record]
        if kept.segment is None and kept.content is None:
            self._drop(record, FULL)
            return
        insort(self._waiting, record)
        self._segments.sync_when_due()

    def sync(self) -> None:
        """Have what is on disk survive a crash of the machine; done by itself while records are kept."""
        self._segments.sync()

    def __len__(self) -> int:
        return len(self._records)

    def statistics(self) -> SpoolStatistics:
        """What it holds now."""
        oldest_at = self._records[self._waiting[0]].put_at if self._waiting else self._clock.monotonic()
        return SpoolStatistics(
            records=len(self._records),
            weight=self._weight,
            bytes=self._bytes,
            disk_bytes=self._segments.size,
            memory_bytes=self._memory_bytes,
            oldest_seconds=self._clock.monotonic() - oldest_at,
            disk_error=self._segments.error,
        )

    # Records.

    def _add(self, record: int, kept: _Kept) -> None:
        self._records[record] = kept
        self._waiting.append(record)
        self._bytes += kept.size
        self._weight += kept.weight

    def _content(self, record: int, kept: _Kept) -> bytes | None:
        if kept.content is not None:
            return kept.content
        if self._newest[0] == record:
            return self._newest[1]
        assert kept.segment is not None
        assert kept.place is not None
        try:
            return kept.segment.read(kept.place)
        except DiskError as error:
            self._log.error("a spooled record cannot be read", error=error)
            return None

    def _forget(self, record: int) -> _Kept:
        kept = self._records.pop(record)
        self._bytes -= kept.size
        self._weight -= kept.weight
        if record in self._in_memory:
            del self._in_memory[record]
            self._memory_bytes -= kept.size
        return kept

    def _settle(self, record: int) -> None:
        kept = self._forget(record)
        if kept.segment is not None:
            self._segments.settle(kept.segment, record)

    def _drop(self, record: int, reason: str) -> None:
        """Drop a record that is not waiting any more."""
        weight = self._records[record].weight
        self._settle(record)
        self._lose(reason, weight)

    def _lose(self, reason: str, weight: int) -> None:
        if not self._is_losing:
            self._log.warning("the spool is at its bounds: the oldest is dropped", reason=reason, folder=self._folder)
        self._is_losing = bool(self._records)
        self._on_drop(reason, weight)

    def _drop_excess(self) -> None:
        """Enforce the bounds, oldest first."""
        limits = self.limits
        while len(self._segments) > 1 and self._segments.size > limits.bytes_max:
            self._drop_segment(self._segments.oldest)
        while self._memory_bytes > limits.memory_bytes_max and (waiting := self._oldest_in_memory()) is not None:
            self._waiting.remove(waiting)
            self._drop(waiting, FULL)
        oldest_allowed = self._clock.monotonic() - limits.age_seconds_max
        while self._waiting:
            if self._bytes > limits.bytes_max or len(self._records) > limits.records_max:
                reason = FULL
            elif self._records[self._waiting[0]].put_at < oldest_allowed:
                reason = OLD
            else:
                break
            self._drop(self._waiting.pop(0), reason)

    def _oldest_in_memory(self) -> int | None:
        waiting = set(self._waiting)
        return next((record for record in self._in_memory if record in waiting), None)

    def _drop_segment(self, segment: Segment) -> None:
        """Drop all that waits in a segment; what is outstanding lives as long as its taker."""
        for record in [one for one in self._waiting if self._records[one].segment is segment]:
            self._waiting.remove(record)
            self._lose(FULL, self._forget(record).weight)
        for kept in self._records.values():
            if kept.segment is segment:
                kept.segment = kept.place = None
        self._segments.remove(segment)

    # The disk.

    def _find_records(self, segment: Segment, places: list[Place], damage: Damage) -> None:
        self._next_record = max(self._next_record, segment.newest_record + 1)
        if damage.records:
            self._on_drop(DAMAGED, damage.weight)
        if damage.records or damage.bytes:
            self._log.warning(
                "a part of the spool is damaged and left out",
                path=segment.path, records=damage.records, bytes=damage.bytes,
            )  # fmt: skip
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        for place in places:
            put_at = now - max(0, now_ms - place.put_ms) / 1000
            kept = _Kept(place.weight, put_at, place.put_ms, OVERHEAD_BYTES + place.length, segment, place)
            self._add(place.record, kept)

    def _move_to_disk(self) -> None:
        """Write what is in memory, as far as the disk takes it."""
        if not self._in_memory or not self._segments.is_due():
            return
        for record, segment, place in self._segments.write(self._unwritten(), self.limits.bytes_max):
            kept = self._records[record]
            kept.segment, kept.place, kept.content = segment, place, None
            del self._in_memory[record]
            self._memory_bytes -= kept.size

    def _unwritten(self) -> Iterator[tuple[int, int, int, bytes]]:
        for record in list(self._in_memory):
            kept = self._records[record]
            assert kept.content is not None
            yield record, kept.put_ms, kept.weight, kept.content
