"""The join of vectors whose match groups have several series, of which at most one may have an element at a time.

Every pair of a group becomes a series; series that turn out equal are merged by whoever reads this. Filled-in partners
are pairs with nobody: present where the rest of the group is not.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.grid import rows_of
from nunchi.query.kernels import reduce
from nunchi.query.operators import tables
from nunchi.query.operators.join_rules import JoinRules, Side
from nunchi.query.operators.matching import MatchKeys
from nunchi.query.operators.operator import Batch, Block, Scope, VectorOperator, collect, series_slices

MANY_TO_MANY = "many-to-many matching not allowed: matching labels must be unique on one side"
MUST_BE_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"

NOBODY = -1


def pairs_of(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of rows with the same group, ordered by left row."""
    by_group = np.argsort(right, kind="stable")
    begins = np.searchsorted(right[by_group], left, side="left")
    counts = np.searchsorted(right[by_group], left, side="right") - begins
    lefts = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(lefts)) - np.repeat(np.cumsum(counts) - counts, counts)
    return lefts, by_group[np.repeat(begins, counts) + within]


class PairedJoin:
    """All pairs of all match groups."""

    def __init__(
        self, scope: Scope, rules: JoinRules, many: VectorOperator, one: VectorOperator, keys: MatchKeys
    ) -> None:
        self._scope = scope
        self._rules = rules
        self._many = many
        self._one = one
        self._keys = keys
        many_rows, one_rows = pairs_of(keys.left, keys.right)
        if rules.fill_one is not None:
            many_rows = np.concatenate([many_rows, np.arange(len(keys.left))])
            one_rows = np.concatenate([one_rows, np.full(len(keys.left), NOBODY)])
        self._filled_from = len(many_rows)
        if rules.fill_many is not None:
            many_rows = np.concatenate([many_rows, np.full(len(keys.right), NOBODY)])
            one_rows = np.concatenate([one_rows, np.arange(len(keys.right))])
        self._many_rows, self._one_rows = many_rows, one_rows

    def series(self) -> LabelTable:
        """See `VectorOperator.series`. What stands for a missing many side has the matching labels only."""
        named, unnamed = slice(None, self._filled_from), slice(self._filled_from, None)
        many = self._many.series().take(self._many_rows[named])
        labels = self._rules.labels(many, self._one.series(), self._one_rows[named])
        filled = tables.drop_metadata(self._keys.right_labels).take(self._one_rows[unnamed])
        return tables.concatenate(self._scope.context.symbols, (labels, filled)) if len(filled) else labels

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        many, one = collect(self._many, self._scope), collect(self._one, self._scope)
        many_seen, one_seen = self._check(many, one)
        self._scope.context.budget.hold(len(self._many_rows), self._scope.steps)
        for rows in series_slices(len(self._many_rows), self._scope.rows_per_batch()):
            many_rows, one_rows = self._many_rows[rows], self._one_rows[rows]
            many_side, many_present = self._side(many, many_rows, self._rules.fill_many)
            one_side, one_present = self._side(one, one_rows, self._rules.fill_one)
            present = many_present & one_present
            no_one, no_many = one_rows == NOBODY, many_rows == NOBODY
            present[no_one] &= ~one_seen[self._keys.left[many_rows[no_one]]]
            present[no_many] &= ~many_seen[self._keys.right[one_rows[no_many]]]
            drops = None if many.drop_name is None else many.drop_name[many_rows] & ~no_many
            yield self._rules.combine(rows, many_side, one_side, present, drops)

    def _side(self, block: Block, rows: NDArray[np.int64], fill: float | None) -> tuple[Side, NDArray[np.bool_]]:
        """Values and presence of rows of a side, of which `NOBODY` has the fill value everywhere."""
        nobody = rows == NOBODY
        if not nobody.any():
            return Side(block.values[rows], rows_of(block.histograms, rows)), block.present[rows]
        values = np.full((len(rows), self._scope.steps), 0.0 if fill is None else fill)
        present = np.ones(values.shape, np.bool_)
        values[~nobody], present[~nobody] = block.values[rows[~nobody]], block.present[rows[~nobody]]
        histograms = rows_of(block.histograms, rows)
        if histograms is not None:
            histograms = histograms.only(~nobody.reshape(-1, 1))
        return Side(values, histograms), present

    def _check(self, many: Block, one: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Refuse ambiguous matches; which match groups have an element of each side at each step.

        What a comparison will filter out counts as a match all the same: so has Prometheus 3, unlike 2.
        """
        keys = self._keys
        relevant = many.present.any(axis=0).reshape(1, -1)
        one_seen, conflict = self._merge(one, keys.right, relevant)
        if conflict >= 0:
            side = "left" if self._rules.is_swapped else "right"
            rival = self._rival(one, conflict, relevant)
            raise ExecutionError(
                f"found duplicate series for the match group {keys.right_labels.labels(conflict)} on the {side} "
                f"hand-side of the operation: [{one.labels.labels(conflict)}, {one.labels.labels(rival)}];{MANY_TO_MANY}"
            )
        ambiguous = one_seen if self._rules.is_one_to_one else np.zeros((1, self._scope.steps), np.bool_)
        if self._rules.is_one_to_one and self._rules.fill_one is not None:
            ambiguous = np.ones((1, self._scope.steps), np.bool_)
        many_seen, conflict = self._merge(many, keys.left, ambiguous)
        if conflict >= 0:
            raise ExecutionError(MUST_BE_EXPLICIT)
        return many_seen, one_seen

    def _rival(self, one: Block, conflict: int, relevant: NDArray[np.bool_]) -> int:
        """The row that was in the match group, at the same step, before the one that conflicts."""
        groups = self._keys.right
        earlier = np.flatnonzero(groups[:conflict] == groups[conflict])
        at_once = one.present[earlier] & one.present[conflict] & relevant
        return int(earlier[at_once.any(axis=1)][0])

    def _merge(
        self, block: Block, groups: NDArray[np.int64], relevant: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], int]:
        shape = (self._keys.count, self._scope.steps)
        seen = np.zeros(shape, np.bool_)
        conflict = reduce.merge(
            np.ascontiguousarray(block.values), block.present.view(np.uint8), groups,
            np.ascontiguousarray(relevant).view(np.uint8), np.empty(shape), seen.view(np.uint8),
        )  # fmt: skip
        return seen, conflict
