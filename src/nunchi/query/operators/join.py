"""Arithmetic and comparison of two vectors: a hash join on match groups.

The usual case, one series a match group on the "one" sides, streams the many side past the kept one side. Where several
series share a group they are merged first, which is an error at steps where two of them meet a partner.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.errors import ExecutionError
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.matching import MatchKeys, match_keys
from nunchi.query.operators.operator import Batch, Block, Scope, VectorOperator, any_drops, collect
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.arithmetic import ARITHMETIC, COMPARISONS
from nunchi.query.syntax.nodes import Cardinality

MANY_TO_MANY = "many-to-many matching not allowed: matching labels must be unique on one side"
MUST_BE_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
MUST_BE_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"


@dataclass(frozen=True, slots=True, eq=False)
class _Pairing:
    """Rows of the many side and their partners.

    rows      int64[result], many-side rows in the result, in their order
    partners  int64[many rows]: the one-side row of each many-side row, -1 where it has none
    labels    of the result
    """

    rows: NDArray[np.int64]
    partners: NDArray[np.int64]
    labels: LabelTable


class Join:
    """One operator between two vectors. `many` is the side that results are named after: left, but with group_right."""

    def __init__(self, scope: Scope, node: plan.Join, left: VectorOperator, right: VectorOperator) -> None:
        self._scope = scope
        self._node = node
        self._is_swapped = node.matching.cardinality is Cardinality.ONE_TO_MANY
        self._many, self._one = (right, left) if self._is_swapped else (left, right)
        self._is_one_to_one = node.matching.cardinality is Cardinality.ONE_TO_ONE
        self._keys: MatchKeys | None = None
        self._pairing: _Pairing | None = None
        self._merged_many: Block | None = None
        self._merged_one: Block | None = None

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self._paired().labels

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        pairing = self._paired()
        one = self._merged_one or collect(self._one, self._scope)
        place = np.full(len(pairing.partners), -1, np.int64)
        place[pairing.rows] = np.arange(len(pairing.rows))
        rows = self._scope.rows_per_batch()
        many = self._many.batches() if self._merged_many is None else self._merged_many.batches(rows)
        for batch in many:
            paired = np.flatnonzero(place[batch.series] >= 0)
            if not len(paired):
                continue
            if len(paired) == len(batch.series):
                values, present, series = batch.values, batch.present, batch.series
            else:
                values, present, series = batch.values[paired], batch.present[paired], batch.series[paired]
            drops = None if batch.drop_name is None else batch.drop_name[paired]
            partners = pairing.partners[series]
            both = present & one.present[partners]
            yield self._combine(place[series], values, one.values[partners], both, drops)

    def _combine(
        self,
        series: NDArray[np.int64],
        many: NDArray[np.float64],
        one: NDArray[np.float64],
        present: NDArray[np.bool_],
        drops: NDArray[np.bool_] | None,
    ) -> Batch:
        left, right = (one, many) if self._is_swapped else (many, one)
        node = self._node
        if node.operator in ARITHMETIC:
            return Batch(series, ARITHMETIC[node.operator](left, right), present, drops)
        holds = COMPARISONS[node.operator](left, right)
        if not node.returns_bool:
            return Batch(series, left, present & holds, drops)
        named = np.ones(len(series), np.bool_) if self._scope.context.delays_names else None
        return Batch(series, holds.astype(np.float64), present, any_drops(drops, named))

    def _paired(self) -> _Pairing:
        if self._pairing is None:
            keys = match_keys(self._many.series(), self._one.series(), self._node.matching)
            self._merge_if_needed(keys)
            self._pairing = self._pair(keys)
        return self._pairing

    def _merge_if_needed(self, keys: MatchKeys) -> None:
        """Merge sides on which several series share a match group, where each group may have only one element a step."""
        one_is_distinct = len(np.unique(keys.right)) == len(keys.right)
        many_is_distinct = not self._is_one_to_one or len(np.unique(keys.left)) == len(keys.left)
        if one_is_distinct and many_is_distinct:
            return
        many, one = collect(self._many, self._scope), collect(self._one, self._scope)
        self._merged_many = many
        relevant = many.present.any(axis=0).reshape(1, -1)
        self._merged_one = self._merge(one, keys.right, keys.count, relevant, self._many_to_many)
        if self._is_one_to_one:
            met = self._merged_one.present
            self._merged_many = self._merge(many, keys.left, keys.count, met, lambda _: MUST_BE_EXPLICIT)

    def _many_to_many(self, labels: str) -> str:
        side = "left" if self._is_swapped else "right"
        return f"found duplicate series for the match group on the {side} hand-side of the operation: {labels};{MANY_TO_MANY}"

    def _pair(self, keys: MatchKeys) -> _Pairing:
        one_of_key = np.full(keys.count, -1, np.int64)
        one_of_key[keys.right] = np.arange(len(keys.right))
        if self._merged_one is None:
            partners = one_of_key[keys.left]
            rows = np.flatnonzero(partners >= 0)
            table = self._many.series()
            return _Pairing(rows, partners, self._result_labels(table.take(rows), partners[rows], keys))
        many_keys = np.arange(keys.count) if self._is_one_to_one else keys.left
        first_of_key = np.full(keys.count, -1, np.int64)
        first_of_key[keys.left[::-1]] = np.arange(len(keys.left))[::-1]
        has_both = (one_of_key[many_keys] >= 0) & (first_of_key[many_keys] >= 0)
        rows = np.flatnonzero(has_both)
        partners = np.where(has_both, many_keys, -1)
        sources = first_of_key[many_keys[rows]] if self._is_one_to_one else rows
        return _Pairing(
            rows, partners, self._result_labels(self._many.series().take(sources), one_of_key[many_keys[rows]], keys)
        )

    def _result_labels(self, many: LabelTable, one_rows: NDArray[np.int64], keys: MatchKeys) -> LabelTable:
        node, matching = self._node, self._node.matching
        table = many
        if node.operator in ARITHMETIC or (node.returns_bool and not self._scope.context.delays_names):
            table = tables.drop_metadata(table)
        if self._is_one_to_one:
            if matching.is_on:
                return tables.keep_labels(table, matching.labels)
            return tables.drop_labels(table, matching.labels)
        one = self._one.series()
        for label in matching.include:
            table = tables.set_label(table, label, tables.column(one, label)[one_rows])
        return table

    def _merge(
        self,
        block: Block,
        groups: NDArray[np.int64],
        count: int,
        relevant: NDArray[np.bool_],
        message: Callable[[str], str],
    ) -> Block:
        steps = self._scope.steps
        values = np.zeros((count, steps))
        present = np.zeros((count, steps), np.bool_)
        conflict = reduce.merge(
            np.ascontiguousarray(block.values), block.present.view(np.uint8), groups,
            np.ascontiguousarray(relevant).view(np.uint8), values, present.view(np.uint8),
        )  # fmt: skip
        if conflict >= 0:
            raise ExecutionError(message(str(block.labels.labels(conflict))))
        drops = None
        if block.drop_name is not None:
            drops = np.zeros(count, np.bool_)
            np.logical_or.at(drops, groups, block.drop_name)
        return Block(block.labels, values, present, drops)
