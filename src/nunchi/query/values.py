"""What a query returns. Label sets stay tables of symbols until somebody shows them.

Where `histograms` is given, it says which values are native histograms; the number beside such a one means nothing.

Invariant: a cell that is not `present` means nothing, whatever number stands there; NaN is a value.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.histograms.grid import Value as AnyValue


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number at a time."""

    value: float
    timestamp_ms: int

    def to_numpy(self) -> NDArray[np.float64]:
        """float64 without dimensions."""
        return np.array(self.value, np.float64)


@dataclass(frozen=True, slots=True)
class String:
    """A text at a time."""

    value: str
    timestamp_ms: int

    def to_numpy(self) -> NDArray[np.str_]:
        """The text, without dimensions."""
        return np.array(self.value, np.str_)


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """One value per series, all at one time. `values` is float64[series], in the order of `labels`."""

    labels: LabelTable
    values: NDArray[np.float64]
    timestamp_ms: int
    histograms: HistogramGrid | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def points(self, row: int) -> list[tuple[int, AnyValue]]:
        """The one point of a series."""
        return [(self.timestamp_ms, _value(self.values, self.histograms, row))]

    def to_numpy(self) -> NDArray[np.float64]:
        """float64[series] in the order of `labels`; NaN for native histograms."""
        return _numbers(self.values, self.histograms)


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Series over common times, sorted by labels: `values` float64[series, steps] where `present` bool[series, steps]."""

    labels: LabelTable
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    histograms: HistogramGrid | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def points(self, row: int) -> list[tuple[int, AnyValue]]:
        """The points of a series, by time."""
        steps = np.flatnonzero(self.present[row]).tolist()
        return [(int(self.times[step]), _value(self.values, self.histograms, row, step)) for step in steps]

    def to_numpy(self) -> NDArray[np.float64]:
        """float64[series, steps] in the order of `labels` and `times`; NaN for native histograms and where nothing is."""
        return np.where(self.present, _numbers(self.values, self.histograms), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Series with times of their own, as an instant query for a range returns them.

    Series `i` has the samples `offsets[i]` to `offsets[i + 1]` of `times` (int64, ms) and `values` (float64).
    """

    labels: LabelTable
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: HistogramGrid | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def points(self, row: int) -> list[tuple[int, AnyValue]]:
        """The points of a series, by time."""
        places = range(self.offsets[row], self.offsets[row + 1])
        return [(int(self.times[place]), _value(self.values, self.histograms, place)) for place in places]

    def to_numpy(self) -> NDArray[np.float64]:
        """float64[samples], one series after the other as `offsets` says; NaN for native histograms."""
        return _numbers(self.values, self.histograms)


def _numbers(values: NDArray[np.float64], grid: HistogramGrid | None) -> NDArray[np.float64]:
    return values if grid is None else np.where(grid.numbers == FLOAT, values, np.nan)


def _value(values: NDArray[np.float64], grid: HistogramGrid | None, *cell: int) -> AnyValue:
    is_histogram = grid is not None and grid.numbers[cell] != FLOAT
    return grid.histogram(*cell) if grid is not None and is_histogram else float(values[cell])


Value: TypeAlias = Scalar | String | Vector | Matrix | Samples


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a query cost.

    samples           that windows and look-backs held
    peak_cells        the most that were in memory at once
    queued_seconds    waited for a slot
    prepared_seconds  to read the text and plan
    executed_seconds  to compute
    steps             (milliseconds, samples) of each step, where it was asked for
    """

    samples: int
    peak_cells: int
    queued_seconds: float = 0.0
    prepared_seconds: float = 0.0
    executed_seconds: float = 0.0
    steps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """A value, the remarks about it as Prometheus prints them, and what it cost."""

    value: Value
    warnings: list[str]
    infos: list[str]
    statistics: Statistics
