"""Windows that numbers alone do not decide: those with native histograms, and counters with start timestamps.

The kernels have evaluated the numbers of every window already. What is left is looked at sample by sample: few series have
such windows, or each of their samples is a whole distribution and worth a Python step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.staleness import ABSENT_BITS, STALE_BITS
from nunchi.query.histograms.grid import Value
from nunchi.storage.contracts import Tile

# Counters whose meaning start timestamps change.
START_FUNCTIONS: Final = frozenset(("rate", "increase", "irate", "resets"))


@dataclass(frozen=True, slots=True)
class Point:
    """A sample: when, what, and since when it counts (0: unknown)."""

    timestamp_ms: int
    value: Value
    start_ms: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """The samples in (start_ms, end_ms] of one series; for extended selectors those next to it as well."""

    points: list[Point]
    start_ms: int
    end_ms: int
    before: Point | None = None
    after: Point | None = None

    @property
    def histograms(self) -> list[Histogram]:
        """The samples that are histograms."""
        return [point.value for point in self.points if isinstance(point.value, Histogram)]

    @property
    def is_mixed(self) -> bool:
        """Whether there are samples of both kinds."""
        return 0 < len(self.histograms) < len(self.points)


class RowSamples:
    """The samples of one row of a tile: staleness markers and empty cells left out."""

    def __init__(self, tile: Tile, row: int) -> None:
        vector = tile.vector_of[row]
        times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
        cells = slice(int(tile.offsets[row]), int(tile.offsets[row + 1]))
        bits = tile.values[cells].view(np.uint64)
        numbers = np.full(len(bits), FLOAT, np.int32)
        alive = (bits != ABSENT_BITS) & (bits != STALE_BITS)
        self.columns = tile.histograms
        if tile.histogram_of is not None and tile.histograms is not None:
            numbers = tile.histogram_of[cells]
            stale = tile.histograms.is_stale()
            alive = np.where(numbers == FLOAT, alive, ~stale[np.maximum(numbers, 0)])
        kept = np.flatnonzero(alive)
        self.times: NDArray[np.int64] = times[kept]
        self.numbers: NDArray[np.int32] = numbers[kept]
        self.values: NDArray[np.float64] = tile.values[cells][kept]
        self.starts: NDArray[np.int64] | None = None if tile.starts is None else tile.starts[cells][kept]
        self._made: dict[int, Point] = {}

    def point(self, at: int) -> Point:
        """One sample."""
        found = self._made.get(at)
        if found is None:
            number = int(self.numbers[at])
            assert self.columns is not None or number == FLOAT
            value = float(self.values[at]) if number == FLOAT else self.columns.histogram(number)  # type: ignore[union-attr]  # asserted
            start_ms = 0 if self.starts is None else int(self.starts[at])
            found = self._made[at] = Point(int(self.times[at]), value, start_ms)
        return found

    def windows(
        self, references: NDArray[np.int64], range_ms: int, wanted: NDArray[np.bool_], *, with_starts: bool
    ) -> Iterator[tuple[int, Window]]:
        """The wanted windows (bool[steps]) that have histograms, or start timestamps where these matter, by their step."""
        special = self.numbers != FLOAT
        if with_starts and self.starts is not None:
            special |= self.starts != 0
        counts = np.concatenate([[0], np.cumsum(special)])
        begins = np.searchsorted(self.times, references - range_ms, side="right")
        ends = np.searchsorted(self.times, references, side="right")
        for step in np.flatnonzero(wanted & (counts[ends] > counts[begins])).tolist():
            points = [self.point(at) for at in range(begins[step], ends[step])]
            end_ms = int(references[step])
            yield step, Window(points, end_ms - range_ms, end_ms)

    def extended_windows(
        self, references: NDArray[np.int64], range_ms: int, lookback_ms: int, *, is_smoothed: bool
    ) -> Iterator[tuple[int, Window]]:
        """All windows, with the samples before and, where they are smoothed, behind them."""
        begins = np.searchsorted(self.times, references - range_ms, side="right").tolist()
        ends = np.searchsorted(self.times, references, side="right").tolist()
        for step, end_ms in enumerate(references.tolist()):
            begin, end, start_ms = begins[step], ends[step], end_ms - range_ms
            before = self.point(begin - 1) if begin else None
            if before is not None and before.timestamp_ms <= start_ms - lookback_ms:
                before = None
            after = self.point(end) if is_smoothed and end < len(self.times) else None
            if after is not None and after.timestamp_ms > end_ms + lookback_ms:
                after = None
            points = [self.point(at) for at in range(begin, end)]
            if points or before is not None:
                yield step, Window(points, start_ms, end_ms, before, after)


def special_rows(tile: Tile, rows: NDArray[np.int64], *, with_starts: bool) -> list[int]:
    """Places in `rows`, rows of a tile: which have histograms, or start timestamps where these matter."""
    special = np.zeros(len(tile.values), np.bool_)
    if tile.histogram_of is not None:
        special |= tile.histogram_of != FLOAT
    if with_starts and tile.starts is not None:
        special |= tile.starts != 0
    counts = np.concatenate([[0], np.cumsum(special)])
    offsets = tile.offsets
    places: list[int] = np.flatnonzero(counts[offsets[rows + 1]] > counts[offsets[rows]]).tolist()
    return places


def window_sizes(
    tile: Tile, rows: NDArray[np.int64], references: NDArray[np.int64], range_ms: int
) -> NDArray[np.int64]:
    """int64[steps]: the samples in the windows (reference - range, reference] of some rows together."""
    sizes = np.zeros(len(references), np.int64)
    for row in rows.tolist():
        times = RowSamples(tile, row).times
        sizes += np.searchsorted(times, references, side="right")
        sizes -= np.searchsorted(times, references - range_ms, side="right")
    return sizes
