"""Opening a data folder: map what the manifest lists, load the head's series, replay the log, remove what no manifest knows.

Invariant: everything that was acknowledged and is readable is there afterwards; everything that is not is named and counted.
"""

from pathlib import Path

import numpy as np

from nunchi.kit.disk import DiskError, DiskMissing
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.commits import Commit, decode_commit
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import BUILDING_SUFFIX, CHUNKS, INDEX, META, RUN_SUFFIX, SERIES_SUFFIX, number_of
from nunchi.tsdb.head import Head
from nunchi.tsdb.manifest import Manifest, load_manifest
from nunchi.tsdb.open_cells import Cells, Newest, join_cells
from nunchi.tsdb.series_log import read_series
from nunchi.tsdb.state import Sealed, State
from nunchi.tsdb.wal import Salvage, read_segment

REPLAY_CELLS_MAX = 200_000


def recover(state: State) -> None:
    """Fill an empty state from its folder; raises `WorldError` where that cannot be done honestly."""
    state.manifest = load_manifest(state.disk, state.folder) or Manifest()
    state.wal.open(state.manifest.first_segment)
    _remove_leftovers(state)
    state.wal.sync_segments()
    _load(state)


def look(state: State) -> bool:
    """Fill an empty state from a folder that another process writes, changing nothing there.

    False where that process changed which files count meanwhile: then another empty state has to look again.
    """
    state.only_looks = True
    state.manifest = load_manifest(state.disk, state.folder) or Manifest()
    _load(state)
    return (load_manifest(state.disk, state.folder) or Manifest()) == state.manifest


def _load(state: State) -> None:
    blocks = _open_blocks(state)
    state.sealed = Sealed(tuple(blocks), ())
    state.head = Head(state.wal.number)
    state.head.metadata.update(state.manifest.metadata)
    state.head.marks.update(state.manifest.marks)
    _load_series(state)
    state.sealed = Sealed(state.sealed.blocks, tuple(_open_runs(state)))
    _replay(state)


def _remove_leftovers(state: State) -> None:
    """What an interrupted sealing, compaction or removal left: files of ours that no manifest lists."""
    disk, folder, manifest = state.disk, state.folder, state.manifest
    runs = {entry.number for entry in manifest.runs}
    for name in disk.list(folder.head):
        run, series = number_of(name, RUN_SUFFIX), number_of(name, SERIES_SUFFIX)
        if (run is not None and run not in runs) or (series is not None and series != manifest.series):
            disk.remove(folder.head / name)
    for name in disk.list(folder.blocks):
        number = number_of(name)
        if number_of(name, BUILDING_SUFFIX) is not None or (number is not None and number not in manifest.blocks):
            disk.remove(folder.blocks / name)
    state.wal.cut(manifest.first_segment)


def _open_blocks(state: State) -> list[Block]:
    blocks = []
    for number in state.manifest.blocks:
        try:
            blocks.append(Block(state.disk, state.folder.block(number), state.cache))
        except (CorruptionError, DiskMissing, ValueError) as error:
            _name_loss(state, "block", f"block {number} cannot be opened, its samples are missing", error)
            _keep_aside(state, state.folder.block(number))
    return blocks


def _load_series(state: State) -> None:
    manifest = state.manifest
    if not manifest.series:
        return
    try:
        for refs, keys, ends in read_series(state.disk, state.folder.series(manifest.series), manifest.series_bytes):
            state.head.load_series(refs, keys, ends)
    except (CorruptionError, DiskMissing) as error:
        _name_loss(state, "series", "label keys of the head are damaged, samples of their series are missing", error)


def _open_runs(state: State) -> list[ChunksFile]:
    runs = []
    head = state.head
    for entry in state.manifest.runs:
        try:
            run = ChunksFile(state.disk, state.folder.run(entry.number), entry.number, state.cache)
        except (CorruptionError, DiskMissing, ValueError) as error:
            _name_loss(state, "run", f"run {entry.number} cannot be opened, its samples are missing", error)
            _keep_aside(state, state.folder.run(entry.number))
            continue
        runs.append(run)
        known = run.ids < len(head.newest.times)
        head.raise_newest(run.ids[known], run.newest_times()[known])
        if entry.has_late:
            state.ask_blocks(head, np.ascontiguousarray(run.ids[known]))
    created = head.table.snapshot().created
    state.ask_blocks(head, created[head.newest.times[created] == Newest.NEVER])
    return runs


def _replay(state: State) -> None:
    salvage = Salvage()
    replay = Replay(state)
    for number in state.wal.segments():
        if number < state.manifest.first_segment:
            continue
        places = salvage.damaged_places
        for body in read_segment(state.disk, state.folder, number, salvage):
            try:
                replay.take(decode_commit(body))
            except CorruptionError as error:
                _name_loss(state, "wal", f"a record in segment {number} is lost", error)
        if salvage.damaged_places > places:
            _keep_aside(state, state.folder.segment(number))
        state.head.open.first_segment = min(state.head.open.first_segment, number)
    replay.apply()
    state.head.unlogged.clear()
    if salvage.torn_bytes:
        state.telemetry.lost_bytes.add(salvage.torn_bytes, "wal")
        state.log.warning(
            "the log's end is torn: what was being written was not acknowledged", bytes=salvage.torn_bytes
        )
    if salvage.damaged_places:
        state.telemetry.corruptions.add(salvage.damaged_places, "wal")
        state.telemetry.lost_bytes.add(salvage.damaged_bytes, "wal")
        state.log.error(
            "the log is damaged: records are lost", places=salvage.damaged_places, bytes=salvage.damaged_bytes
        )
    if replay.unnamed:
        state.log.error("samples of series whose labels are lost were dropped", samples=replay.unnamed)


class Replay:
    """Makes commits visible again, many at a time: what is in order of one commit after the other is so of all."""

    def __init__(self, state: State) -> None:
        self.unnamed = 0
        self._state = state
        self._waiting: list[Cells] = []
        self._waiting_cells = 0

    def take(self, commit: Commit) -> None:
        """The next commit of the log."""
        head = self._state.head
        if len(commit.series):
            before = head.table.series
            head.load_series(commit.series, commit.keys, commit.ends)
            if head.table.series > before:
                made = head.table.snapshot().created[before:].copy()
                head.unsealed.append(made)
                self._state.ask_blocks(head, made)
        head.take_notes(commit)
        self._waiting.append((commit.refs, commit.times, commit.values))
        self._waiting_cells += len(commit.refs)
        if len(commit.late_refs):
            self.apply()
            late = self._named((commit.late_refs, commit.late_times, commit.late_values))
            self._state.apply(join_cells([]), late)
        elif self._waiting_cells >= REPLAY_CELLS_MAX:
            self.apply()

    def apply(self) -> None:
        """Put what is waiting into the head."""
        cells = self._named(join_cells(self._waiting))
        self._waiting, self._waiting_cells = [], 0
        self._state.apply(cells, join_cells([]))
        self._state.telemetry.replayed.add(len(cells[0]))

    def _named(self, cells: Cells) -> Cells:
        """Cells of series whose labels are known; the others are counted."""
        refs, times, values = cells
        head = self._state.head
        is_known = np.zeros(len(head.newest.times) + 1, np.bool_)
        is_known[head.table.snapshot().created] = True
        known = is_known[np.minimum(refs, len(is_known) - 1)] & (refs >= 0)
        if known.all():
            return cells
        self.unnamed += int((~known).sum())
        return refs[known], times[known], values[known]


def _name_loss(state: State, file: str, text: str, error: Exception) -> None:
    state.telemetry.corruptions.add(1, file)
    state.log.error(text, error=error)


def _keep_aside(state: State, path: Path) -> None:
    """A copy of what is damaged, which outlives the removal of the original; a second one is not made."""
    disk, folder = state.disk, state.folder.damaged
    if state.only_looks:
        return
    try:
        disk.make_folder(folder)
        sources = [path] if disk.size(path / META) is None else [path / name for name in (META, INDEX, CHUNKS)]
        for source in sources:
            target = folder / "-".join(source.relative_to(state.folder.root).parts)
            if disk.size(target) is None:
                disk.write_atomically(target, disk.read(source))
    except DiskError as error:
        state.log.warning("damaged file not kept aside", error=error)
