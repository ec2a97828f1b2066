"""What stands at the places of some cells, and what becomes of these by it: late ones and such as repeat or replace others.

A place is a series and a timestamp. Cells are judged in their order: what is taken is known to those behind it.
Invariant: two contents are the same word exactly where they say the same, numbers by their bits, histograms by all but hints.
"""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.storage.contracts import Tile
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.kernels import late as kernel
from nunchi.tsdb.reading import rows_of
from nunchi.tsdb.references import BASE, are_references, content_of, numbers_of

KNOWN, TAKEN, DUPLICATE, LATE = range(4)
"""Fates: it is there already; it is to be stored; something else is there; nothing is there and it comes too late."""

Words = NDArray[np.uint64]


class Places:
    """The places of some cells, of which there are some."""

    def __init__(self, cells: Cells) -> None:
        self._refs, self._times = np.ascontiguousarray(cells.refs), np.ascontiguousarray(cells.times)
        count = len(cells.refs)
        self._slots = np.full(1 << (2 * count).bit_length(), -1, np.int32)
        self._place_of = np.empty(count, np.int32)
        kernel.number_places(self._refs, self._times, self._slots, self._place_of)
        self._is_known = np.zeros(count, np.uint8)
        self._held = np.zeros(count, np.uint64)
        self._numbers: dict[bytes, int] = {}
        self._contents = self._contents_of(cells)
        self.series = np.unique(self._refs)
        self.oldest_ms, self.newest_ms = int(self._times.min()), int(self._times.max())

    def note(self, cells: Cells) -> None:
        """Cells that are stored, or will be; later ones count."""
        if cells.histograms is not None:
            cells = cells.take(np.isin(cells.refs, self.series))
        self._note(cells.refs, cells.times, self._contents_of(cells))

    def note_tile(self, tile: Tile, refs: NDArray[np.int32]) -> None:
        """What is stored of some series, of which `refs[tile.series]` are the series_refs."""
        counts = np.diff(tile.offsets)
        times = tile.vectors[rows_of(tile.vector_offsets[tile.vector_of], counts)]
        words = tile.values.view(np.uint64)
        if tile.histogram_of is not None and tile.histograms is not None:
            found, words = np.flatnonzero(tile.histogram_of != FLOAT), words.copy()
            words[found] = self._words_of(tile.histograms, tile.histogram_of[found])
        self._note(np.repeat(refs[tile.series], counts), times, words)

    def judge(
        self, is_too_late: NDArray[np.bool_], says_more: NDArray[np.bool_], *, replaces: bool
    ) -> NDArray[np.uint8]:
        """The fates of the cells, by what is known, by whether they come too late and say more than their contents."""
        fates = np.empty(len(self._refs), np.uint8)
        kernel.judge_late(
            self._place_of, self._contents, is_too_late.view(np.uint8), says_more.view(np.uint8), replaces,
            self._is_known, self._held, fates,
        )  # fmt: skip
        return fates

    def are_free(self) -> NDArray[np.bool_]:
        """Which cells have places at which nothing is known."""
        return ~self._is_known.view(np.bool_)[self._place_of]

    def _note(self, refs: NDArray[np.int32], times: NDArray[np.int64], words: Words) -> None:
        kernel.note_stored(refs, times, words, self._refs, self._times, self._slots, self._is_known, self._held)

    def _contents_of(self, cells: Cells) -> Words:
        words = np.ascontiguousarray(cells.values).view(np.uint64)
        if cells.histograms is not None:
            found, words = np.flatnonzero(are_references(cells.values)), words.copy()
            words[found] = self._words_of(cells.histograms, numbers_of(cells.values[found]))
        return words

    def _words_of(self, histograms: HistogramColumns, numbers: NDArray[np.int32] | NDArray[np.int64]) -> Words:
        known = self._numbers
        contents = (content_of(histograms, number) for number in numbers.tolist())
        return np.array([BASE | known.setdefault(content, len(known)) for content in contents], np.uint64)
