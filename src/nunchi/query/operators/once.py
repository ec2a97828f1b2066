"""What is computed once, or not at all: parts that are the same at every step, parts that several places need, nothing."""

from collections.abc import Iterator

import numpy as np

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, Block, Kept, Scope, VectorOperator, collect


class Invariant:
    """A child of one step, repeated at every step."""

    def __init__(self, scope: Scope, child: VectorOperator) -> None:
        self._scope = scope
        self._child = child

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self._child.series()

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        steps = self._scope.steps
        for batch in self._child.batches():
            values = np.repeat(batch.values, steps, axis=1)
            grid = batch.histograms
            if grid is not None:
                grid = HistogramGrid(np.repeat(grid.numbers, steps, axis=1), grid.columns)
            yield Batch(batch.series, values, np.repeat(batch.present, steps, axis=1), batch.drop_name, grid)


class Shared(Kept):
    """A child that is kept, so that it may be read several times."""

    def __init__(self, scope: Scope, child: VectorOperator) -> None:
        super().__init__(scope)
        self._child = child

    def compute(self) -> Block:
        """See `Kept.compute`."""
        return collect(self._child, self.scope)


class Nothing:
    """No series: what an expression has at no times."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return tables.empty_table(self._scope.context.symbols)

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        return iter(())
