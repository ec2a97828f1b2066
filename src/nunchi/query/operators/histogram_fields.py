"""One number of each native histogram: count, sum, mean, deviation. Numbers among them are passed over."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid, cells_where, histograms_of
from nunchi.query.histograms.statistics import native_variance
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, Scope, VectorOperator

HISTOGRAM_FIELDS: Final = frozenset(f"histogram_{name}" for name in ("avg", "count", "stddev", "stdvar", "sum"))


class HistogramField:
    """One of `HISTOGRAM_FIELDS`."""

    def __init__(self, scope: Scope, name: str, child: VectorOperator) -> None:
        self._scope = scope
        self._name = name
        self._child = child

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        table = self._child.series()
        return table if self._scope.context.delays_names else tables.drop_metadata(table)

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        for batch in self._child.batches():
            if batch.histograms is None:
                continue
            present = histograms_of(batch.present, batch.histograms)
            drops = np.ones(len(batch.series), np.bool_) if self._scope.context.delays_names else None
            yield Batch(batch.series, self._values(batch.histograms, present), present, drops)

    def _values(self, grid: HistogramGrid, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        columns = grid.columns
        if self._name == "histogram_count":
            return grid.field(columns.counts)
        if self._name == "histogram_sum":
            return grid.field(columns.sums)
        if self._name == "histogram_avg":
            counts = grid.field(columns.counts)
            return np.where(counts == 0, np.nan, grid.field(columns.sums) / counts)
        values = np.zeros(present.shape)
        for cell in cells_where(present):
            variance = native_variance(grid.histogram(*cell))
            values[cell] = math.sqrt(variance) if self._name == "histogram_stddev" else variance
        return values
