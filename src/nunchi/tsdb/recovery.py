"""Opening a data folder: map what the manifest lists, load the head's series, replay the log, remove what no manifest knows.

Taking the folder is quick and comes first; the rest is done by an `Arrival`, in a thread, while samples come in (`loading`).
Memory is bounded: a log longer than what may be open is sealed into runs while it is replayed.
Invariant: everything that was acknowledged and is readable is there afterwards; everything that is not is named and counted.
"""

from collections.abc import Sequence

import numpy as np

from nunchi.kit.disk import DiskMissing
from nunchi.tsdb.ahead import find_ahead
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.damage import keep_aside, name_loss
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import BUILDING_SUFFIX, RUN_SUFFIX, SERIES_SUFFIX, number_of
from nunchi.tsdb.head import Head
from nunchi.tsdb.loading import Loading
from nunchi.tsdb.manifest import load_manifest, manifest_of, save_manifest
from nunchi.tsdb.open_cells import Newest
from nunchi.tsdb.querier import View
from nunchi.tsdb.replay import Replay
from nunchi.tsdb.sealing import entry_of
from nunchi.tsdb.series_log import read_series
from nunchi.tsdb.state import Sealed, State
from nunchi.tsdb.wal import NO_TIME_MAX, Span, Survey, survey_segment


class Arrival:
    """What is in a folder, on its way into a state that takes samples in already.

    Made and finished by the thread that appends; `load` may run in another. All raise `WorldError` where that cannot be done
    honestly.
    """

    def __init__(self, state: State) -> None:
        try:
            state.manifest = manifest_of(state.disk, state.folder)
        except CorruptionError as error:
            cure = f"`nunchi tsdb repair {state.folder.root}` says what can be saved, and saves it with --yes"
            raise CorruptionError(f"{error}: {cure}") from error
        if load_manifest(state.disk, state.folder) is None:
            save_manifest(state.disk, state.folder, state.manifest)
        state.wal.open(state.manifest.first_segment)
        _remove_leftovers(state)
        state.head = Head(state.wal.number)
        self._segments = state.wal.segments()
        sizes = (state.disk.size(state.folder.segment(number)) or 0 for number in self._segments)
        self.loading = state.loading = Loading(2 * sum(sizes) + state.manifest.series_bytes)
        self._state = state
        self._coming = state.sibling()
        self._replay = Replay(self._coming)

    def load(self) -> None:
        """Read everything; what came in meanwhile is put behind it, but for the last of it."""
        state, coming, loading = self._state, self._coming, self.loading
        state.wal.sync_segments(self._segments)
        surveys: list[Survey] = []
        for number in self._segments:
            surveys.append(survey_segment(state.disk, state.folder, number))
            loading.advance(state.disk.size(state.folder.segment(number)) or 0)
        spans = [Span(), *(survey.span for survey in surveys)]
        newest_ms = state.manifest.newest_ms
        if newest_ms is not None or not (state.manifest.blocks or state.manifest.runs):
            places = max(state.manifest.places, *(span.places for span in spans), 0)
            newest = max(NO_TIME_MAX if newest_ms is None else newest_ms, *(span.newest_ms for span in spans))
            with state.lock:
                loading.know(newest, places)
        loading.enter("opening blocks and runs")
        runs = _map_files(coming)
        oldest_ms = min([*(span.oldest_ms for span in spans), *(run.min_time for run in runs)])
        is_ahead = loading.newest_ms is not None and loading.newest_ms > state.clock.now_ms()
        ahead = find_ahead(coming, surveys, coming.sealed.blocks, runs) if is_ahead else None
        with state.lock:
            loading.readable_until_ms = oldest_ms
            loading.know_ahead(ahead)
        loading.enter("reading the names of series")
        _load_head(coming, runs, loading)
        loading.enter("replaying the log")
        self._replay.segments(surveys, loading)
        self._take_early()

    def readable(self) -> tuple[View, ...]:
        """The blocks, once they are open."""
        return tuple(self._coming.view_of(block) for block in self._coming.sealed.blocks)

    def finish(self) -> None:
        """Everything was read: from now on it counts."""
        state, coming = self._state, self._coming
        with state.lock:
            self._take_early()
            self._replay.end()
            state.manifest, state.sealed, state.head, state.loading = coming.manifest, coming.sealed, coming.head, None
            state.head.exemplars.hold(state.settings.exemplars_max)

    def _take_early(self) -> None:
        with self._state.lock:
            commits = self.loading.take_commits()
        for commit in commits:
            self._replay.take(commit)
        self._replay.apply()


def look(state: State) -> bool:
    """Fill an empty state from a folder that another process writes, changing nothing there.

    False where that process changed which files count meanwhile: then another empty state has to look again.
    """
    state.only_looks = True
    state.manifest = manifest_of(state.disk, state.folder)
    _load_head(state, _map_files(state), None)
    replay = Replay(state)
    replay.segments(_survey(state), None)
    replay.end()
    return manifest_of(state.disk, state.folder) == state.manifest


def _survey(state: State) -> list[Survey]:
    counted = [number for number in state.wal.segments() if number >= state.manifest.first_segment]
    return [survey_segment(state.disk, state.folder, number) for number in counted]


def _map_files(state: State) -> list[ChunksFile]:
    """Open the blocks, which are readable alone, and the runs, which need names."""
    state.sealed = Sealed(tuple(_open_blocks(state)), ())
    return _open_runs(state)


def _load_head(state: State, runs: Sequence[ChunksFile], loading: Loading | None) -> None:
    """The head's series, and what is known of them without the log."""
    state.head = Head(state.wal.number)
    state.head.metadata.update(state.manifest.metadata)
    state.head.marks.update(state.manifest.marks)
    _load_series(state, loading)
    head = state.head
    for run in runs:
        known = run.ids < len(head.newest.times)
        head.raise_newest(run.ids[known], run.newest_times()[known])
        if entry_of(state, run.number).has_late:
            state.ask_blocks(head, np.ascontiguousarray(run.ids[known]))
    created = head.table.snapshot().created
    state.ask_blocks(head, created[head.newest.times[created] == Newest.NEVER])
    state.sealed = Sealed(state.sealed.blocks, tuple(runs))


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
            name_loss(state, "block", f"block {number} cannot be opened, its samples are missing", error)
            keep_aside(state, state.folder.block(number))
    return blocks


def _load_series(state: State, loading: Loading | None) -> None:
    manifest = state.manifest
    if not manifest.series:
        return
    state.head.table.make_room(manifest.places)
    state.head.newest.make_room(manifest.places)
    try:
        for refs, keys, ends in read_series(state.disk, state.folder.series(manifest.series), manifest.series_bytes):
            state.head.load_series(refs, keys, ends)
    except (CorruptionError, DiskMissing) as error:
        name_loss(state, "series", "label keys of the head are damaged, samples of their series are missing", error)
    if loading is not None:
        loading.advance(manifest.series_bytes)


def _open_runs(state: State) -> list[ChunksFile]:
    runs = []
    for entry in state.manifest.runs:
        try:
            run = ChunksFile(state.disk, state.folder.run(entry.number), entry.number, state.cache)
        except (CorruptionError, DiskMissing, ValueError) as error:
            name_loss(state, "run", f"run {entry.number} cannot be opened, its samples are missing", error)
            keep_aside(state, state.folder.run(entry.number))
            continue
        runs.append(run)
    return runs
