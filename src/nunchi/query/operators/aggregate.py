"""Grouped reductions that fold: batches come and go, only the states of the groups stay."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.folded_histograms import COUNTING, FoldedHistograms
from nunchi.query.operators.operator import Batch, Block, Kept, Scope, VectorOperator
from nunchi.query.plan import nodes as plan


class Accumulator(Protocol):
    """The state of one kind of reduction, [groups, steps]."""

    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        """Take in the rows of a batch."""
        ...

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Values and presence of the groups."""
        ...


class _Sum:
    def __init__(self, groups: int, steps: int) -> None:
        self._total = np.zeros((groups, steps))
        self._rest = np.zeros((groups, steps))
        self._seen = np.zeros((groups, steps), np.bool_)

    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_sum(values, present, groups, self._total, self._rest, self._seen.view(np.uint8))

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        finite = ~np.isinf(self._total)
        return np.where(finite, self._total + self._rest, self._total), self._seen


class _Average:
    def __init__(self, groups: int, steps: int) -> None:
        self._total = np.zeros((groups, steps))
        self._rest = np.zeros((groups, steps))
        self._count = np.zeros((groups, steps))
        self._incremental = np.zeros((groups, steps), np.bool_)

    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_avg(values, present, groups, self._total, self._rest, self._count, self._incremental.view(np.uint8))

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        plain = self._total / self._count + self._rest / self._count
        return np.where(self._incremental, self._total + self._rest, plain), self._count > 0


class _Extreme:
    def __init__(self, groups: int, steps: int) -> None:
        self._values = np.zeros((groups, steps))
        self._seen = np.zeros((groups, steps), np.bool_)

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return self._values, self._seen


class _Min(_Extreme):
    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_min(values, present, groups, self._values, self._seen.view(np.uint8))


class _Max(_Extreme):
    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_max(values, present, groups, self._values, self._seen.view(np.uint8))


class _Count:
    def __init__(self, groups: int, steps: int) -> None:
        self._count = np.zeros((groups, steps))

    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_count(present, groups, self._count)

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return self._count, self._count > 0


class _Group(_Count):
    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return np.ones_like(self._count), self._count > 0


class _Variance:
    def __init__(self, groups: int, steps: int) -> None:
        self._mean = np.zeros((groups, steps))
        self._squares = np.zeros((groups, steps))
        self._count = np.zeros((groups, steps))

    def fold(self, values: NDArray[np.float64], present: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
        reduce.fold_deviation(values, present, groups, self._mean, self._squares, self._count)

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return self._squares / self._count, self._count > 0


class _Deviation(_Variance):
    def result(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        variance, present = super().result()
        return np.sqrt(variance), present


class Grouping:
    """Which group each series of a table belongs to, and the labels of the groups.

    labels  the label sets of the groups, in the order of their first series
    ids     int64[series]
    """

    def __init__(self, table: LabelTable, node: plan.Aggregate) -> None:
        if node.without:
            kept = tables.drop_labels(table, (*node.grouping, METRIC_NAME))
        else:
            kept = tables.keep_labels(table, node.grouping)
        self.ids, firsts = tables.group(kept)
        self.labels = kept.take(firsts)

    def __len__(self) -> int:
        return len(self.labels)


class Fold:
    """`sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`."""

    ACCUMULATORS: ClassVar[dict[str, type[_Sum | _Average | _Min | _Max | _Count | _Variance]]] = {
        "sum": _Sum,
        "avg": _Average,
        "min": _Min,
        "max": _Max,
        "count": _Count,
        "group": _Group,
        "stdvar": _Variance,
        "stddev": _Deviation,
    }

    def __init__(self, scope: Scope, node: plan.Aggregate, child: VectorOperator) -> None:
        self._scope = scope
        self._node = node
        self._child = child
        self._grouping: Grouping | None = None

    def _groups(self) -> Grouping:
        if self._grouping is None:
            self._grouping = Grouping(self._child.series(), self._node)
        return self._grouping

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self._groups().labels

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        grouping, scope = self._groups(), self._scope
        budget, count = scope.context.budget, len(grouping)
        budget.hold(count, scope.steps)
        accumulator: Accumulator = self.ACCUMULATORS[self._node.operator](count, scope.steps)
        drops = np.zeros(count, np.bool_)
        histograms = FoldedHistograms(scope, self._node)
        for batch in self._child.batches():
            groups = grouping.ids[batch.series]
            counted = batch.present
            if batch.histograms is not None and self._node.operator not in COUNTING:
                counted = batch.floats
                histograms.fold(batch, groups)
            with budget.give_way():
                accumulator.fold(np.ascontiguousarray(batch.values), counted.view(np.uint8), groups)
            if batch.drop_name is not None:
                np.logical_or.at(drops, groups, batch.drop_name & batch.present.any(axis=1))
        values, present = accumulator.result()
        grid = histograms.result(present)
        block = Block(grouping.labels, values, present, drops if drops.any() else None, grid)
        yield from block.batches(scope.rows_per_batch())


class KeptAggregate(Kept):
    """A grouped reduction that needs all of its input at once."""

    def __init__(self, scope: Scope, node: plan.Aggregate, child: VectorOperator) -> None:
        super().__init__(scope)
        self.node = node
        self.child = child


def group_drops(block: Block, grouping: Grouping) -> NDArray[np.bool_] | None:
    """Per group, whether the name of any of its series is to be dropped."""
    if block.drop_name is None:
        return None
    drops = np.zeros(len(grouping), np.bool_)
    np.logical_or.at(drops, grouping.ids, block.drop_name & block.present.any(axis=1))
    return drops
