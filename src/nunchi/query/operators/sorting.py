"""`sort` and its kin: they order the result of an instant query. The result of a range query is always sorted by labels."""

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.query.histograms.grid import rows_of
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Block, Kept, Scope, VectorOperator, collect
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import SORT_IN_RANGE

_DIGITS = re.compile(r"(\d+)", re.ASCII)


class Sort(Kept):
    """The child in order: by value (NaN last in both directions), or by labels in natural order."""

    def __init__(self, scope: Scope, node: plan.Sort, child: VectorOperator) -> None:
        super().__init__(scope)
        self._node = node
        self._child = child
        if scope.context.start_ms != scope.context.end_ms:
            scope.context.notices.warn(SORT_IN_RANGE, node.position)

    def compute(self) -> Block:
        """See `Kept.compute`."""
        block = collect(self._child, self.scope)
        if not self._node.by_labels:
            block = replace(block, present=block.floats, histograms=None)
        if self.scope.context.is_range or self.scope.steps != 1:
            return block
        rows = np.flatnonzero(block.present[:, 0])
        order = rows[self._by_labels(block, rows) if self._node.by_labels else self._by_value(block, rows)]
        drops = None if block.drop_name is None else block.drop_name[order]
        histograms = rows_of(block.histograms, order)
        return Block(block.labels.take(order), block.values[order], block.present[order], drops, histograms)

    def _by_value(self, block: Block, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        values = block.values[rows, 0]
        keys = -values if self._node.descending else values
        return np.argsort(keys, kind="stable")

    def _by_labels(self, block: Block, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        table = block.labels.take(rows)
        place = np.empty(len(rows), np.int64)
        place[tables.sorted_order(table)] = np.arange(len(rows))
        keys = [place]
        for label in reversed(self._node.labels):
            column = tables.column(table, label)
            distinct, value_of = np.unique(column, return_inverse=True)
            words = tables.texts(table.symbols, distinct)
            by_text = sorted(range(len(words)), key=[natural_key(word) for word in words].__getitem__)
            ranks = np.empty(len(words), np.int64)
            ranks[by_text] = np.arange(len(words))
            keys.append(ranks[value_of])
        order = np.lexsort(keys)
        return order[::-1] if self._node.descending else order


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """What orders texts so that numbers in them count as numbers."""
    parts = _DIGITS.split(text)
    return [(0, int(part)) if part.isdigit() and part.isascii() else (1, part) for part in parts if part]
