"""A damaged file: what is lost is named and counted, everything else is readable, and nothing is read wrong."""

import contextlib
from pathlib import Path
from random import Random

import pytest

from nunchi.kit.disk import DiskError, DiskFull, DiskLocked
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Reason
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import LOAD_A, UP, append, is_equal, select
from nunchi.testing.disk import UNBOUNDED, Crash, FaultyDisk
from nunchi.tsdb import files
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.errors import DatabaseError, NewerVersionError
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.tsdb.wal import RESERVED_BYTES

FOLDER = Path("/data")
SERIES = [Labels.of("m", n=str(n)) for n in range(20)]


class Machine:
    def __init__(self, seed: int = 0, settings: DatabaseSettings | None = None) -> None:
        self.settings = settings
        self.disk = FaultyDisk(Random(seed))
        self.clock = VirtualClock()
        self.open()

    def open(self) -> None:
        self.counts = DatabaseTelemetry(Telemetry())
        self.database = Database(FOLDER, self.disk, self.clock, self.counts, logger("tsdb"), self.settings)
        self.database.open()

    def restart(self) -> None:
        self.disk.restart(power_lost=False)
        self.open()

    def fill(self) -> dict[Labels, list[tuple[int, float]]]:
        """Samples in a block, in a run and in the log."""
        now = self.clock.now_ms()
        written: dict[Labels, list[tuple[int, float]]] = {series: [] for series in SERIES}
        for begin in (now - 3 * BLOCK_MS, now - 60_000, now - 30_000):
            for step in range(3):
                row = {series: [(begin + step * 1000, float(n * step))] for n, series in enumerate(SERIES)}
                append(self.database, row)
                for series, samples in row.items():
                    written[series] += samples
            if begin < now - 30_000:
                self.database.seal()
                compact_head(self.database._state, (now - BLOCK_MS) // BLOCK_MS * BLOCK_MS)
        return written


def paths(machine: Machine) -> list[Path]:
    return sorted(path for path, stored in machine.disk.files.items() if stored.content)


@pytest.mark.parametrize("seed", range(150))
def test_a_flipped_bit_is_noticed_and_harms_nothing_else(seed: int) -> None:
    machine = Machine(seed)
    written = machine.fill()
    machine.disk.restart(power_lost=False)
    machine.disk.flip_bit(machine.disk.random.choice(paths(machine)))
    try:
        machine.open()
        found = select(machine.database)
    except DatabaseError:
        return
    if found != written:
        assert machine.counts.corruptions.total() + machine.counts.lost_bytes.total() > 0
    for series, samples in found.items():
        assert set(samples) <= set(written[series])


def test_what_is_damaged_is_kept_aside() -> None:
    machine = Machine()
    machine.fill()
    machine.disk.restart(power_lost=False)
    (run,) = [path for path in paths(machine) if path.suffix == ".run"]
    content = machine.disk.files[run].content
    content[-20] ^= 1
    machine.open()
    assert machine.counts.corruptions.value("run") == 1
    assert machine.disk.files[FOLDER / "damaged" / f"head-{run.name}"].content == content
    machine.restart()
    assert machine.counts.corruptions.value("run") == 1


def test_a_full_disk_refuses_writes_keeps_reading_and_recovers_by_itself() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {UP: [(now, 1.0)]})
    machine.disk.bytes_max = sum(len(stored.content) for stored in machine.disk.files.values()) + 10
    for _ in range(3):
        with pytest.raises(DiskFull):
            append(machine.database, {UP: [(now + 1, 2.0)], LOAD_A: [(now, 1.0)]})
        assert select(machine.database) == {UP: [(now, 1.0)]}
    machine.disk.bytes_max = UNBOUNDED
    append(machine.database, {UP: [(now + 1, 2.0)], LOAD_A: [(now, 1.0)]})
    wanted = {UP: [(now, 1.0), (now + 1, 2.0)], LOAD_A: [(now, 1.0)]}
    assert select(machine.database) == wanted
    machine.restart()
    assert select(machine.database) == wanted


def test_a_failed_sync_costs_nothing_that_was_acknowledged() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    for step in range(5):
        append(machine.database, {UP: [(now + step, float(step))]})
    machine.disk.fail_syncs = 1
    machine.database.maintain()
    append(machine.database, {UP: [(now + 5, 5.0)]})
    machine.database.maintain()
    machine.disk.restart(power_lost=True)
    machine.open()
    assert select(machine.database) == {UP: [(now + step, float(step)) for step in range(6)]}


def test_a_second_writer_is_kept_out() -> None:
    machine = Machine()
    other = Database(FOLDER, machine.disk, machine.clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    with pytest.raises(DiskLocked):
        other.open()


def test_a_newer_file_is_refused_and_an_unknown_one_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.disk.write_atomically(FOLDER / "head" / "notes.txt", b"mine")
    machine.fill()
    machine.restart()
    assert FOLDER / "head" / "notes.txt" in machine.disk.files
    machine.disk.restart(power_lost=False)
    monkeypatch.setattr("nunchi.tsdb.manifest.MANIFEST_VERSION", files.MANIFEST_VERSION - 1)
    with pytest.raises(NewerVersionError):
        machine.open()


@pytest.mark.parametrize("seed", range(40))
def test_with_every_record_synced_power_loss_takes_nothing_that_was_acknowledged(seed: int) -> None:
    machine, chance = Machine(seed, DatabaseSettings(wal_sync_always=True)), Random(seed)
    acknowledged: dict[Labels, list[tuple[int, float]]] = {}
    for _ in range(3):
        machine.disk.crash_in = chance.randint(1, 60)
        try:
            for _ in range(100):
                machine.clock.jump(1)
                if chance.random() < 0.1:
                    machine.disk.fail_syncs = chance.randint(1, 2)
                row = {SERIES[0]: (machine.clock.now_ms(), chance.random()), SERIES[1]: (machine.clock.now_ms(), 1.0)}
                try:
                    append(machine.database, {series: [sample] for series, sample in row.items()})
                except DiskError:
                    continue
                for series, sample in row.items():
                    acknowledged.setdefault(series, []).append(sample)
                if chance.random() < 0.05:
                    machine.database.seal()
        except (Crash, DiskError):
            pass
        machine.disk.restart(power_lost=True)
        machine.open()
        found = select(machine.database)
        for series, samples in acknowledged.items():
            assert set(samples) <= set(found[series])


def test_a_segment_whose_sync_failed_is_left_and_its_records_are_written_again() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {UP: [(now, 0.0)]})
    append(machine.database, {UP: [(now + 1, 1.0)]})
    first = max(path for path in machine.disk.files if path.suffix == ".segment")
    machine.disk.fail_syncs = 1
    machine.database.maintain()
    second = max(path for path in machine.disk.files if path.suffix == ".segment")
    assert second != first
    size = len(machine.disk.files[first].content)
    append(machine.database, {UP: [(now + 2, 2.0)]})
    machine.database.maintain()
    assert len(machine.disk.files[first].content) == size
    del machine.disk.files[first]
    machine.disk.restart(power_lost=True)
    machine.open()
    assert select(machine.database) == {UP: [(now + step, float(step)) for step in range(3)]}


def test_where_a_second_segment_fails_too_nothing_is_acknowledged_until_one_holds() -> None:
    machine = Machine(0, DatabaseSettings(wal_sync_always=True))
    now = machine.clock.now_ms()
    append(machine.database, {UP: [(now, 0.0)]})
    machine.disk.fail_syncs = 5
    with pytest.raises(DiskError):
        append(machine.database, {UP: [(now + 1, 1.0)]})
    assert select(machine.database) == {UP: [(now, 0.0)]}
    machine.disk.fail_syncs = 0
    append(machine.database, {UP: [(now + 2, 2.0)]})
    machine.disk.restart(power_lost=True)
    machine.open()
    found = select(machine.database)[UP]
    assert set(found) - {(now + 1, 1.0)} == {(now, 0.0), (now + 2, 2.0)}


@pytest.mark.parametrize("seals", [False, True])
def test_a_zero_is_no_stand_in_for_a_newest_value_that_was_not_read_yet(seals: bool) -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {UP: [(now, 1.0)]})
    if seals:
        machine.database.seal()
    machine.restart()
    result = append(machine.database, {UP: [(now, 0.0)]})
    assert (result.accepted, result.rejected) == (0, {Reason.DUPLICATE_TIMESTAMP: 1})
    assert append(machine.database, {UP: [(now, 1.0)]}).accepted == 1


def test_what_came_after_a_failed_sealing_is_deleted_and_copied_all_the_same() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {UP: [(now - 1, 1.0)]})
    machine.disk.bytes_max = sum(len(stored.content) for stored in machine.disk.files.values()) + 10
    with pytest.raises(DiskFull):
        machine.database.seal()
    machine.disk.bytes_max = UNBOUNDED
    append(machine.database, {UP: [(now, 2.0)], LOAD_A: [(now, 3.0)]})
    copy = machine.database.snapshot("copy")
    copied = Database(copy, machine.disk, machine.clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    copied.open()
    assert select(copied) == {UP: [(now - 1, 1.0), (now, 2.0)], LOAD_A: [(now, 3.0)]}
    machine.database.delete_series([is_equal("__name__", "up")], 0, now)
    machine.database.seal()
    assert select(machine.database) == {LOAD_A: [(now, 3.0)]}


def used_bytes(machine: Machine) -> int:
    return sum(len(stored.content) for stored in machine.disk.files.values())


def test_a_sealing_that_finds_no_room_leaves_none_of_it_taken() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {series: [(now + step, step * 0.1) for step in range(100)] for series in SERIES})
    machine.disk.bytes_max = used_bytes(machine) + 900
    before = used_bytes(machine)
    for _ in range(3):
        with pytest.raises(DiskFull):
            machine.database.seal()
        assert used_bytes(machine) == before


def test_on_a_full_disk_what_expired_makes_room() -> None:
    machine = Machine(settings=DatabaseSettings(retention_ms=24 * 3600 * 1000))
    machine.fill()
    assert len(machine.database.sealed_files()) > 1
    machine.clock.jump(24 * 3600)
    append(machine.database, {UP: [(machine.clock.now_ms(), 1.0)]})
    machine.database._state.head.freeze(machine.database._state.wal.rotate())  # what a failed attempt leaves
    machine.disk.bytes_max = used_bytes(machine) + RESERVED_BYTES
    with pytest.raises(DiskFull):
        append(machine.database, {UP: [(machine.clock.now_ms() + 1, 2.0)]})
    machine.disk.bytes_max = used_bytes(machine) + 600  # a manifest fits in, a run does not
    before = machine.disk.bytes_max
    with contextlib.suppress(DiskFull):
        machine.database.maintain()
    assert machine.counts.blocks_dropped.value("time") == 1
    assert used_bytes(machine) < before


def test_small_commits_look_seldom_for_how_much_room_is_left() -> None:
    machine = Machine()
    disk, looks = machine.disk, 0
    free_bytes = disk.free_bytes

    def counted(path: Path) -> int:
        nonlocal looks
        looks += 1
        return free_bytes(path)

    disk.free_bytes = counted  # type: ignore[method-assign]  # counts, and does the same
    for step in range(500):
        append(machine.database, {UP: [(machine.clock.now_ms() + step, 1.0)]})
    assert 1 <= looks < 5
