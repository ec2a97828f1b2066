"""Functions of each sample: mathematics, dates, a vector with a scalar, and signs."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.operators import tables
from nunchi.query.operators.dates import DATES, date_part
from nunchi.query.operators.operator import Batch, Scope, VectorOperator
from nunchi.query.operators.value_pairs import ValuePairs, scaled
from nunchi.query.plan.arithmetic import ARITHMETIC, COMPARISONS, greater_of, lesser_of
from nunchi.query.syntax.operators import TRIMS

Floats: TypeAlias = NDArray[np.float64]

SIMPLE: Final[dict[str, Callable[[Floats], Floats]]] = {
    "identity": lambda x: x,
    "negate": np.negative,
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": lambda x: np.where(x < 0, -1.0, np.where(x > 0, 1.0, x)),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": lambda x: x * 180 / np.pi,
    "rad": lambda x: x * np.pi / 180,
}


def _round(values: Floats, to_nearest: Floats) -> Floats:
    inverse = 1.0 / to_nearest
    rounded: Floats = np.floor(values * inverse + 0.5) / inverse
    return rounded


WITH_PARAMETERS: Final[dict[str, Callable[..., Floats]]] = {
    "round": _round,
    "clamp": lambda x, low, high: greater_of(low, lesser_of(high, x)),
    "clamp_min": greater_of,
    "clamp_max": lesser_of,
}


def transformation(name: str, parameters: list[Floats], times: NDArray[np.int64]) -> Callable[[Floats], Floats]:
    """The function of that name over [series, steps]; `parameters` are float64[steps] each."""
    if name in SIMPLE:
        return SIMPLE[name]
    if name in DATES:
        return lambda values: date_part(name, values)
    if name == "timestamp":
        seconds = times / 1000
        return lambda values: np.broadcast_to(seconds, values.shape)
    if name == "start_timestamp":
        return np.zeros_like
    function = WITH_PARAMETERS[name]
    given = parameters or [np.ones(len(times))]
    return lambda values: function(values, *given)


class Elementwise:
    """A function of each sample; the metric name goes."""

    def __init__(self, scope: Scope, name: str, child: VectorOperator, parameters: list[Floats]) -> None:
        self._scope = scope
        self._child = child
        self._name = name
        self._takes_histograms = name in {"negate", "timestamp", "start_timestamp"}
        self._change = transformation(name, parameters, scope.times)
        self._allowed: NDArray[np.bool_] | None = None
        if name == "clamp":
            self._allowed = ~(parameters[1] < parameters[0])

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        table = self._child.series()
        return table if self._scope.context.delays_names else tables.drop_metadata(table)

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        for batch in self._child.batches():
            present = batch.present if self._takes_histograms else batch.floats
            if self._allowed is not None:
                present = present & self._allowed
            drops = np.ones(len(batch.series), np.bool_) if self._scope.context.delays_names else None
            yield Batch(batch.series, self._change(batch.values), present, drops, self._histograms(batch))

    def _histograms(self, batch: Batch) -> HistogramGrid | None:
        """What becomes of histograms: a sign turns them; the time of a sample is a number; the rest ignores them."""
        grid = batch.histograms
        if self._name != "negate" or grid is None:
            return None
        return HistogramGrid(grid.numbers, scaled(grid.columns, np.full(len(grid.columns), -1.0)))


class VectorScalar:
    """A vector and a scalar. Comparisons filter and keep the vector's value, or with `bool` give 0 and 1."""

    def __init__(
        self,
        scope: Scope,
        operator: str,
        child: VectorOperator,
        scalar: Floats,
        *,
        is_swapped: bool,
        returns_bool: bool,
        position: int,
    ) -> None:
        self._scope = scope
        self._operator = operator
        self._child = child
        self._scalar = scalar
        self._is_swapped = is_swapped
        self._returns_bool = returns_bool
        self._drops_name = returns_bool or operator in ARITHMETIC
        self._pairs = ValuePairs(operator, scope.context.notices, position)

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        table = self._child.series()
        return tables.drop_metadata(table) if self._drops_name and not self._scope.context.delays_names else table

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        is_comparison = self._operator in COMPARISONS
        for batch in self._child.batches():
            values, present = batch.values, batch.present
            if batch.histograms is not None or self._operator in TRIMS:
                yield self._combine_mixed(batch)
                continue
            operation = COMPARISONS[self._operator] if is_comparison else ARITHMETIC[self._operator]
            result = operation(self._scalar, values) if self._is_swapped else operation(values, self._scalar)
            if not is_comparison:
                values = result
            elif self._returns_bool:
                values = result.astype(np.float64)
            else:
                present = present & result
            yield Batch(batch.series, values, present, self._drops(batch))

    def _drops(self, batch: Batch) -> NDArray[np.bool_] | None:
        if self._drops_name and self._scope.context.delays_names:
            return np.ones(len(batch.series), np.bool_)
        return batch.drop_name

    def _combine_mixed(self, batch: Batch) -> Batch:
        """A batch with histograms in it."""
        scalar = np.broadcast_to(self._scalar, batch.values.shape)
        if self._is_swapped:
            sides = (scalar, None, batch.values, batch.histograms)
            values, kept, grid = self._pairs.combine(*sides, batch.present)
        else:
            values, kept, grid = self._pairs.combine(batch.values, batch.histograms, scalar, None, batch.present)
        if self._operator not in COMPARISONS:
            return Batch(batch.series, values, kept.holds, self._drops(batch), grid)
        if self._returns_bool:
            return Batch(batch.series, kept.holds.astype(np.float64), kept.known, self._drops(batch))
        return Batch(batch.series, batch.values, kept.holds, self._drops(batch))


class VectorOf:
    """`vector(scalar)`: one series without labels."""

    def __init__(self, scope: Scope, values: Floats) -> None:
        self._scope = scope
        self._values = values

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return tables.empty_table(self._scope.context.symbols, 1)

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        values = self._values.reshape(1, -1)
        yield Batch(np.zeros(1, np.int64), values, np.ones(values.shape, np.bool_))
