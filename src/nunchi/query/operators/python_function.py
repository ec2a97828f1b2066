"""A call of a Python function: each batch of the child, or all of it at once, goes through the function."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.functions import PythonFunction
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, Scope, VectorOperator, collect


class PythonCall:
    """`parameters` are float64[steps] each."""

    def __init__(
        self, scope: Scope, function: PythonFunction, child: VectorOperator, parameters: list[NDArray[np.float64]]
    ) -> None:
        self._scope = scope
        self._function = function
        self._child = child
        self._parameters = parameters
        self._drops_name = function.labels == "drop_name"

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        table = self._child.series()
        return tables.drop_metadata(table) if self._drops_name and not self._scope.context.delays_names else table

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        context, seconds = self._scope.context, self._scope.times / 1000
        for batch in self._inputs():
            if not len(batch.series):
                continue
            values = self._function.compute(batch.values, batch.floats, seconds, self._parameters)
            context.budget.tick()
            drops = batch.drop_name
            if self._drops_name and context.delays_names:
                drops = np.ones(len(batch.series), np.bool_)
            yield Batch(batch.series, values, batch.floats, drops)

    def _inputs(self) -> Iterator[Batch]:
        if not self._function.needs_all_series:
            yield from self._child.batches()
            return
        block = collect(self._child, self._scope)
        yield from block.batches(max(1, len(block.values)))
