"""The write side: judges the cells of batches and commits them. Implements `storage.contracts.Appender`.

Cells newer than their series' newest take the short way: one kernel call a batch. All others are compared with what is stored
at their places, likewise a batch at once (`places`).
Invariant: `commit` publishes everything or, where it raises, nothing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch, Conflict, Reason
from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.metadata import Metadata
from nunchi.storage.contracts import (
    FUTURE_MS_MAX,
    MARK_BYTES_MAX,
    REJECTION_EXAMPLES_MAX,
    AppendResult,
    Rejection,
)
from nunchi.storage.errors import NotLoadedError
from nunchi.tsdb import places
from nunchi.tsdb.cells import Cells, join_cells
from nunchi.tsdb.kernels import cells as kernel
from nunchi.tsdb.kernels import late as kernel_late
from nunchi.tsdb.references import references, without_references
from nunchi.tsdb.shapes import is_storable
from nunchi.tsdb.starts import START_MS_MAX
from nunchi.tsdb.state import State

NEW, SAME, PAST, FUTURE, TOO_OLD = range(5)
REASONS = (None, *Reason)


class DatabaseAppender:
    """One writer's batches until they are committed."""

    def __init__(self, state: State, owner: int) -> None:
        self._state = state
        self._owner = owner
        self._cells: list[Cells] = []
        self._late: list[Cells] = []
        self._metadata: dict[str, Metadata] = {}
        self._marks: dict[str, bytes] = {}
        self._exemplars: list[tuple[bytes, Exemplar]] = []
        self._head = state.head

    def append(self, batch: Batch) -> AppendResult:
        """See `Appender.append`."""
        state = self._state
        result = AppendResult()
        if state.loading is not None:
            batch, result.kept = state.loading.admit(batch)
            if not len(batch) and not batch.exemplars:
                return result
        if batch.histograms is not None:
            batch = _storable(batch, result)
        with state.lock:
            self._head = state.head
            refs = state.resolve(batch.layout, batch.columns)
            self._metadata.update(batch.metadata)
            self._judge_exemplars(batch, result)
            if len(batch.values) == 0:
                return result
            times, lasts, fates = (
                np.empty(len(refs), np.int64),
                np.empty(len(refs), np.int64),
                np.empty(len(refs), np.uint8),
            )
            values = batch.values if batch.histogram_of is None else _referring(batch)
            fresh, same, referring = self._judge(batch, refs, values, times, lasts, fates)
            if referring and batch.histogram_of is None:
                values = without_references(values)
            cells = Cells(refs, times, values, _starts_of(batch), batch.histograms)
            result.accepted += fresh + same
            if fresh == len(refs):
                self._cells.append(cells)
                return result
            new = fates == NEW
            if fresh:
                self._cells.append(cells.take(new))
            if fresh + same < len(refs):
                self._judge_others(batch, cells, lasts, fates, result)
        return result

    def _judge(
        self,
        batch: Batch,
        refs: NDArray[np.int32],
        values: NDArray[np.float64],
        times: NDArray[np.int64],
        lasts: NDArray[np.int64],
        fates: NDArray[np.uint8],
    ) -> tuple[int, int, int]:
        state = self._state
        newest, now_ms = state.head.newest, state.clock.now_ms()
        if newest.owner != self._owner:
            newest.owner = self._owner
            for cells in self._cells:
                kernel.remember(*cells[:3], newest.pending, newest.pending_times, newest.pending_bits, self._owner)
        return kernel.judge(
            refs, batch.timestamps, batch.row_offsets, values, newest.times, newest.bits, newest.pending,
            newest.pending_times, newest.pending_bits, self._owner, now_ms - state.settings.retention_ms,
            now_ms + FUTURE_MS_MAX, batch.on_conflict is Conflict.REPLACE, times, lasts, fates,
        )  # fmt: skip

    def _judge_others(
        self, batch: Batch, cells: Cells, lasts: NDArray[np.int64], fates: NDArray[np.uint8], result: AppendResult
    ) -> None:
        reasons = np.zeros(len(fates), np.uint8)
        reasons[fates == FUTURE] = REASONS.index(Reason.TOO_FAR_IN_FUTURE)
        reasons[fates == TOO_OLD] = REASONS.index(Reason.TOO_OLD)
        past = np.flatnonzero(fates == PAST)
        if len(past):
            late_max_ms = self._state.settings.late_max_ms
            if batch.late_max_seconds is not None:
                late_max_ms = round(batch.late_max_seconds * 1000)
            lateness = Reason.TOO_OLD if late_max_ms else Reason.OUT_OF_ORDER
            own = cells.take(past)
            judged = self._judge_past(own, lasts[past] - own.times > late_max_ms, batch.on_conflict)
            reasons[past[judged == places.DUPLICATE]] = REASONS.index(Reason.DUPLICATE_TIMESTAMP)
            reasons[past[judged == places.LATE]] = REASONS.index(lateness)
            result.accepted += int(np.count_nonzero(judged <= places.TAKEN))
        self._reject(batch, cells.times, reasons, result)

    def _judge_past(self, cells: Cells, is_too_late: NDArray[np.bool_], conflict: Conflict) -> NDArray[np.uint8]:
        """The fates, as `places` has them, of cells that are not newer than their series' newest; keeps those taken."""
        replaces = conflict is Conflict.REPLACE
        known = places.Places(cells)
        self._state.note_stored(known)
        for pending in (*self._cells, *self._late):
            known.note(pending)
        says_more = np.zeros(len(cells.refs), np.bool_)
        if replaces and cells.starts is not None:
            says_more = cells.starts != 0
        fates = known.judge(is_too_late, says_more, replaces=replaces)
        taken = cells.take(fates == places.TAKEN)
        if len(taken.refs):
            self._late.append(taken)
            newest = self._state.head.newest
            kernel_late.note_pending(
                *taken[:3], newest.times, newest.pending, newest.pending_times, newest.pending_bits, self._owner
            )
        return fates

    def _reject(self, batch: Batch, times: NDArray[np.int64], reasons: NDArray[np.uint8], result: AppendResult) -> None:
        for number, count in enumerate(np.bincount(reasons).tolist()):
            if number and count:
                result.count_rejected(REASONS[number], count)
        for cell in np.flatnonzero(reasons)[: REJECTION_EXAMPLES_MAX - len(result.examples)].tolist():
            labels = batch.layout.labels(int(batch.columns[cell]))
            result.examples.append(Rejection(REASONS[reasons[cell]], labels, int(times[cell])))

    def _judge_exemplars(self, batch: Batch, result: AppendResult) -> None:
        if not batch.exemplars:
            return
        buffer, pending = self._state.head.exemplars, dict(self._exemplars)
        for column, exemplar in batch.exemplars:
            key = batch.layout.key(column)
            refusal = buffer.judge(key, exemplar, pending.get(key))
            if refusal is None:
                pending[key] = exemplar
                self._exemplars.append((key, exemplar))
            else:
                result.refuse_exemplar(refusal)

    def mark(self, key: str, value: bytes) -> None:
        """See `Appender.mark`."""
        assert len(value) <= MARK_BYTES_MAX, key
        self._marks[key] = value

    def commit(self) -> None:
        """See `Appender.commit`."""
        cells, late, metadata, marks = self._cells, self._late, self._metadata, self._marks
        exemplars = tuple(self._exemplars)
        self._cells, self._late, self._metadata, self._marks, self._exemplars = [], [], {}, {}, []
        if self._head is not self._state.head and (cells or late):
            raise NotLoadedError("loading ended between append and commit: send the samples again")
        self._state.publish(self._owner, join_cells(cells), join_cells(late), metadata, marks, exemplars)

    def rollback(self) -> None:
        """See `Appender.rollback`."""
        if self._cells or self._late:
            self._state.forget_pending(self._owner)
        self._cells, self._late, self._metadata, self._marks, self._exemplars = [], [], {}, {}, []


def _referring(batch: Batch) -> NDArray[np.float64]:
    """The batch's values, histograms as references to its own."""
    assert batch.histogram_of is not None
    values = without_references(batch.values).copy()
    found = batch.histogram_of != FLOAT
    values[found] = references(batch.histogram_of[found])
    return values


def _starts_of(batch: Batch) -> NDArray[np.int64] | None:
    """Since when the batch's cells count, what cannot be kept exactly being unknown; None: all unknown."""
    if batch.starts is None:
        return None
    starts = np.where((batch.starts > 0) & (batch.starts < START_MS_MAX), batch.starts, 0)
    return starts if starts.any() else None


def _storable(batch: Batch, result: AppendResult) -> Batch:
    """The batch without histograms that are out of bounds; these are rejected."""
    if batch.histograms is None or batch.histogram_of is None:
        return replace(batch, histogram_of=None, histograms=None)
    refused = np.array([not is_storable(shape) for shape in batch.histograms.shapes], np.bool_)
    if not refused.any():
        return batch
    bad = np.append(refused[batch.histograms.shape_of], False)[batch.histogram_of]
    times = batch.cell_timestamps()[bad].tolist()
    for column, time in zip(batch.columns[bad].tolist(), times, strict=True):
        result.reject(Rejection(Reason.INVALID_HISTOGRAM, batch.layout.labels(column), time))
    return batch.keep(~bad)
