"""Files of sealed samples: runs of the head and the chunks of blocks. docs/formats/chunks.md has the bytes.

A column is one series' samples over one timestamp vector; columns of one metric lie together in pages, vectors are columns of
pages of their own, written once however many series share them. Invariant: a column's timestamps are strictly ascending.
"""

from collections import OrderedDict
from copy import copy
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.cores import Cores
from nunchi.kit.disk import Disk
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.kernels import pages as kernel
from nunchi.tsdb.page import encode_page, page_body
from nunchi.tsdb.reading import Longs, Parts, expand, offsets_of
from nunchi.tsdb.sections import Sections, SectionsWriter

PAGE_VALUES = 32_768
PAGE_VALUES_MIN = 4_096
CACHE_BYTES_MAX = 48 << 20
VALUES_PER_THREAD_MIN = 65_536


class PageCache:
    """Decompressed pages of all files, the least recently used go first; and the spare `cores` that decode them."""

    def __init__(self, bytes_max: int = CACHE_BYTES_MAX, cores: Cores | None = None) -> None:
        self.cores = cores or Cores()
        self._bytes_max = bytes_max
        self._bodies: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def find(self, key: tuple[int, int]) -> NDArray[np.uint8] | None:
        """The body of a page, if it is here."""
        with self._lock:
            body = self._bodies.get(key)
            if body is not None:
                self._bodies.move_to_end(key)
            return body

    def put(self, key: tuple[int, int], body: NDArray[np.uint8]) -> None:
        """Keep a body for a while."""
        with self._lock:
            if key not in self._bodies:
                self._bodies[key] = body
                self._size += len(body)
            while self._size > self._bytes_max:
                self._size -= len(self._bodies.popitem(last=False)[1])


class ChunksWriter:
    """Writes columns in the order in which they come; pages end at metrics' borders where they are not too small for that."""

    def __init__(self, disk: Disk, path: Path, *, mapped: bool) -> None:
        self._file = SectionsWriter(disk, path)
        self._mapped = mapped
        self._vectors: dict[bytes, int] = {}
        self._vector_counts: list[int] = []
        self._vector_begins: list[int] = []
        self._vector_ends: list[int] = []
        self._vector_pages: list[int] = []
        self._vector_firsts: list[int] = [0]
        self._vectors_waiting: list[Longs] = []
        self._vectors_waiting_values = 0
        self._series: list[NDArray[np.int32]] = []
        self._vector_of: list[NDArray[np.int32]] = []
        self._page_offsets: list[int] = []
        self._page_firsts: list[int] = [0]
        self._waiting: list[tuple[NDArray[np.float64], Longs]] = []
        self._waiting_values = 0
        self.samples = 0
        self.columns = 0

    def vector(self, times: Longs) -> int:
        """The number of a timestamp vector, new where it was not seen before."""
        digest = blake2b(times.tobytes(), digest_size=16).digest()
        number = self._vectors.get(digest)
        if number is None:
            number = self._vectors[digest] = len(self._vector_counts)
            self._vector_counts.append(len(times))
            self._vector_begins.append(int(times[0]))
            self._vector_ends.append(int(times[-1]))
            self._vectors_waiting.append(times.copy())
            self._vectors_waiting_values += len(times)
            if self._vectors_waiting_values >= PAGE_VALUES:
                self._flush_vectors()
        return number

    def add(
        self,
        series: NDArray[np.int32],
        vectors: NDArray[np.int32],
        values: NDArray[np.float64],
        offsets: Longs,
        metrics: Longs,
    ) -> None:
        """Columns `values[offsets[i]:offsets[i + 1]]` of `series[i]` over `vectors[i]`, of the metric `metrics[i]`."""
        if len(series) == 0:
            return
        self._series.append(series)
        self._vector_of.append(vectors)
        self.samples += len(values)
        borders = np.append(np.flatnonzero(np.diff(metrics)) + 1, len(metrics))
        begin = 0
        while begin < len(series):
            room = max(1, PAGE_VALUES - self._waiting_values)
            end = int(np.searchsorted(offsets, offsets[begin] + room, side="right")) - 1
            end = min(max(end, begin + 1), len(series))
            border = int(borders[np.searchsorted(borders, begin, side="right")])
            while border < end:
                if self._waiting_values + int(offsets[border] - offsets[begin]) >= PAGE_VALUES_MIN:
                    end = border
                    break
                border = int(borders[np.searchsorted(borders, border, side="right")])
            self._waiting.append((values[offsets[begin] : offsets[end]], np.diff(offsets[begin : end + 1])))
            self._waiting_values += int(offsets[end] - offsets[begin])
            self.columns += end - begin
            following = int(offsets[end + 1] - offsets[end]) if end < len(series) else 0
            is_full = self._waiting_values + following > PAGE_VALUES or self._waiting_values == PAGE_VALUES
            if is_full or (following and end == border and self._waiting_values >= PAGE_VALUES_MIN):
                self._flush()
            begin = end

    def _flush(self) -> None:
        if not self._waiting:
            return
        values = np.concatenate([values for values, _ in self._waiting])
        counts = np.concatenate([counts for _, counts in self._waiting])
        self._page_offsets.append(self._file.append(encode_page(values, offsets_of(counts))))
        self._page_firsts.append(self.columns)
        self._waiting, self._waiting_values = [], 0

    def finish(self, facts: dict[str, Any]) -> None:
        """Write what is left and the directory; durable on return."""
        self._flush()
        series = np.concatenate(self._series) if self._series else np.zeros(0, np.int32)
        vector_of = np.concatenate(self._vector_of) if self._vector_of else np.zeros(0, np.int32)
        self._flush_vectors()
        order = np.argsort(series, kind="stable").astype(np.int32)
        ids, firsts = np.unique(series[order], return_index=True)
        arrays: dict[str, NDArray[Any]] = {
            "series": series, "vectors": vector_of,
            "pages": np.array(self._page_offsets, np.int64), "page_firsts": np.array(self._page_firsts, np.int64),
            "vector_pages": np.array(self._vector_pages, np.int64),
            "vector_firsts": np.array(self._vector_firsts, np.int64),
            "vector_counts": np.array(self._vector_counts, np.int32),
            "vector_begins": np.array(self._vector_begins, np.int64),
            "vector_ends": np.array(self._vector_ends, np.int64),
            "ids": ids.astype(np.int32), "firsts": np.append(firsts, len(series)).astype(np.int32), "order": order,
        }  # fmt: skip
        for name, array in arrays.items():
            self._file.put(name, array, packed=not self._mapped)
        self._file.finish({**facts, "samples": self.samples, "series": len(ids)})

    def abandon(self) -> None:
        """Give up; the file is of no use."""
        self._file.abandon()

    def _flush_vectors(self) -> None:
        if not self._vectors_waiting:
            return
        counts = np.array([len(times) for times in self._vectors_waiting], np.int64)
        values = np.concatenate(self._vectors_waiting).astype(np.float64)
        self._vector_pages.append(self._file.append(encode_page(values, offsets_of(counts))))
        self._vector_firsts.append(len(self._vector_counts))
        self._vectors_waiting, self._vectors_waiting_values = [], 0


class ChunksFile:
    """Reads one file; implements `reading.Layer`. Its series are refs of the head, or series numbers of its block."""

    def __init__(self, disk: Disk, path: Path, number: int, cache: PageCache) -> None:
        self.number = number
        self.path = path
        self.bytes = disk.size(path) or 0
        self._sections = Sections(disk, path)
        self._cache = cache
        self.valid_from = -(2**63)
        facts = self._sections.facts
        self.facts = facts
        self.samples = int(facts["samples"])
        array = self._sections.array
        self._series, self._vector_of = array("series"), array("vectors")
        self._pages, self._page_firsts = array("pages"), array("page_firsts")
        self._vector_pages, self._vector_firsts = array("vector_pages"), array("vector_firsts")
        self._vector_counts = array("vector_counts")
        self._vector_begins, self._vector_ends = array("vector_begins"), array("vector_ends")
        self.ids, self._firsts, self._order = array("ids"), array("firsts"), array("order")
        self.min_time = int(self._vector_begins.min(initial=2**62))
        self.max_time = int(self._vector_ends.max(initial=-(2**62)))

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`."""
        start_ms = max(start_ms, self.valid_from)
        if len(self.ids) == 0 or self.max_time < start_ms or self.min_time > end_ms:
            return Parts.join([])
        places = np.searchsorted(self.ids, refs)
        places[places == len(self.ids)] = 0
        series = np.flatnonzero(self.ids[places] == refs)
        firsts = self._firsts.astype(np.int64)
        counts = (firsts[1:] - firsts[:-1])[places[series]]
        columns = self._order[expand(firsts, places[series])].astype(np.int64)
        series = np.repeat(series, counts)
        vectors = self._vector_of[columns].astype(np.int64)
        touched = (self._vector_ends[vectors] >= start_ms) & (self._vector_begins[vectors] <= end_ms)
        if not touched.all():
            series, columns, vectors = series[touched], columns[touched], vectors[touched]
        is_used = np.zeros(len(self._vector_counts), np.bool_)
        is_used[vectors] = True
        used = np.flatnonzero(is_used)
        inverse = (np.cumsum(is_used) - 1)[vectors]
        begins, ends, first_times, last_times = self._rows_within(used, start_ms, end_ms)
        parts = Parts(
            series, columns, vectors, begins[inverse], ends[inverse], first_times[inverse], last_times[inverse]
        )
        empty = begins >= ends
        return parts.take(~empty[inverse]) if empty.any() else parts

    def _rows_within(self, vectors: Longs, start_ms: int, end_ms: int) -> tuple[Longs, Longs, Longs, Longs]:
        begins, ends = np.zeros(len(vectors), np.int64), self._vector_counts[vectors].astype(np.int64)
        first_times, last_times = self._vector_begins[vectors].copy(), self._vector_ends[vectors].copy()
        cut = np.flatnonzero((first_times < start_ms) | (last_times > end_ms))
        if len(cut):
            offsets = offsets_of(ends[cut])
            times = np.empty(int(offsets[-1]), np.int64)
            self.decode_times(vectors[cut], np.zeros(len(cut), np.int64), ends[cut], offsets[:-1], times)
            for i, begin, end in zip(cut.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                own = times[begin:end]
                low, high = np.searchsorted(own, start_ms), np.searchsorted(own, end_ms, side="right")
                begins[i], ends[i] = low, high
                if low < high:
                    first_times[i], last_times[i] = own[low], own[high - 1]
        return begins, ends, first_times, last_times

    def decode_values(
        self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]
    ) -> None:
        """See `Layer.decode_values`."""
        self._decode(self._pages, self._page_firsts, columns, begins, ends, targets, values)

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """See `Layer.decode_times`."""
        counts = ends - begins
        offsets = offsets_of(counts)
        found = np.empty(int(offsets[-1]))
        self._decode(self._vector_pages, self._vector_firsts, vectors, begins, ends, offsets[:-1], found)
        if len(targets) and np.array_equal(targets, offsets[:-1] + targets[0]):
            times[targets[0] : targets[0] + len(found)] = found
            return
        for target, begin, end in zip(targets.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            times[target : target + end - begin] = found[begin:end]

    def narrowed(self, valid_from: int) -> "ChunksFile":
        """The same file, its samples before a time left out."""
        other = copy(self)
        other.valid_from = max(self.valid_from, valid_from)
        return other

    def newest_times(self) -> Longs:
        """int64[len(ids)]: the newest timestamp of each series."""
        ends = self._vector_ends[self._vector_of[self._order]]
        if len(ends) == 0:
            return np.zeros(0, np.int64)
        return np.maximum.reduceat(ends, self._firsts[:-1])

    def verify(self) -> None:
        """Read every page; raises `CorruptionError`."""
        for at in (*self._pages.tolist(), *self._vector_pages.tolist()):
            try:
                page_body(self._sections.view, at)
            except CorruptionError as error:
                raise CorruptionError(f"{self.path}: {error}") from None

    def _decode(
        self, pages: Longs, page_firsts: Longs, columns: Longs, begins: Longs, ends: Longs, targets: Longs,
        values: NDArray[np.float64],
    ) -> None:  # fmt: skip
        page_of = np.searchsorted(page_firsts, columns, side="right") - 1
        if len(page_of) and (np.diff(page_of) < 0).any():
            order = np.argsort(page_of, kind="stable")
            page_of, columns, begins, ends, targets = (a[order] for a in (page_of, columns, begins, ends, targets))
        borders = np.flatnonzero(np.diff(page_of, prepend=-1))
        used = page_of[borders]
        if len(used) and used[-1] >= len(pages):
            raise CorruptionError(f"{self.path}: there is no page {used[-1]}")
        bodies = [self._body(at) for at in pages[used].tolist()]
        firsts = np.append(borders, len(page_of))
        wanted = columns - page_firsts[page_of], begins, ends, np.ascontiguousarray(targets), values
        if len(values) < VALUES_PER_THREAD_MIN:
            damaged, fault = kernel.decode_some(bodies, firsts, *wanted)
        else:
            with self._cache.cores.borrowed() as threads:
                damaged, fault = kernel.decode_some(bodies, firsts, *wanted, threads)
        if fault:
            raise CorruptionError(f"{self.path}, page at byte {pages[used[damaged]]}: {fault}")

    def _body(self, at: int) -> NDArray[np.uint8]:
        body = self._cache.find((self.number, at))
        if body is None:
            try:
                body = page_body(self._sections.view, at)
            except CorruptionError as error:
                raise CorruptionError(f"{self.path}: {error}") from None
            self._cache.put((self.number, at), body)
        return body
