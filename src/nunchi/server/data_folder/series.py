"""The samples of a store, series after series, metric after metric, in bounded memory: what dumping and exporting read.

Invariant: a series is given once, with all its samples, however many selectors it matches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.errors import InputError
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.staleness import ABSENT_BITS
from nunchi.query.errors import ParseError
from nunchi.query.syntax import parse_selector
from nunchi.storage.contracts import Querier, Tile

TIME_MS_MIN, TIME_MS_MAX = -(2**62), 2**62
Matchers = tuple[Matcher, ...]


def parse_selectors(texts: Sequence[str]) -> list[Matchers]:
    """The matchers of each selector; all series where there is none. Raises `InputError`."""
    try:
        return [tuple(parse_selector(text).matchers) for text in texts] or [()]
    except ParseError as error:
        raise InputError(f"--match: {error}; write a selector, as in --match 'up{{job=\"node\"}}'") from None


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSamples:
    """One series: `histogram_of[i]` is the number of a histogram, or `FLOAT`; None: all are numbers."""

    labels: Labels
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None

    def __len__(self) -> int:
        return len(self.times)


def metric_names(querier: Querier, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[str]:
    """The names of the metrics of which some series matches; the empty one where series have none."""
    names: set[str] = set()
    nameless = Matcher(METRIC_NAME, MatchOperator.EQUAL, "")
    for matchers in selectors:
        names.update(querier.label_values(METRIC_NAME, matchers, start_ms, end_ms))
        if querier.label_names((*matchers, nameless), start_ms, end_ms, 1):
            names.add("")
    return sorted(names)


def series_of_metric(
    querier: Querier, name: str, selectors: Sequence[Matchers], start_ms: int, end_ms: int
) -> Iterator[SeriesSamples]:
    """The series of one metric."""
    seen: set[Labels] = set()
    own = Matcher(METRIC_NAME, MatchOperator.EQUAL, name)
    for matchers in selectors:
        selection = querier.select((*matchers, own), start_ms, end_ms)
        try:
            for tile in selection.read(0, len(selection.labels)):
                for place, number in enumerate(tile.series.tolist()):
                    labels = selection.labels.labels(number)
                    if len(selectors) > 1:
                        if labels in seen:
                            continue
                        seen.add(labels)
                    yield _samples(tile, place, labels)
        finally:
            selection.close()


def _samples(tile: Tile, place: int, labels: Labels) -> SeriesSamples:
    vector = tile.vector_of[place]
    times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
    cells = slice(int(tile.offsets[place]), int(tile.offsets[place + 1]))
    values = tile.values[cells]
    histogram_of = None if tile.histogram_of is None else tile.histogram_of[cells]
    present = values.view(np.uint64) != ABSENT_BITS
    if histogram_of is not None:
        present |= histogram_of != FLOAT
    if not present.all():
        times, values = times[present], values[present]
        histogram_of = None if histogram_of is None else histogram_of[present]
    if histogram_of is not None and (histogram_of == FLOAT).all():
        histogram_of = None
    return SeriesSamples(labels, times, values, histogram_of, tile.histograms)
