"""The database keeps the contract of every store, wherever its samples are at the moment: open, sealed, compacted, replayed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunchi.kit.clock import Clock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.contracts import Querier
from nunchi.testing.contracts.store import StoreSuite
from nunchi.tsdb.compaction import BLOCK_MS, compact_head, merge_blocks
from nunchi.tsdb.database import Database
from nunchi.tsdb.querier import DatabaseQuerier
from nunchi.tsdb.telemetry import DatabaseTelemetry


class OpenDatabase(Database):
    """As it is."""

    @classmethod
    def at(cls, path: Path, clock: Clock) -> "OpenDatabase":
        database = cls(path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
        database.open()
        return database


class SealingDatabase(OpenDatabase):
    """Seals before it is read."""

    def querier(self) -> DatabaseQuerier:
        self.seal()
        return super().querier()


class CompactingDatabase(OpenDatabase):
    """Has nothing but blocks when it is read."""

    def querier(self) -> DatabaseQuerier:
        self.seal()
        compact_head(self._state, (self._state.clock.now_ms() // BLOCK_MS + 2) * BLOCK_MS)
        merge_blocks(self._state)
        return super().querier()


class ReplayingDatabase(OpenDatabase):
    """Is opened again, from its log, before it is read."""

    def querier(self) -> DatabaseQuerier:
        state = self._state
        self.abandon()
        again = self.at(state.folder.root, state.clock)
        self._state, self._disk_lock = again._state, again._disk_lock
        return super().querier()


class ReopeningDatabase(OpenDatabase):
    """Is stopped and started, so that all samples are in runs, before it is read."""

    def querier(self) -> DatabaseQuerier:
        state = self._state
        self.close()
        again = self.at(state.folder.root, state.clock)
        self._state, self._disk_lock = again._state, again._disk_lock
        return super().querier()


class DatabaseSuite(StoreSuite):
    kind: type[OpenDatabase]

    @pytest.fixture(autouse=True)
    def opened(self) -> Iterator[None]:
        yield
        self.store.abandon()
        self.folder.cleanup()

    def make_store(self, clock: Clock) -> OpenDatabase:
        self.folder = tempfile.TemporaryDirectory()
        return self.kind.at(Path(self.folder.name) / "data", clock)

    def read(self) -> Querier:
        return self.store.querier()


class TestOpen(DatabaseSuite):
    kind = OpenDatabase


class TestSealed(DatabaseSuite):
    kind = SealingDatabase


class TestCompacted(DatabaseSuite):
    kind = CompactingDatabase


class TestReplayed(DatabaseSuite):
    kind = ReplayingDatabase

    test_what_is_not_committed_is_not_seen = None
    test_a_selection_does_not_see_what_is_committed_later = None


class TestReopened(DatabaseSuite):
    kind = ReopeningDatabase

    test_what_is_not_committed_is_not_seen = None
    test_a_selection_does_not_see_what_is_committed_later = None
