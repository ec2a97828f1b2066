"""Writes files of sealed samples: runs of the head and the chunks of blocks. docs/formats/chunks.md has the bytes.

Columns come in any order that keeps alike ones together; a column is numbers or histograms, so a series that mixes them has
columns of both. Invariant: a column of histograms has its number among the columns of numbers too, without values there.
"""

from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.histogram_columns import FLOAT
from nunchi.storage.contracts import Tile
from nunchi.tsdb.histogram_chunks import HistogramsWriter
from nunchi.tsdb.pages import PAGE_VALUES, PagesWriter
from nunchi.tsdb.reading import Longs, expand, offsets_of
from nunchi.tsdb.sections import SectionsWriter
from nunchi.tsdb.starts import StartsWriter

PAGE_VALUES_MIN = 4_096
VECTORS_REMEMBERED_MAX = 1 << 18
"""Timestamp vectors that later columns may share: one that was forgotten is written again."""


class ChunksWriter:
    """Writes columns in the order in which they come; pages end at metrics' borders where they are not too small for that."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._file = SectionsWriter(disk, path)
        self._vectors: dict[bytes, int] = {}
        self._vector_counts: list[int] = []
        self._vector_begins: list[int] = []
        self._vector_ends: list[int] = []
        self._vector_pages = PagesWriter(self._file.append)
        self._series: list[NDArray[np.int32]] = []
        self._vector_of: list[NDArray[np.int32]] = []
        self._pages = PagesWriter(self._file.append)
        self._histograms = HistogramsWriter(self._file)
        self._starts = StartsWriter(self._file)
        self.samples = 0

    def add_tile(self, tile: Tile, series: NDArray[np.int32], metrics: Longs) -> None:
        """All samples of a tile, whose series have these numbers and metrics."""
        bounds = tile.vector_offsets.tolist()
        numbers = np.array([self._vector(tile.vectors[begin:end]) for begin, end in pairwise(bounds)], np.int32)
        vectors = numbers[tile.vector_of]
        if tile.histogram_of is None or tile.histograms is None:
            self._add(series, vectors, tile.values, tile.offsets, metrics, tile.starts)
            return
        is_histogram = tile.histogram_of != FLOAT
        sizes = np.diff(tile.offsets)
        found = np.add.reduceat(is_histogram, tile.offsets[:-1], dtype=np.int64)
        for some in (np.flatnonzero(found == 0), np.flatnonzero(found)):
            if len(some):
                cells = expand(tile.offsets, some)
                self._add_split(tile, some, cells, is_histogram[cells], series, vectors, metrics, found, sizes)

    def _add_split(
        self, tile: Tile, some: Longs, cells: Longs, is_histogram: NDArray[np.bool_], series: NDArray[np.int32],
        vectors: NDArray[np.int32], metrics: Longs, found: Longs, sizes: Longs,
    ) -> None:  # fmt: skip
        """Some series of a tile: their numbers in columns, then their histograms in others."""
        for kind in (False, True):
            counts = found[some] if kind else (sizes - found)[some]
            own = np.flatnonzero(counts)
            if len(own) == 0:
                continue
            chosen, own_vectors = some[own], vectors[some[own]].copy()
            for i in np.flatnonzero(counts[own] < sizes[chosen]).tolist():
                one = int(chosen[i])
                begin, vector = int(tile.offsets[one]), int(tile.vector_of[one])
                times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
                mask = tile.histogram_of[begin : begin + len(times)] != FLOAT  # type: ignore[index]  # there are some
                own_vectors[i] = self._vector(times[mask == kind])
            places = cells[is_histogram == kind]
            starts = None if tile.starts is None else tile.starts[places]
            offsets = offsets_of(counts[own])
            first = self._pages.columns
            if kind:
                self._add(series[chosen], own_vectors, np.zeros(0), np.zeros(len(own) + 1, np.int64), metrics[chosen])
                numbers = tile.histogram_of[places]  # type: ignore[index]  # there are some
                taken = tile.histograms.take(numbers)  # type: ignore[union-attr]  # there are some
                self._histograms.add(first + np.arange(len(own)), counts[own], taken)
                self.samples += len(numbers)
                if starts is not None:
                    self._starts.add(first, starts, offsets)
            else:
                self._add(series[chosen], own_vectors, tile.values[places], offsets, metrics[chosen], starts)

    def _vector(self, times: Longs) -> int:
        """The number of a timestamp vector, new where it was not seen before."""
        digest = blake2b(times.tobytes(), digest_size=16).digest()
        number = self._vectors.get(digest)
        if number is None:
            if len(self._vectors) >= VECTORS_REMEMBERED_MAX:
                self._vectors.clear()
            number = self._vectors[digest] = len(self._vector_counts)
            self._vector_counts.append(len(times))
            self._vector_begins.append(int(times[0]))
            self._vector_ends.append(int(times[-1]))
            self._vector_pages.add(times.astype(np.float64), np.array([len(times)], np.int64))
            if self._vector_pages.waiting_values >= PAGE_VALUES:
                self._vector_pages.flush()
        return number

    def _add(
        self,
        series: NDArray[np.int32],
        vectors: NDArray[np.int32],
        values: NDArray[np.float64],
        offsets: Longs,
        metrics: Longs,
        starts: Longs | None = None,
    ) -> None:
        """Columns `values[offsets[i]:offsets[i + 1]]` of `series[i]` over `vectors[i]`, of the metric `metrics[i]`."""
        if len(series) == 0:
            return
        pages = self._pages
        if starts is not None:
            self._starts.add(pages.columns, starts, offsets)
        self._series.append(series)
        self._vector_of.append(vectors)
        self.samples += len(values)
        borders = np.append(np.flatnonzero(np.diff(metrics)) + 1, len(metrics))
        begin = 0
        while begin < len(series):
            room = max(1, PAGE_VALUES - pages.waiting_values)
            end = int(np.searchsorted(offsets, offsets[begin] + room, side="right")) - 1
            end = min(max(end, begin + 1), len(series))
            border = int(borders[np.searchsorted(borders, begin, side="right")])
            while border < end:
                if pages.waiting_values + int(offsets[border] - offsets[begin]) >= PAGE_VALUES_MIN:
                    end = border
                    break
                border = int(borders[np.searchsorted(borders, border, side="right")])
            pages.add(values[offsets[begin] : offsets[end]], np.diff(offsets[begin : end + 1]))
            following = int(offsets[end + 1] - offsets[end]) if end < len(series) else 0
            is_full = pages.waiting_values + following > PAGE_VALUES or pages.waiting_values == PAGE_VALUES
            if is_full or (following and end == border and pages.waiting_values >= PAGE_VALUES_MIN):
                pages.flush()
            begin = end

    def finish(self, facts: dict[str, Any], *, mapped: bool = False) -> None:
        """Write what is left and the directory, to be used where it is mapped or else packed; durable on return."""
        self._pages.flush()
        series = np.concatenate(self._series) if self._series else np.zeros(0, np.int32)
        vector_of = np.concatenate(self._vector_of) if self._vector_of else np.zeros(0, np.int32)
        self._vector_pages.flush()
        order = np.argsort(series, kind="stable").astype(np.int32)
        ids, firsts = np.unique(series[order], return_index=True)
        arrays: dict[str, NDArray[Any]] = {
            "series": series, "vectors": vector_of,
            "pages": self._pages.places, "page_firsts": self._pages.firsts,
            "vector_pages": self._vector_pages.places, "vector_firsts": self._vector_pages.firsts,
            "vector_counts": np.array(self._vector_counts, np.int32),
            "vector_begins": np.array(self._vector_begins, np.int64),
            "vector_ends": np.array(self._vector_ends, np.int64),
            "ids": ids.astype(np.int32), "firsts": np.append(firsts, len(series)).astype(np.int32), "order": order,
            **self._histograms.finish(), **self._starts.finish(),
        }  # fmt: skip
        for name, array in arrays.items():
            self._file.put(name, array, packed=not mapped)
        self._file.finish({**facts, "samples": self.samples, "series": len(ids)})

    def abandon(self) -> None:
        """Give up; the file is of no use."""
        self._file.abandon()
