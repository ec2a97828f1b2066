"""What the reset hint of each histogram of a tile says: decided when it is read, from the sample before it.

What was written of a reset is only believed where it says that there was one, or that the series is a gauge; so nothing that
comes late, is replaced or deleted can make a hint untrue. Invariant: `hint_after` decides alike, one histogram at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_arithmetic import exponential_bound, hint_after
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT, HistogramColumns, Shape
from nunchi.storage.contracts import Tile
from nunchi.tsdb.reading import expand

UNKNOWN, RESET, NOT_RESET, GAUGE = (
    CODE_OF_HINT[hint] for hint in (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)
)


Before = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], HistogramColumns | None]]
"""Of some series, those whose sample before the range is a histogram, by their places among them, and these histograms."""


def with_reset_hints(tile: Tile, before_range: Before) -> Tile:
    """The tile with hints that tell of the sample before, which for the first of a range lies outside."""
    histograms, histogram_of = tile.histograms, tile.histogram_of
    if histograms is None or histogram_of is None:
        return tile
    before = np.full(len(histogram_of), FLOAT, np.int32)
    before[1:] = histogram_of[:-1]
    firsts = tile.offsets[:-1]
    before[firsts[firsts < len(before)]] = FLOAT
    predecessors = np.full(len(histograms), FLOAT, np.int64)
    cells = histogram_of != FLOAT
    predecessors[histogram_of[cells]] = before[cells]
    beginning = np.flatnonzero(tile.offsets[:-1] < tile.offsets[1:])
    beginning = beginning[histogram_of[firsts[beginning]] != FLOAT]
    places, earlier = before_range(tile.series[beginning])
    if earlier is None or not len(places):
        return replace(tile, histograms=histograms.with_hints(reset_hints(histograms, predecessors)))
    predecessors[histogram_of[firsts[beginning[places]]]] = len(histograms) + np.arange(len(places))
    together = HistogramColumns.concatenate([histograms, earlier])
    hints = reset_hints(together, np.append(predecessors, np.full(len(earlier), FLOAT, np.int64)))
    return replace(tile, histograms=histograms.with_hints(hints[: len(histograms)]))


def reset_hints(histograms: HistogramColumns, predecessors: NDArray[np.int64]) -> NDArray[np.uint8]:
    """uint8[n]: the hint of each histogram, whose predecessor has the number `predecessors[i]`, or is none: `FLOAT`."""
    written = histograms.hints
    hints = np.where(written == GAUGE, GAUGE, UNKNOWN).astype(np.uint8)
    is_stale = histograms.is_stale()
    open_ones = (predecessors != FLOAT) & (written != GAUGE) & (written != RESET) & ~is_stale
    open_ones &= (written[predecessors] != GAUGE) & ~is_stale[predecessors]
    current = np.flatnonzero(open_ones)
    if len(current) == 0:
        return hints
    previous = predecessors[current]
    is_alike = histograms.shape_of[current] == histograms.shape_of[previous]
    is_alike &= np.array([_has_clear_zero(shape) for shape in histograms.shapes], np.bool_)[
        histograms.shape_of[current]
    ]
    current_alike, previous_alike = current[is_alike], previous[is_alike]
    hints[current_alike[~_fell(histograms, current_alike, previous_alike)]] = NOT_RESET
    for number, other in zip(current[~is_alike].tolist(), previous[~is_alike].tolist(), strict=True):
        hints[number] = CODE_OF_HINT[hint_after(histograms.histogram(other), histograms.histogram(number))]
    return hints


def _fell(histograms: HistogramColumns, current: NDArray[np.int64], previous: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether some count of each fell, of histograms that are cut alike."""
    fell: NDArray[np.bool_] = histograms.counts[current] < histograms.counts[previous]
    is_exponential = np.array([not shape.has_custom_buckets for shape in histograms.shapes], np.bool_)
    zero_fell = histograms.zero_counts[current] < histograms.zero_counts[previous]
    fell |= zero_fell & is_exponential[histograms.shape_of[current]]
    widths = histograms.offsets[current + 1] - histograms.offsets[current]
    buckets = histograms.buckets
    lower = buckets[expand(histograms.offsets, current)] < buckets[expand(histograms.offsets, previous)]
    fell |= np.bincount(np.repeat(np.arange(len(current)), widths)[lower], minlength=len(current)) > 0
    return fell


def _has_clear_zero(shape: Shape) -> bool:
    """Whether no bucket reaches into the zero bucket, so that counts can be compared one by one."""
    if shape.has_custom_buckets:
        return True
    return all(_lowest(spans, shape.schema) >= shape.zero_threshold for spans in _sides(shape))


def _sides(shape: Shape) -> Sequence[Sequence[tuple[int, int]]]:
    return [spans for spans in (shape.positive_spans, shape.negative_spans) if any(length for _, length in spans)]


def _lowest(spans: Sequence[tuple[int, int]], schema: int) -> float:
    """The bound nearest to zero of the buckets of a side."""
    index = 0
    for offset, length in spans:
        index += offset
        if length:
            break
    return exponential_bound(index - 1, schema)
