"""The database tells of its changes as every store does, and of blocks that it drops."""

from pathlib import Path

import pytest

from nunchi.kit.clock import Clock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.changes import LOAD, NOW_MS, ChangesSuite
from nunchi.testing.contracts.store import append
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.retention import drop_expired
from nunchi.tsdb.telemetry import DatabaseTelemetry


class TestChangesOfDatabase(ChangesSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path):
        self.path, self.opened = tmp_path / "data", []
        yield
        for database in self.opened:
            database.abandon()

    def make_store(self, clock: Clock) -> Database:
        made = Database(self.path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
        made.open()
        self.opened.append(made)
        return made

    def test_dropped_blocks_are_told_apart_from_other_changes(self) -> None:
        clock = VirtualClock(NOW_MS / 1000)
        database = self.make_store(clock)
        append(database, {LOAD: [(NOW_MS, 1.0)]})
        version = database.changes(0).version
        database.seal()
        clock.jump(16 * 24 * 3600)
        compact_head(database._state, (clock.now_ms() // BLOCK_MS + 2) * BLOCK_MS)
        drop_expired(database._state)
        changes = database.changes(version)
        assert changes.version == version
        assert NOW_MS < changes.kept_from_ms <= NOW_MS + BLOCK_MS
