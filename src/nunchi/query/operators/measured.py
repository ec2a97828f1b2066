"""What each plan node of a profiled query costs: an operator around the operator, which counts and passes on.

Invariant: measuring changes no result; a query that is not profiled has none of these.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nunchi.model.symbols import LabelTable
from nunchi.query.limits import CELL_BYTES, Budget
from nunchi.query.operators.operator import Batch, VectorOperator
from nunchi.query.plan.nodes import PlanNode


@dataclass(slots=True)
class Measurement:
    """One node's account, what stands below it included.

    series   how many it announced
    cells    series x steps that it yielded, and how many `bytes` of memory these take
    samples  of the store that were read meanwhile
    """

    series: int = 0
    cells: int = 0
    samples: int = 0
    seconds: float = 0.0

    @property
    def bytes(self) -> int:
        """Memory of what it yielded."""
        return self.cells * CELL_BYTES


class Measurements:
    """The accounts of all nodes of one query."""

    def __init__(self, budget: Budget, monotonic: Callable[[], float]) -> None:
        self._budget = budget
        self._monotonic = monotonic
        self._of: dict[int, Measurement] = {}

    def find(self, node: PlanNode) -> Measurement | None:
        """A node's account; None where no operator was made of it."""
        return self._of.get(id(node))

    def measure(self, node: PlanNode, operator: VectorOperator) -> VectorOperator:
        """The node's operator, measured."""
        return Measured(operator, self._of.setdefault(id(node), Measurement()), self._budget, self._monotonic)


class Measured:
    """Implements `VectorOperator` by another one."""

    def __init__(
        self, operator: VectorOperator, measurement: Measurement, budget: Budget, monotonic: Callable[[], float]
    ) -> None:
        self._operator = operator
        self._measurement = measurement
        self._budget = budget
        self._monotonic = monotonic

    @contextmanager
    def _counted(self) -> Iterator[None]:
        began, samples = self._monotonic(), self._budget.samples
        try:
            yield
        finally:
            self._measurement.seconds += self._monotonic() - began
            self._measurement.samples += self._budget.samples - samples

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        with self._counted():
            table = self._operator.series()
        self._measurement.series = len(table)
        return table

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        with self._counted():
            batches = iter(self._operator.batches())
            batch = next(batches, None)
        while batch is not None:
            self._measurement.cells += batch.values.size
            yield batch
            with self._counted():
                batch = next(batches, None)
