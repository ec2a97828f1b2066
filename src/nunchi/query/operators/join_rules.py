"""What a binary operator between two vectors makes of a pair: the labels of the result, and its value.

The *many* side is the one that results are named after: the left, but with group_right. The other is the *one* side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.notices import Notices
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, any_drops
from nunchi.query.operators.value_pairs import ValuePairs
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.arithmetic import ARITHMETIC, COMPARISONS
from nunchi.query.syntax.nodes import Cardinality
from nunchi.query.syntax.operators import TRIMS


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The values of one side of pairs, [pairs, steps]."""

    values: NDArray[np.float64]
    histograms: HistogramGrid | None


class JoinRules:
    """The rules of one `Join` node."""

    def __init__(self, node: plan.Join, notices: Notices, *, delays_names: bool) -> None:
        self.node = node
        self.matching = node.matching
        self.is_swapped = node.matching.cardinality is Cardinality.ONE_TO_MANY
        self.is_one_to_one = node.matching.cardinality is Cardinality.ONE_TO_ONE
        self._delays_names = delays_names
        self._pairs = ValuePairs(node.operator, notices, node.position)

    @property
    def fill_many(self) -> float | None:
        """What stands in for a missing element of the many side: `fill_left`, with group_right too, as Prometheus has it."""
        return self.matching.fill_left

    @property
    def fill_one(self) -> float | None:
        """What stands in for a missing element of the one side."""
        return self.matching.fill_right

    def labels(self, many: LabelTable, one: LabelTable, one_rows: NDArray[np.int64]) -> LabelTable:
        """The labels of results: `many` has a row for each, `one_rows` its partner's row of `one`, -1 where filled."""
        node, matching, table = self.node, self.matching, many
        if node.operator in ARITHMETIC or (node.returns_bool and not self._delays_names):
            table = tables.drop_metadata(table)
        if self.is_one_to_one:
            if matching.is_on:
                return tables.keep_labels(table, matching.labels)
            return tables.drop_labels(table, matching.labels)
        for label in matching.include:
            values = tables.column(one, label)
            included = values[one_rows] if len(values) else np.zeros(len(one_rows), np.int32)
            table = tables.set_label(table, label, np.where(one_rows < 0, np.int32(0), included))
        return table

    def combine(
        self,
        series: NDArray[np.int64],
        many: Side,
        one: Side,
        present: NDArray[np.bool_],
        drops: NDArray[np.bool_] | None,
    ) -> Batch:
        """The results of pairs. Comparisons keep the left value where they hold, or with `bool` give 0 and 1."""
        left, right = (one, many) if self.is_swapped else (many, one)
        node = self.node
        if node.operator in TRIMS or left.histograms is not None or right.histograms is not None:
            return self._combine_mixed(series, left, right, present, drops)
        if node.operator in ARITHMETIC:
            return Batch(series, ARITHMETIC[node.operator](left.values, right.values), present, drops)
        holds = COMPARISONS[node.operator](left.values, right.values)
        if not node.returns_bool:
            return Batch(series, left.values, present & holds, drops)
        return Batch(series, holds.astype(np.float64), present, any_drops(drops, self._named(len(series))))

    def _named(self, count: int) -> NDArray[np.bool_] | None:
        return np.ones(count, np.bool_) if self._delays_names else None

    def _combine_mixed(
        self,
        series: NDArray[np.int64],
        left: Side,
        right: Side,
        present: NDArray[np.bool_],
        drops: NDArray[np.bool_] | None,
    ) -> Batch:
        """The results of pairs with histograms among them."""
        node = self.node
        values, kept, grid = self._pairs.combine(left.values, left.histograms, right.values, right.histograms, present)
        if not node.returns_bool:
            return Batch(series, values, kept.holds, drops, grid)
        return Batch(series, kept.holds.astype(np.float64), kept.known, any_drops(drops, self._named(len(series))))
