"""The read side: one query's consistent view over blocks, runs and open cells.

Series of several indexes are one where the 128 bits of their label keys are. Invariant: what a querier sees was committed when
it was opened, all of it and nothing more, however much is appended, sealed or compacted meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.storage.contracts import TILE_BYTES, SelectHints, Tile
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.index import Index
from nunchi.tsdb.label_search import Searched, find_names, find_values
from nunchi.tsdb.open_cells import Moment, OpenLayer
from nunchi.tsdb.reading import Layer, Located, Reading
from nunchi.tsdb.reset_hints import Before, with_reset_hints
from nunchi.tsdb.selected import Longs, Selected, SelectionMemory, unite
from nunchi.tsdb.tombstones import Deletion, MaskedLayer

LOOKED_BACK_MS = 2 * 3600 * 1000  # for the histogram before a range; of those that are older, nothing is known


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Samples under one index: a block's chunks, or the head's runs and generations, in the order of their precedence."""

    index: Index
    files: Sequence[ChunksFile]
    moments: Sequence[Moment] = ()
    deletions: Sequence[Deletion] = ()

    def layers(self, lock: Any) -> list[Layer]:
        """What to read from."""
        layers = [self._masked(file) for file in self.files]
        for moment in self.moments:
            layers.append(OpenLayer(moment, lock))
            layers.extend(moment.late)
        return layers

    def _masked(self, file: ChunksFile) -> Layer:
        """A file without what was deleted of it."""
        layer: Layer = file
        for deletion in self.deletions:
            if deletion.touches(file.number, file.min_time, file.max_time):
                deleted = self.index.select(deletion.to_matchers())
                if len(deleted):
                    layer = MaskedLayer(layer, deleted, deletion.start_ms, deletion.end_ms)
        return layer


class DatabaseSelection:
    """Implements `storage.contracts.Selection`."""

    def __init__(self, labels: LabelTable, reading: Reading, before_range: Before) -> None:
        self.labels = labels
        self._before_range = before_range
        self.vectors = reading.signatures
        self.sizes = reading.sizes
        self._reading: Reading | None = reading

    def read(self, begin: int, end: int, tile_bytes: int = TILE_BYTES) -> Iterator[Tile]:
        """See `Selection.read`."""
        assert self._reading is not None, "the selection is closed"
        before_range = self._before_range
        tiles = self._reading.tiles(self._reading.storage_order(begin, end), tile_bytes)
        return (with_reset_hints(tile, before_range) for tile in tiles)

    def close(self) -> None:
        """See `Selection.close`."""
        self._reading = None


class DatabaseQuerier:
    """Implements `storage.contracts.Querier`."""

    def __init__(
        self, views: Sequence[View], release: Callable[[], None], lock: Any, memory: SelectionMemory | None = None
    ) -> None:
        self.symbols = Symbols()
        self._memory = memory or SelectionMemory()
        self._views = views
        self._lock = lock
        self._release = release
        self._is_open = True

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints | None = None
    ) -> DatabaseSelection:
        """See `Querier.select`."""
        selected = self._memory.select([view.index for view in self._views], matchers)
        located = [
            Located(positions, refs, self._views[number].layers(self._lock))
            for number, positions, refs in selected.members
        ]
        reading = Reading(located, len(selected.labels), start_ms, end_ms)
        labels = selected.table(self.symbols)
        kept = np.flatnonzero(reading.sizes)
        if len(kept) < len(labels):
            reading.keep(kept)
            labels = labels.take(kept)
        return DatabaseSelection(labels, reading, self._looking_back(selected, kept, start_ms))

    def _looking_back(self, selected: Selected, kept: Longs, start_ms: int) -> Before:
        """Finds the last histograms before `start_ms` of series that are numbered as in `kept`."""
        views, lock = self._views, self._lock

        def before_range(series: Longs) -> tuple[Longs, HistogramColumns | None]:
            wanted, located = np.sort(kept[series]), []
            for number, positions, refs in selected.members:
                own = np.isin(positions, wanted, assume_unique=True)
                if own.any():
                    places = np.searchsorted(wanted, positions[own])
                    located.append(Located(places, refs[own], views[number].layers(lock)))
            reading = Reading(located, len(wanted), start_ms - LOOKED_BACK_MS, start_ms - 1)
            found, histograms = reading.last_histograms()
            order = np.argsort(kept[series])
            return order[found], histograms

        return before_range

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0) -> list[str]:
        """See `Querier.label_names`."""
        return sorted(find_names(self._searched(), matchers, start_ms, end_ms))[: limit or None]

    def label_values(
        self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0
    ) -> list[str]:
        """See `Querier.label_values`."""
        return sorted(find_values(self._searched(), name, matchers, start_ms, end_ms))[: limit or None]

    def _searched(self) -> Iterator[Searched]:
        return (Searched(view.index, view.layers(self._lock)) for view in self._views)

    def close(self) -> None:
        """See `Querier.close`."""
        if self._is_open:
            self._is_open = False
            self._views = ()
            self._release()

    def __del__(self) -> None:
        self.close()


@dataclass(slots=True, eq=False)
class Found:
    """Series that matched: `view_of[i]` and `refs[i]` say where an example of series `i` is.

    members  per view: which of the series it has, and their refs there
    """

    views: Sequence[View]
    view_of: NDArray[np.int64]
    refs: NDArray[np.int32]
    reading: Reading
    members: dict[int, tuple[NDArray[np.int64], NDArray[np.int32]]]

    def examples(self) -> Iterator[tuple[View, NDArray[np.int32]]]:
        """Each view with the series of which it has the example."""
        for number, view in enumerate(self.views):
            refs = self.refs[self.view_of == number]
            if len(refs):
                yield view, refs


def locate(
    selected: Sequence[tuple[int, NDArray[np.int32]]], views: Sequence[View], start_ms: int, end_ms: int, lock: Any
) -> Found:
    """Series of several views become one each; those without samples in the range fall out."""
    if not selected:
        return Found(views, np.zeros(0, np.int64), np.zeros(0, np.int32), Reading([], 0, start_ms, end_ms), {})
    view_of = np.repeat(np.array([number for number, _ in selected], np.int64), [len(refs) for _, refs in selected])
    refs = np.concatenate([refs for _, refs in selected])
    united = unite([(views[number].index, refs) for number, refs in selected])
    positions, examples = united.positions, united.examples
    located = []
    begin = 0
    for number, own in selected:
        located.append(Located(positions[begin : begin + len(own)], own, views[number].layers(lock)))
        begin += len(own)
    reading = Reading(located, len(examples), start_ms, end_ms)
    members = {number: (place.positions, place.refs) for (number, _), place in zip(selected, located, strict=True)}
    kept = np.flatnonzero(reading.sizes)
    if len(kept) < len(examples):
        reading.keep(kept)
        renumbered = np.full(len(examples), -1, np.int64)
        renumbered[kept] = np.arange(len(kept))
        examples = examples[kept]
        for number, (places, own) in members.items():
            some = renumbered[places] >= 0
            members[number] = renumbered[places][some], own[some]
    return Found(views, view_of[examples], refs[examples], reading, members)


def label_table(found: Found, symbols: Symbols) -> LabelTable:
    """The label sets of the series found, in their order."""
    names: list[NDArray[np.int32]] = []
    values: list[NDArray[np.int32]] = []
    counts: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    for view, refs in found.examples():
        number = next(i for i, other in enumerate(found.views) if other is view)
        own_names, own_values, own_counts = view.index.label_pairs(refs, symbols)
        names.append(own_names)
        values.append(own_values)
        counts.append(own_counts)
        places.append(np.flatnonzero(found.view_of == number))
    if not names:
        return LabelTable(symbols, np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(1, np.int64))
    offsets = np.zeros(len(found.refs) + 1, np.int64)
    np.cumsum(np.concatenate(counts), out=offsets[1:])
    table = LabelTable(symbols, np.concatenate(names), np.concatenate(values), offsets)
    return table if len(names) == 1 else table.take(np.argsort(np.concatenate(places), kind="stable"))
