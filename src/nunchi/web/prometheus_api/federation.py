"""`/federate`: the newest sample of every series that matches, as an exposition that another server scrapes.

Invariant: a series whose newest sample within the look-back is a staleness marker, or a native histogram, for which text has
no word, is not there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from nunchi.kit.http_route import Route
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher
from nunchi.model.metadata import MetricType
from nunchi.model.staleness import ABSENT_BITS, STALE_BITS
from nunchi.storage.contracts import Querier, Selection, Tile
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import ApiError
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.reading import Reading
from nunchi.web.prometheus_api.selectors import read_selectors
from nunchi.wire.exposition_text import Family, Sample, format_families

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
INSTANCE = "instance"

Newest = tuple[Labels, float, int]


class FederationEndpoints:
    """One endpoint, for servers that gather from others."""

    def __init__(self, reading: Reading, now_ms: Callable[[], int], external_labels: Callable[[], Labels]) -> None:
        self._reading = reading
        self._now_ms = now_ms
        self._external_labels = external_labels

    def routes(self, envelope: Envelope) -> list[Route]:
        """The one there is."""
        return [*envelope.read("/federate", self.federate)]

    async def federate(self, parameters: Parameters) -> Answer:
        """Sorted by name; external labels stand where a series has none of that name."""
        selectors = read_selectors(parameters, needed=False)
        settings = self._reading.engine.settings
        end_ms = self._now_ms()
        start_ms = end_ms - settings.lookback_ms + 1
        outside = self._external_labels()

        def read(querier: Querier) -> bytes:
            found: dict[Labels, Newest] = {}
            for matchers in selectors:
                newest = _newest(querier, matchers, start_ms, end_ms, settings.limits.samples_max)
                found.update((each[0], each) for each in newest)
            return format_families(_families([found[labels] for labels in sorted(found)], outside))

        return Answer(await self._reading.read(read), content_type=EXPOSITION)


def _newest(
    querier: Querier, matchers: Sequence[Matcher], start_ms: int, end_ms: int, samples_max: int
) -> Iterator[Newest]:
    selection = querier.select(matchers, start_ms, end_ms)
    try:
        samples = int(selection.sizes.sum())
        if samples_max and samples > samples_max:
            cure = "narrow match[], or raise --query.max-samples"
            raise ApiError("execution", f"{samples} samples would be read and {samples_max} may be: {cure}")
        for tile in selection.read(0, len(selection.labels)):
            yield from _newest_of_tile(selection, tile)
    finally:
        selection.close()


def _newest_of_tile(selection: Selection, tile: Tile) -> Iterator[Newest]:
    for place, number in enumerate(tile.series.tolist()):
        begin, end = int(tile.offsets[place]), int(tile.offsets[place + 1])
        bits = tile.values[begin:end].view(np.uint64)
        present = bits != ABSENT_BITS
        if tile.histogram_of is not None:
            present |= tile.histogram_of[begin:end] != FLOAT
        cells = np.flatnonzero(present)
        if not len(cells):
            continue
        last = int(cells[-1])
        is_histogram = tile.histogram_of is not None and tile.histogram_of[begin + last] != FLOAT
        if is_histogram or bits[last] == STALE_BITS:
            continue
        at_ms = tile.vectors[tile.vector_offsets[tile.vector_of[place]] + last]
        yield selection.labels.labels(number), float(tile.values[begin + last]), int(at_ms)


def _families(series: Iterable[Newest], outside: Labels) -> Iterator[Family]:
    for name, own in groupby(series, key=lambda each: each[0].metric_name):
        samples = [Sample(name, _shown(labels, outside), value, at_ms) for labels, value, at_ms in own]
        yield Family(name, MetricType.UNKNOWN, "", samples)


def _shown(labels: Labels, outside: Labels) -> list[tuple[str, str]]:
    """Labels without the name; an `instance` in any case, so that the scraping server does not write its own there."""
    own = {name: value for name, value in labels.items() if name != METRIC_NAME}
    return sorted({**outside, INSTANCE: "", **own}.items())
