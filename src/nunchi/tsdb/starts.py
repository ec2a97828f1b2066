"""Since when samples count, as columns of a file of chunks: one number where a whole column has the same, else pages.

Invariant: a column that is not listed has no known starts.
"""

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.tsdb.pages import PageCache, Pages, PageSource, PagesWriter
from nunchi.tsdb.reading import Longs, offsets_of
from nunchi.tsdb.sections import Sections, SectionsWriter

VARYING = -(2**63)
"""Instead of a constant: the column's starts stand in pages."""
START_MS_MAX = 1 << 52
"""Starts are kept as float64, exactly, below this."""


class StartsWriter:
    """The starts of columns, in the order of their numbers."""

    def __init__(self, file: SectionsWriter) -> None:
        self._pages = PagesWriter(file.append)
        self._columns: list[NDArray[np.int32]] = []
        self._constants: list[Longs] = []

    def add(self, first: int, starts: Longs, offsets: Longs) -> None:
        """Columns `starts[offsets[i]:offsets[i + 1]]`, numbered from `first`; none of them is empty."""
        lows, highs = (reduce.reduceat(starts, offsets[:-1]) for reduce in (np.minimum, np.maximum))
        known = np.flatnonzero((lows != 0) | (highs != 0))
        if len(known) == 0:
            return
        self._columns.append((first + known).astype(np.int32))
        self._constants.append(np.where(lows == highs, lows, VARYING)[known])
        for column in known[lows[known] != highs[known]].tolist():
            own = starts[offsets[column] : offsets[column + 1]].astype(np.float64)
            self._pages.add_whole(own, np.array([len(own)], np.int64))

    def finish(self) -> dict[str, NDArray[Any]]:
        """The arrays of the directory; none where nothing is known."""
        self._pages.flush()
        if not self._columns:
            return {}
        return {
            "start_columns": np.concatenate(self._columns), "start_values": np.concatenate(self._constants),
            "start_pages": self._pages.places, "start_firsts": self._pages.firsts,
        }  # fmt: skip


class Starts:
    """The starts that a file has."""

    def __init__(self, sections: Sections, source: PageSource) -> None:
        self._columns = sections.array("start_columns")
        self._constants = sections.array("start_values")
        varies = self._constants == VARYING
        self._ranks = np.cumsum(varies) - 1
        self.pages = Pages(source, sections.array("start_pages"), sections.array("start_firsts"))

    def through(self, cache: PageCache) -> "Starts":
        """The same starts, their pages through another cache."""
        other = copy(self)
        other.pages = self.pages.through(cache)
        return other

    def find(self, columns: Longs) -> tuple[Longs, Longs]:
        """Which of some columns have starts, and their places here."""
        places = np.searchsorted(self._columns, columns)
        places[places == len(self._columns)] = 0
        which = np.flatnonzero(self._columns[places] == columns)
        return which, places[which]

    def decode(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """Rows of columns, to `starts[targets[i]:]`, which is zero before."""
        which, places = self.find(columns)
        constants = self._constants[places]
        is_constant = constants != VARYING
        for i, value in zip(which[is_constant].tolist(), constants[is_constant].tolist(), strict=True):
            starts[targets[i] : targets[i] + ends[i] - begins[i]] = value
        which, places = which[~is_constant], places[~is_constant]
        if len(which) == 0:
            return
        offsets = offsets_of(ends[which] - begins[which])
        found = np.empty(int(offsets[-1]))
        self.pages.decode(self._ranks[places].astype(np.int64), begins[which], ends[which], offsets[:-1], found)
        bounds = offsets.tolist()
        for target, begin, end in zip(targets[which].tolist(), bounds[:-1], bounds[1:], strict=True):
            starts[target : target + end - begin] = found[begin:end]

    def columns_of(self, first: int, after: int) -> Longs:
        """The columns whose starts stand in some columns of the pages."""
        varying = self._columns[self._constants == VARYING]
        found: Longs = varying[first:after].astype(np.int64)
        return found
