"""Which numbered samples of one epoch have been taken: disjoint ranges, so that a payload sent again is known in any order.

Fresh payloads overtake the backlog, so a high-water mark alone would lie. Bounded: beyond `RANGES_MAX` gaps the oldest are
closed, that is, samples older than thousands of lost payloads count as taken.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

RANGES_MAX = 4096


class SequenceRanges:
    """Sorted, disjoint, not touching; `ends` are exclusive."""

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> "SequenceRanges":
        """The ranges that `spans` gave."""
        ranges = cls()
        for begin, end in spans:
            ranges.take(begin, end - begin)
        return ranges

    def spans(self) -> list[tuple[int, int]]:
        """Begin and exclusive end of each range, ascending."""
        return list(zip(self._begins, self._ends, strict=True))

    def joined(self, other: "SequenceRanges") -> "SequenceRanges":
        """What either has taken."""
        return SequenceRanges.of([*self.spans(), *other.spans()])

    @property
    def high_water(self) -> int:
        """One more than the largest number taken."""
        return self._ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return len(self._begins)

    def taken(self, first: int, count: int) -> NDArray[np.bool_]:
        """bool[count]: which of the numbers from `first` were taken before."""
        mask = np.zeros(count, bool)
        position = bisect_right(self._ends, first)
        while position < len(self._begins) and self._begins[position] < first + count:
            mask[max(0, self._begins[position] - first) : self._ends[position] - first] = True
            position += 1
        return mask

    def take(self, first: int, count: int) -> None:
        """These numbers are taken from now on."""
        if count <= 0:
            return
        begin, end = first, first + count
        left = bisect_left(self._ends, begin)
        right = bisect_right(self._begins, end)
        if left < right:
            begin, end = min(begin, self._begins[left]), max(end, self._ends[right - 1])
        self._begins[left:right] = [begin]
        self._ends[left:right] = [end]
        while len(self._begins) > RANGES_MAX:
            del self._begins[1]
            del self._ends[0]
