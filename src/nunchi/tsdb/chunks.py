"""Files of sealed samples: runs of the head and the chunks of blocks. docs/formats/chunks.md has the bytes.

A column is one series' samples over one timestamp vector; columns of one metric lie together in pages, vectors are columns of
pages of their own, written once however many series share them. Invariant: a column's timestamps are strictly ascending.
"""

from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.histogram_chunks import Histograms
from nunchi.tsdb.pages import PageCache, Pages, PageSource
from nunchi.tsdb.reading import Longs, Parts, offsets_of, rows_of
from nunchi.tsdb.sections import Sections
from nunchi.tsdb.starts import Starts
from nunchi.tsdb.vectors import Vectors


class ChunksFile:
    """Reads one file; implements `reading.Layer`. Its series are refs of the head, or series numbers of its block."""

    def __init__(self, disk: Disk, path: Path, number: int, cache: PageCache) -> None:
        self.number = number
        self.path = path
        self.bytes = disk.size(path) or 0
        sections = Sections(disk, path)
        source = PageSource(path, number, sections.view, cache)
        self.valid_from = -(2**63)
        facts = sections.facts
        self.facts = facts
        self.samples = int(facts["samples"])
        array, names = sections.array, sections.names()
        self._series, self._vector_of = array("series"), array("vectors")
        self._pages = Pages(source, array("pages"), array("page_firsts"))
        self._vectors = Vectors(sections, source)
        self._histograms = Histograms(sections, source) if "histogram_columns" in names else None
        self._starts = Starts(sections, source) if "start_columns" in names else None
        self.ids, self._firsts, self._order = array("ids"), array("firsts"), array("order")
        self.min_time = int(self._vectors.begins.min(initial=2**62))
        self.max_time = int(self._vectors.ends.max(initial=-(2**62)))

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`."""
        start_ms = max(start_ms, self.valid_from)
        if len(self.ids) == 0 or self.max_time < start_ms or self.min_time > end_ms:
            return Parts.join([])
        places = np.searchsorted(self.ids, refs)
        places[places == len(self.ids)] = 0
        series = (self.ids[places] == refs).nonzero()[0]
        places = places[series]
        begins = self._firsts[places].astype(np.int64)
        counts = self._firsts[places + 1] - begins
        columns = self._order[begins if (counts == 1).all() else rows_of(begins, counts)].astype(np.int64)
        series = np.repeat(series, counts)
        vectors = self._vector_of[columns].astype(np.int64)
        touched = (self._vectors.ends[vectors] >= start_ms) & (self._vectors.begins[vectors] <= end_ms)
        if not touched.all():
            series, columns, vectors = series[touched], columns[touched], vectors[touched]
        used, inverse = self._used_vectors(vectors)
        begins, ends, first_times, last_times = self._vectors.rows_within(used, start_ms, end_ms)
        parts = Parts(
            series, columns, vectors, begins[inverse], ends[inverse], first_times[inverse], last_times[inverse]
        )
        empty = begins >= ends
        return parts.take(~empty[inverse]) if empty.any() else parts

    def _used_vectors(self, vectors: Longs) -> tuple[Longs, Longs]:
        """The distinct vectors, and the place of each given one among them."""
        if len(vectors) * 16 < len(self._vectors.counts):
            return np.unique(vectors, return_inverse=True)
        is_used = np.zeros(len(self._vectors.counts), np.bool_)
        is_used[vectors] = True
        return np.flatnonzero(is_used), (np.cumsum(is_used) - 1)[vectors]

    def decode_values(
        self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]
    ) -> None:
        """See `Layer.decode_values`."""
        if self._histograms is not None:
            found, firsts = self._histograms.find(columns)
            if len(found):
                self._histograms.refer(firsts, begins[found], ends[found], targets[found], values)
                left = np.ones(len(columns), np.bool_)
                left[found] = False
                columns, begins, ends, targets = columns[left], begins[left], ends[left], targets[left]
        self._pages.decode(columns, begins, ends, targets, values)

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """See `Layer.decode_times`."""
        self._vectors.decode(vectors, begins, ends, targets, times)

    def decode_starts(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """See `Layer.decode_starts`."""
        if self._starts is not None:
            self._starts.decode(columns, begins, ends, targets, starts)

    def has_starts(self, columns: Longs) -> bool:
        """See `Layer.has_starts`."""
        return self._starts is not None and len(self._starts.find(columns)[0]) > 0

    def histogram_bytes(self, columns: Longs) -> Longs | None:
        """See `Layer.histogram_bytes`."""
        if self._histograms is None:
            return None
        found, _ = self._histograms.find(columns)
        if len(found) == 0:
            return None
        sizes = np.zeros(len(columns), np.int64)
        sizes[found] = self._histograms.row_bytes
        return sizes

    def histograms(self, numbers: Longs) -> HistogramColumns:
        """See `Layer.histograms`."""
        assert self._histograms is not None, "a reference to a histogram in a file without any"
        return self._histograms.take(numbers)

    def through(self, cache: PageCache) -> "ChunksFile":
        """The same file, its pages through another cache."""
        other = copy(self)
        other._pages, other._vectors = self._pages.through(cache), self._vectors.through(cache)  # noqa: SLF001 (a copy of this)
        other._histograms = self._histograms and self._histograms.through(cache)  # noqa: SLF001 (likewise)
        other._starts = self._starts and self._starts.through(cache)  # noqa: SLF001 (likewise)
        return other

    def narrowed(self, valid_from: int) -> "ChunksFile":
        """The same file, its samples before a time left out."""
        other = copy(self)
        other.valid_from = max(self.valid_from, valid_from)
        return other

    def without(self, lost: Longs) -> "ChunksFile":
        """The same file, some of its columns left out."""
        other = copy(self)
        is_left = np.ones(len(self._series), np.bool_)
        is_left[lost] = False
        order = self._order[is_left[self._order]]
        ids, firsts = np.unique(self._series[order], return_index=True)
        other.ids = ids.astype(np.int32)
        other._order, other._firsts = order, np.append(firsts, len(order)).astype(np.int32)  # noqa: SLF001 (a copy of this)
        return other

    def newest_times(self) -> Longs:
        """int64[len(ids)]: the newest timestamp of each series."""
        ends = self._vectors.ends[self._vector_of[self._order]]
        if len(ends) == 0:
            return np.zeros(0, np.int64)
        return np.maximum.reduceat(ends, self._firsts[:-1])

    def newest_of(self, refs: NDArray[np.int32]) -> Longs:
        """int64[refs]: the newest timestamp of each of some series, the smallest int64 where it has none here."""
        newest = np.full(len(refs), -(2**63), np.int64)
        if len(self.ids) == 0:
            return newest
        places = np.searchsorted(self.ids, refs)
        places[places == len(self.ids)] = 0
        found = np.flatnonzero(self.ids[places] == refs)
        begins = self._firsts[places[found]].astype(np.int64)
        counts = self._firsts[places[found] + 1] - begins
        if len(found):
            ends = self._vectors.ends[self._vector_of[self._order[rows_of(begins, counts)]]]
            newest[found] = np.maximum.reduceat(ends, offsets_of(counts)[:-1])
        return newest

    def stretches(self, width_ms: int) -> Longs:
        """Multiples of a width, ascending: from each of them to the next there is some sample."""
        firsts, lasts = self._vectors.begins // width_ms, self._vectors.ends // width_ms
        long = np.flatnonzero(lasts - firsts > 1)
        found = [firsts, lasts]
        if len(long):
            counts = self._vectors.counts[long].astype(np.int64)
            times = np.empty(int(counts.sum()), np.int64)
            try:
                self.decode_times(long, np.zeros(len(long), np.int64), counts, offsets_of(counts)[:-1], times)
                found.append(times // width_ms)
            except CorruptionError:  # whoever reads the samples says so
                found.append(np.arange(firsts[long].min(), lasts[long].max(), dtype=np.int64))
        return np.unique(np.concatenate(found)) * width_ms

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return len(self._series)

    def samples_of(self, columns: Longs) -> int:
        """How many samples some columns have."""
        return int(self._vectors.counts[self._vector_of[columns]].sum(dtype=np.int64))

    def verify(self) -> None:
        """Read every page; raises `CorruptionError`."""
        for _, error in self.damaged():
            raise error

    def damaged(self) -> list[tuple[Longs, CorruptionError]]:
        """Read every page: the columns that need one which cannot be read, and why not."""
        found: list[tuple[Longs, CorruptionError]] = []
        for first, after, error in self._pages.damaged():
            columns = np.arange(first, after, dtype=np.int64)
            if self._histograms is not None:
                columns = np.delete(columns, self._histograms.find(columns)[0])
            found.append((columns, error))
        for first, after, error in self._vectors.pages.damaged():
            touched = (self._vector_of >= first) & (self._vector_of < after)
            found.append((np.flatnonzero(touched).astype(np.int64), error))
        for part in (self._histograms, self._starts):
            if part is not None:
                found.extend((part.columns_of(first, after), error) for first, after, error in part.pages.damaged())
        return found
