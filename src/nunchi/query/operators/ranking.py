"""Aggregations that compare the series of a group with each other: `topk`, `bottomk`, `quantile`, `limitk`, `limit_ratio`. They
need all of their input; what they choose keeps its labels.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.grid import histograms_of, rows_of
from nunchi.query.kernels import reduce
from nunchi.query.operators.aggregate import Grouping, KeptAggregate, group_drops
from nunchi.query.operators.go_format import format_shortest
from nunchi.query.operators.label_hash import label_hashes
from nunchi.query.operators.operator import Block, Scope, VectorOperator, collect
from nunchi.query.operators.parameters import counts_of, remark_quantiles
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import BAD_RATIO, IGNORED_IN_AGGREGATION


def choose(block: Block, chosen: NDArray[np.bool_], order: NDArray[np.int64] | None = None) -> Block:
    """Only the chosen cells, and only series that have any; in an order of rows, where one is given."""
    rows = np.flatnonzero(chosen.any(axis=1))
    if order is not None:
        rows = order
    drops = None if block.drop_name is None else block.drop_name[rows]
    return Block(block.labels.take(rows), block.values[rows], chosen[rows], drops, rows_of(block.histograms, rows))


def numbers_alone(scope: Scope, node: plan.Aggregate, block: Block) -> Block:
    """The block without histograms, with a remark where there were any."""
    if block.histograms is None:
        return block
    if histograms_of(block.present, block.histograms).any():
        scope.context.notices.inform(IGNORED_IN_AGGREGATION.format(node.operator), node.child.position)
    return replace(block, present=block.floats, histograms=None)


class Rank(KeptAggregate):
    """`topk` and `bottomk`. An instant query's result is ordered: group after group, best first, NaN last."""

    def __init__(
        self, scope: Scope, node: plan.Aggregate, child: VectorOperator, parameter: NDArray[np.float64]
    ) -> None:
        super().__init__(scope, node, child)
        self._k = counts_of(parameter)

    def compute(self) -> Block:
        """See `Kept.compute`."""
        block = numbers_alone(self.scope, self.node, collect(self.child, self.scope))
        grouping = Grouping(block.labels, self.node)
        chosen = np.zeros(block.present.shape, np.bool_)
        top = self.node.operator == "topk"
        values = np.ascontiguousarray(block.values)
        reduce.rank(
            values, block.present.view(np.uint8), grouping.ids, len(grouping), self._k, top, chosen.view(np.uint8)
        )
        return choose(
            block, chosen, None if self.scope.context.is_range else self._order(grouping, values, chosen, top)
        )

    @staticmethod
    def _order(
        grouping: Grouping, values: NDArray[np.float64], chosen: NDArray[np.bool_], top: bool
    ) -> NDArray[np.int64]:
        rows = np.flatnonzero(chosen[:, 0])
        keys = -values[rows, 0] if top else values[rows, 0]
        return rows[np.lexsort((keys, grouping.ids[rows]))]


class LimitK(KeptAggregate):
    """`limitk`: the first series of each group that have a value."""

    def __init__(
        self, scope: Scope, node: plan.Aggregate, child: VectorOperator, parameter: NDArray[np.float64]
    ) -> None:
        super().__init__(scope, node, child)
        self._k = counts_of(parameter)

    def compute(self) -> Block:
        """See `Kept.compute`."""
        block = collect(self.child, self.scope)
        grouping = Grouping(block.labels, self.node)
        chosen = np.zeros(block.present.shape, np.bool_)
        reduce.first_rows(block.present.view(np.uint8), grouping.ids, len(grouping), self._k, chosen.view(np.uint8))
        return choose(block, chosen)


class LimitRatio(KeptAggregate):
    """`limit_ratio`: a share of the series, told by a hash of their labels; negative ratios take the others."""

    def __init__(
        self, scope: Scope, node: plan.Aggregate, child: VectorOperator, parameter: NDArray[np.float64]
    ) -> None:
        super().__init__(scope, node, child)
        if np.isnan(parameter).any():
            raise ExecutionError("Ratio value is NaN")
        self._ratio = np.clip(parameter, -1.0, 1.0)
        for value in np.unique(parameter[self._ratio != parameter]).tolist():
            scope.context.notices.warn(
                BAD_RATIO.format(format_shortest(value), format_shortest(max(-1.0, min(1.0, value)))),
                node.parameter.position if node.parameter else -1,
            )

    def compute(self) -> Block:
        """See `Kept.compute`."""
        block = collect(self.child, self.scope)
        places = (label_hashes(block.labels).astype(np.float64) / 2.0**64).reshape(-1, 1)
        ratio = self._ratio.reshape(1, -1)
        taken = np.where(ratio >= 0, places < ratio, places >= 1.0 + ratio)
        return choose(block, block.present & taken)


class Quantile(KeptAggregate):
    """`quantile`."""

    def __init__(
        self, scope: Scope, node: plan.Aggregate, child: VectorOperator, parameter: NDArray[np.float64]
    ) -> None:
        super().__init__(scope, node, child)
        self._parameter = parameter

    def compute(self) -> Block:
        """See `Kept.compute`."""
        block = numbers_alone(self.scope, self.node, collect(self.child, self.scope))
        assert self.node.parameter is not None
        remark_quantiles(self.scope, self.node.parameter, self._parameter, np.ones(self.scope.steps, np.bool_))
        grouping = Grouping(block.labels, self.node)
        values = np.zeros((len(grouping), self.scope.steps))
        present = np.zeros(values.shape, np.bool_)
        reduce.quantiles(
            np.ascontiguousarray(block.values), block.present.view(np.uint8), grouping.ids, self._parameter,
            values, present.view(np.uint8),
        )  # fmt: skip
        return Block(grouping.labels, values, present, group_drops(block, grouping))
