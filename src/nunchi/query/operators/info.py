"""`info`: series get the labels of info series (`target_info`, …) that have the same `instance` and `job`.

Which info series is the newest may change from step to step; a series whose labels change so becomes several.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable
from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.grid import rows_of
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Block, Kept, Scope, VectorOperator, collect
from nunchi.query.plan import nodes as plan

IDENTIFYING = ("instance", "job")
NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Choices:
    """Which info series each identity has at each step.

    combinations  int64[combinations, metric names]: rows of the info table, `NOBODY` where there is none
    of_step       int64[identities + 1, steps]: the combination; the last row is that of series without identity
    """

    combinations: NDArray[np.int64]
    of_step: NDArray[np.int64]


class Info(Kept):
    """The child's series with more labels. `found` is the selector of the info series, giving their times."""

    def __init__(self, scope: Scope, node: plan.Info, child: VectorOperator, found: VectorOperator) -> None:
        super().__init__(scope)
        self._node = node
        self._child = child
        self._found = found

    def compute(self) -> Block:
        """See `Kept.compute`."""
        base, info = collect(self._child, self.scope), collect(self._found, self.scope)
        identities = _identities(base.labels, info.labels)
        choices = self._choose(info, identities[len(base.labels) :], int(identities.max(initial=NOBODY)) + 1)
        at_step = choices.of_step[identities[: len(base.labels)]]
        is_info = self._is_info(base.labels)
        at_step[is_info] = choices.of_step[-1]
        rows, combinations = self._pairs(base, at_step)
        if any(not matcher.matches_empty() for matcher in self._node.data_matchers):
            kept = (choices.combinations[combinations] != NOBODY).any(axis=1) | is_info[rows]
            rows, combinations = rows[kept], combinations[kept]
        present = base.present[rows] & (at_step[rows] == combinations.reshape(-1, 1))
        labels = self._labels(base.labels.take(rows), info.labels, choices.combinations[combinations])
        drops = None if base.drop_name is None else base.drop_name[rows]
        return Block(labels, base.values[rows], present, drops, rows_of(base.histograms, rows))

    def _is_info(self, table: LabelTable) -> NDArray[np.bool_]:
        """bool[series]: which are info series themselves; they stay as they are."""
        positive = [matcher for matcher in self._node.name_matchers if not matcher.is_negative]
        if not positive:
            return np.zeros(len(table), np.bool_)
        distinct, name_of = np.unique(tables.column(table, METRIC_NAME), return_inverse=True)
        names = tables.texts(table.symbols, distinct)
        found = np.array([_all_match(positive, name) for name in names], np.bool_)
        return found[name_of]

    def _choose(self, info: Block, identities: NDArray[np.int64], count: int) -> _Choices:
        """The newest info series of each metric name and identity, step by step."""
        steps = self.scope.steps
        _, name_of = np.unique(tables.column(info.labels, METRIC_NAME), return_inverse=True)
        names = int(name_of.max(initial=0)) + 1
        cells = np.where(info.present & (identities != NOBODY).reshape(-1, 1), info.values, -np.inf)
        newest = np.full((count + 1, names, steps), -np.inf)
        np.maximum.at(newest, (identities, name_of), cells)
        is_newest = (cells == newest[identities, name_of]) & np.isfinite(cells)
        rows, at = np.nonzero(is_newest)
        chosen = np.full((count + 1, names, steps), NOBODY, np.int64)
        chosen[identities[rows], name_of[rows], at] = rows
        rival = chosen[identities[rows], name_of[rows], at] != rows
        if rival.any():
            first = int(rows[rival][0])
            other = int(chosen[identities[first], name_of[first], at[rival][0]])
            raise ExecutionError(
                f"found duplicate series for info metric: {info.labels.labels(first)} and {info.labels.labels(other)}"
            )
        flat = chosen.transpose(0, 2, 1).reshape(-1, names)
        combinations, of_step = np.unique(flat, axis=0, return_inverse=True)
        return _Choices(combinations, of_step.reshape(count + 1, steps))

    @staticmethod
    def _pairs(base: Block, at_step: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the base, and the combinations that each has at any of its steps."""
        rows, at = np.nonzero(base.present)
        size = int(at_step.max(initial=0)) + 1
        pairs = np.unique(rows * size + at_step[rows, at])
        return pairs // size, pairs % size

    def _labels(self, table: LabelTable, info: LabelTable, chosen: NDArray[np.int64]) -> LabelTable:
        """The labels of the result. What a series has of its own stays; info series must not contradict each other."""
        wanted = {matcher.name for matcher in self._node.data_matchers}
        own = table
        for name in tables.texts(info.symbols, tables.used(info.names)):
            if name == METRIC_NAME or name in IDENTIFYING or (wanted and name not in wanted):
                continue
            column = tables.column(info, name)
            is_free = tables.column(own, name) == 0
            merged = np.zeros(len(table), np.int32)
            for rows in chosen.T:
                values = np.where(rows == NOBODY, np.int32(0), column[rows])
                if (is_free & (merged != 0) & (values != 0) & (merged != values)).any():
                    raise ExecutionError(f"conflicting label: {name}")
                merged = np.where(merged == 0, values, merged)
            table = tables.set_label(table, name, np.where(is_free & (merged != 0), merged, np.int32(tables.LEAVE)))
        return table


def _identities(base: LabelTable, info: LabelTable) -> NDArray[np.int64]:
    """A number for equal identifying labels, over the series of both tables; `NOBODY` for series without any."""
    both = tables.keep_labels(tables.concatenate(base.symbols, (base, info)), IDENTIFYING)
    ids, _ = tables.group(both)
    return np.where(np.diff(both.offsets) == 0, NOBODY, ids)


def _all_match(matchers: list[Matcher], value: str) -> bool:
    return all(matcher.matches(value) for matcher in matchers)
