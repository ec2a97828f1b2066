"""Deletions, cleaning, snapshots: what readers see, before and after files are written anew and after a restart."""

from pathlib import Path

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import LOAD_A, LOAD_B, UP, append, is_equal, select
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

MINUTE_MS = 60_000


def open_database(path: Path, clock: VirtualClock) -> Database:
    database = Database(path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    return database


def ten_minutes(series: Labels, begin_ms: int) -> dict[Labels, list[tuple[int, float]]]:
    return {series: [(begin_ms + i * MINUTE_MS, float(i)) for i in range(10)]}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize("is_cleaned", [False, True])
def test_deleted_samples_are_gone_for_readers_and_after_a_restart(
    tmp_path: Path, clock: VirtualClock, is_compacted: bool, is_cleaned: bool
) -> None:
    database = open_database(tmp_path / "data", clock)
    begin = clock.now_ms() - 4 * 3600 * 1000
    for series in (UP, LOAD_A, LOAD_B):
        append(database, ten_minutes(series, begin))
    if is_compacted:
        database.seal()
        compact_head(database._state, clock.now_ms() // BLOCK_MS * BLOCK_MS)
    database.delete_series([is_equal("instance", "a")], begin + 3 * MINUTE_MS, begin + 5 * MINUTE_MS)
    left = [(begin + i * MINUTE_MS, float(i)) for i in (0, 1, 2, 6, 7, 8, 9)]
    wanted = {UP: left, LOAD_A: left, **ten_minutes(LOAD_B, begin)}
    assert select(database) == wanted
    if is_cleaned:
        database.clean_tombstones()
        assert select(database) == wanted
        assert database.statistics().samples == 24
    database.close()
    assert select(open_database(tmp_path / "data", clock)) == wanted


def test_what_comes_after_a_deletion_stays(tmp_path: Path, clock: VirtualClock) -> None:
    database = open_database(tmp_path / "data", clock)
    now = clock.now_ms()
    append(database, {UP: [(now, 1.0)]})
    database.delete_series([is_equal("instance", "a")], 0, 2**62)
    assert select(database) == {}
    append(database, {UP: [(now + 1, 2.0)]})
    assert select(database) == {UP: [(now + 1, 2.0)]}
    database.seal()
    database.clean_tombstones()
    assert select(database) == {UP: [(now + 1, 2.0)]}


def test_a_snapshot_is_a_data_folder_of_its_own(tmp_path: Path, clock: VirtualClock) -> None:
    database = open_database(tmp_path / "data", clock)
    begin = clock.now_ms() - 4 * 3600 * 1000
    append(database, ten_minutes(UP, begin))
    database.seal()
    compact_head(database._state, clock.now_ms() // BLOCK_MS * BLOCK_MS)
    append(database, ten_minutes(LOAD_A, clock.now_ms()))
    wanted = select(database)
    folder = database.snapshot("first")
    append(database, {UP: [(clock.now_ms(), 7.0)]})
    assert select(open_database(folder, clock)) == wanted


def test_a_folder_can_be_read_while_another_database_writes_it(tmp_path: Path, clock: VirtualClock) -> None:
    database = open_database(tmp_path / "data", clock)
    begin = clock.now_ms() - 4 * 3600 * 1000
    append(database, ten_minutes(UP, begin))
    database.seal()
    append(database, ten_minutes(LOAD_A, begin))
    files = sorted(path for path in (tmp_path / "data").rglob("*"))
    reader = Database.look(tmp_path / "data", SystemDisk(), clock, logger("tsdb"))
    wanted = {**ten_minutes(UP, begin), **ten_minutes(LOAD_A, begin)}
    assert select(reader) == wanted
    assert sorted(path for path in (tmp_path / "data").rglob("*")) == files
    append(database, {UP: [(clock.now_ms(), 1.0)]})
    database.seal()
    compact_head(database._state, clock.now_ms() // BLOCK_MS * BLOCK_MS)
    assert select(reader) == wanted
    assert select(Database.look(tmp_path / "data", SystemDisk(), clock, logger("tsdb"))) == select(database)
