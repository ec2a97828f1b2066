"""The series of one agent's replacing rounds: values of a cloud, with the cloud's times, some of them corrected later.

Such a round says nothing of how things are now, so nothing here is live, goes stale or is missed. Rows are stored by
themselves: what replaces must not take along what may not.
Invariant: columns are remembered for the layouts that come again and for no others.
"""

import numpy as np
from numpy.typing import NDArray

from nunchi.admission.door import series_stages
from nunchi.admission.passage import Passage
from nunchi.intake.registry.series import Row, histograms_of, identity_labels
from nunchi.model.batch import Batch, Conflict
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata
from nunchi.wire.payload import PayloadLayout

LATE_SECONDS_MAX = 7 * 24 * 3600.0  # metrics that a cloud has once a day are corrected days later
LAYOUTS_REMEMBERED_MAX = 256
COLUMNS_MAX = 200_000


class ReplacingSeries:
    """Columns of the series that came lately."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._begin()

    def _begin(self) -> None:
        self._passage = Passage(series_stages())
        self._known: dict[PayloadLayout, NDArray[np.int32]] = {}

    def prepare(self) -> None:
        """Begin a payload: all its rows are over one layout, so it may be begun anew only now."""
        if len(self._passage.layout) > COLUMNS_MAX or len(self._known) > LAYOUTS_REMEMBERED_MAX:
            self._begin()

    def columns(self, layout: PayloadLayout) -> NDArray[np.int32]:
        """The column of each series of a payload's layout, negative where labels are refused."""
        columns = self._known.get(layout)
        if columns is None:
            labels = (identity_labels(Labels.from_key(key), self._instance) for key in layout.keys)
            columns = self._known[layout] = self._passage.judge(labels)
        return columns

    def batch(
        self, rows: list[Row], metadata: dict[str, Metadata], histograms: HistogramColumns | None = None
    ) -> Batch:
        """All rows, by time."""
        ordered = sorted(rows, key=lambda row: row.timestamp_ms)
        offsets = np.zeros(len(ordered) + 1, np.int64)
        np.cumsum([len(row.columns) for row in ordered], out=offsets[1:])
        return Batch(
            layout=self._passage.layout,
            timestamps=np.array([row.timestamp_ms for row in ordered], np.int64),
            row_offsets=offsets,
            columns=np.concatenate([row.columns for row in ordered]),
            values=np.concatenate([row.values for row in ordered]),
            metadata=metadata,
            on_conflict=Conflict.REPLACE,
            late_max_seconds=LATE_SECONDS_MAX,
            histogram_of=histograms_of(ordered),
            histograms=histograms,
        )
