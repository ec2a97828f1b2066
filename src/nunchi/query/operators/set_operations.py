"""`and`, `unless`, `or`: what stays depends on the presence of match groups, step by step. Values pass unchanged."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.matching import MatchKeys, match_keys
from nunchi.query.operators.operator import Batch, Scope, VectorOperator
from nunchi.query.syntax.nodes import Matching


class _SetOperation:
    def __init__(self, scope: Scope, left: VectorOperator, right: VectorOperator, matching: Matching) -> None:
        self.scope = scope
        self.left = left
        self.right = right
        self._matching = matching
        self._match_keys: MatchKeys | None = None

    def keys(self) -> MatchKeys:
        """The match groups of both sides."""
        if self._match_keys is None:
            self._match_keys = match_keys(self.left.series(), self.right.series(), self._matching)
        return self._match_keys

    def empty_presence(self) -> NDArray[np.bool_]:
        """bool[match groups, steps]."""
        keys = self.keys()
        self.scope.context.budget.hold(keys.count, self.scope.steps)
        return np.zeros((keys.count, self.scope.steps), np.bool_)


class Intersection(_SetOperation):
    """`and`, and with `is_negated` `unless`: elements of the left side whose match group the right side has, or has not."""

    def __init__(
        self, scope: Scope, left: VectorOperator, right: VectorOperator, matching: Matching, *, is_negated: bool
    ) -> None:
        super().__init__(scope, left, right, matching)
        self._is_negated = is_negated

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self.left.series()

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        keys, seen = self.keys(), self.empty_presence()
        for batch in self.right.batches():
            reduce.fold_any(batch.present.view(np.uint8), keys.right[batch.series], seen.view(np.uint8))
        wanted = ~seen if self._is_negated else seen
        for batch in self.left.batches():
            present = batch.present & wanted[keys.left[batch.series]]
            yield replace(batch, present=present)


class Union(_SetOperation):
    """`or`: the left side, and elements of the right side whose match group the left side has not."""

    def series(self) -> LabelTable:
        """See `VectorOperator.series`. The sides may have series in common."""
        return tables.concatenate(self.scope.context.symbols, (self.left.series(), self.right.series()))

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        keys, seen = self.keys(), self.empty_presence()
        for batch in self.left.batches():
            reduce.fold_any(batch.present.view(np.uint8), keys.left[batch.series], seen.view(np.uint8))
            yield batch
        offset = len(keys.left)
        for batch in self.right.batches():
            present = batch.present & ~seen[keys.right[batch.series]]
            yield replace(batch, series=batch.series + offset, present=present)
