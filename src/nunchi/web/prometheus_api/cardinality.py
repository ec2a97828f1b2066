"""The cardinality of any store, counted over the labels of its series: for those that do not count themselves."""

from collections.abc import Sequence

import numpy as np

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.symbols import LabelTable
from nunchi.storage.cardinality import Cardinality, count_labels
from nunchi.storage.contracts import Store
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN

CARDINALITY_ROWS_DEFAULT = 10
CARDINALITY_ROWS_MAX = 10_000
_NAMED = (Matcher(METRIC_NAME, MatchOperator.NOT_EQUAL, ""),)


class SelectedCardinality:
    """Implements `storage.cardinality.CardinalitySource`; every series that the store has is one that is being written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cardinality(self, selectors: Sequence[Sequence[Matcher]], rows: int) -> Cardinality:
        """See `CardinalitySource.cardinality`."""
        statistics = self._store.statistics()
        querier = self._store.querier()
        try:
            tables = [querier.select(one, TIME_MS_MIN, TIME_MS_MAX).labels for one in selectors or (_NAMED,)]
            found = count_labels(tables[0] if len(tables) == 1 else _union(tables), rows)
        finally:
            querier.close()
        found.chunks = found.series
        found.min_time_ms, found.max_time_ms = statistics.min_time_ms, statistics.max_time_ms
        return found


def _union(tables: Sequence[LabelTable]) -> LabelTable:
    """The series of several tables, each once."""
    known: dict[bytes, tuple[int, int]] = {}
    for number, table in enumerate(tables):
        pairs = np.stack([table.names, table.values], axis=1)
        for series in range(len(table)):
            known.setdefault(pairs[table.offsets[series] : table.offsets[series + 1]].tobytes(), (number, series))
    parts = [
        table.take(np.array([series for owner, series in known.values() if owner == number], np.int64))
        for number, table in enumerate(tables)
    ]
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    names, values = (np.concatenate([getattr(part, each) for part in parts]) for each in ("names", "values"))
    return LabelTable(tables[0].symbols, names, values, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))
