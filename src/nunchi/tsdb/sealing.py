"""From open cells to a run: freeze, write, settle, cut the log.

Invariant: the log is cut only behind what a manifest on disk lists.
"""

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import DiskError
from nunchi.tsdb.cells import NO_CELLS
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.commits import Commit, encode_commit
from nunchi.tsdb.manifest import RunEntry
from nunchi.tsdb.open_cells import Generation
from nunchi.tsdb.querier import View
from nunchi.tsdb.series_log import RECORD_SERIES_MAX, encode_series, file_header
from nunchi.tsdb.state import Sealed, State
from nunchi.tsdb.wal import Wal
from nunchi.tsdb.writing import write_run

OPEN_SAMPLES_MIN = 1 << 21
OPEN_SAMPLES_PER_SERIES = 16
OPEN_AGE_MS_MAX = 2 * 3600 * 1000
RECORD_EXEMPLARS_MAX = 10_000


def is_seal_due(state: State) -> bool:
    """Whether so much is open that memory and replay ask for a run."""
    generation, now_ms = state.head.open, state.clock.now_ms()
    if generation.is_empty:
        return False
    if generation.seen_at_ms is None:
        generation.seen_at_ms = now_ms
    is_heavy = generation.weight >= max(OPEN_SAMPLES_MIN, OPEN_SAMPLES_PER_SERIES * state.head.table.series)
    return is_heavy or now_ms - generation.seen_at_ms > OPEN_AGE_MS_MAX


def seal(state: State) -> None:
    """Everything that is committed now goes to runs; raises `WorldError`, and then it stays where it is."""
    head = state.head
    state.wal.sync_beside(state.lock)
    for generation in head.frozen:  # what an earlier attempt did not bring to the end
        seal_generation(state, generation)
    with state.lock:
        if not head.open.is_empty:
            first_segment = state.wal.rotate()
            log_exemplars(state, state.wal)
            head.freeze(first_segment)
    for generation in head.frozen:
        seal_generation(state, generation)
    state.wal.cut(state.manifest.first_segment)


def log_exemplars(state: State, wal: Wal) -> None:
    """The exemplars that are held, once more: the segments that have them are about to go, or stay behind."""
    held = tuple(state.head.exemplars.all())
    nothing = np.zeros(0, np.int32)
    for begin in range(0, len(held), RECORD_EXEMPLARS_MAX):
        part = held[begin : begin + RECORD_EXEMPLARS_MAX]
        commit = Commit(nothing, b"", np.zeros(1, np.int64), NO_CELLS, NO_CELLS, {}, {}, part)
        wal.append(*encode_commit(commit, places=0))


def seal_generation(state: State, generation: Generation) -> None:
    """A frozen generation becomes a run; raises `WorldError`, and then it stays as it is."""
    with state.lock:
        number = state.next_number()
        moment = generation.moment()
        view = View(state.head_index(), (), (moment,))
        refs = generation.live_refs()
        unsealed = np.concatenate(state.head.unsealed) if state.head.unsealed else np.zeros(0, np.int32)
        taken = len(state.head.unsealed)
    try:
        path = state.folder.run(number)
        facts = {"has_late": generation.late_count > 0}
        write_run(state.disk, path, view, refs, state.lock, facts)
        series, series_bytes = append_series(state, unsealed)
        run = ChunksFile(state.disk, path, number, state.cache)
        with state.lock:
            following = next((g for g in state.head.generations if g is not generation), state.head.open)
            entry = RunEntry(number, has_late=generation.late_count > 0)
            state.settle(
                Sealed(state.sealed.blocks, (*state.sealed.runs, run)),
                runs=(*state.manifest.runs, entry), series=series, series_bytes=series_bytes,
                first_segment=following.first_segment, metadata=state.head.metadata, marks=state.head.frozen_marks,
            )  # fmt: skip
            state.head.forget(generation)
            del state.head.unsealed[:taken]
    finally:
        with state.lock:
            generation.release()
    state.telemetry.runs_sealed.add()


def append_series(state: State, refs: NDArray[np.int32]) -> tuple[int, int]:
    """Add label keys to the file of them; returns its number and how much of it counts then. Durable on return."""
    number, size = state.manifest.series, state.manifest.series_bytes
    if number and len(refs) == 0:
        return number, size
    number = number or state.next_number()
    path = state.folder.series(number)
    file = state.disk.open_append(path)
    try:
        if file.size != size:
            file.truncate(size)
        if size == 0:
            file.append(file_header())
        for begin in range(0, len(refs), RECORD_SERIES_MAX):
            part = refs[begin : begin + RECORD_SERIES_MAX]
            with state.lock:
                keys, ends = state.head.table.keys_of(part)
            file.append(encode_series(part, keys, np.array([0, *ends], np.int64)))
        file.sync()
        return number, file.size
    finally:
        try:
            file.close()
        except DiskError as error:
            state.log.warning("file not closed", error=error)


def entry_of(state: State, number: int) -> RunEntry:
    """What the manifest says of a run."""
    return next(entry for entry in state.manifest.runs if entry.number == number)
