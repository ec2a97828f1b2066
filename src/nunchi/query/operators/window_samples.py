"""The samples within one window, as an instant query for a range returns them."""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT
from nunchi.query.histograms.grid import HistogramGrid, overlay
from nunchi.query.kernels import instant
from nunchi.query.operators.build import window_source
from nunchi.query.operators.mixed_windows import RowSamples
from nunchi.query.operators.operator import Scope
from nunchi.query.plan import nodes as plan
from nunchi.query.values import Samples
from nunchi.storage.contracts import Tile

Gathered = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], HistogramGrid | None]


def window_samples(window: plan.RangeSelect | plan.Subquery, scope: Scope) -> Samples:
    """The samples of every series that has any in the window."""
    source = window_source(plan.RangeFunction("last_over_time", window), scope)
    labels = source.series()
    end_ms = int(source.references[0])
    counts = np.zeros(len(labels), np.int64)
    pieces: list[tuple[NDArray[np.int64], Gathered]] = []
    for tile, _ in source.tiles():
        gathered = _gather(tile, end_ms - source.range_ms, end_ms)
        held, times, _, _ = gathered
        scope.context.budget.hold(1, len(times))
        scope.context.budget.tick(len(times))
        if scope.counts is not None:
            scope.counts.add(np.array([len(times)]))
        counts[tile.series] = held
        pieces.append((tile.series, gathered))
    rows = np.flatnonzero(counts)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(counts[rows], out=offsets[1:])
    begins = np.zeros(len(labels), np.int64)
    begins[rows] = offsets[:-1]
    all_times, all_values = np.empty(offsets[-1], np.int64), np.empty(offsets[-1])
    grids: list[tuple[NDArray[np.int64], HistogramGrid | None]] = []
    for series, (held, times, values, grid) in pieces:
        starts = np.cumsum(held) - held
        places = np.repeat(begins[series] - starts, held) + np.arange(len(values))
        all_times[places], all_values[places] = times, values
        grids.append((places, grid))
    return Samples(labels.take(rows), offsets, all_times, all_values, overlay(all_values.shape, grids))


def _gather(tile: Tile, start_ms: int, end_ms: int) -> Gathered:
    """How many samples each row has in (start, end], and these, row after row."""
    if tile.histogram_of is None or tile.histograms is None:
        found = instant.gather(
            tile.vector_of, tile.vectors, tile.vector_offsets, tile.values, tile.offsets, start_ms, end_ms
        )
        return (*found, None)
    held = np.zeros(len(tile.series), np.int64)
    times, values, numbers = [np.empty(0, np.int64)], [np.empty(0)], [np.empty(0, np.int32)]
    for row in range(len(tile.series)):
        samples = RowSamples(tile, row)
        begin, end = np.searchsorted(samples.times, [start_ms, end_ms], side="right").tolist()
        held[row] = end - begin
        times.append(samples.times[begin:end])
        values.append(samples.values[begin:end])
        numbers.append(samples.numbers[begin:end])
    grid = HistogramGrid(np.concatenate(numbers), tile.histograms)
    assert grid.numbers.max(initial=FLOAT) < len(tile.histograms)
    return held, np.concatenate(times), np.concatenate(values), grid
