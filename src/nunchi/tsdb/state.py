"""What a database is at a moment, and the few ways in which it changes: shared by the appender, sealing, compaction, recovery.

One lock guards it and is held for moments. Invariant: what is visible changes under the lock, what is durable changes with the
manifest. Files that no longer count are removed at once: whoever has them mapped keeps them until done.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError
from nunchi.kit.logs import Logger
from nunchi.model.exemplar import Exemplar
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.storage.changes import ChangeLog, Span
from nunchi.storage.errors import NotLoadedError
from nunchi.storage.exemplars import EXEMPLARS_MAX
from nunchi.tsdb.block import Block
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.commits import Commit, encode_commit
from nunchi.tsdb.files import Folder
from nunchi.tsdb.head import Head
from nunchi.tsdb.index import Index
from nunchi.tsdb.loading import Loading
from nunchi.tsdb.manifest import Manifest, save_manifest
from nunchi.tsdb.open_cells import Moment
from nunchi.tsdb.pages import PageCache
from nunchi.tsdb.places import Places
from nunchi.tsdb.querier import Found, View, locate
from nunchi.tsdb.selected import SelectionMemory
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.tsdb.wal import NO_TIME_MAX, Wal

RETENTION_MS = 15 * 24 * 3600 * 1000
OWNERS_MAX = 2**30


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Of one database.

    retention_bytes     blocks, runs and log together; 0: no bound
    late_max_ms         how late a sample may be where its batch does not say: `out_of_order_time_window`
    wal_sync_always     acknowledge after the sync of each record, not after its write
    """

    retention_ms: int = RETENTION_MS
    retention_bytes: int = 0
    late_max_ms: int = 0
    wal_sync_always: bool = False
    wal_compressed: bool = True
    exemplars_max: int = EXEMPLARS_MAX


@dataclass(frozen=True, slots=True, eq=False)
class Sealed:
    """What lies in files: blocks in the order of their numbers, runs likewise."""

    blocks: tuple[Block, ...] = ()
    runs: tuple[ChunksFile, ...] = ()


class State:
    """Everything of one open database."""

    def __init__(
        self, disk: Disk, folder: Folder, settings: DatabaseSettings, clock: Clock, telemetry: DatabaseTelemetry,
        log: Logger,
    ) -> None:  # fmt: skip
        self.disk = disk
        self.folder = folder
        self.settings = settings
        self.clock = clock
        self.telemetry = telemetry
        self.log = log
        self.lock = threading.RLock()
        self.maintaining = threading.Lock()
        self.cache = PageCache()
        self.selections = SelectionMemory()
        self.sealed = Sealed()
        self.manifest = Manifest()
        self.head = Head(0)
        self.changes = ChangeLog()
        self.wal = Wal(disk, folder, sync_always=settings.wal_sync_always, compressed=settings.wal_compressed)
        self.compacted_at_ms = self.compacted_until_ms = -(2**62)
        self.only_looks = False
        self.looked_at: Sealed | None = None
        self.loading: Loading | None = None
        self._owners = 0

    def sibling(self) -> "State":
        """Another state of the same folder, which is filled while this one takes samples in."""
        other = State(self.disk, self.folder, self.settings, self.clock, self.telemetry, self.log)
        other.cache, other.manifest = self.cache, self.manifest
        other.wal.number = self.wal.number
        return other

    def check_loaded(self) -> None:
        """Raise `NotLoadedError` while not everything is known that is stored."""
        loading = self.loading
        if loading is not None:
            raise NotLoadedError(f"{loading.text}; ask again in some seconds")

    def next_owner(self) -> int:
        """A number for an appender."""
        self._owners = self._owners % OWNERS_MAX + 1
        return self._owners

    def resolve(self, layout: Layout, columns: NDArray[np.int32]) -> NDArray[np.int32]:
        """The series_ref of some columns of a layout. Series that are new here may be old in blocks, which are asked."""
        head = self.head
        known, made = head.resolve(layout)
        if len(made):
            self.ask_blocks(head, made)
        revived = head.revive(layout, columns)
        if len(revived):
            self.ask_blocks(head, revived)
        known, _ = head.resolve(layout)  # once more: another layout may have brought back what had left the head
        return known[columns]

    def ask_blocks(self, head: Head, refs: NDArray[np.int32]) -> None:
        """Learn from the blocks how new the newest sample of some series is."""
        if self.sealed.blocks and len(refs):
            hashes = np.ascontiguousarray(head.table.snapshot().hashes[refs])
            for block in self.sealed.blocks:
                head.raise_newest(refs, block.newest_of(hashes))

    def publish(
        self,
        owner: int,
        cells: Cells,
        late: Cells,
        metadata: Mapping[str, Metadata],
        marks: Mapping[str, bytes],
        exemplars: tuple[tuple[bytes, Exemplar], ...],
    ) -> None:
        """Log what an appender accepted, then make it visible. Raises a `DiskError`, and then nothing has happened."""
        with self.lock:
            head = self.head
            news = {}
            if metadata:
                news = {name: known for name, known in metadata.items() if head.metadata.get(name) != known}
            self.forget_pending(owner)
            if len(cells.refs) == 0 and len(late.refs) == 0 and not news and not marks and not exemplars:
                return
            cells, late = cells.compacted(), late.compacted()
            commit = Commit(*head.take_unlogged(), cells, late, news, marks, exemplars)
            places = len(head.table)
            if self.loading is not None:
                commit = self.loading.moved(commit)
                places += self.loading.places
            body, span = encode_commit(commit, places)
            try:
                self.wal.append(body, span)
            except DiskError:
                self.telemetry.commits_failed.add()
                raise
            if self.loading is not None:
                self.loading.note(commit)
            head.unlogged.clear()
            if exemplars:
                head.exemplars.hold(self.settings.exemplars_max)
            if news or marks or exemplars:
                head.take_notes(commit)
            self.apply(cells, late)
            if span.oldest_ms <= span.newest_ms:
                parts = ((cells.refs, cells.times), (late.refs, late.times))
                changed = Span(span.oldest_ms, span.newest_ms)
                self.changes.record_cells(changed, parts, self.clock.now_ms(), head.table)

    def apply(self, cells: Cells, late: Cells) -> None:
        """Make logged cells visible. In-order ones that another writer overtook stay only if nothing is there yet."""
        head = self.head
        if len(cells.refs):
            cells = head.open.adopt(cells)
            overtaken = head.open.put(cells, head.newest)
            if len(overtaken):
                self._put_overtaken(cells.take(overtaken))
        if len(late.refs):
            late = head.open.adopt(late)
            head.open.put_late(late)
            head.note_late(late)
            head.open.commit += 1

    def _put_overtaken(self, cells: Cells) -> None:
        places = Places(cells)
        self.note_stored(places)
        self.head.open.put_late(cells.take(places.are_free()))
        self.head.open.commit += 1

    def forget_pending(self, owner: int) -> None:
        """An appender's notes of its newest cells no longer hold."""
        newest = self.head.newest
        if newest.owner == owner:
            newest.owner = 0

    def has_pending(self) -> bool:
        """Whether some appender judged cells that it has not committed."""
        return self.head.newest.owner != 0

    def note_stored(self, known: Places) -> None:
        """Note what is stored at the places of some cells of the head."""
        with self.lock:
            views, release = self.pinned_views()
            try:
                found, refs = self._locate(views, known.series, known.oldest_ms, known.newest_ms)
                for tile in found.reading.tiles(np.arange(len(refs), dtype=np.int64)):
                    known.note_tile(tile, refs)
            finally:
                release()

    def _locate(
        self, views: Sequence[View], refs: NDArray[np.int32], start_ms: int, end_ms: int
    ) -> tuple[Found, NDArray[np.int32]]:
        """Series of the head in all views; and the series_ref of each found."""
        head_view = len(views) - 1
        hashes = views[head_view].index.hashes[refs]
        selected: list[tuple[int, NDArray[np.int32]]] = []
        for number, block in enumerate(self.sealed.blocks):
            if block.chunks.max_time >= start_ms and block.chunks.min_time <= end_ms:
                own = block.refs_of(hashes)
                if (own >= 0).any():
                    selected.append((number, own[own >= 0]))
        selected.append((head_view, refs))
        found = locate(selected, views, start_ms, end_ms, self.lock)
        places, own_refs = found.members.get(head_view, (np.zeros(0, np.int64), refs[:0]))
        head_refs = np.zeros(len(found.refs), np.int32)
        head_refs[places] = own_refs
        return found, head_refs

    def pinned_views(self) -> tuple[tuple[View, ...], Callable[[], None]]:
        """Everything as it is now, and what to call when it is no longer looked at."""
        sealed = self.sealed
        moments = tuple(generation.moment() for generation in self.head.generations)
        views = tuple(self.view_of(block) for block in sealed.blocks)

        def release() -> None:
            with self.lock:
                for moment in moments:
                    moment.generation.release()

        return (*views, self.view_of_runs(sealed.runs, moments)), release

    def view_of(self, block: Block) -> View:
        """A block, without what was deleted."""
        return View(block.index, (block.chunks,), (), self.manifest.deletions)

    def view_of_runs(self, runs: Sequence[ChunksFile], moments: Sequence[Moment] = ()) -> View:
        """The head, or some runs of it, without what was deleted."""
        return View(self.head_index(), runs, moments, self.manifest.deletions)

    def head_index(self) -> Index:
        """The head's series as they are now."""
        return self.head.table.snapshot()

    def next_number(self) -> int:
        """A number that no file of a manifest has."""
        with self.lock:
            number = self.manifest.next_number
            self.manifest = msgspec.structs.replace(self.manifest, next_number=number + 1)
            return number

    def settle(self, sealed: Sealed, **changes: object) -> None:
        """Other files count from now on: first in the manifest, then for readers. Raises a `DiskError`, and nothing changed."""
        with self.lock:
            files = [*(block.chunks for block in sealed.blocks), *sealed.runs]
            newest_ms = max((file.max_time for file in files), default=NO_TIME_MAX)
            places = max(self.manifest.places, len(self.head.table))
            manifest = msgspec.structs.replace(self.manifest, newest_ms=newest_ms, places=places, **changes)
            save_manifest(self.disk, self.folder, manifest)
            self.manifest = manifest
            self.sealed = sealed
