"""The `_created` samples of OpenMetrics: taken out of an exposition, they are the starts of the samples of their metrics.

What follows from the sequence of series is worked out once and kept while it stays; then a body costs two look-ups of arrays.
Invariant: a series that is taken out is not told of as new until it is given on.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import Labels
from nunchi.model.metadata import MetricType
from nunchi.wire.exposed_parts import CREATED, part_of
from nunchi.wire.exposition import Exposition

NONE = -1
_SECONDS_MAX = float(1 << 43)


class SeriesKnown:
    """The labels of a reader's series, the types of its families, and which series were told of further on."""

    def __init__(self) -> None:
        self.labels: dict[int, Labels] = {}
        self.types: dict[str, MetricType] = {}
        self._empty: dict[int, tuple[str, ...]] = {}
        self._told: set[int] = set()

    def take(self, exposition: Exposition) -> bool:
        """Learn what is new in an exposition; returns whether anything was."""
        for number, labels in exposition.new_series:
            self.labels[number] = labels
            self._told.discard(number)
            self._empty.pop(number, None)
        self._empty.update(exposition.empty_labels)
        types = {name: known.type for name, known in exposition.metadata.items()}
        moved = any(self.types.get(name) != kind for name, kind in types.items())
        self.types.update(types)
        return moved or bool(exposition.new_series)

    def tell(self, series: NDArray[np.int32]) -> tuple[list[tuple[int, Labels]], dict[int, tuple[str, ...]]]:
        """Those of some series that were not told of yet, as `new_series` and `empty_labels`."""
        fresh = [number for number in dict.fromkeys(series.tolist()) if number not in self._told]
        self._told.update(fresh)
        empty = {number: self._empty[number] for number in fresh if number in self._empty}
        return [(number, self.labels[number]) for number in fresh], empty


class CreatedTimestamps:
    """One target's."""

    def __init__(self) -> None:
        self._known = SeriesKnown()
        self._source: NDArray[np.int32] | None = None
        self._series = np.empty(0, np.int32)
        self._kept = self._created_of = np.empty(0, np.int64)

    def apply(self, exposition: Exposition) -> Exposition:
        """The exposition without them, and with starts."""
        new_series: list[tuple[int, Labels]] = []
        empty_labels: dict[int, tuple[str, ...]] = {}
        if self._known.take(exposition) or exposition.series is not self._source:
            self._plan(exposition.series)
            new_series, empty_labels = self._known.tell(self._series)
        kept, created_of = self._kept, self._created_of
        found = created_of != NONE
        seconds = exposition.values[created_of]
        found &= (seconds > 0) & (seconds < _SECONDS_MAX)
        starts = np.zeros(len(kept), np.int64)
        starts[found] = np.round(seconds[found] * 1000).astype(np.int64)
        place_of = np.full(len(exposition.series), NONE, np.int64)
        place_of[kept] = np.arange(len(kept))
        timestamps = exposition.timestamps[kept]
        return replace(
            exposition, series=self._series, values=exposition.values[kept], timestamps=timestamps,
            new_series=new_series, empty_labels=empty_labels, starts=starts if found.any() else None,
            exemplars=[(int(place_of[at]), one) for at, one in exposition.exemplars if place_of[at] != NONE],
        )  # fmt: skip

    def _plan(self, series: NDArray[np.int32]) -> None:
        """Which samples stay, and where the creation of each stands."""
        parts = [part_of(self._known.labels[number], self._known.types) for number in series.tolist()]
        created = {part.metric: at for at, part in enumerate(parts) if part is not None and part.suffix == CREATED}
        kept = [at for at, part in enumerate(parts) if part is None or part.suffix != CREATED]
        of = [NONE if (part := parts[at]) is None else created.get(part.metric, NONE) for at in kept]
        self._source = series
        self._kept, self._created_of = np.array(kept, np.int64), np.array(of, np.int64)
        self._series = series[self._kept]
        self._series.flags.writeable = False
