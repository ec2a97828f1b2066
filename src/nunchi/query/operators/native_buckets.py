"""Quantiles and fractions of native histograms, beside those of classic ones with the same labels."""

import math

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.bounds import ShapeBounds
from nunchi.query.histograms.grid import histograms_of
from nunchi.query.histograms.statistics import has_nan_observations
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Block, Scope
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import MIXED_CLASSIC, NAN_FRACTION, NAN_RESULT, NAN_SKEW

Floats = NDArray[np.float64]
Result = tuple[Floats, NDArray[np.bool_]]


class NativeBuckets:
    """The native histograms among the input of a bucket function."""

    def __init__(self, scope: Scope, node: plan.BucketFunction, block: Block) -> None:
        self._scope = scope
        self._node = node
        self._rows = np.flatnonzero(histograms_of(block.present, block.histograms).any(axis=1))
        self._labels = block.labels.take(self._rows)
        assert block.histograms is not None
        self._grid = block.histograms.rows(self._rows)
        self._present = histograms_of(block.present[self._rows], self._grid)

    def beside(
        self, labels: LabelTable, classic: list[Result], parameters: list[tuple[Floats, Floats]]
    ) -> tuple[LabelTable, list[Result]]:
        """All results: classic ones, then native ones; where both have one, neither stays."""
        both = tables.concatenate(labels.symbols, (labels, self._labels))
        ids, firsts = tables.group(both)
        seen = np.zeros((len(firsts), self._scope.steps), np.bool_)
        seen[ids[: len(labels)]] = classic[0][1]
        clash = self._present & seen[ids[len(labels) :]]
        for row in np.flatnonzero(clash.any(axis=1)).tolist():
            text = MIXED_CLASSIC.format(self._labels.labels(row).metric_name)
            self._scope.context.notices.warn(text, self._node.child.position)
        refused = np.zeros_like(seen)
        np.logical_or.at(refused, ids[len(labels) :], clash)
        alone = self._present & ~clash
        results = []
        for (values, present), (first, second) in zip(classic, parameters, strict=True):
            kept = present & ~refused[ids[: len(labels)]]
            native = self._evaluate(alone, first, second)
            results.append((np.concatenate([values, native]), np.concatenate([kept, alone])))
        return both, results

    def _evaluate(self, cells: NDArray[np.bool_], first: Floats, second: Floats) -> Floats:
        values = np.zeros(cells.shape)
        is_fraction = self._node.name == "histogram_fraction"
        columns = self._grid.columns
        rows, steps = np.nonzero(cells)
        numbers = self._grid.numbers[rows, steps]
        bounds = ShapeBounds(columns, numbers)
        found = bounds.fractions(first[steps], second[steps]) if is_fraction else bounds.quantiles(first[steps])
        values[rows, steps] = found
        for at in np.flatnonzero(np.isnan(columns.sums[numbers])).tolist():
            is_asked = is_fraction or 0 <= first[steps[at]] <= 1
            self._remark(columns.histogram(int(numbers[at])), int(rows[at]), float(found[at]), is_asked=is_asked)
        return values

    def _remark(self, histogram: Histogram, row: int, value: float, *, is_asked: bool) -> None:
        """Say what observations that are NaN do to the result."""
        if not is_asked or not has_nan_observations(histogram):
            return
        text = NAN_RESULT if math.isnan(value) else NAN_SKEW
        if self._node.name == "histogram_fraction":
            text = NAN_FRACTION
        name = self._labels.labels(row).metric_name
        self._scope.context.notices.inform(text.format(name), self._node.child.position)
