"""The spool against an obvious queue, on a disk that fills up, fails and crashes; and on the real one."""

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.kit.faulty_disk import FaultyDisk

from nunchi.kit.disk import Disk, DiskLocked
from nunchi.kit.logs import logger
from nunchi.kit.spool import DAMAGED, FULL, OLD, Spool, SpoolLimits
from nunchi.kit.spool_segment import MAGIC, OVERHEAD_BYTES
from nunchi.kit.spool_segments import AtOnce, Background, Ended
from nunchi.kit.system_disk import SystemDisk
from nunchi.testing.clock import VirtualClock

FOLDER = Path("/spool")
WIDE = SpoolLimits(1 << 20, 3600)


class Bench:
    """A spool, what it dropped, and how to end its process."""

    def __init__(
        self, disk: Disk, limits: SpoolLimits = WIDE, folder: Path = FOLDER, background: Background | None = None
    ) -> None:
        self.disk, self.limits, self.folder, self.background = disk, limits, folder, background
        self.clock = VirtualClock()
        self.dropped: Counter[str] = Counter()
        self.spool = self.opened()

    def opened(self) -> Spool:
        spool = Spool(self.folder, self.limits, self.disk, self.clock, logger("test"), self.count, self.background)
        spool.open()
        return spool

    def count(self, reason: str, weight: int) -> None:
        self.dropped[reason] += weight

    def killed(self) -> "Bench":
        assert isinstance(self.disk, FaultyDisk)
        self.disk.kill()
        self.spool = self.opened()
        return self

    def contents(self) -> list[bytes]:
        """All that waits, oldest first, left as it was."""
        taken = []
        while (record := self.spool.take()) is not None:
            taken.append(record)
        for record in taken:
            self.spool.keep(record.id)
        return [record.content for record in taken]


def test_records_come_out_in_the_order_in_which_they_went_in() -> None:
    bench = Bench(FaultyDisk())
    for number in range(5):
        bench.spool.put(b"%d" % number, 1)
    newest = bench.spool.take(newest=True)
    assert newest is not None
    assert newest.content == b"4"
    bench.spool.accept(newest.id)
    assert bench.contents() == [b"0", b"1", b"2", b"3"]
    assert bench.spool.statistics().weight == 4


def test_a_record_that_is_kept_waits_in_its_old_place() -> None:
    bench = Bench(FaultyDisk())
    for number in range(3):
        bench.spool.put(b"%d" % number, 1)
    first = bench.spool.take()
    second = bench.spool.take()
    assert first is not None
    assert second is not None
    bench.spool.keep(second.id)
    bench.spool.keep(first.id)
    assert bench.contents() == [b"0", b"1", b"2"]


def test_everything_put_is_there_after_the_process_was_killed_also_what_was_outstanding() -> None:
    bench = Bench(FaultyDisk())
    ids = [bench.spool.put(b"%d" % number, number) for number in range(4)]
    taken = bench.spool.take()
    accepted = bench.spool.take()
    assert taken is not None
    assert accepted is not None
    bench.spool.accept(accepted.id)
    bench.killed()
    assert bench.contents() == [b"0", b"2", b"3"]
    assert bench.spool.statistics().weight == 5
    assert bench.spool.put(b"new", 1) > max(ids)


def test_a_spool_that_is_empty_again_keeps_no_bytes() -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    for number in range(50):
        bench.spool.put(bytes(1000), 1)
        record = bench.spool.take()
        assert record is not None
        bench.spool.accept(record.id)
        assert sum(map(len, disk.files.values())) < 100, number
    bench.spool.close()
    assert disk.files == {}


def test_two_processes_cannot_use_one_folder() -> None:
    bench = Bench(FaultyDisk())
    with pytest.raises(DiskLocked):
        bench.opened()


def test_a_full_spool_drops_the_oldest_and_stays_within_its_bytes(log_text: io.StringIO) -> None:
    disk = FaultyDisk()
    bench = Bench(disk, SpoolLimits(100_000, 3600))
    for number in range(300):
        bench.spool.put(number.to_bytes(1000, "big"), 1)
        assert sum(map(len, disk.files.values())) <= 100_000 + 1000 + OVERHEAD_BYTES
    left = [int.from_bytes(content, "big") for content in bench.contents()]
    assert left == list(range(300 - len(left), 300))
    assert len(left) > 75
    assert bench.dropped == {FULL: 300 - len(left)}
    assert log_text.getvalue().count("the oldest is dropped") == 1


async def test_old_records_are_dropped_and_a_wall_clock_that_jumps_drops_none() -> None:
    bench = Bench(FaultyDisk(), SpoolLimits(1 << 20, 60))
    bench.spool.put(b"old", 3)
    await bench.clock.advance(50)
    bench.spool.put(b"young", 2)
    bench.clock.jump(1e9)
    assert bench.contents() == [b"old", b"young"]
    bench.clock.jump(-1e9)
    await bench.clock.advance(20)
    assert bench.contents() == [b"young"]
    assert bench.dropped == {OLD: 3}
    bench.killed()
    await bench.clock.advance(50)
    assert bench.contents() == []
    assert bench.dropped == {OLD: 5}


def test_no_more_records_than_allowed() -> None:
    bench = Bench(FaultyDisk(), SpoolLimits(1 << 20, 3600, records_max=10))
    for number in range(15):
        bench.spool.put(b"%d" % number, 1)
    assert len(bench.spool) == 10
    assert bench.dropped == {FULL: 5}


async def test_a_full_disk_is_waited_out_in_memory_and_loses_nothing() -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    bench.spool.put(b"on disk", 1)
    disk.room = 0
    for number in range(3):
        bench.spool.put(b"%d" % number, 1)
    assert bench.contents() == [b"on disk", b"0", b"1", b"2"]
    statistics = bench.spool.statistics()
    assert statistics.memory_bytes == 3 * (OVERHEAD_BYTES + 1)
    assert "no space left" in statistics.disk_error
    disk.room = 1 << 20
    await bench.clock.advance(6)
    bench.spool.put(b"3", 1)
    assert bench.spool.statistics().memory_bytes == 0
    assert bench.spool.statistics().disk_error == ""
    assert bench.killed().contents() == [b"on disk", b"0", b"1", b"2", b"3"]


def test_memory_is_bounded_while_the_disk_takes_nothing() -> None:
    disk = FaultyDisk()
    bench = Bench(disk, SpoolLimits(1 << 20, 3600, memory_bytes_max=10_000))
    bench.spool.put(b"on disk", 1)
    disk.failing = {"append", "open"}
    for _ in range(50):
        bench.spool.put(bytes(1000), 1)
    assert bench.spool.statistics().memory_bytes <= 10_000
    assert bench.contents()[0] == b"on disk"
    assert bench.dropped == {FULL: 50 - 9}


def test_a_folder_that_cannot_be_made_is_a_spool_in_memory() -> None:
    disk = FaultyDisk()
    disk.failing = {"make"}
    bench = Bench(disk)
    bench.spool.put(b"x", 1)
    assert bench.contents() == [b"x"]
    assert disk.files == {}


def test_a_torn_end_is_left_out_and_what_came_before_is_there() -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    for number in range(3):
        bench.spool.put(bytes([number]) * 100, 1)
    [path] = disk.files
    whole = bytes(disk.files[path])
    for length in range(len(whole)):
        disk.files = {path: bytearray(whole[:length])}
        disk.kill()
        contents = Bench(disk).contents()
        assert contents == [bytes([number]) * 100 for number in range(len(contents))]
        assert len(contents) == max(0, (length - len(MAGIC)) // (100 + OVERHEAD_BYTES))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_rotten_byte_costs_records_but_invents_none(position: int, change: int) -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    for number in range(5):
        bench.spool.put(bytes([number]) * 100, 1)
    [path] = disk.files
    content = disk.files[path]
    content[position % len(content)] ^= change
    disk.kill()
    again = Bench(disk)
    contents = again.contents()
    assert set(contents) < {bytes([number]) * 100 for number in range(5)}
    offset = (position % len(content) - len(MAGIC)) % (100 + OVERHEAD_BYTES)
    if position % len(content) > len(MAGIC) and offset >= OVERHEAD_BYTES:  # in the content of one
        assert len(contents) == 4
        assert again.dropped == {DAMAGED: 1}


def test_a_record_that_rots_while_it_waits_is_dropped_when_it_is_taken() -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    bench.spool.put(b"a" * 100, 7)
    bench.spool.put(b"b" * 100, 1)
    [path] = disk.files
    disk.files[path][100] ^= 1
    assert bench.contents() == [b"b" * 100]
    assert bench.dropped == {DAMAGED: 7}


def test_a_settled_list_that_cannot_be_written_brings_a_record_back_and_never_loses_one() -> None:
    disk = FaultyDisk()
    bench = Bench(disk)
    bench.spool.put(b"0", 1)
    bench.spool.put(b"1", 1)
    record = bench.spool.take()
    assert record is not None
    disk.failing = {"append", "open"}
    bench.spool.accept(record.id)
    assert bench.contents() == [b"1"]
    disk.failing = set()
    assert bench.killed().contents() == [b"0", b"1"]


class Held:
    """A `Background` whose calls are made when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], None], Ended]] = []

    def run(self, call: Callable[[], None], ended: Ended) -> None:
        self.calls.append((call, ended))

    def release(self) -> None:
        calls, self.calls = self.calls, []
        for call, ended in calls:
            AtOnce().run(call, ended)


async def test_nobody_waits_for_a_sync_and_only_one_is_under_way() -> None:
    disk, held = FaultyDisk(), Held()
    bench = Bench(disk, background=held)
    for number in range(20):
        bench.spool.put(b"%d" % number, 1)
        taken = bench.spool.take(newest=True)
        assert taken is not None
        bench.spool.keep(taken.id)
        await bench.clock.advance(1)
    assert len(held.calls) == 1
    (path,) = (path for path in disk.files if path.suffix == ".records")
    assert disk.synced.get(path, 0) == 0
    held.release()
    assert 0 < disk.synced[path] < len(disk.files[path])
    await bench.clock.advance(5)
    bench.spool.keep(taken_of(bench.spool))
    held.release()
    assert disk.synced[path] == len(disk.files[path])


async def test_a_sync_that_fails_afterwards_is_noted_and_costs_nothing_that_was_put() -> None:
    disk, held = FaultyDisk(), Held()
    bench = Bench(disk, background=held)
    bench.spool.put(b"one", 1)
    bench.spool.sync()
    disk.failing = {"sync"}
    held.release()
    assert "fails on purpose" in bench.spool.statistics().disk_error
    disk.failing = set()
    await bench.clock.advance(5)
    bench.spool.put(b"two", 1)
    assert bench.spool.statistics().disk_error == ""
    assert bench.contents() == [b"one", b"two"]
    assert bench.killed().contents() == [b"one", b"two"]


def test_a_segment_may_be_full_or_gone_before_its_sync_has_ended(tmp_path: Path) -> None:
    held = Held()
    limits = SpoolLimits(64 << 10, 3600)
    bench = Bench(SystemDisk(), limits, tmp_path / "spool", held)
    for _ in range(30):
        bench.spool.put(bytes(8 << 10), 1)
        bench.spool.sync()
    assert 1 < len(held.calls) <= 4
    assert bench.dropped[FULL] > 0
    held.release()
    assert bench.spool.statistics().disk_error == ""
    bench.spool.close()


def taken_of(spool: Spool) -> int:
    record = spool.take()
    assert record is not None
    return record.id


def test_the_real_disk_keeps_records_over_processes(tmp_path: Path) -> None:
    bench = Bench(SystemDisk(), folder=tmp_path / "spool")
    for number in range(3):
        bench.spool.put(b"%d" % number, 1)
    record = bench.spool.take()
    assert record is not None
    bench.spool.accept(record.id)
    bench.spool.close()
    bench.spool = bench.opened()
    assert bench.contents() == [b"1", b"2"]
    bench.spool.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "put",
                "put",
                "take",
                "newest",
                "accept",
                "reject",
                "keep",
                "kill",
                "crash",
                "full",
                "room",
                "fail",
                "mend",
                "wait",
            ]
        ),
        st.integers(0, (1 << 16) - 1),
    ),
    max_size=80,
)


BROUGHT_BACK = [("put", 0), ("put", 0), ("take", 0), ("take", 0), ("keep", 0), ("accept", 0), ("kill", 0)]


@example([*BROUGHT_BACK, ("put", 1), ("crash", 1)])  # a settled record comes back beside a younger one
@example([*BROUGHT_BACK, ("put", 0), ("put", 0), ("crash", 256)])
@settings(max_examples=300, deadline=None)
@given(steps)
async def test_the_spool_does_what_a_queue_does_whatever_the_disk_does(steps: list[tuple[str, int]]) -> None:
    """`certain`: must be there. `possible`: may come back, because the disk would not note that it is settled."""
    disk = FaultyDisk()
    bench = Bench(disk, SpoolLimits(200_000, 1e9))
    certain: dict[int, bytes] = {}
    possible: dict[int, bytes] = {}
    outstanding: list[int] = []
    has_failed = False
    for step, number in steps:
        match step:
            case "put":
                content = number.to_bytes(2, "big") * (number % 700)
                record_id = bench.spool.put(content, 1)
                certain[record_id] = content
                possible.pop(record_id, None)  # an id that a crash took away is given again
            case "take" | "newest":
                waiting = sorted(set(certain) - set(outstanding))
                record = bench.spool.take(newest=step == "newest")
                assert (record is None) == (not waiting)
                if record is not None:
                    assert record.id == waiting[-1 if step == "newest" else 0]
                    assert record.content == certain[record.id]
                    outstanding.append(record.id)
            case "accept" | "reject" | "keep" if outstanding:
                record_id = outstanding.pop(number % len(outstanding))
                if step == "keep":
                    bench.spool.keep(record_id)
                else:
                    getattr(bench.spool, step)(record_id)
                    possible[record_id] = certain.pop(record_id)
            case "kill" | "crash":
                in_memory = set(bench.spool._in_memory)
                disk.failing = set()
                if step == "kill":
                    disk.kill()
                else:
                    disk.crash(Random(number))
                bench.spool = bench.opened()
                found = {record: bench.spool._content(record, kept) for record, kept in bench.spool._records.items()}
                allowed = certain | possible
                assert all(allowed[record] == content for record, content in found.items())
                if step == "kill":
                    assert set(certain) - in_memory <= set(found)
                    assert has_failed or set(found) <= set(certain)
                certain, possible, outstanding = dict(found), possible | certain, []  # type: ignore[arg-type]
                bench.dropped.clear()
                has_failed |= step == "crash"
            case "full":
                disk.room, has_failed = number % 500, True
            case "room":
                disk.room = 1 << 30
            case "fail":
                disk.failing, has_failed = {["append", "open", "sync", "truncate", "remove"][number % 5]}, True
            case "mend":
                disk.failing = set()
            case "wait":
                await bench.clock.advance(number % 20)
            case _:
                pass
        assert bench.spool.statistics().records == len(certain)
        assert not bench.dropped
    while (record := bench.spool.take()) is not None:
        bench.spool.accept(record.id)
    statistics = bench.spool.statistics()
    assert (statistics.weight, statistics.records) == (len(outstanding), len(outstanding))
