"""Makes the commits of the log visible again, many at a time.

While a database loaded, its commits named series by numbers behind those in use; a series that had one already is known by that
(`_number_of`). Invariant: commits are taken in the order in which they were logged; each is taken whole or named as lost.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import DiskError
from nunchi.tsdb import sealing
from nunchi.tsdb.cells import NO_CELLS, Cells
from nunchi.tsdb.commits import Commit, decode_commit, decode_plain
from nunchi.tsdb.damage import keep_aside, name_loss
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.loading import Loading
from nunchi.tsdb.memory import grown
from nunchi.tsdb.open_cells import SLAB_ROWS
from nunchi.tsdb.sealing import is_seal_due, seal_generation
from nunchi.tsdb.state import State
from nunchi.tsdb.wal import Salvage, Survey, read_surveyed

REPLAY_CELLS_MAX = 1 << 18
CHECK_RECORDS = 1000
CELL_BYTES = 12


class Replay:
    """Takes commits into the head of a state that nobody else uses yet."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._salvage = Salvage()
        self._unnamed = 0
        self._refs = np.empty(REPLAY_CELLS_MAX, np.int32)
        self._times = np.empty(REPLAY_CELLS_MAX, np.int64)
        self._values = np.empty(REPLAY_CELLS_MAX, np.float64)
        self._waiting = 0
        self._is_known = np.zeros(1, np.bool_)
        self._known = 0
        self._number_of: NDArray[np.int32] | None = None

    def segments(self, surveys: Sequence[Survey], loading: Loading | None) -> None:
        """All these segments that no run has; what is open beyond its bound is sealed at their ends."""
        state = self._state
        own = [survey for survey in surveys if survey.number >= state.manifest.first_segment]
        self._make_room(own)
        for position, survey in enumerate(own):
            self._segment(survey, loading)
            self.apply()
            state.head.open.first_segment = min(state.head.open.first_segment, survey.number)
            if position + 1 < len(own) and not state.only_looks and is_seal_due(state):
                self._seal(own[position + 1].number)
                self._make_room(own[position + 1 :])

    def _make_room(self, surveys: Sequence[Survey]) -> None:
        """For about as many cells as the next segments have: memory that is not used in the end is never touched."""
        table = self._state.head.table
        cells = sum(survey.body_bytes for survey in surveys) // CELL_BYTES
        bound = max(sealing.OPEN_SAMPLES_MIN, sealing.OPEN_SAMPLES_PER_SERIES * table.series)
        slabs = min(cells, bound) // SLAB_ROWS + min(cells, table.series) + REPLAY_CELLS_MAX
        self._state.head.open.make_room(len(table), slabs)

    def _segment(self, survey: Survey, loading: Loading | None) -> None:
        state = self._state
        self._salvage.add(survey.salvage)
        for count, body in enumerate(read_surveyed(state.disk, state.folder, survey)):
            try:
                self._take_body(body)
            except CorruptionError as error:
                name_loss(state, "wal", f"a record in segment {survey.number} is lost", error)
            if loading is not None and count % CHECK_RECORDS == 0:
                loading.check()
        if loading is not None:
            loading.advance(state.disk.size(state.folder.segment(survey.number)) or 0)
        if survey.salvage.damaged_places:
            keep_aside(state, state.folder.segment(survey.number))

    def _seal(self, first_segment: int) -> None:
        """What was replayed goes to a run; where the disk refuses, it stays in memory."""
        try:
            seal_generation(self._state, self._state.head.freeze(first_segment))
            self._state.wal.cut(self._state.manifest.first_segment)
        except DiskError as error:
            self._state.log.warning("what was replayed is not sealed yet and stays in memory", error=error)

    def _take_body(self, body: bytes) -> None:
        cells = decode_plain(body, self._refs, self._times, self._values, self._waiting)
        if cells is None and self._waiting:
            self.apply()
            cells = decode_plain(body, self._refs, self._times, self._values, 0)
        if cells is None:
            self.take(decode_commit(body))
        else:
            self._waiting += cells

    def take(self, commit: Commit) -> None:
        """The next commit."""
        head = self._state.head
        self.apply()
        if len(commit.series):
            before = head.table.series
            actual = head.load_series(commit.series, commit.keys, commit.ends)
            self._renumber(commit.series, actual)
            if head.table.series > before:
                made = head.table.snapshot().created[before:].copy()
                head.unsealed.append(made)
                self._state.ask_blocks(head, made)
        head.take_notes(commit)
        cells, late = self._named(commit.cells), self._named(commit.late)
        self._state.apply(cells, late)
        self._state.telemetry.replayed.add(len(cells[0]) + len(late[0]))

    def apply(self) -> None:
        """Put what is waiting into the head."""
        waiting, self._waiting = self._waiting, 0
        if waiting:
            cells = self._named(Cells(self._refs[:waiting], self._times[:waiting], self._values[:waiting]))
            self._state.apply(cells, NO_CELLS)
            self._state.telemetry.replayed.add(len(cells[0]))

    def end(self) -> None:
        """Everything was taken: say what was lost."""
        self.apply()
        state, salvage = self._state, self._salvage
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
        if self._unnamed:
            state.log.error("samples of series whose labels are lost were dropped", samples=self._unnamed)

    def _renumber(self, numbers: NDArray[np.int32], actual: NDArray[np.int32]) -> None:
        """From now on the log means the series `actual` where it says `numbers`."""
        if self._number_of is None and np.array_equal(numbers, actual):
            return
        known = self._number_of if self._number_of is not None else np.zeros(0, np.int32)
        needed = int(numbers.max()) + 1
        if needed > len(known):
            begin, known = len(known), grown(known, needed)
            known[begin:] = np.arange(begin, len(known), dtype=np.int32)
        known[numbers] = actual
        self._number_of = known

    def _named(self, cells: Cells) -> Cells:
        """Cells of series whose labels are known, by their present numbers; the others are counted."""
        refs = cells.refs
        if len(refs) == 0:
            return cells
        if self._number_of is not None:
            inside = (refs >= 0) & (refs < len(self._number_of))
            refs = np.where(inside, self._number_of[np.where(inside, refs, 0)], refs).astype(np.int32)
        self._look_known()
        known = (refs >= 0) & (refs < len(self._is_known))
        known &= self._is_known[np.where(known, refs, 0)]
        if known.all():
            return cells._replace(refs=refs)
        self._unnamed += int((~known).sum())
        return cells._replace(refs=refs).take(known)

    def _look_known(self) -> None:
        head = self._state.head
        created = head.table.snapshot().created
        places = max(1, len(head.newest.times))
        if places != len(self._is_known):
            self._is_known, self._known = np.zeros(places, np.bool_), 0
        self._is_known[created[self._known :]] = True
        self._known = len(created)
