"""Samples of some series out of several layers (blocks, runs, open cells), put together in tiles.

A layer finds the *parts* of series within a time range, a part being rows of one column over one timestamp vector, without
decoding values; tiles decode them. Layers stand in the order of their precedence: of two samples with one timestamp the later
layer's counts. Series with the same rows of the same vectors share a signature, and so a vector in a tile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.staleness import ABSENT
from nunchi.storage.contracts import TILE_BYTES, Tile
from nunchi.tsdb.kernels import cells as kernel
from nunchi.tsdb.references import are_references, numbers_of, references

Longs = NDArray[np.int64]
VECTOR_BITS = 40
NONE = np.zeros(0, np.int64)


@dataclass(slots=True, eq=False)
class Parts:
    """Parallel arrays, one entry a part: `series[i]` has the rows `begins[i]` to `ends[i]` of a column, over a vector."""

    series: Longs
    columns: Longs
    vectors: Longs
    begins: Longs
    ends: Longs
    first_times: Longs
    last_times: Longs

    def take(self, which: NDArray[np.bool_] | Longs) -> "Parts":
        """Some of the parts."""
        return Parts(
            self.series[which], self.columns[which], self.vectors[which], self.begins[which], self.ends[which],
            self.first_times[which], self.last_times[which],
        )  # fmt: skip

    @classmethod
    def join(cls, several: Sequence["Parts"]) -> "Parts":
        """All parts of several."""
        if len(several) == 1:
            return several[0]
        if not several:
            return cls(NONE, NONE, NONE, NONE, NONE, NONE, NONE)
        columns = ((p.series, p.columns, p.vectors, p.begins, p.ends, p.first_times, p.last_times) for p in several)
        return cls(*(np.concatenate(column) for column in zip(*columns, strict=True)))


class Layer(Protocol):
    """Where samples lie. `refs` are series of the index that the layer belongs to."""

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """The parts with rows in [start_ms, end_ms]; `series` are positions in `refs`."""
        ...

    def decode_values(
        self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]
    ) -> None:
        """Rows of columns, to `values[targets[i]:]`; histograms as references to what `histograms` gives."""
        ...

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """Rows of vectors, to `times[targets[i]:]`."""
        ...

    def decode_starts(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """Since when rows of columns count, to `starts[targets[i]:]`, which is zero before."""
        ...

    def has_starts(self, columns: Longs) -> bool:
        """Whether some of the columns have known starts."""
        ...

    def histogram_bytes(self, columns: Longs) -> Longs | None:
        """About how many bytes a row's histogram takes, decoded, of each column, 0 for numbers; None: all are numbers."""
        ...

    def histograms(self, numbers: Longs) -> HistogramColumns:
        """The histograms that references stand for."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Series of a selection in one index: `positions[i]` of the selection is `refs[i]` of these layers."""

    positions: Longs
    refs: NDArray[np.int32]
    layers: Sequence[Layer]


class Reading:
    """The parts of `series_count` series in a time range, ready to be decoded."""

    def __init__(self, located: Sequence[Located], series_count: int, start_ms: int, end_ms: int) -> None:
        self.layers: list[Layer] = []
        found: list[Parts] = []
        layer_of: list[NDArray[np.int64]] = []
        for place in located:
            for layer in place.layers:
                parts = layer.find(place.refs, start_ms, end_ms)
                if len(parts.series):
                    parts.series = place.positions[parts.series]
                    found.append(parts)
                    layer_of.append(np.full(len(parts.series), len(self.layers), np.int64))
                    self.layers.append(layer)
        parts = Parts.join(found)
        of_layer = np.concatenate(layer_of) if layer_of else np.zeros(0, np.int64)
        if (parts.series[1:] < parts.series[:-1]).any():
            order = np.argsort(parts.series, kind="stable")
            parts, of_layer = parts.take(order), of_layer[order]
        if len(found) > 1 and _is_astray(parts):
            order = np.lexsort((parts.first_times, parts.series))
            parts, of_layer = parts.take(order), of_layer[order]
        self.parts = parts
        self.layer_of = of_layer
        self._count(series_count)

    def _count(self, series_count: int) -> None:
        parts = self.parts
        self.sizes = np.bincount(parts.series, parts.ends - parts.begins, series_count).astype(np.int64)
        self.offsets = np.zeros(series_count + 1, np.int64)
        np.cumsum(np.bincount(parts.series, minlength=series_count), out=self.offsets[1:])
        self.overlapping = np.zeros(series_count, np.bool_)
        if len(parts.series) > 1:
            clash = (parts.series[1:] == parts.series[:-1]) & (parts.first_times[1:] <= parts.last_times[:-1])
            self.overlapping[parts.series[1:][clash]] = True
        self.signatures = np.full(series_count, -1, np.int64)
        vectors = (self.layer_of << VECTOR_BITS) | parts.vectors
        count = kernel.sign_vectors(self.offsets, vectors, parts.begins, parts.ends, self.signatures)
        self.signatures[self.overlapping] = -1
        self._seen = np.full(count, -1, np.int32)
        self._last_signatures = self._last_times = self._last_offsets = np.zeros(0, np.int64)

    def keep(self, kept: Longs) -> None:
        """Only these series, renumbered in this order."""
        places = expand(self.offsets, kept)
        counts = self.offsets[kept + 1] - self.offsets[kept]
        self.parts = self.parts.take(places)
        self.parts.series = np.repeat(np.arange(len(kept), dtype=np.int64), counts)
        self.layer_of = self.layer_of[places]
        self.offsets = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(counts, out=self.offsets[1:])
        self.sizes, self.overlapping, self.signatures = self.sizes[kept], self.overlapping[kept], self.signatures[kept]

    def storage_order(self, begin: int, end: int) -> Longs:
        """The series `begin` to `end` in the order in which they lie in their first layer."""
        firsts = self.offsets[begin:end]
        if begin == end:
            return firsts
        return begin + np.lexsort((self.parts.columns[firsts], self.layer_of[firsts]))

    def tiles(self, order: Longs, tile_bytes: int = TILE_BYTES) -> Iterator[Tile]:
        """Series in this order, plain ones and overlapping ones in tiles of their own. Reset hints are those written."""
        costs = self._costs()
        for is_overlapping in (False, True):
            chosen = order[self.overlapping[order] == is_overlapping]
            ends = np.cumsum(costs[chosen])
            first = 0
            while first < len(chosen):
                spent = int(ends[first - 1]) if first else 0
                after = max(first + 1, int(np.searchsorted(ends, spent + tile_bytes, side="right")))
                yield self._merged(chosen[first:after]) if is_overlapping else self._plain(chosen[first:after])
                first = after

    def last_histograms(self) -> tuple[Longs, HistogramColumns | None]:
        """The series whose last row is a histogram, ascending, and these histograms; of overlapping series none."""
        series = np.flatnonzero((self.sizes > 0) & ~self.overlapping)
        places = self.offsets[series + 1] - 1
        self.parts.begins[places] = self.parts.ends[places] - 1
        values = np.empty(len(places))
        histograms = self._decode_values(places, values)
        if histograms is None:
            return series[:0], None
        rich = are_references(values)
        return series[rich], histograms.take(numbers_of(values[rich]))

    def _costs(self) -> Longs:
        """int64[series]: bytes of the samples of each, decoded."""
        costs = self.sizes * 8
        parts = self.parts
        for number, which in _by_layer(self.layer_of):
            row_bytes = self.layers[number].histogram_bytes(parts.columns[which])
            if row_bytes is not None:
                more = row_bytes * (parts.ends - parts.begins)[which]
                costs += np.bincount(parts.series[which], more, len(costs)).astype(np.int64)
        return costs

    def _plain(self, series: Longs) -> Tile:
        places = expand(self.offsets, series)
        values = np.empty(int(self.sizes[series].sum()))
        histograms = self._decode_values(places, values)
        vector_of = np.empty(len(series), np.int32)
        examples = series[kernel.number_vectors(self.signatures, series, self._seen, vector_of)]
        times, offsets = self._vectors_of(examples)
        starts = self._decode_starts(places, len(values))
        return _tile(series, vector_of, times, offsets, values, offsets_of(self.sizes[series]), histograms, starts)

    def _vectors_of(self, examples: Longs) -> tuple[Longs, Longs]:
        """The timestamps of some series and their offsets; often those of the tile before."""
        wanted = self.signatures[examples]
        if not np.array_equal(wanted, self._last_signatures):
            self._last_times = np.empty(int(self.sizes[examples].sum()), np.int64)
            self._decode_times(expand(self.offsets, examples), self._last_times)
            self._last_signatures, self._last_offsets = wanted, offsets_of(self.sizes[examples])
        return self._last_times, self._last_offsets

    def _merged(self, series: Longs) -> Tile:
        places, sizes = expand(self.offsets, series), self.sizes[series]
        part_of = np.repeat(np.arange(len(series)), self.offsets[series + 1] - self.offsets[series])
        places = places[np.lexsort((self.layer_of[places], part_of))]
        total = int(sizes.sum())
        values, times = np.empty(total), np.empty(total, np.int64)
        histograms = self._decode_values(places, values)
        self._decode_times(places, times)
        starts = self._decode_starts(places, total)
        offsets, chosen = np.zeros(len(series) + 1, np.int64), np.empty(total, np.int64)
        chosen = chosen[: kernel.merge_overlapping(offsets_of(sizes), times, offsets, chosen)]
        vector_of = np.arange(len(series), dtype=np.int32)
        return _tile(
            series, vector_of, times[chosen], offsets, values[chosen], offsets, histograms,
            None if starts is None else starts[chosen],
        )  # fmt: skip

    def _decode_values(self, places: Longs, values: NDArray[np.float64]) -> HistogramColumns | None:
        """Values of parts, one after the other; histograms as references to those returned."""
        parts = self.parts
        begins, ends = parts.begins[places], parts.ends[places]
        targets = offsets_of(ends - begins)[:-1]
        found: list[HistogramColumns] = []
        count = 0
        for number, which in _by_layer(self.layer_of[places]):
            layer, columns = self.layers[number], parts.columns[places[which]]
            layer.decode_values(columns, begins[which], ends[which], targets[which], values)
            row_bytes = layer.histogram_bytes(columns)
            if row_bytes is None:
                continue
            rich = which[row_bytes > 0]
            cells = rows_of(targets[rich], ends[rich] - begins[rich])
            cells = cells[are_references(values[cells])]
            if len(cells):
                found.append(layer.histograms(numbers_of(values[cells])))
                values[cells] = references(np.arange(count, count + len(cells)))
                count += len(cells)
        return HistogramColumns.concatenate(found) if found else None

    def _decode_starts(self, places: Longs, count: int) -> Longs | None:
        parts = self.parts
        starts: Longs | None = None
        targets: Longs | None = None
        for number, which in _by_layer(self.layer_of[places]):
            layer, columns = self.layers[number], parts.columns[places[which]]
            if layer.has_starts(columns):
                if starts is None or targets is None:
                    starts = np.zeros(count, np.int64)
                    targets = offsets_of(parts.ends[places] - parts.begins[places])[:-1]
                begins, ends = parts.begins[places[which]], parts.ends[places[which]]
                layer.decode_starts(columns, begins, ends, targets[which], starts)
        return starts

    def _decode_times(self, places: Longs, times: Longs) -> None:
        parts = self.parts
        begins, ends = parts.begins[places], parts.ends[places]
        targets = offsets_of(ends - begins)[:-1]
        for number, which in _by_layer(self.layer_of[places]):
            vectors = parts.vectors[places[which]]
            self.layers[number].decode_times(vectors, begins[which], ends[which], targets[which], times)


def _is_astray(parts: Parts) -> bool:
    """Whether parts of one series do not stand in the order of their times."""
    return bool(((parts.series[1:] == parts.series[:-1]) & (parts.first_times[1:] < parts.first_times[:-1])).any())


def _tile(
    series: Longs, vector_of: NDArray[np.int32], vectors: Longs, vector_offsets: Longs, values: NDArray[np.float64],
    offsets: Longs, histograms: HistogramColumns | None, starts: Longs | None,
) -> Tile:  # fmt: skip
    """A tile; references in its values become numbers of its histograms."""
    if histograms is None:
        return Tile(series, vector_of, vectors, vector_offsets, values, offsets, starts=starts)
    cells = np.flatnonzero(are_references(values))
    numbers = numbers_of(values[cells])
    if len(numbers) < len(histograms) or (np.diff(numbers, prepend=-1) != 1).any():
        histograms = histograms.take(numbers)
    histogram_of = np.full(len(values), FLOAT, np.int32)
    histogram_of[cells] = np.arange(len(cells))
    values[cells] = ABSENT
    return Tile(series, vector_of, vectors, vector_offsets, values, offsets, histogram_of, histograms, starts)


def rows_of(targets: Longs, counts: Longs) -> Longs:
    """`targets[i]` and the `counts[i] - 1` places behind it, one after the other."""
    steps = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(targets, counts) + steps


def _by_layer(layers: Longs) -> Iterator[tuple[int, Longs]]:
    if len(layers) == 0:
        return
    if layers.min() == layers.max():
        yield int(layers[0]), np.arange(len(layers), dtype=np.int64)
        return
    for number in np.flatnonzero(np.bincount(layers)).tolist():
        yield number, np.flatnonzero(layers == number)


def offsets_of(counts: NDArray[np.int64]) -> Longs:
    """int64[n + 1]: where each begins, and the end."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def expand(offsets: Longs, items: Longs) -> Longs:
    """The places `offsets[i]` to `offsets[i + 1]` of each item, one after the other."""
    counts = offsets[items + 1] - offsets[items]
    starts = np.cumsum(counts) - counts
    places: Longs = np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(offsets[items] - starts, counts)
    return places
