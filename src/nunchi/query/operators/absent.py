"""`absent` and `absent_over_time`: 1 where there is nothing."""

from collections.abc import Iterator

import numpy as np

from nunchi.model.labels import Labels
from nunchi.model.symbols import LabelTable
from nunchi.query.operators.operator import Batch, Scope, VectorOperator


class Absent:
    """One series, present at the steps where the child has no element."""

    def __init__(self, scope: Scope, child: VectorOperator, labels: tuple[tuple[str, str], ...]) -> None:
        self._scope = scope
        self._child = child
        self._labels = labels

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return LabelTable.of(self._scope.context.symbols, [Labels(self._labels)])

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        found = np.zeros(self._scope.steps, np.bool_)
        for batch in self._child.batches():
            found |= batch.present.any(axis=0)
        yield Batch(np.zeros(1, np.int64), np.ones((1, self._scope.steps)), ~found.reshape(1, -1))
