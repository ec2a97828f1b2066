"""A source's way through the door: from the numbers under which the source knows its series to the columns of one layout.

Each series is judged once, when it is first seen; afterwards a batch costs one `take`, whatever the rules were.
Invariant: what was judged stays judged; other rules need another passage.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.admission.columns import ColumnIndex
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout

DROPPED = -1
"""Instead of a column: a relabelling rule dropped the series, as configured."""
REFUSED = -2
"""Instead of a column: names or limits forbid the series."""

REFUSAL_TEXTS_MAX = 256
CAPACITY_MIN = 64

Stage = Callable[[dict[str, str]], str | None]
"""Looks at the labels of a new series and may change them. None: go on; "": drop silently; a text: refuse, this is why."""


class Passage:
    """Judges a source's series by the stages given, in their order."""

    __slots__ = ("_columns", "_index", "_refusals", "_stages", "layout")

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)
        self.layout = Layout()
        self._index = ColumnIndex(self.layout)
        self._columns: NDArray[np.int32] = np.empty(CAPACITY_MIN, np.int32)
        self._refusals: dict[int, str] = {}

    def columns_of(self, keys: Sequence[bytes]) -> NDArray[np.int32]:
        """int32[len(keys)]: columns of series that are ours and need no judging, new where they are."""
        return np.array(self._index.columns(keys), np.int32)

    def judge(self, series: Iterable[Mapping[str, str]]) -> NDArray[np.int32]:
        """int32: the column of each label set, `DROPPED` or `REFUSED`, for sources that keep their own account of numbers."""
        fates: list[int] = []
        keys: list[bytes] = []
        for labels in series:
            changed = dict(labels)
            refusal = self._judge(changed)
            fates.append(0 if refusal is None else REFUSED if refusal else DROPPED)
            if refusal is None:
                keys.append(Labels(changed).key())
        columns = np.array(fates, np.int32)
        columns[columns == 0] = self.columns_of(keys)
        return columns

    def admit(self, series: Iterable[tuple[int, Mapping[str, str]]]) -> None:
        """Judge new series: (the source's number, labels)."""
        numbers: list[int] = []
        keys: list[bytes] = []
        for number, labels in series:
            changed = dict(labels)
            refusal = self._judge(changed)
            if refusal is None:
                numbers.append(number)
                keys.append(Labels(changed).key())
            else:
                self._refuse(number, refusal)
        self._settle(numbers, keys)

    def take(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32[len(series)]: the column of each, or `DROPPED`, or `REFUSED`."""
        return self._columns[series]

    def refusal(self, number: int) -> str:
        """Why a series was refused."""
        return self._refusals.get(number, "the labels are invalid or beyond the limits")

    def _judge(self, labels: dict[str, str]) -> str | None:
        for stage in self._stages:
            refusal = stage(labels)
            if refusal is not None:
                return refusal
        return None

    def _refuse(self, number: int, text: str) -> None:
        self._grow(number)
        self._columns[number] = REFUSED if text else DROPPED
        if text and len(self._refusals) < REFUSAL_TEXTS_MAX:
            self._refusals[number] = text

    def _settle(self, numbers: list[int], keys: list[bytes]) -> None:
        if not numbers:
            return
        columns = self.columns_of(keys)
        self._grow(max(numbers))
        self._columns[np.array(numbers, np.int64)] = columns

    def _grow(self, number: int) -> None:
        capacity = len(self._columns)
        if number < capacity:
            return
        grown = np.empty(max(capacity * 2, number + 1), np.int32)
        grown[:capacity] = self._columns
        self._columns = grown
