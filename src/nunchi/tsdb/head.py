"""The head: series, their newest samples, the open generation and those that wait to be sealed. Under the database's lock.

Layouts are resolved once: afterwards a batch costs one look-up in an array a cell, and only new columns cost label work.
Invariant: every series_ref that a generation or a run has is in the table.
"""

from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from numpy.typing import NDArray

from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT_BITS
from nunchi.storage.exemplars import ExemplarBuffer
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.commits import Commit
from nunchi.tsdb.kernels import late as kernel
from nunchi.tsdb.open_cells import Generation, Newest
from nunchi.tsdb.series_table import SeriesTable

NOWHERE = -1
"""Instead of a series_ref: the series of a column has left the head, until a cell of it comes."""
NO_SERIES = np.zeros(0, np.int32)
NO_ENDS = np.zeros(1, np.int64)


class Head:
    """What is in memory."""

    def __init__(self, first_segment: int) -> None:
        self.table = SeriesTable()
        self.newest = Newest()
        self.open = Generation(0, first_segment)
        self.frozen: tuple[Generation, ...] = ()
        self.metadata: dict[str, Metadata] = {}
        self.marks: dict[str, bytes] = {}
        self.exemplars = ExemplarBuffer()
        self.frozen_marks: dict[str, bytes] = {}
        self.unlogged: list[NDArray[np.int32]] = []
        self.unsealed: list[NDArray[np.int32]] = []
        self._refs: WeakKeyDictionary[Layout, NDArray[np.int32]] = WeakKeyDictionary()
        self._has_gone: WeakSet[Layout] = WeakSet()

    @property
    def generations(self) -> tuple[Generation, ...]:
        """All that is not sealed, the oldest first."""
        return (*self.frozen, self.open)

    def resolve(self, layout: Layout) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """int32[columns]: the series_ref of each column, made where it is new; and which series were made."""
        known = self._refs.get(layout)
        begin = 0 if known is None else len(known)
        if known is not None and begin == len(layout):
            return known, known[:0]
        keys, ends = layout.keys_from(begin)
        refs, made = self._intern(keys, np.frombuffer(ends, np.int64))
        resolved = refs if known is None else np.concatenate([known, refs])
        self._refs[layout] = resolved
        return resolved, made

    def revive(self, layout: Layout, columns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Make those of some columns again whose series have left the head; which were made."""
        if not self._has_gone or layout not in self._has_gone:
            return columns[:0]
        known = self._refs[layout]
        gone = np.unique(columns[known[columns] == NOWHERE])
        if len(gone) == 0:
            return gone
        keys = [layout.key(column) for column in gone.tolist()]
        refs, made = self._intern(b"".join(keys), np.cumsum([0, *map(len, keys)]))
        known = known.copy()
        known[gone] = refs
        self._refs[layout] = known
        return made

    def _intern(self, keys: bytes, ends: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        refs, made = self.table.intern(np.frombuffer(keys or b"\0", np.uint8), ends)
        self.newest.make_room(len(self.table))
        if len(made):
            made = made.copy()
            self.unlogged.append(made)
            self.unsealed.append(made)
        return refs, made

    def load_series(self, refs: NDArray[np.int32], keys: bytes, ends: NDArray[np.int64]) -> NDArray[np.int32]:
        """Series with the places that they had; those known already stay at theirs. Returns where each is."""
        if len(refs) == 0:
            return refs
        actual, _ = self.table.intern(np.frombuffer(keys or b"\0", np.uint8), ends, np.ascontiguousarray(refs))
        self.newest.make_room(len(self.table))
        return actual

    def take_notes(self, commit: Commit) -> None:
        """What a commit says beside its samples."""
        self.metadata.update(commit.metadata)
        for label_key, exemplar in commit.exemplars:
            self.exemplars.add(label_key, exemplar)
        for key, value in commit.marks.items():
            if value:
                self.marks[key] = value
            else:
                self.marks.pop(key, None)

    def take_unlogged(self) -> tuple[NDArray[np.int32], bytes, NDArray[np.int64]]:
        """Series that no record of the WAL names yet, with their label keys, as `Commit` wants them."""
        made = np.concatenate(self.unlogged) if self.unlogged else NO_SERIES
        if len(made) == 0:
            return NO_SERIES, b"", NO_ENDS
        keys, ends = self.table.keys_of(made)
        return made, keys, np.array([0, *ends], np.int64)

    def raise_newest(self, refs: NDArray[np.int32], times: NDArray[np.int64]) -> None:
        """Series of which samples are known that are not open; `refs` are distinct."""
        newer = times > self.newest.times[refs]
        self.newest.times[refs[newer]] = times[newer]
        self.newest.bits[refs[newer]] = ABSENT_BITS

    def note_late(self, cells: Cells) -> None:
        """Cells outside the order: some may be their series' newest, or have replaced it."""
        kernel.note_newest(*cells[:3], self.newest.times, self.newest.bits)

    def freeze(self, first_segment: int) -> Generation:
        """Close the open generation and begin another, whose cells are logged from a segment on."""
        self.frozen_marks = dict(self.marks)
        generation = self.open
        self.open = Generation(len(self.table), first_segment, generation.slabs)
        self.frozen = (*self.frozen, generation)
        return generation

    def forget(self, generation: Generation) -> None:
        """A generation has been sealed."""
        self.frozen = tuple(other for other in self.frozen if other is not generation)

    def replace_table(self, table: SeriesTable, dead: NDArray[np.int32]) -> None:
        """Another table without the dead series; all others keep their places, and layouts forget the dead ones."""
        self.table = table
        self.newest.times[dead] = Newest.NEVER
        is_dead = np.zeros(len(self.newest.times) + 1, np.bool_)
        is_dead[dead] = True
        for layout, refs in list(self._refs.items()):
            gone = is_dead[refs] | (refs == NOWHERE)
            if gone.any():
                self._refs[layout] = np.where(gone, NOWHERE, refs).astype(np.int32)
                self._has_gone.add(layout)
        self.unlogged = [made[~is_dead[made]] for made in self.unlogged]
