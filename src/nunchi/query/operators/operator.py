"""The contract of operators, and what they share: the batch, and the scope they compute in.

An operator announces its series first, then yields batches, each with all steps of some of them. Every series comes in at
most one batch; what does not come has no values. Batches are read-only for whoever gets them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.cores import Cores
from nunchi.model.symbols import LabelTable
from nunchi.query.functions import PythonFunction
from nunchi.query.histograms.grid import HistogramGrid, floats_of, overlay, rows_of
from nunchi.query.limits import Budget
from nunchi.query.notices import Notices
from nunchi.query.operators.selections import Selections
from nunchi.query.operators.step_counts import StepCounts
from nunchi.query.operators.tables import QuerySymbols
from nunchi.query.plan.nodes import PlanNode
from nunchi.storage.contracts import Querier

# Rows of a batch are chosen so that its values stay about this many, which the second-level cache holds.
BATCH_CELLS = 128 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """All steps of some series.

    series     int64[n], positions in the operator's series
    values     float64[n, steps]; without meaning where not present
    present    bool[n, steps]
    drop_name  bool[n]: the metric name goes when the query ends (delayed name removal); None: no row's does
    histograms which of the present cells hold histograms, whose `values` mean nothing then; None: all are numbers
    """

    series: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    drop_name: NDArray[np.bool_] | None = None
    histograms: HistogramGrid | None = None

    @property
    def floats(self) -> NDArray[np.bool_]:
        """bool[n, steps]: the present cells that are numbers."""
        return floats_of(self.present, self.histograms)


class VectorOperator(Protocol):
    """Computes an instant vector at every step."""

    def series(self) -> LabelTable:
        """The series that `batches` may bring, in the order of the result."""
        ...

    def batches(self) -> Iterator[Batch]:
        """The values. Asked for once."""
        ...


Measure: TypeAlias = Callable[[PlanNode, VectorOperator], VectorOperator]


@dataclass(frozen=True, slots=True, eq=False)
class QueryContext:
    """What is the same for all operators of one query.

    measure  puts an operator that counts around a node's operator; None: the query is not profiled
    cores    what kernels with much to do may borrow
    """

    querier: Querier
    selections: Selections
    symbols: QuerySymbols
    budget: Budget
    notices: Notices
    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int
    subquery_step_ms: int
    delays_names: bool
    batch_cells: int = BATCH_CELLS
    measure: Measure | None = None
    functions: Mapping[str, PythonFunction] = field(default_factory=dict)
    cores: Cores = field(default_factory=Cores)

    @property
    def is_range(self) -> bool:
        """Whether this is a range query, even one of a single step."""
        return self.step_ms > 0


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A query's context and the times at which a part of it is evaluated: int64[steps], ascending.

    shared  operators that several places need, by plan node
    counts  takes the samples that are read at each step; None: nobody asked
    """

    context: QueryContext
    times: NDArray[np.int64]
    shared: dict[object, VectorOperator] = field(default_factory=dict)
    counts: StepCounts | None = None

    @property
    def steps(self) -> int:
        """How many times."""
        return len(self.times)

    def at(self, times: NDArray[np.int64]) -> "Scope":
        """The same query at other times."""
        return Scope(self.context, times)

    def once(self) -> "Scope":
        """The same query at its first time, for what is the same at all of them."""
        return Scope(self.context, self.times[:1], counts=self.counts)

    def rows_per_batch(self) -> int:
        """How many series a batch has."""
        return max(1, self.context.batch_cells // max(1, self.steps))


def any_drops(*masks: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Where any of some name-dropping masks is set."""
    given = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(given) if given else None


def series_slices(count: int, rows: int) -> Iterator[NDArray[np.int64]]:
    """The numbers from 0 to `count` in pieces."""
    for begin in range(0, count, rows):
        yield np.arange(begin, min(count, begin + rows), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Everything an operator yields, as one: row i is series i of `labels`."""

    labels: LabelTable
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    drop_name: NDArray[np.bool_] | None = None
    histograms: HistogramGrid | None = None

    @property
    def floats(self) -> NDArray[np.bool_]:
        """bool[series, steps]: the present cells that are numbers."""
        return floats_of(self.present, self.histograms)

    def batches(self, rows: int) -> Iterator[Batch]:
        """In pieces of some rows."""
        for begin in range(0, len(self.values), rows):
            end = min(len(self.values), begin + rows)
            yield Batch(
                np.arange(begin, end, dtype=np.int64),
                self.values[begin:end],
                self.present[begin:end],
                None if self.drop_name is None else self.drop_name[begin:end],
                rows_of(self.histograms, slice(begin, end)),
            )


def collect(operator: VectorOperator, scope: Scope) -> Block:
    """All batches of an operator, dense. What it takes is asked of the budget first."""
    if isinstance(operator, Kept):
        return operator.block()
    labels = operator.series()
    count, steps = len(labels), scope.steps
    scope.context.budget.hold(count, steps)
    batches = operator.batches()
    first = next(batches, None)
    if first is not None and len(first.series) == count and np.array_equal(first.series, np.arange(count)):
        return Block(labels, first.values, first.present, first.drop_name, first.histograms)
    values = np.zeros((count, steps))
    present = np.zeros((count, steps), np.bool_)
    drops: NDArray[np.bool_] | None = None
    grids: list[tuple[NDArray[np.int64], HistogramGrid]] = []
    while first is not None:
        values[first.series] = first.values
        present[first.series] = first.present
        if first.drop_name is not None:
            drops = np.zeros(count, np.bool_) if drops is None else drops
            drops[first.series] = first.drop_name
        if first.histograms is not None:
            grids.append((first.series, first.histograms))
        first = next(batches, None)
    return Block(labels, values, present, drops, overlay(values.shape, grids))


class Kept:
    """An operator over a block that is computed when it is first asked for; subclasses say how."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._block: Block | None = None

    def compute(self) -> Block:
        """The whole result."""
        raise NotImplementedError

    def block(self) -> Block:
        """The whole result, computed once."""
        if self._block is None:
            self._block = self.compute()
        return self._block

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return self.block().labels

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        return self.block().batches(self.scope.rows_per_batch())
