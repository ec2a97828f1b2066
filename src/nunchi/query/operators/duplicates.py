"""Series that became equal because labels were taken away: one series where their samples never meet, else an error."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT
from nunchi.model.symbols import LabelTable
from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, Block, Kept, Scope, VectorOperator, collect

SAME_LABELS = "vector cannot contain metrics with the same labelset"


def merge_block(block: Block, message: str = SAME_LABELS) -> Block:
    """The block with equal series merged; raises `ExecutionError` where two have a value at the same step."""
    groups, firsts = tables.group(block.labels)
    if len(firsts) == len(groups):
        return block
    steps = block.values.shape[1]
    values = np.zeros((len(firsts), steps))
    present = np.zeros((len(firsts), steps), np.bool_)
    relevant = np.ones((1, steps), np.uint8)
    conflict = reduce.merge(
        np.ascontiguousarray(block.values),
        block.present.view(np.uint8),
        groups,
        relevant,
        values,
        present.view(np.uint8),
    )
    if conflict >= 0:
        raise ExecutionError(message)
    drops = None
    if block.drop_name is not None:
        drops = np.zeros(len(firsts), np.bool_)
        np.logical_or.at(drops, groups, block.drop_name & block.present.any(axis=1))
    return Block(block.labels.take(firsts), values, present, drops, _merged_histograms(block, groups, values.shape))


def _merged_histograms(block: Block, groups: NDArray[np.int64], shape: tuple[int, ...]) -> HistogramGrid | None:
    if block.histograms is None:
        return None
    numbers = np.full(shape, FLOAT, np.int32)
    rows, steps = np.nonzero(block.present)
    numbers[groups[rows], steps] = block.histograms.numbers[rows, steps]
    return HistogramGrid(numbers, block.histograms.columns)


class _Merged(Kept):
    """Merges equal series of an operator."""

    def __init__(self, scope: Scope, child: VectorOperator, message: str) -> None:
        super().__init__(scope)
        self._child = child
        self._message = message

    def compute(self) -> Block:
        return merge_block(collect(self._child, self.scope), self._message)


class Unique:
    """Passes an operator on; where its series are not distinct, they are merged first."""

    def __init__(self, scope: Scope, child: VectorOperator, message: str = SAME_LABELS) -> None:
        self._scope = scope
        self._child = child
        self._message = message
        self._chosen: tuple[VectorOperator, LabelTable] | None = None

    def _choose(self) -> tuple[VectorOperator, LabelTable]:
        if self._chosen is None:
            operator, labels = self._child, self._child.series()
            _, firsts = tables.group(labels)
            if len(firsts) < len(labels):
                operator = _Merged(self._scope, self._child, self._message)
                labels = operator.series()
            self._chosen = operator, labels
        return self._chosen

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self._choose()[1]

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        return self._choose()[0].batches()
