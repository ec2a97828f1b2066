"""A result as columns, a row a point: what every table is made of. Labels are codes into few words, no object a series.

Columns: `timestamp` (milliseconds, UTC), `value`, with native histograms `histogram` (as text; `value` is nothing there), then
one for each label name in the order of names, without a value where a series has no such label. A label that is called as one
of the first columns becomes `label_timestamp`, `label_value`, `label_histogram`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.errors import WorldError
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.operators import tables
from nunchi.query.operators.histogram_text import describe_histogram
from nunchi.query.rendering import result_type
from nunchi.query.values import Matrix, Samples, Scalar, String, Value, Vector

OWN_COLUMNS: Final = ("timestamp", "value", "histogram")
ABSENT: Final = -1

Points = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], HistogramGrid | None]


class FramesMissing(WorldError):  # noqa: N818 (what is the matter, in one word)
    """The library of a kind of table is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'nunchi[{extra}]'")


@dataclass(frozen=True, slots=True, eq=False)
class LabelColumn:
    """One label name: `words[codes[i]]` is its value in row `i`, none where the code is `ABSENT`. Words are distinct."""

    name: str
    codes: NDArray[np.int32]
    words: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of a result.

    values      float64[rows]; a text where the result is one
    histograms  int64[rows]: which of `texts` a row has, `ABSENT` for numbers; None: all are numbers
    """

    kind: str
    times: NDArray[np.int64]
    values: NDArray[np.float64] | list[str]
    histograms: NDArray[np.int64] | None
    texts: list[str]
    labels: list[LabelColumn]

    @classmethod
    def of(cls, value: Value) -> "Columns":
        """Those of a result."""
        kind = result_type(value)
        if isinstance(value, Scalar | String):
            times = np.array([value.timestamp_ms], np.int64)
            values = np.array([value.value]) if isinstance(value, Scalar) else [value.value]
            return cls(kind, times, values, None, [], [])
        times, numbers, series, grid = _points(value)
        labels = _label_columns(value, series)
        if grid is None or not grid.mask.any():
            return cls(kind, times, numbers, None, [], labels)
        texts = [describe_histogram(grid.histogram(int(row))) for row in np.flatnonzero(grid.mask)]
        places = np.where(grid.mask, np.cumsum(grid.mask) - 1, ABSENT)
        return cls(kind, times, np.where(grid.mask, np.nan, numbers), places, texts, labels)


def _points(value: Vector | Matrix | Samples) -> Points:
    """Times, values, series and histograms of all points, series after series."""
    match value:
        case Vector():
            count = len(value)
            times = np.full(count, value.timestamp_ms, np.int64)
            return times, value.values, np.arange(count, dtype=np.int64), value.histograms
        case Matrix():
            series, steps = np.nonzero(value.present)
            grid = value.histograms
            cells = None if grid is None else HistogramGrid(grid.numbers[series, steps], grid.columns)
            return value.times[steps], value.values[series, steps], series, cells
        case Samples():
            counts = np.diff(value.offsets)
            series = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
            return value.times, value.values, series, value.histograms


def _label_columns(value: Vector | Matrix | Samples, series: NDArray[np.int64]) -> list[LabelColumn]:
    table = value.labels
    columns = []
    for name in sorted(tables.texts(table.symbols, tables.used(table.names))):
        symbols = tables.column(table, name)
        known = symbols != 0
        distinct, places = np.unique(symbols[known], return_inverse=True)
        codes = np.full(len(symbols), ABSENT, np.int32)
        codes[known] = places
        shown = f"label_{name}" if name in OWN_COLUMNS else name
        columns.append(LabelColumn(shown, codes[series], tables.texts(table.symbols, distinct)))
    return columns
