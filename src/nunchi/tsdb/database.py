"""The embedded database: implements `storage.contracts.Store` over a data folder.

Appends come from one thread (the event loop), queries from any; what takes long (`maintain`) runs in a thread of its own.
Invariant: time is the clock's; nothing happens in the background unless somebody calls `maintain`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskLock, DiskMissing
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.matchers import Matcher
from nunchi.model.metadata import Metadata
from nunchi.storage.cardinality import Cardinality
from nunchi.storage.changes import Changes
from nunchi.storage.contracts import StoreStatistics
from nunchi.storage.exemplars import SeriesExemplars, select_exemplars
from nunchi.tsdb.appender import DatabaseAppender
from nunchi.tsdb.block import Block
from nunchi.tsdb.cardinality import head_cardinality
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.compaction import compact, is_open_due
from nunchi.tsdb.deletion import clean_tombstones, delete_series
from nunchi.tsdb.errors import DatabaseError
from nunchi.tsdb.files import Folder
from nunchi.tsdb.index import Index
from nunchi.tsdb.loading import EarlyQuerier
from nunchi.tsdb.memory import give_back
from nunchi.tsdb.querier import DatabaseQuerier
from nunchi.tsdb.recovery import Arrival, look
from nunchi.tsdb.repair import repair
from nunchi.tsdb.retention import drop_expired
from nunchi.tsdb.sealing import is_seal_due, seal
from nunchi.tsdb.snapshot import make_snapshot
from nunchi.tsdb.state import DatabaseSettings, Sealed, State
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.tsdb.verification import Damage

LOOKS_MAX = 5


class Database:
    """Implements `storage.contracts.Store` and `storage.changes.ChangeSource`.

    `open` fills it (`take`, `load` and `finish` do so while samples come in), `maintain` keeps it tidy, `close` seals what
    is open.
    """

    def __init__(
        self,
        path: Path,
        disk: Disk,
        clock: Clock,
        telemetry: DatabaseTelemetry,
        log: Logger,
        settings: DatabaseSettings | None = None,
    ) -> None:
        self._folder = Folder(path)
        self._disk = disk
        self._state = State(disk, self._folder, settings or DatabaseSettings(), clock, telemetry, log)
        self._disk_lock: DiskLock | None = None
        self._arrival: Arrival | None = None
        self._tidied: Sealed | None = None
        self._is_reading = threading.Lock()
        _show(self._state)

    def open(self) -> None:
        """Take the data folder and load what is in it; raises `WorldError`. Comes first, or its three parts do."""
        self.take()
        try:
            self.load()
            self.finish()
        except BaseException:
            self.abandon()
            raise

    def take(self) -> None:
        """Take the data folder, making it where there is none: samples may come in from now on. Raises `WorldError`.

        Until `finish`, samples are kept out that might clash with what is not loaded, and reading raises `NotLoadedError`
        where it would touch that.
        """
        folder = self._folder
        for part in (folder.root, folder.wal, folder.head, folder.blocks):
            self._disk.make_folder(part)
        self._disk_lock = self._disk.lock(folder.lock)
        try:
            self._arrival = Arrival(self._state)
        except BaseException:
            self.abandon()
            raise

    def load(self) -> None:
        """Read what is in the folder, in any thread, while samples come in; raises `WorldError`."""
        assert self._arrival is not None
        with self._is_reading:
            self._arrival.load()

    def finish(self) -> None:
        """After `load`, in the thread that appends: everything can be read and judged from now on."""
        assert self._arrival is not None
        self._arrival.finish()
        self._arrival = None

    def give_up(self) -> None:
        """Let `load` end soon, with a `DatabaseError`."""
        if self._state.loading is not None:
            self._state.loading.give_up()

    def progress(self) -> str:
        """How far loading is; empty once it has finished."""
        loading = self._state.loading
        return loading.text if loading is not None else ""

    def loaded_ratio(self) -> float:
        """How much of what is stored was read since the start, from 0 to 1."""
        loading = self._state.loading
        return loading.share if loading is not None else 1.0

    @classmethod
    def look(cls, path: Path, disk: Disk, clock: Clock, log: Logger) -> "Database":
        """A database to read from, over a folder that another process may be writing; nothing there is changed.

        It sees all that was acknowledged before this call and nothing later: look again for what is newer. What it has mapped
        stays readable when the writer compacts it away. Raises `WorldError`.
        """
        for _ in range(LOOKS_MAX):
            found = cls(path, disk, clock, DatabaseTelemetry(Telemetry()), log)
            try:
                if look(found._state):
                    return found
            except DiskMissing as error:
                log.debug("a file went while it was looked at", error=error)
        raise DatabaseError(f"{path} changes faster than it can be read: try again")

    def keep(self, retention_ms: int, retention_bytes: int, late_max_ms: int) -> None:
        """Follow other `DatabaseSettings` of these names from now on; what they no longer allow goes with `maintain`."""
        with self._state.lock:
            self._state.settings = replace(
                self._state.settings,
                retention_ms=retention_ms,
                retention_bytes=retention_bytes,
                late_max_ms=late_max_ms,
            )

    def appender(self) -> DatabaseAppender:
        """See `Store.appender`."""
        with self._state.lock:
            return DatabaseAppender(self._state, self._state.next_owner())

    def querier(self) -> DatabaseQuerier | EarlyQuerier:
        """See `Store.querier`."""
        with self._state.lock:
            loading, arrival = self._state.loading, self._arrival
            if loading is not None and arrival is not None:
                return EarlyQuerier(loading, DatabaseQuerier(arrival.readable(), lambda: None, self._state.lock))
            return DatabaseQuerier(*self._state.pinned_views(), self._state.lock, self._state.selections)

    def changes(self, since: int, names: frozenset[str] | None = None) -> Changes:
        """See `ChangeSource.changes`."""
        return self._state.changes.changes(since, names)

    def metadata(self) -> Mapping[str, Metadata]:
        """See `Store.metadata`."""
        with self._state.lock:
            self._state.check_loaded()
            return dict(self._state.head.metadata)

    def exemplars(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[SeriesExemplars]:
        """See `Store.exemplars`."""
        with self._state.lock:
            self._state.check_loaded()
            held = self._state.head.exemplars.series()
        return select_exemplars(held, selectors, start_ms, end_ms)

    def hold_exemplars(self, exemplars_max: int) -> None:
        """Keep at most so many exemplars from now on; 0: none."""
        with self._state.lock:
            self._state.settings = replace(self._state.settings, exemplars_max=exemplars_max)
            self._state.head.exemplars.hold(exemplars_max)

    def marks(self) -> Mapping[str, bytes]:
        """See `Store.marks`."""
        with self._state.lock:
            self._state.check_loaded()
            return dict(self._state.head.marks)

    def statistics(self) -> StoreStatistics:
        """See `Store.statistics`; series are those of the head, samples those of all files and of the head."""
        state = self._state
        with state.lock:
            state.check_loaded()
            files = [
                file for file in (*(block.chunks for block in state.sealed.blocks), *state.sealed.runs) if file.samples
            ]
            generations = [generation for generation in state.head.generations if not generation.is_empty]
            live = [run.ids for run in state.sealed.runs] + [generation.live_refs() for generation in generations]
            return StoreStatistics(
                series=len(np.unique(np.concatenate(live))) if live else 0,
                samples=sum(f.samples for f in files) + sum(g.samples + g.late_count for g in generations),
                min_time_ms=min([f.min_time for f in files] + [g.min_time for g in generations], default=0),
                max_time_ms=max([f.max_time for f in files] + [g.max_time for g in generations], default=0),
            )

    def cardinality(self, selectors: Sequence[Sequence[Matcher]], rows: int) -> Cardinality:
        """See `CardinalitySource.cardinality`: of the head."""
        return head_cardinality(self._state, selectors, rows)

    def sealed_files(self) -> tuple[Block | ChunksFile, ...]:
        """Blocks and runs as they are now, blocks first."""
        with self._state.lock:
            return (*self._state.sealed.blocks, *self._state.sealed.runs)

    def head_index(self) -> Index:
        """The series of the head, by which its runs name theirs."""
        with self._state.lock:
            return self._state.head_index()

    def repair(self, damages: Sequence[Damage]) -> list[str]:
        """Do what can be done about damages; see `repair`. Says what was done."""
        with self._state.maintaining:
            return repair(self._state, damages)

    def missing_files(self) -> list[str]:
        """What the manifest lists and could not be opened; the log said why."""
        with self._state.lock:
            manifest, sealed = self._state.manifest, self._state.sealed
        blocks = set(manifest.blocks) - {block.meta.number for block in sealed.blocks}
        runs = {entry.number for entry in manifest.runs} - {run.number for run in sealed.runs}
        return [*(f"block {number}" for number in sorted(blocks)), *(f"run {number}" for number in sorted(runs))]

    def maintain(self) -> None:
        """Sync the log, seal, compact and drop what is due by the clock. One caller at a time; raises `WorldError`."""
        state = self._state
        with state.maintaining:
            state.wal.sync_beside(state.lock)
            if state.loading is not None:
                return
            drop_expired(state)  # first: on a full disk this makes the room that all else needs
            if state.head.frozen or is_seal_due(state) or is_open_due(state):
                seal(state)
            compact(state)
            drop_expired(state)
            if state.sealed is not self._tidied:
                give_back()
                self._tidied = state.sealed

    def seal(self) -> None:
        """Seal what is open now."""
        with self._state.maintaining:
            self._state.check_loaded()
            seal(self._state)

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
        """Samples of the series that match, both ends included, are no longer there for readers; raises `WorldError`."""
        with self._state.maintaining:
            self._state.check_loaded()
            delete_series(self._state, matchers, start_ms, end_ms)

    def clean_tombstones(self) -> None:
        """Give back the room of what was deleted."""
        with self._state.maintaining:
            self._state.check_loaded()
            clean_tombstones(self._state)

    def snapshot(self, name: str) -> Path:
        """A copy of everything committed, under `snapshots/` of the data folder; returns where."""
        with self._state.maintaining:
            self._state.check_loaded()
            return make_snapshot(self._state, name)

    def close(self) -> None:
        """Seal what is open, so that the next start has nothing to replay, and let go of everything."""
        if self._disk_lock is None:
            return
        try:
            if self._state.loading is None:
                self.seal()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of everything as it is: what was acknowledged is in the log."""
        disk_lock, self._disk_lock = self._disk_lock, None
        if disk_lock is not None:
            self.give_up()
            try:
                with self._is_reading:
                    pass  # whoever loads stops at its next step
                self._state.wal.close()
            finally:
                disk_lock.release()


def _show(state: State) -> None:
    """Let the gauges follow a database."""

    def open_samples() -> float:
        with state.lock:
            return sum(one.samples + one.late_count for one in state.head.generations)

    telemetry = state.telemetry
    telemetry.series.observe_with(lambda: state.head.table.series)
    telemetry.open_samples.observe_with(open_samples)
    telemetry.blocks.observe_with(lambda: len(state.sealed.blocks))
    telemetry.runs.observe_with(lambda: len(state.sealed.runs))
    telemetry.loaded.observe_with(lambda: 1.0 if state.loading is None else min(state.loading.share, 0.99))
