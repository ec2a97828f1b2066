"""The write side: judges the cells of batches and commits them. Implements `storage.contracts.Appender`.

Cells newer than their series' newest take the short way: one kernel call a batch. All others are compared with what is stored.
Invariant: `commit` publishes everything or, where it raises, nothing.
"""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch, Conflict, Reason
from nunchi.model.metadata import Metadata
from nunchi.model.staleness import bits_of
from nunchi.storage.contracts import FUTURE_MS_MAX, MARK_BYTES_MAX, AppendResult, Rejection
from nunchi.storage.errors import NotLoadedError
from nunchi.tsdb.kernels import cells as kernel
from nunchi.tsdb.open_cells import Cells, join_cells
from nunchi.tsdb.state import State

NEW, SAME, PAST, FUTURE, TOO_OLD = range(5)


class DatabaseAppender:
    """One writer's batches until they are committed."""

    def __init__(self, state: State, owner: int) -> None:
        self._state = state
        self._owner = owner
        self._cells: list[Cells] = []
        self._late: list[Cells] = []
        self._metadata: dict[str, Metadata] = {}
        self._marks: dict[str, bytes] = {}
        self._head = state.head

    def append(self, batch: Batch) -> AppendResult:
        """See `Appender.append`."""
        state = self._state
        result = AppendResult()
        if state.loading is not None:
            batch, result.kept = state.loading.admit(batch)
            if not len(batch):
                return result
        if batch.histogram_of is not None:
            batch = _without_histograms(batch, result)
        with state.lock:
            self._head = state.head
            known = state.resolve(batch.layout)
            self._metadata.update(batch.metadata)
            if len(batch.values) == 0:
                return result
            refs = known[batch.columns]
            times, lasts, fates = (
                np.empty(len(refs), np.int64),
                np.empty(len(refs), np.int64),
                np.empty(len(refs), np.uint8),
            )
            fresh, same = self._judge(batch, refs, times, lasts, fates)
            result.accepted = fresh + same
            if fresh == len(refs):
                self._cells.append((refs, times, batch.values))
                return result
            new = fates == NEW
            if fresh:
                self._cells.append((refs[new], times[new], batch.values[new]))
            if fresh + same < len(refs):
                self._judge_others(batch, refs, times, lasts, fates, result)
        return result

    def _judge(
        self,
        batch: Batch,
        refs: NDArray[np.int32],
        times: NDArray[np.int64],
        lasts: NDArray[np.int64],
        fates: NDArray[np.uint8],
    ) -> tuple[int, int]:
        state = self._state
        newest, now_ms = state.head.newest, state.clock.now_ms()
        if newest.owner != self._owner:
            newest.owner = self._owner
            for cells in self._cells:
                kernel.remember(*cells, newest.pending, newest.pending_times, newest.pending_bits, self._owner)
        return kernel.judge(
            refs, batch.timestamps, batch.row_offsets, batch.values, newest.times, newest.bits, newest.pending,
            newest.pending_times, newest.pending_bits, self._owner, now_ms - state.settings.retention_ms,
            now_ms + FUTURE_MS_MAX, batch.on_conflict is Conflict.REPLACE, times, lasts, fates,
        )  # fmt: skip

    def _judge_others(
        self,
        batch: Batch,
        refs: NDArray[np.int32],
        times: NDArray[np.int64],
        lasts: NDArray[np.int64],
        fates: NDArray[np.uint8],
        result: AppendResult,
    ) -> None:
        past = np.flatnonzero(fates == PAST)
        stored = self._stored(refs[past], times[past]) if len(past) else {}
        late: list[int] = []
        late_max_ms = self._state.settings.late_max_ms
        if batch.late_max_seconds is not None:
            late_max_ms = round(batch.late_max_seconds * 1000)
        for cell in np.flatnonzero(fates >= PAST).tolist():
            reason: Reason | None
            if fates[cell] == PAST:
                is_late = int(lasts[cell]) - int(times[cell]) > late_max_ms
                reason = self._judge_past(
                    int(refs[cell]), int(times[cell]), float(batch.values[cell]), stored, batch.on_conflict,
                    (Reason.TOO_OLD if late_max_ms else Reason.OUT_OF_ORDER) if is_late else None,
                )  # fmt: skip
                if reason is None:
                    late.append(cell)
            else:
                reason = Reason.TOO_FAR_IN_FUTURE if fates[cell] == FUTURE else Reason.TOO_OLD
            if reason is None:
                result.accepted += 1
            else:
                result.reject(Rejection(reason, batch.layout.labels(int(batch.columns[cell])), int(times[cell])))
        if late:
            self._late.append((refs[late], times[late], batch.values[late]))

    def _judge_past(
        self,
        ref: int,
        time: int,
        value: float,
        stored: dict[tuple[int, int], int],
        conflict: Conflict,
        lateness: Reason | None,
    ) -> Reason | None:
        """A cell that is not its series' newest; what is accepted becomes part of `stored`."""
        bits = bits_of(value)
        found = stored.get((ref, time))
        if found is not None:
            if found != bits and conflict is not Conflict.REPLACE:
                return Reason.DUPLICATE_TIMESTAMP
        elif lateness is not None:
            return lateness
        stored[ref, time] = bits
        self._note_newest(ref, time, bits)
        return None

    def _note_newest(self, ref: int, time: int, bits: int) -> None:
        """A replaced newest sample is what the next cell is compared with."""
        newest = self._state.head.newest
        last = newest.pending_times[ref] if newest.pending[ref] == self._owner else newest.times[ref]
        if time >= last:
            newest.pending[ref], newest.pending_times[ref], newest.pending_bits[ref] = self._owner, time, bits

    def _stored(self, refs: NDArray[np.int32], times: NDArray[np.int64]) -> dict[tuple[int, int], int]:
        """Bits of the samples of some series between the oldest and the newest of some times, pending ones included."""
        wanted = np.unique(refs)
        stored = self._state.read_bits(wanted, int(times.min()), int(times.max()))
        for cells in (*self._cells, *self._late):
            own_refs, own_times, own_values = cells
            some = np.isin(own_refs, wanted)
            keys = zip(own_refs[some].tolist(), own_times[some].tolist(), strict=True)
            stored.update(zip(keys, own_values[some].view(np.uint64).tolist(), strict=True))
        return stored

    def mark(self, key: str, value: bytes) -> None:
        """See `Appender.mark`."""
        assert len(value) <= MARK_BYTES_MAX, key
        self._marks[key] = value

    def commit(self) -> None:
        """See `Appender.commit`."""
        cells, late, metadata, marks = self._cells, self._late, self._metadata, self._marks
        self._cells, self._late, self._metadata, self._marks = [], [], {}, {}
        if self._head is not self._state.head and (cells or late):
            raise NotLoadedError("loading ended between append and commit: send the samples again")
        self._state.publish(self._owner, join_cells(cells), join_cells(late), metadata, marks)

    def rollback(self) -> None:
        """See `Appender.rollback`."""
        if self._cells or self._late:
            self._state.forget_pending(self._owner)
        self._cells, self._late, self._metadata, self._marks = [], [], {}, {}


def _without_histograms(batch: Batch, result: AppendResult) -> Batch:
    """The batch's numbers; its histograms are rejected."""
    floats, cells = batch.floats()
    times = batch.cell_timestamps()[cells].tolist()
    for column, time in zip(batch.columns[cells].tolist(), times, strict=True):
        result.reject(Rejection(Reason.HISTOGRAM, batch.layout.labels(column), time))
    return floats
