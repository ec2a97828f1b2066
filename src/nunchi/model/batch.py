"""What goes through the Appender in one call: rows of cells over a layout, as arrays.

A scrape is one row; a remote-write request is as many rows as it has runs of equal timestamps. A row may be ragged: a cell
names its column. The samples of one series stand in the order in which they are to be judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout


class Conflict(Enum):
    """What a store does with another value for a timestamp that it has already."""

    REJECT = "reject"
    REPLACE = "replace"


class Reason(Enum):
    """Why a sample was rejected for good."""

    OUT_OF_ORDER = "out_of_order"
    DUPLICATE_TIMESTAMP = "duplicate_timestamp"
    TOO_OLD = "too_old"
    TOO_FAR_IN_FUTURE = "too_far_in_future"
    INVALID_LABELS = "invalid_labels"
    INVALID_HISTOGRAM = "invalid_histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of cells. Row `r` has timestamp `timestamps[r]` and the cells `row_offsets[r]` to `row_offsets[r + 1]`.

    timestamps   int64[rows], milliseconds since the epoch
    row_offsets  int64[rows + 1], first 0, last the number of cells
    columns      int32[cells], columns of `layout`
    values       float64[cells]; the staleness marker is a value; *absent* stands only where the cell is a histogram
    metadata     by metric family name; what is known and has changed
    late_max_seconds  how late a sample may come behind its series' newest one; None: the store's own window
    histogram_of int32[cells], numbers of `histograms`, `FLOAT` where the cell is a number; None: all are numbers
    starts       int64[cells], since when each sample counts, milliseconds, 0 where unknown; None: all unknown
    exemplars    (column, exemplar), those of one series in the order of their times; not bound to cells
    """

    layout: Layout
    timestamps: NDArray[np.int64]
    row_offsets: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    on_conflict: Conflict = Conflict.REJECT
    late_max_seconds: float | None = None
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None
    starts: NDArray[np.int64] | None = None
    exemplars: Sequence[tuple[int, Exemplar]] = ()

    @classmethod
    def row(
        cls,
        layout: Layout,
        timestamp_ms: int,
        columns: NDArray[np.int32],
        values: NDArray[np.float64],
        metadata: Mapping[str, Metadata] | None = None,
    ) -> "Batch":
        """One arrival at one time: a scrape, an agent's round, a rule group's evaluation."""
        return cls(
            layout,
            np.array([timestamp_ms], np.int64),
            np.array([0, len(columns)], np.int64),
            np.ascontiguousarray(columns, np.int32),
            np.ascontiguousarray(values, np.float64),
            metadata or {},
        )

    @classmethod
    def cells(
        cls,
        layout: Layout,
        timestamps_ms: NDArray[np.int64],
        columns: NDArray[np.int32],
        values: NDArray[np.float64],
        metadata: Mapping[str, Metadata] | None = None,
        on_conflict: Conflict = Conflict.REJECT,
        late_max_seconds: float | None = None,
        histogram_of: NDArray[np.int32] | None = None,
        histograms: HistogramColumns | None = None,
        starts: NDArray[np.int64] | None = None,
        exemplars: Sequence[tuple[int, Exemplar]] = (),
    ) -> "Batch":
        """Cells with a timestamp each; runs of equal timestamps become rows."""
        rows = np.flatnonzero(np.diff(timestamps_ms, prepend=np.int64(-1) << np.int64(62)))
        offsets = np.append(rows, len(timestamps_ms)).astype(np.int64)
        return cls(
            layout,
            np.ascontiguousarray(timestamps_ms[rows], np.int64),
            offsets,
            np.ascontiguousarray(columns, np.int32),
            np.ascontiguousarray(values, np.float64),
            metadata or {},
            on_conflict,
            late_max_seconds,
            histogram_of,
            histograms,
            starts,
            exemplars,
        )

    def __len__(self) -> int:
        return len(self.values)

    def cell_timestamps(self) -> NDArray[np.int64]:
        """int64[cells]: the timestamp of each cell."""
        return np.repeat(self.timestamps, np.diff(self.row_offsets))

    def keep(self, cells: NDArray[np.bool_]) -> "Batch":
        """Only some of the cells; all exemplars."""
        return Batch.cells(
            self.layout, self.cell_timestamps()[cells], self.columns[cells], self.values[cells], self.metadata,
            self.on_conflict, self.late_max_seconds,
            None if self.histogram_of is None else self.histogram_of[cells], self.histograms,
            None if self.starts is None else self.starts[cells], self.exemplars,
        )  # fmt: skip
