"""The timestamp vectors of a file. A few are looked at again and again: their timestamps stay in the cache, decoded.

Invariant: what stays there is what decoding gives; a damaged vector raises each time it is looked at.
"""

from copy import copy

import numpy as np
from numpy.typing import NDArray

from nunchi.tsdb.kernels import cells as kernel
from nunchi.tsdb.pages import PageCache, Pages, PageSource
from nunchi.tsdb.reading import Longs, offsets_of
from nunchi.tsdb.sections import Sections

FEW_MAX = 8  # looked at one by one; more are decoded together
KEPT_ROWS_MAX = 8192


class Vectors:
    """The vectors of one file, by number. `begins` and `ends` are their first and last timestamps."""

    def __init__(self, sections: Sections, source: PageSource) -> None:
        self.pages = Pages(source, sections.array("vector_pages"), sections.array("vector_firsts"))
        self.counts = sections.array("vector_counts")
        self.begins, self.ends = sections.array("vector_begins"), sections.array("vector_ends")
        self._source = source
        self._rows_max = int(self.counts.max(initial=0))

    def through(self, cache: PageCache) -> "Vectors":
        """The same vectors through another cache."""
        other = copy(self)
        other._source = self._source.through(cache)  # noqa: SLF001 (a copy of this)
        other.pages = self.pages.through(cache)
        return other

    def rows_within(self, vectors: Longs, start_ms: int, end_ms: int) -> tuple[Longs, Longs, Longs, Longs]:
        """The rows of each in [start_ms, end_ms], from and before which, and the times of the first and the last of them."""
        begins, ends = np.zeros(len(vectors), np.int64), self.counts[vectors].astype(np.int64)
        first_times, last_times = self.begins[vectors], self.ends[vectors]
        cut = ((first_times < start_ms) | (last_times > end_ms)).nonzero()[0]
        if self._are_few(cut):
            for place in cut.tolist():
                times = self._times(int(vectors[place]))
                begin, end = times.searchsorted((start_ms, end_ms + 1)).tolist()
                begins[place], ends[place] = begin, end
                if begin < end:
                    first_times[place], last_times[place] = times[begin], times[end - 1]
        else:
            offsets = offsets_of(ends[cut])
            decoded = np.empty(int(offsets[-1]))
            self.pages.decode(vectors[cut], np.zeros(len(cut), np.int64), ends[cut], offsets[:-1], decoded)
            found = begins[cut], ends[cut], first_times[cut], last_times[cut]
            kernel.cut_vectors(decoded, offsets, start_ms, end_ms, *found)
            begins[cut], ends[cut], first_times[cut], last_times[cut] = found
        return begins, ends, first_times, last_times

    def decode(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """Rows of vectors, to `times[targets[i]:]`; raises `CorruptionError`."""
        if self._are_few(vectors):
            rows = zip(vectors.tolist(), begins.tolist(), ends.tolist(), targets.tolist(), strict=True)
            for vector, begin, end, target in rows:
                times[target : target + end - begin] = self._times(vector)[begin:end]
            return
        offsets = offsets_of(ends - begins)
        found = np.empty(int(offsets[-1]))
        self.pages.decode(vectors, begins, ends, offsets[:-1], found)
        kernel.put_times(found, offsets, np.ascontiguousarray(targets), times)

    def _are_few(self, vectors: Longs) -> bool:
        return len(vectors) <= FEW_MAX and self._rows_max <= KEPT_ROWS_MAX

    def _times(self, vector: int) -> Longs:
        """All timestamps of a vector."""
        kept: NDArray[np.uint8] | None = self._source.find_decoded(vector)
        if kept is not None:
            return kept.view(np.int64)
        one, count = np.array([vector]), self.counts[vector : vector + 1].astype(np.int64)
        decoded = np.empty(int(count[0]))
        self.pages.decode(one, np.zeros(1, np.int64), count, np.zeros(1, np.int64), decoded)
        times: Longs = decoded.astype(np.int64)
        self._source.keep_decoded(vector, times.view(np.uint8))
        return times
