"""Series without samples in the head leave it, once they are many: another table and another file of label keys take over.

Both are made beside the database's lock, in parts; under it only what has changed meanwhile is made up for. Series that were
made since the last run are kept, because the log names them.
Invariant: a series keeps its series_ref for as long as it is in the head.
"""

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import AppendFile
from nunchi.tsdb.head import Head
from nunchi.tsdb.series_log import RECORD_SERIES_MAX, encode_series, file_header
from nunchi.tsdb.series_table import SeriesTable
from nunchi.tsdb.state import State

DEAD_SERIES_MIN = 1024
DEAD_SHARE = 4
PART_SERIES = 16_384
TURNS_MAX = 64

Refs = NDArray[np.int32]


def drop_dead_series(state: State) -> None:
    """Drop what is dead where that is a fourth of all; raises a `DiskError`, and then everything stays as it is."""
    with state.lock:
        if state.sealed is state.looked_at:
            return  # samples leave the head with runs, and only then series can have died
        head = state.head
        created = head.table.snapshot().created
        is_live = _live(state)
        dead = len(created) - int(np.count_nonzero(is_live[created]))
        if dead < max(DEAD_SERIES_MIN, len(created) // DEAD_SHARE):
            state.looked_at = state.sealed
            return
    number = state.next_number()
    path = state.folder.series(number)
    file = state.disk.open_append(path)
    replacement = _Replacement(head, file)
    try:
        file.append(file_header())
        replacement.take(np.sort(created[is_live[created]]))
        file.sync()
        if not _hand_over(state, replacement, number):
            state.disk.remove(path)
    finally:
        file.close()


def _hand_over(state: State, replacement: "_Replacement", number: int) -> bool:
    """Make up for what has changed meanwhile, beside the lock while that is much, and let the new table take over."""
    for _ in range(TURNS_MAX):
        with state.lock:
            missing = replacement.missing(_live(state))
            if len(missing) <= PART_SERIES and not state.has_pending():
                replacement.take(missing)
                replacement.file.sync()
                former = state.manifest.series
                state.settle(state.sealed, series=number, series_bytes=replacement.file.size)
                replacement.take_over()
                state.changes.name()
                state.looked_at = state.sealed
                break
        replacement.take(missing)
    else:
        return False
    if former:
        state.disk.remove(state.folder.series(former))
    return True


def _live(state: State) -> NDArray[np.bool_]:
    """bool[places]: series with samples in runs or in memory, and those of which the log tells since the last run."""
    head = state.head
    is_live = np.zeros(len(head.table), np.bool_)
    for run in state.sealed.runs:
        is_live[run.ids] = True
    for generation in head.generations:
        generation.note_live(is_live)
    for made in (*head.unsealed, *head.unlogged):
        is_live[made] = True
    return is_live


class _Replacement:
    """The table and the file of label keys that will be."""

    def __init__(self, head: Head, file: AppendFile) -> None:
        self.file = file
        self._head = head
        self._table = SeriesTable()
        self._is_taken = np.zeros(0, np.bool_)

    def take(self, refs: Refs) -> None:
        """Some series of the head. Its arrays grow meanwhile; what is in them of these series does not change."""
        if len(refs):
            taken = np.zeros(max(len(self._is_taken), int(refs.max()) + 1), np.bool_)
            taken[: len(self._is_taken)] = self._is_taken
            taken[refs] = True
            self._is_taken = taken
        for begin in range(0, len(refs), min(PART_SERIES, RECORD_SERIES_MAX)):
            part = np.ascontiguousarray(refs[begin : begin + min(PART_SERIES, RECORD_SERIES_MAX)])
            keys, key_ends = self._head.table.keys_of(part)
            ends = np.array([0, *key_ends], np.int64)
            self.file.append(encode_series(part, keys, ends))
            self._table.intern(np.frombuffer(keys or b"\0", np.uint8), ends, part)

    def missing(self, is_live: NDArray[np.bool_]) -> Refs:
        """Series that live and were not taken."""
        is_live = is_live.copy()
        known = min(len(is_live), len(self._is_taken))
        is_live[:known] &= ~self._is_taken[:known]
        return np.flatnonzero(is_live).astype(np.int32)

    def take_over(self) -> None:
        """The head goes on with the new table; places that nobody has any more are free."""
        places = len(self._head.table)
        is_taken = np.zeros(places, np.bool_)
        known = min(places, len(self._is_taken))
        is_taken[:known] = self._is_taken[:known]
        free = np.flatnonzero(~is_taken).astype(np.int32)
        self._table.release(free[free < len(self._table)])
        self._head.replace_table(self._table, free)
        self._head.unsealed.clear()
