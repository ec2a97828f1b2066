"""Arithmetic and comparison of two vectors: a hash join on match groups.

The usual case, one series a match group on the "one" sides, streams the many side past the kept one side. Where several
series share a match group, or missing partners are filled in, `PairedJoin` looks at every pair.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import rows_of
from nunchi.query.operators.join_rules import JoinRules, Side
from nunchi.query.operators.matching import MatchKeys, match_keys
from nunchi.query.operators.operator import Batch, Scope, VectorOperator, collect
from nunchi.query.operators.paired_join import PairedJoin
from nunchi.query.plan import nodes as plan


class StreamedJoin:
    """At most one partner per series: batches of the many side meet rows of the one side."""

    def __init__(
        self, scope: Scope, rules: JoinRules, many: VectorOperator, one: VectorOperator, keys: MatchKeys
    ) -> None:
        self._scope = scope
        self._rules = rules
        self._many = many
        self._one = one
        one_of_key = np.full(keys.count, -1, np.int64)
        one_of_key[keys.right] = np.arange(len(keys.right))
        self._partners = one_of_key[keys.left]

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        rows = np.flatnonzero(self._partners >= 0)
        return self._rules.labels(self._many.series().take(rows), self._one.series(), self._partners[rows])

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        one = collect(self._one, self._scope)
        is_paired = self._partners >= 0
        place = np.cumsum(is_paired) - 1
        for whole in self._many.batches():
            paired = is_paired[whole.series]
            batch = whole if paired.all() else rows_of_batch(whole, np.flatnonzero(paired))
            partners = self._partners[batch.series]
            many = Side(batch.values, batch.histograms)
            both = batch.present & one.present[partners]
            partner = Side(one.values[partners], rows_of(one.histograms, partners))
            yield self._rules.combine(place[batch.series], many, partner, both, batch.drop_name)


def rows_of_batch(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """Only some rows of a batch."""
    drops = None if batch.drop_name is None else batch.drop_name[rows]
    return Batch(batch.series[rows], batch.values[rows], batch.present[rows], drops, rows_of(batch.histograms, rows))


Strategy: TypeAlias = StreamedJoin | PairedJoin


class Join:
    """One operator between two vectors; picks the way when the series of both sides are known."""

    def __init__(self, scope: Scope, node: plan.Join, left: VectorOperator, right: VectorOperator) -> None:
        self._scope = scope
        self._rules = JoinRules(node, scope.context.notices, delays_names=scope.context.delays_names)
        self._many, self._one = (right, left) if self._rules.is_swapped else (left, right)
        self._strategy: Strategy | None = None

    def _chosen(self) -> Strategy:
        if self._strategy is None:
            rules = self._rules
            keys = match_keys(self._many.series(), self._one.series(), rules.matching)
            one_is_distinct = len(np.unique(keys.right)) == len(keys.right)
            many_is_distinct = not rules.is_one_to_one or len(np.unique(keys.left)) == len(keys.left)
            fills = rules.fill_one is not None or rules.fill_many is not None
            way = StreamedJoin if one_is_distinct and many_is_distinct and not fills else PairedJoin
            self._strategy = way(self._scope, rules, self._many, self._one, keys)
        return self._strategy

    def series(self) -> LabelTable:
        """See `VectorOperator.series`. Several series may be equal."""
        return self._chosen().series()

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        return self._chosen().batches()
