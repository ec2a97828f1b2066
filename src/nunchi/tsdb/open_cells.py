"""Samples of the head that are not sealed yet, and the layers through which they are read.

A generation is filled, frozen, sealed into a run and forgotten; another one takes over at once. In-order cells go to slabs of
their series, all others (late, replacing) to a list. Rows below a count never change, and what was appended since a reader
came is taken off the counts by the journal, so readers copy nothing when they come and wait for nobody.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.staleness import ABSENT_BITS
from nunchi.tsdb.cells import Cells, join_cells
from nunchi.tsdb.kernels import cells as kernel
from nunchi.tsdb.late_cells import LateLayer
from nunchi.tsdb.memory import CAPACITY_MIN, grown, roomy_zeros
from nunchi.tsdb.reading import Longs, Parts
from nunchi.tsdb.references import Arena, are_references, renumbered

SLAB_ROWS = 16
SLABS_AHEAD = 5 / 4
"""How many times the slabs of the generation before there is room for: what is not touched takes no memory."""
NO_STARTS = np.zeros(0, np.int64)
LATE_LAYER_MIN = 1024
HISTOGRAM_SAMPLES = 2
BUCKETS_PER_SAMPLE = 2
"""What a histogram and its buckets weigh beside numbers, for whoever bounds what is open."""


class Newest:
    """Each series' newest sample, by which order is judged; and notes of the appender whose turn it is.

    Where only its time is known its bits are those of *absent*, which no sample has, so that it is looked up.
    """

    NEVER = -(2**63)

    def __init__(self) -> None:
        self.times = np.zeros(0, np.int64)
        self.bits = np.zeros(0, np.uint64)
        self.pending = np.zeros(0, np.int32)
        self.pending_times = np.zeros(0, np.int64)
        self.pending_bits = np.zeros(0, np.uint64)
        self.owner = 0

    def make_room(self, series: int) -> None:
        """For as many series."""
        self.times = grown(self.times, series, self.NEVER)
        self.bits = grown(self.bits, series, ABSENT_BITS)
        self.pending = grown(self.pending, series)
        self.pending_times = grown(self.pending_times, series)
        self.pending_bits = grown(self.pending_bits, series)


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What of a generation a reader sees: all commits up to a number."""

    generation: "Generation"
    commit: int
    late: tuple[LateLayer, ...]


class Generation:
    """In-order cells in slabs, other cells in a list. Everything here is called under the database's lock."""

    def __init__(self, series: int, first_segment: int, slabs_before: int = 0) -> None:
        places, slabs = max(series, CAPACITY_MIN), max(int(slabs_before * SLABS_AHEAD), CAPACITY_MIN)
        self.counts = roomy_zeros(places, np.int32)
        self.first_slabs = roomy_zeros(places, np.int32)
        self.last_slabs = roomy_zeros(places, np.int32)
        self.hashes = roomy_zeros(places, np.uint64)
        self.slab_times = roomy_zeros(slabs * SLAB_ROWS, np.int64)
        self.slab_values = roomy_zeros(slabs * SLAB_ROWS, np.float64)
        self.slab_starts = NO_STARTS
        self.slab_next = roomy_zeros(slabs, np.int32)
        self.slabs = 0
        self.arena = Arena()
        self.has_histograms = np.zeros(0, np.bool_)
        self.samples = 0
        self.late_count = 0
        self.commit = 0
        self.readers = 0
        self.first_segment = first_segment
        self.seen_at_ms: int | None = None
        self.min_time = Newest.NEVER
        self.max_time = Newest.NEVER
        self._late: tuple[LateLayer, ...] = ()
        self._late_waiting: list[Cells] = []
        self._journal: list[tuple[int, NDArray[np.int32]]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put here."""
        return self.samples == 0 and self.late_count == 0

    @property
    def weight(self) -> int:
        """How many numbers would take as much memory as what is here."""
        histograms = len(self.arena) * HISTOGRAM_SAMPLES + self.arena.buckets // BUCKETS_PER_SAMPLE
        return self.samples + self.late_count + histograms

    def adopt(self, cells: Cells) -> Cells:
        """The same cells, their histograms kept here and numbered as they are here."""
        if cells.histograms is None:
            return cells
        base = self.arena.add(cells.histograms)
        self.has_histograms = grown(self.has_histograms, int(cells.refs.max(initial=0)) + 1)
        self.has_histograms[cells.refs[are_references(cells.values)]] = True
        return cells._replace(values=renumbered(cells.values, base), histograms=None)

    def put(self, cells: Cells, newest: Newest) -> Longs:
        """Append adopted in-order cells; returns the positions of those that are not. `newest` has room for all refs."""
        refs, times, values, starts, _ = cells
        self.make_room(len(newest.times), len(refs))
        if starts is not None:
            self._make_room_for_starts()
        refused = np.empty(len(refs), np.int64)
        self.slabs, left, oldest, newest_time = kernel.put(
            refs, times, values, NO_STARTS if starts is None else starts, newest.times, newest.bits, self.counts,
            self.first_slabs, self.last_slabs, self.hashes, self.slab_times, self.slab_values, self.slab_starts,
            self.slab_next, self.slabs, refused,
        )  # fmt: skip
        self.samples += len(refs) - left
        self.commit += 1
        if self.readers:
            taken = refs if left == 0 else np.delete(refs, refused[:left])
            self._journal.append((self.commit, taken))
        if len(refs):
            self._widen(oldest, newest_time)
        return refused[:left]

    def put_late(self, cells: Cells) -> None:
        """Add adopted cells that stand outside the order, or replace others; of equal ones the last counts."""
        if len(cells.refs):
            self._late_waiting.append(cells)
            self.late_count += len(cells.refs)
            self._widen(int(cells.times.min()), int(cells.times.max()))

    def moment(self) -> Moment:
        """What is here now, for a reader that will `release` it."""
        self.readers += 1
        return Moment(self, self.commit, self._late_layers())

    def release(self) -> None:
        """A reader has gone."""
        self.readers -= 1
        if self.readers == 0:
            self._journal.clear()

    def counts_at(self, refs: NDArray[np.int32], commit: int) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
        """Rows of each series, and the hash of their timestamps, as they were at a commit."""
        known = refs < len(self.counts)
        bounded = np.where(known, refs, 0)
        counts = np.where(known, self.counts[bounded], 0).astype(np.int32)
        hashes = np.where(counts > 0, self.hashes[bounded], 0).astype(np.uint64)
        later = [taken for number, taken in self._journal if number > commit]
        if later:
            order = np.argsort(refs, kind="stable")
            since = np.concatenate(later)
            places = np.searchsorted(refs, since, sorter=order)
            places[places == len(refs)] = 0
            hit = order[places[refs[order[places]] == since]] if len(refs) else places[:0]
            taken_off = np.bincount(hit, minlength=len(refs)).astype(np.int32)
            changed = np.flatnonzero(taken_off)
            counts[changed] -= taken_off[changed]
            redone = np.empty(len(changed), np.uint64)
            kernel.hash_rows(
                np.ascontiguousarray(bounded[changed], np.int32), np.ascontiguousarray(counts[changed]),
                self.first_slabs, self.slab_times, self.slab_next, redone,
            )  # fmt: skip
            hashes[changed] = redone
        return counts, hashes

    def _late_layers(self) -> tuple[LateLayer, ...]:
        """All late cells as layers, the oldest first. Those of like size become one, so that there are few."""
        if self._late_waiting:
            layers = [*self._late, LateLayer.of(join_cells(self._late_waiting), self.arena)]
            while len(layers) > 1 and len(layers[-2]) < max(2 * len(layers[-1]), LATE_LAYER_MIN):
                layers[-2:] = [layers[-2].merged(layers[-1])]
            self._late, self._late_waiting = tuple(layers), []
        return self._late

    def live_refs(self) -> NDArray[np.int32]:
        """Series that have cells here."""
        return np.unique(np.concatenate([np.flatnonzero(self.counts).astype(np.int32), *self._late_refs()]))

    def note_live(self, is_live: NDArray[np.bool_]) -> None:
        """Set what has cells here."""
        counts = self.counts[: len(is_live)]
        is_live[: len(counts)] |= counts > 0
        for refs in self._late_refs():
            is_live[refs] = True

    def _late_refs(self) -> list[NDArray[np.int32]]:
        return [*(layer.refs for layer in self._late), *(cells.refs for cells in self._late_waiting)]

    def _widen(self, low: int, high: int) -> None:
        self.min_time = low if self.min_time == Newest.NEVER else min(self.min_time, low)
        self.max_time = max(self.max_time, high)

    def make_room(self, series: int, slabs: int) -> None:
        """For series with refs below `series`, and for so many slabs more."""
        if series > len(self.counts):
            self.counts = grown(self.counts, series)
            self.first_slabs = grown(self.first_slabs, len(self.counts))
            self.last_slabs = grown(self.last_slabs, len(self.counts))
            self.hashes = grown(self.hashes, len(self.counts))
        if self.slabs + slabs > len(self.slab_next):
            self.slab_next = grown(self.slab_next, self.slabs + slabs)
            self.slab_times = grown(self.slab_times, len(self.slab_next) * SLAB_ROWS)
            self.slab_values = grown(self.slab_values, len(self.slab_next) * SLAB_ROWS)
            if len(self.slab_starts):
                self._make_room_for_starts()

    def _make_room_for_starts(self) -> None:
        """As much as there is for values; zero where nothing was put."""
        if len(self.slab_starts) < len(self.slab_values):
            longer = roomy_zeros(len(self.slab_values), np.int64)
            longer[: len(self.slab_starts)] = self.slab_starts
            self.slab_starts = longer


class OpenLayer:
    """The in-order cells of a generation, as a reader's moment sees them."""

    def __init__(self, moment: Moment, lock: Any) -> None:
        self._moment = moment
        self._lock = lock

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`. The arrays are taken once: what grows later is another array, or behind the counts."""
        generation = self._moment.generation
        with self._lock:
            counts, hashes = generation.counts_at(refs, self._moment.commit)
            self._first_slabs, self._slab_next = generation.first_slabs, generation.slab_next
            self._slab_times, self._slab_values = generation.slab_times, generation.slab_values
            self._slab_starts, self._has_histograms = generation.slab_starts, generation.has_histograms
        series = np.flatnonzero(counts)
        if len(series) == 0:
            return Parts.join([])
        columns, counts = refs[series], counts[series]
        _, examples, vector_of = np.unique(hashes[series], return_index=True, return_inverse=True)
        begins, ends, first_times, last_times = (np.zeros(len(examples), np.int64) for _ in range(4))
        kernel.rows_within(
            np.ascontiguousarray(columns[examples]), np.ascontiguousarray(counts[examples]), self._first_slabs,
            self._slab_times, self._slab_next, start_ms, end_ms, begins, ends, first_times, last_times,
        )  # fmt: skip
        parts = Parts(
            series, columns.astype(np.int64), columns[examples].astype(np.int64)[vector_of], begins[vector_of],
            ends[vector_of], first_times[vector_of], last_times[vector_of],
        )  # fmt: skip
        return parts.take(parts.begins < parts.ends)

    def decode_values(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: Any) -> None:
        """See `Layer.decode_values`."""
        kernel.copy_rows(
            columns.astype(np.int32),
            begins,
            ends,
            targets,
            self._first_slabs,
            self._slab_values,
            self._slab_next,
            values,
        )

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """See `Layer.decode_times`."""
        kernel.copy_rows(
            vectors.astype(np.int32), begins, ends, targets, self._first_slabs, self._slab_times, self._slab_next, times
        )

    def decode_starts(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """See `Layer.decode_starts`."""
        kernel.copy_rows(
            columns.astype(np.int32), begins, ends, targets, self._first_slabs, self._slab_starts, self._slab_next,
            starts,
        )  # fmt: skip

    def has_starts(self, columns: Longs) -> bool:
        """See `Layer.has_starts`."""
        return len(self._slab_starts) > 0

    def histogram_bytes(self, columns: Longs) -> Longs | None:
        """See `Layer.histogram_bytes`."""
        noted = self._has_histograms
        if len(noted) == 0:
            return None
        some = noted[np.minimum(columns, len(noted) - 1)] & (columns < len(noted))
        return some * np.int64(self._moment.generation.arena.row_bytes) if some.any() else None

    def histograms(self, numbers: Longs) -> HistogramColumns:
        """See `Layer.histograms`."""
        return self._moment.generation.arena.take(numbers)
