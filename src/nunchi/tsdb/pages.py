"""Columns in the pages of one file: written page after page, found again by their numbers. page.py has a page's bytes.

Whatever is a column of float64 is kept like this: values of series, timestamp vectors, starts, what histograms are made of.
Invariant: columns are numbered in the order in which they were added.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.cores import Cores
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.kernels import pages as kernel
from nunchi.tsdb.page import decode_page, encode_page, page_body
from nunchi.tsdb.reading import Longs, offsets_of

PAGE_VALUES = 32_768
CACHE_BYTES_MAX = 48 << 20
PASSING_BYTES_MAX = 8 << 20
VALUES_PER_THREAD_MIN = 65_536


class PageCache:
    """Decompressed pages of all files, and what is kept decoded beside them, under numbers below 0; the least recently used go
    first. Also the spare `cores` that decode.
    """

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

    def passing(self) -> "PageCache":
        """A small cache for who reads files once from end to end, so that what queries need again stays in this one."""
        return PageCache(PASSING_BYTES_MAX, self.cores)


class PagesWriter:
    """Columns wait until they fill a page; `places` and `firsts` say where each page is and which column it begins with."""

    def __init__(self, append: Callable[[bytes], int]) -> None:
        self._append = append
        self._waiting: list[tuple[NDArray[np.float64], Longs]] = []
        self._places: list[int] = []
        self._firsts: list[int] = [0]
        self.waiting_values = 0
        self.columns = 0

    def add(self, values: NDArray[np.float64], counts: Longs) -> None:
        """Columns of `counts[i]` values each, one after the other."""
        self._waiting.append((values, counts))
        self.waiting_values += len(values)
        self.columns += len(counts)

    def add_whole(self, values: NDArray[np.float64], counts: Longs) -> int:
        """Columns that stay in one page; returns the number of the first."""
        if self.waiting_values and self.waiting_values + len(values) > PAGE_VALUES:
            self.flush()
        first = self.columns
        self.add(values, counts)
        if self.waiting_values >= PAGE_VALUES:
            self.flush()
        return first

    def flush(self) -> None:
        """End the page."""
        if not self._waiting:
            return
        values = np.concatenate([values for values, _ in self._waiting])
        counts = np.concatenate([counts for _, counts in self._waiting])
        self._places.append(self._append(encode_page(values, offsets_of(counts))))
        self._firsts.append(self.columns)
        self._waiting, self.waiting_values = [], 0

    @property
    def places(self) -> Longs:
        """int64[pages]: where each is."""
        return np.array(self._places, np.int64)

    @property
    def firsts(self) -> Longs:
        """int64[pages + 1]: the first column of each, and how many there are."""
        return np.array(self._firsts, np.int64)


class PageSource:
    """The pages of a file, decompressed once while the cache has them."""

    def __init__(self, path: Path, number: int, view: memoryview, cache: PageCache) -> None:
        self.path = path
        self._number = number
        self._view = view
        self._cache = cache

    def through(self, cache: PageCache) -> "PageSource":
        """The same pages through another cache."""
        return PageSource(self.path, self._number, self._view, cache)

    @property
    def cores(self) -> Cores:
        """Spare cores that may decode."""
        return self._cache.cores

    def body(self, at: int) -> NDArray[np.uint8]:
        """The body of the page at a byte; raises `CorruptionError`."""
        body = self._cache.find((self._number, at))
        if body is None:
            try:
                body = page_body(self._view, at)
            except CorruptionError as error:
                raise CorruptionError(f"{self.path}: {error}") from None
            self._cache.put((self._number, at), body)
        return body

    def find_decoded(self, number: int) -> NDArray[np.uint8] | None:
        """What was kept under a number, as long as the cache has it."""
        return self._cache.find((self._number, -1 - number))

    def keep_decoded(self, number: int, content: NDArray[np.uint8]) -> None:
        """Keep something decoded beside the pages for a while."""
        self._cache.put((self._number, -1 - number), content)

    def check(self, at: int) -> None:
        """Decode the page at a byte as it is in the file; raises `CorruptionError`."""
        try:
            decode_page(self._view, at)
        except CorruptionError as error:
            raise CorruptionError(f"{self.path}: {error}") from None


class Pages:
    """One numbering of columns in a file's pages."""

    def __init__(self, source: PageSource, places: Longs, firsts: Longs) -> None:
        self._source = source
        self.places = places
        self.firsts = firsts

    def through(self, cache: PageCache) -> "Pages":
        """The same columns through another cache."""
        return Pages(self._source.through(cache), self.places, self.firsts)

    def decode(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]) -> None:
        """Rows `begins[i]` to `ends[i]` of a column, to `values[targets[i]:]`; raises `CorruptionError`."""
        if len(columns) == 0:
            return
        page_of = self.pages_of(columns)
        changes = page_of[1:] - page_of[:-1]
        if (changes < 0).any():
            order = np.argsort(page_of, kind="stable")
            page_of, columns, begins, ends, targets = (a[order] for a in (page_of, columns, begins, ends, targets))
            changes = page_of[1:] - page_of[:-1]
        borders = changes.nonzero()[0] + 1
        firsts = np.array([0, *borders.tolist(), len(page_of)], np.int64)
        used = page_of[firsts[:-1]]
        if used[-1] >= len(self.places):
            raise CorruptionError(f"{self._source.path}: there is no page {used[-1]}")
        bodies = [self._source.body(at) for at in self.places[used].tolist()]
        wanted = columns - self.firsts[page_of], begins, ends, np.ascontiguousarray(targets), values
        if len(values) < VALUES_PER_THREAD_MIN:
            damaged, fault = kernel.decode_some(bodies, firsts, *wanted)
        else:
            with self._source.cores.borrowed() as threads:
                damaged, fault = kernel.decode_some(bodies, firsts, *wanted, threads)
        if fault:
            raise CorruptionError(f"{self._source.path}, page at byte {self.places[used[damaged]]}: {fault}")

    def pages_of(self, columns: Longs) -> Longs:
        """The page of each column."""
        found: Longs = np.searchsorted(self.firsts, columns, side="right") - 1
        return found

    def damaged(self) -> list[tuple[int, int, CorruptionError]]:
        """First column, the column after the last, and what is wrong, of each page that cannot be read."""
        found = []
        for page, at in enumerate(self.places.tolist()):
            try:
                self._source.check(at)
            except CorruptionError as error:
                found.append((int(self.firsts[page]), int(self.firsts[page + 1]), error))
        return found
