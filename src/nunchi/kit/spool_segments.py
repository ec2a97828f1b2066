"""The segments of a spool as one: which of them is written, what of it would survive a crash, what the disk did not do.

A sync waits for the disk, on a busy one for seconds: it is handed to `Background`, and what is written meanwhile waits for the
next. Invariant: a failure of the disk is noted here and comes out as a result, never as an error, but for a folder in use.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError, DiskLock, DiskLocked
from nunchi.kit.logs import Logger
from nunchi.kit.spool_segment import Damage, Place, Segment, find_segments

SEGMENTS_A_SPOOL = 16
SEGMENT_BYTES_MIN = 16 << 10
DISK_RETRY_SECONDS = 5.0
SYNC_SECONDS = 5.0
SYNCS_MAX = 4

Ended = Callable[[BaseException | None], None]


class Background(Protocol):
    """Where calls are made that wait long for the disk."""

    def run(self, call: Callable[[], None], ended: Ended) -> None:
        """Make a call; `ended` hears, where this was called, what it raised."""
        ...


class AtOnce:
    """A `Background` for who can wait."""

    def run(self, call: Callable[[], None], ended: Ended) -> None:
        """See `Background.run`."""
        error: Exception | None = None
        try:
            call()
        except DiskError as caught:
            error = caught
        ended(error)


class SpoolSegments:
    """Not for several threads. Segments are in the order in which they were begun; the last is written."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock, log: Logger, background: Background) -> None:
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._log = log
        self._background = background
        self._lock: DiskLock | None = None
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._unsettled: list[tuple[Segment, int]] = []
        self._next_number = 1
        self._due_at = 0.0
        self._is_synced = True
        self._syncs = 0
        self._sync_due_at = 0.0
        self.error = ""

    def open(self) -> list[tuple[Segment, list[Place], Damage]]:
        """What an earlier process left, oldest first. Raises DiskLocked where a live one uses the folder."""
        found = []
        try:
            self._take_folder()
            for segment in find_segments(self._folder, self._disk):
                self._next_number = max(self._next_number, segment.number + 1)
                places, damage = segment.scan()
                segment.live = len(places)
                self._segments.append(segment)
                found.append((segment, places, damage))
                if not places:
                    self.remove(segment)
        except DiskLocked:
            raise
        except DiskError as error:
            self._note(error)
        return found

    def close(self) -> None:
        """Sync what is written and give everything back."""
        self._settle_again()
        try:
            for segment in self._segments:
                segment.sync()
                segment.close()
                if segment.live == 0:
                    segment.remove()
        except DiskError as error:
            self._note(error)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def size(self) -> int:
        """Bytes of all files of records."""
        return sum(segment.size for segment in self._segments)

    @property
    def oldest(self) -> Segment:
        """The segment that was begun first."""
        return self._segments[0]

    # Writing.

    def is_due(self) -> bool:
        """Whether the disk may be asked: after a failure it is left alone for a while."""
        return self._clock.monotonic() >= self._due_at

    def hurry(self) -> None:
        """Ask the disk again now, whatever it said."""
        self._due_at = 0.0

    def write(
        self, records: Iterator[tuple[int, int, int, bytes]], bytes_max: int
    ) -> Iterator[tuple[int, Segment, Place]]:
        """Write records (id, put when, weight, content), and say of each where it is, as far as the disk takes them."""
        try:
            for record, put_ms, weight, content in records:
                segment = self._writable(max(SEGMENT_BYTES_MIN, bytes_max // SEGMENTS_A_SPOOL))
                place = segment.append(record, put_ms, weight, content)
                segment.live += 1
                self._is_synced = False
                yield record, segment, place
        except DiskError as error:
            self._note(error)
            self._leave_current()
            return
        if self.error:
            self.error = ""
            self._log.info("the spool is on disk again", folder=self._folder)
            self._settle_again()

    def settle(self, segment: Segment, record: int) -> None:
        """A record of a segment is not to be found again; what the disk does not note now is tried again."""
        segment.live -= 1
        try:
            if segment.live:
                segment.settle(record)
            elif segment is self._current:
                segment.clear()
            else:
                self._remove(segment)
        except DiskError as error:
            self._note(error)
            self._unsettled.append((segment, record))

    def remove(self, segment: Segment) -> None:
        """Nothing of a segment is wanted any more."""
        segment.live = 0
        try:
            self._remove(segment)
        except DiskError as error:
            self._note(error)

    # What survives a crash of the machine.

    def sync_when_due(self) -> None:
        """Sync what is written every few seconds, unless that is under way."""
        if self._clock.monotonic() >= self._sync_due_at and not self._syncs:
            self.sync()

    def sync(self) -> None:
        """Have all that is written now synced."""
        self._sync_due_at = self._clock.monotonic() + SYNC_SECONDS
        segment = self._current
        if segment is None or self._is_synced or self._syncs >= SYNCS_MAX:
            return
        try:
            call = segment.begin_sync()
        except DiskError as error:
            self._note(error)
            return
        self._syncs += 1
        self._is_synced = True
        self._background.run(call, lambda error: self._end_sync(segment, error))

    def _end_sync(self, segment: Segment, error: BaseException | None) -> None:
        self._syncs -= 1
        if error is None:
            return
        if segment is self._current:
            self._is_synced = False
        self._note(error)

    # Segments.

    def _take_folder(self) -> None:
        self._disk.make_folder(self._folder)
        self._lock = self._disk.lock(self._folder / "lock")

    def _writable(self, segment_bytes: int) -> Segment:
        current = self._current
        if current is not None and current.size < segment_bytes:
            return current
        if self._lock is None:
            self._take_folder()
        if current is not None:
            self.sync()
            self._leave_current()
        segment = Segment(self._folder, self._next_number, self._disk)
        self._next_number += 1
        segment.begin()
        self._segments.append(segment)
        self._current = segment
        return segment

    def _leave_current(self) -> None:
        segment, self._current = self._current, None
        if segment is None:
            return
        try:
            segment.close()
            if segment.live == 0:
                self._remove(segment)
        except DiskError as error:
            self._note(error)

    def _remove(self, segment: Segment) -> None:
        if segment in self._segments:
            self._segments.remove(segment)
        if segment is self._current:
            self._current = None
        segment.remove()

    def _settle_again(self) -> None:
        unsettled, self._unsettled = self._unsettled, []
        for segment, record in unsettled:
            if segment not in self._segments:
                continue
            try:
                segment.settle(record)
            except DiskError as error:
                self._note(error)
                self._unsettled.append((segment, record))

    def _note(self, error: BaseException) -> None:
        self._due_at = self._clock.monotonic() + DISK_RETRY_SECONDS
        if not self.error:
            self._log.error("the spool cannot be written: what comes is held in memory", error=error)
        self.error = str(error)
