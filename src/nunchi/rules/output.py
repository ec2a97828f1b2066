"""What rules write: cells over the layout of their group, staleness markers for what is gone, one row at a time.

The label sets of a result are looked at only when they differ from the last ones; otherwise the same columns are written
again, and an evaluation costs no Python work per series.
Invariant: a column once written by a rule and not written again is marked stale exactly once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, STALE
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.query.histograms.grid import HistogramGrid, overlay
from nunchi.query.values import Scalar, Vector

SPARE_COLUMNS_MAX = 1000

NO_COLUMNS: NDArray[np.int32] = np.empty(0, np.int32)
NO_VALUES: NDArray[np.float64] = np.empty(0, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """Cells of one rule at one time: int32[n] columns, all different, float64[n] values, and which are histograms."""

    columns: NDArray[np.int32] = field(default_factory=lambda: NO_COLUMNS)
    values: NDArray[np.float64] = field(default_factory=lambda: NO_VALUES)
    histograms: HistogramGrid | None = None


def batch_of(layout: Layout, timestamp_ms: int, outputs: Sequence[Output]) -> Batch:
    """The row that several outputs make."""
    sizes = np.cumsum([0, *(len(output.columns) for output in outputs)]).tolist()
    columns = np.concatenate([NO_COLUMNS, *(output.columns for output in outputs)])
    values = np.concatenate([NO_VALUES, *(output.values for output in outputs)])
    batch = Batch.row(layout, timestamp_ms, columns, values)
    parts = zip(map(slice, sizes, sizes[1:]), (output.histograms for output in outputs), strict=True)
    grid = overlay(values.shape, parts)
    if grid is None:
        return batch
    values = np.where(grid.mask, ABSENT, values)
    return replace(batch, values=values, histogram_of=grid.numbers, histograms=grid.columns)


def elements_of(value: Vector | Scalar) -> tuple[LabelTable, NDArray[np.float64]]:
    """A vector as it is; a scalar as one element without labels."""
    if isinstance(value, Scalar):
        return LabelTable.of(Symbols(), [Labels()]), np.array([value.value], np.float64)
    return value.labels, value.values


class SeriesRegister:
    """The layout of a rule group, and which column each series has."""

    def __init__(self) -> None:
        self.layout = Layout()
        self._columns: dict[bytes, int] = {}

    def column(self, labels: Labels) -> int:
        """The column of a series, new ones at the end."""
        key = labels.key()
        found = self._columns.get(key)
        if found is None:
            found = self._columns[key] = self.layout.append(key)
        return found

    def is_sparse(self, live: int) -> bool:
        """Whether most columns belong to series that are gone, so that a new register should take this one's place."""
        return len(self.layout) > 2 * live + SPARE_COLUMNS_MAX


class SeriesColumns:
    """The columns that one rule writes to; remembers the last result's labels and which columns hold a live series."""

    def __init__(self, register: SeriesRegister) -> None:
        self.register = register
        self._last: tuple[list[str], NDArray[np.int64], NDArray[np.int64]] | None = None
        self._columns = NO_COLUMNS
        self.live = NO_COLUMNS

    def find(self, table: LabelTable, changes: Mapping[str, str]) -> NDArray[np.int32] | None:
        """int32[series]: the column of each label set after the changes; None where two of them become the same."""
        form = _form(table)
        if self._last is not None and _is_same(self._last, form):
            return self._columns
        columns = self.find_each(table.labels(series).merge(changes) for series in range(len(table)))
        if len(np.unique(columns)) != len(columns):
            return None
        self._last, self._columns = form, columns
        return columns

    def find_each(self, series: Iterable[Labels]) -> NDArray[np.int32]:
        """The columns of these series."""
        return np.fromiter((self.register.column(labels) for labels in series), np.int32)

    def with_stale(self, output: Output) -> Output:
        """The output and a staleness marker for every column that was live before it."""
        gone = np.setdiff1d(self.live, output.columns)
        self.live = output.columns
        if not len(gone):
            return output
        values = np.concatenate((output.values, np.full(len(gone), STALE)))
        histograms = overlay(values.shape, [(slice(0, len(output.values)), output.histograms)])
        return Output(np.concatenate((output.columns, gone)).astype(np.int32), values, histograms)

    def live_labels(self) -> list[Labels]:
        """Who is live now."""
        return [self.register.layout.labels(column) for column in self.live.tolist()]

    def move(self, register: SeriesRegister) -> None:
        """Continue in another register."""
        live = self.live_labels()
        self.register, self._last = register, None
        self.live = self.find_each(live)


def _form(table: LabelTable) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """A table's contents without its symbols: distinct texts, pairs as indexes into them, offsets."""
    symbols, places = np.unique(np.concatenate((table.names, table.values)), return_inverse=True)
    text = table.symbols.text
    return [text(symbol) for symbol in symbols.tolist()], places, table.offsets


def _is_same(
    left: tuple[list[str], NDArray[np.int64], NDArray[np.int64]],
    right: tuple[list[str], NDArray[np.int64], NDArray[np.int64]],
) -> bool:
    return left[0] == right[0] and np.array_equal(left[1], right[1]) and np.array_equal(left[2], right[2])
