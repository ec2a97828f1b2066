"""`count_values`: how many series of a group have the same value, which becomes a label. Most values are there at few steps.

Invariant: what was seen first comes first; among equals, whoever ranks the counts takes that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.aggregate import Grouping, KeptAggregate, group_drops
from nunchi.query.operators.duplicates import merge_block
from nunchi.query.operators.go_format import format_plain
from nunchi.query.operators.histogram_text import describe_histogram
from nunchi.query.operators.operator import Block, Scope, VectorOperator, collect
from nunchi.query.plan import nodes as plan
from nunchi.query.values import Samples

DENSE_CELLS_MAX = 1 << 18  # a matrix this small is as good as its cells
SPARSITY = 8  # one cell in so many, or fewer
NAN_KEY = 0x7FF8000000000000  # all NaN are one value; histograms have the keys behind it, as other NaN have none


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The counts that are there, ascending by step: `counts[i]` of series `rows[i]` at step `steps[i]`."""

    labels: LabelTable
    rows: NDArray[np.int64]
    steps: NDArray[np.int64]
    counts: NDArray[np.float64]
    drop_name: NDArray[np.bool_] | None


class CountValues(KeptAggregate):
    """`count_values`."""

    def __init__(self, scope: Scope, node: plan.Aggregate, child: VectorOperator) -> None:
        super().__init__(scope, node, child)
        self._counted: Counted | None = None

    def compute(self) -> Block:
        """See `Kept.compute`."""
        counted = self.counted()
        shape = len(counted.labels), self.scope.steps
        self.scope.context.budget.hold(*shape)
        values, present = np.zeros(shape), np.zeros(shape, np.bool_)
        values[counted.rows, counted.steps] = counted.counts
        present[counted.rows, counted.steps] = True
        return merge_block(Block(counted.labels, values, present, counted.drop_name))

    def counted(self) -> Counted:
        """The counts, found once; series with the same labels are not merged yet."""
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> Counted:
        block = collect(self.child, self.scope)
        grouping = Grouping(block.labels, self.node)
        drops = group_drops(block, grouping)
        keys, words = _keys(block)
        found = reduce.count_keys(keys, block.present.view(np.uint8), grouping.ids)
        groups, value_keys, rows, steps, counts = found
        distinct, value_of = np.unique(value_keys, return_inverse=True)
        symbols = self.scope.context.symbols
        named = symbols.intern_all(_texts(distinct, words))
        labels = tables.set_label(grouping.labels.take(groups), self.node.label, named[value_of])
        return Counted(labels, rows, steps, counts, None if drops is None else drops[groups])


def sparse_counts(operator: CountValues, times: NDArray[np.int64]) -> Samples | None:
    """The counts sorted by labels; None where a matrix does as well, or only a matrix tells which series are one."""
    counted = operator.counted()
    size = len(counted.labels) * len(times)
    is_dense = size <= DENSE_CELLS_MAX or len(counted.rows) * SPARSITY > size
    _, firsts = tables.group(counted.labels)
    if is_dense or counted.drop_name is not None or len(firsts) < len(counted.labels):
        return None
    order = tables.sorted_order(counted.labels)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    rows = place[counted.rows]
    by_row = np.argsort(rows, kind="stable")
    offsets = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(order)), out=offsets[1:])
    return Samples(counted.labels.take(order), offsets, times[counted.steps[by_row]], counted.counts[by_row])


def _keys(block: Block) -> tuple[NDArray[np.int64], dict[int, str]]:
    """int64[series, steps]: the same for the same values; and the texts of those that stand for histograms."""
    keys = np.where(np.isnan(block.values), np.int64(NAN_KEY), block.values.view(np.int64))
    words: dict[str, int] = {}
    if block.histograms is not None:
        for row, step in np.argwhere(block.present & ~block.floats).tolist():
            word = describe_histogram(block.histograms.histogram(row, step))
            keys[row, step] = words.setdefault(word, NAN_KEY + 1 + len(words))
    return keys, {key: word for word, key in words.items()}


def _texts(keys: NDArray[np.int64], words: dict[int, str]) -> list[str]:
    """What is shown of each of some distinct keys."""
    texts = list(map(format_plain, keys.view(np.float64).tolist()))
    for place in np.flatnonzero(keys > NAN_KEY).tolist() if words else ():
        texts[place] = words[int(keys[place])]
    return texts
