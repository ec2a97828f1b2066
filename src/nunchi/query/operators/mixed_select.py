"""Instant selection of samples that are more than a number: native histograms, and start timestamps."""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, is_reset
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT
from nunchi.model.labels import METRIC_NAME
from nunchi.model.staleness import ABSENT_BITS, STALE_BITS
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import CellWriter, HistogramGrid, Value
from nunchi.query.notices import Notices
from nunchi.query.operators import tables
from nunchi.query.operators.extended_changes import MixedKindsError, interpolate
from nunchi.query.operators.mixed_windows import RowSamples, special_rows
from nunchi.query.remarks import MIXED_KINDS, MIXED_SCHEMAS
from nunchi.storage.contracts import Tile

Floats = NDArray[np.float64]
NOTHING = -1


def newest_cells(tile: Tile, row: int, references: NDArray[np.int64], lookback_ms: int) -> NDArray[np.int64]:
    """int64[steps]: the cell of a row's newest sample in (reference - lookback, reference], `NOTHING` where it ended."""
    vector = tile.vector_of[row]
    times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
    begin, end = int(tile.offsets[row]), int(tile.offsets[row + 1])
    bits = tile.values[begin:end].view(np.uint64)
    is_known, ended = bits != ABSENT_BITS, bits == STALE_BITS
    if tile.histogram_of is not None and tile.histograms is not None:
        numbers = tile.histogram_of[begin:end]
        is_histogram = numbers != FLOAT
        is_known |= is_histogram
        ended |= is_histogram & tile.histograms.is_stale()[np.maximum(numbers, 0)]
    known = np.flatnonzero(is_known)
    if not len(known):
        return np.full(len(references), NOTHING, np.int64)
    at = np.searchsorted(times[known], references, side="right") - 1
    cells = known[np.maximum(at, 0)]
    found = (at >= 0) & (times[cells] > references - lookback_ms) & ~ended[cells]
    return np.where(found, cells + begin, NOTHING)


def select_mixed(
    tile: Tile,
    rows: NDArray[np.int64],
    references: NDArray[np.int64],
    lookback_ms: int,
    values: Floats,
    present: NDArray[np.bool_],
    *,
    wants_times: bool,
) -> HistogramGrid | None:
    """Select rows with histograms; with `wants_times` the values are the samples' times."""
    assert tile.histogram_of is not None
    assert tile.histograms is not None
    numbers = np.full(values.shape, FLOAT, np.int32)
    for place in special_rows(tile, rows, with_starts=False):
        row = int(rows[place])
        cells = newest_cells(tile, row, references, lookback_ms)
        present[place] = cells != NOTHING
        cells = np.maximum(cells, 0)
        if wants_times:
            begin = int(tile.vector_offsets[tile.vector_of[row]]) - int(tile.offsets[row])
            values[place] = tile.vectors[np.maximum(cells + begin, 0)] / 1000
        else:
            values[place] = tile.values[cells]
            numbers[place] = tile.histogram_of[cells]
    return HistogramGrid(numbers, tile.histograms)


def select_starts(
    tile: Tile,
    rows: NDArray[np.int64],
    references: NDArray[np.int64],
    lookback_ms: int,
    values: Floats,
    present: NDArray[np.bool_],
) -> None:
    """Since when each row's newest sample counts, in seconds; 0 where that is unknown."""
    for place, row in enumerate(rows.tolist()):
        cells = newest_cells(tile, row, references, lookback_ms)
        present[place] = cells != NOTHING
        values[place] = 0.0 if tile.starts is None else tile.starts[np.maximum(cells, 0)] / 1000


def with_exact_hints(tile: Tile) -> Tile:
    """The tile with resets spelled out wherever the sample before is at hand."""
    if tile.histogram_of is None or tile.histograms is None:
        return tile
    columns = tile.histograms
    unknown = CODE_OF_HINT[ResetHint.UNKNOWN]
    hints = columns.hints.copy()
    first_cells = np.zeros(len(tile.values) + 1, np.bool_)
    first_cells[tile.offsets] = True
    is_known = (tile.values.view(np.uint64) != ABSENT_BITS) | (tile.histogram_of != FLOAT)
    before = NOTHING
    for cell in np.flatnonzero(is_known | first_cells[:-1]).tolist():
        if first_cells[cell]:
            before = NOTHING
        if not is_known[cell]:
            continue
        number = int(tile.histogram_of[cell])
        if number != FLOAT and before != NOTHING and columns.hints[number] == unknown:
            was_reset = is_reset(columns.histogram(number), columns.histogram(before))
            hints[number] = CODE_OF_HINT[ResetHint.RESET if was_reset else ResetHint.NOT_RESET]
        before = number if number != FLOAT else NOTHING
    return Tile(
        tile.series, tile.vector_of, tile.vectors, tile.vector_offsets, tile.values, tile.offsets,
        tile.histogram_of, columns.with_hints(hints), tile.starts,
    )  # fmt: skip


class MixedSmoothing:
    """`smoothed` on an instant selector over rows with histograms: the value on the line between the samples around."""

    def __init__(self, notices: Notices, position: int, labels: LabelTable) -> None:
        self._notices = notices
        self._position = position
        self._labels = labels

    def select(
        self,
        tile: Tile,
        rows: NDArray[np.int64],
        references: NDArray[np.int64],
        lookback_ms: int,
        values: Floats,
        present: NDArray[np.bool_],
    ) -> HistogramGrid | None:
        """Select rows with histograms."""
        writer = CellWriter(values, present)
        names = tables.column(self._labels, METRIC_NAME)
        for place in special_rows(tile, rows, with_starts=False):
            row = int(rows[place])
            samples = RowSamples(tile, row)
            name = self._labels.symbols.text(int(names[tile.series[row]]))
            for step, at_ms in enumerate(references.tolist()):
                writer.write((place, step), self._value(samples, at_ms, lookback_ms, name))
        return writer.grid()

    def _value(self, samples: RowSamples, at_ms: int, lookback_ms: int, name: str) -> Value | None:
        behind = int(np.searchsorted(samples.times, at_ms, side="right"))
        if not behind or samples.times[behind - 1] <= at_ms - lookback_ms:
            return None
        before = samples.point(behind - 1)
        if before.timestamp_ms == at_ms or behind == len(samples.times):
            return before.value
        after = samples.point(behind)
        if after.timestamp_ms > at_ms + lookback_ms:
            return before.value
        try:
            return interpolate(before, after, at_ms)
        except IncompatibleError:
            self._notices.warn(MIXED_SCHEMAS.format(name), self._position)
        except MixedKindsError:
            self._notices.warn(MIXED_KINDS.format(name), self._position)
        return None
