"""The series of one agent: rounds become rows over one layout, under the identity that the server gives them.

A check may come with some rounds only, by its own interval, so absence from one round says nothing: a series is gone when it
has not come for three of its own intervals, and two minutes at least.
Invariant: nothing here remembers a round before `settle`; a round that was not stored leaves no trace.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.admission.door import series_stages
from nunchi.admission.passage import DROPPED, Passage
from nunchi.model.batch import Batch, Conflict
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata
from nunchi.model.staleness import STALE, STALE_BITS
from nunchi.wire.payload import PayloadLayout

HOST_JOB = "node"
LATE_SECONDS_MAX = 24 * 3600.0
LAYOUTS_REMEMBERED_MAX = 8
UNUSED_COLUMNS_MAX = 1000
GONE_INTERVALS = 3
GONE_MS_MIN = 120_000
UP_COLUMN = 0
MARKED_MOMENTS_MAX = 64


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One round or marker row; `is_live`: it says how things are now, it is no backlog. `replaces`, `histogram_of`: see
    `PayloadRound`.
    """

    timestamp_ms: int
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    is_live: bool = False
    replaces: bool = False
    histogram_of: NDArray[np.int32] | None = None


def identity_labels(labels: Mapping[str, str], instance: str) -> dict[str, str]:
    """Whose series these are: `instance` is the server's word, `job` the check's, a host's where it says none."""
    changed = dict(labels)
    claimed = changed.get("instance", "")
    if claimed and claimed != instance:
        changed["exported_instance"] = claimed
    changed["instance"] = instance
    changed.setdefault("job", HOST_JOB)
    return changed


class PushedSeries:
    """Columns, and when each was last seen."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._marked_ms: deque[int] = deque(maxlen=MARKED_MOMENTS_MAX)
        self._begin([])

    def _begin(self, present_keys: list[bytes]) -> None:
        self._passage = Passage(series_stages())
        up = Labels.of("up", job=HOST_JOB, instance=self._instance)
        self._passage.columns_of([up.key(), *present_keys])
        self._known: dict[PayloadLayout, NDArray[np.int32]] = {}
        self._last_seen_ms = np.zeros(64, np.int64)
        self._gap_ms = np.zeros(64, np.int64)
        self._is_present = np.zeros(64, bool)
        self.newest_ms = 0

    def columns(self, layout: PayloadLayout) -> NDArray[np.int32]:
        """The column of each series of a payload's layout, negative where labels are refused."""
        columns = self._known.pop(layout, None)
        if columns is None:
            columns = self._judged(layout)
        self._known[layout] = columns
        while len(self._known) > LAYOUTS_REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        self._grow(len(self._passage.layout))
        return columns

    def _judged(self, layout: PayloadLayout) -> NDArray[np.int32]:
        """Layouts mostly grow at their end: only what the one before did not have is looked at."""
        before: NDArray[np.int32] = np.empty(0, np.int32)
        for known, columns in self._known.items():
            if len(before) < len(known.keys) <= len(layout.keys) and layout.keys[: len(known.keys)] == known.keys:
                before = columns
        labels = (Labels.from_key(key) for key in layout.keys[len(before) :])
        return np.concatenate((before, self._passage.judge(identity_labels(one, self._instance) for one in labels)))

    def live_row(self, row: Row, interval_ms: int, *, with_up: bool) -> Row:
        """A live row, completed with markers for what is gone by now, and with `up`."""
        columns, values = [row.columns], [row.values]
        gone = self._gone(row.timestamp_ms, row.columns, interval_ms)
        if len(gone):
            columns.append(gone)
            values.append(np.full(len(gone), STALE))
        if with_up:
            columns.append(np.array([UP_COLUMN], np.int32))
            values.append(np.array([1.0]))
        histogram_of = row.histogram_of
        if histogram_of is not None:
            more = np.full(sum(map(len, columns)) - len(histogram_of), FLOAT, np.int32)
            histogram_of = np.append(histogram_of, more)
        live = Row(row.timestamp_ms, np.concatenate(columns), np.concatenate(values), is_live=True)
        return replace(live, histogram_of=histogram_of)

    def down_row(self, timestamp_ms: int, up: float = 0.0) -> Row:
        """`up` (0, or the marker where the agent is forgotten), and markers for everything that is there."""
        columns = np.append(np.flatnonzero(self._is_present), UP_COLUMN).astype(np.int32)
        values = np.full(len(columns), STALE)
        values[-1] = up
        return Row(timestamp_ms, columns, values)

    def batch(
        self,
        rows: Sequence[Row],
        metadata: Mapping[str, Metadata] | None = None,
        histograms: HistogramColumns | None = None,
    ) -> Batch:
        """All rows of one push, by time."""
        ordered = sorted(rows, key=lambda row: row.timestamp_ms)
        offsets = np.zeros(len(ordered) + 1, np.int64)
        np.cumsum([len(row.columns) for row in ordered], out=offsets[1:])
        return Batch(
            layout=self._passage.layout,
            timestamps=np.array([row.timestamp_ms for row in ordered], np.int64),
            row_offsets=offsets,
            columns=np.concatenate([row.columns for row in ordered]) if ordered else np.empty(0, np.int32),
            values=np.concatenate([row.values for row in ordered]) if ordered else np.empty(0, np.float64),
            metadata=metadata or {},
            late_max_seconds=LATE_SECONDS_MAX,
            histogram_of=histograms_of(ordered),
            histograms=histograms,
        )

    def batches(
        self, rows: Sequence[Row], metadata: Mapping[str, Metadata], histograms: HistogramColumns | None
    ) -> list[Batch]:
        """All rows of one push; those of a moment at which markers stand take their place: a sample was there after all."""
        over = [row for row in rows if row.timestamp_ms in self._marked_ms]
        if not over:
            return [self.batch(rows, metadata, histograms)]
        plain = [row for row in rows if row.timestamp_ms not in self._marked_ms]
        over_markers = replace(self.batch(over, metadata, histograms), on_conflict=Conflict.REPLACE)
        return [self.batch(plain, {}, histograms), over_markers]

    def settle(self, rows: Sequence[Row]) -> None:
        """These rows are stored: remember what was seen in the live ones."""
        for row in rows:
            if not row.is_live:
                continue
            self.newest_ms = max(self.newest_ms, row.timestamp_ms)
            is_marker = row.values.view(np.uint64) == np.uint64(STALE_BITS)
            seen = row.columns[~is_marker & (row.columns != UP_COLUMN)]
            known = self._last_seen_ms[seen] > 0
            self._gap_ms[seen] = np.where(known, row.timestamp_ms - self._last_seen_ms[seen], 0)
            self._last_seen_ms[seen] = row.timestamp_ms
            self._is_present[seen] = True
            self._is_present[row.columns[is_marker]] = False
        present = int(np.count_nonzero(self._is_present))
        if len(self._passage.layout) > 2 * present + UNUSED_COLUMNS_MAX:
            self._forget_unused()

    def settle_down(self, row: Row) -> None:
        """The markers of this `down_row` are stored."""
        self._is_present[:] = False
        self._marked_ms.append(row.timestamp_ms)

    def _gone(self, timestamp_ms: int, columns: NDArray[np.int32], interval_ms: int) -> NDArray[np.int32]:
        patience_ms = np.maximum(GONE_INTERVALS * np.maximum(self._gap_ms, interval_ms), GONE_MS_MIN)
        is_gone = self._is_present & (timestamp_ms - self._last_seen_ms > patience_ms)
        is_gone[columns] = False
        return np.flatnonzero(is_gone).astype(np.int32)

    def _forget_unused(self) -> None:
        layout, newest_ms = self._passage.layout, self.newest_ms
        present = np.flatnonzero(self._is_present)
        last_seen_ms, gap_ms = self._last_seen_ms[present], self._gap_ms[present]
        self._begin([layout.key(column) for column in present.tolist()])
        self._grow(len(present) + 1)
        kept = slice(UP_COLUMN + 1, UP_COLUMN + 1 + len(present))
        self._last_seen_ms[kept], self._gap_ms[kept], self._is_present[kept] = last_seen_ms, gap_ms, True
        self.newest_ms = newest_ms

    def _grow(self, columns: int) -> None:
        missing = columns - len(self._is_present)
        if missing > 0:
            more = max(missing, len(self._is_present))
            self._last_seen_ms = np.append(self._last_seen_ms, np.zeros(more, np.int64))
            self._gap_ms = np.append(self._gap_ms, np.zeros(more, np.int64))
            self._is_present = np.append(self._is_present, np.zeros(more, bool))


def histograms_of(rows: Sequence[Row]) -> NDArray[np.int32] | None:
    """int32[cells of all rows]: which histogram each cell is; None where all are numbers."""
    if all(row.histogram_of is None for row in rows):
        return None
    return np.concatenate(
        [np.full(len(row.columns), FLOAT, np.int32) if row.histogram_of is None else row.histogram_of for row in rows]
    )


def is_refused(columns: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[n]: which have no column."""
    refused: NDArray[np.bool_] = columns <= DROPPED
    return refused
