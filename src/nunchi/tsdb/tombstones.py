"""Deletions: samples of matching series in a time range, in all files that there were at the time, are no longer read.

A deletion stands in the manifest and masks files with smaller numbers; what is written out of these leaves the samples
out, so a deletion ends with the last such file. Invariant: what is appended after a deletion is not touched by it.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.tsdb.reading import Layer, Longs, Parts


class Deletion(msgspec.Struct, frozen=True):
    """Series that match all of (name, operator, value), from `start_ms` to `end_ms`, in files with numbers below `before`."""

    matchers: tuple[tuple[str, str, str], ...]
    start_ms: int
    end_ms: int
    before: int

    @classmethod
    def of(cls, matchers: Sequence[Matcher], start_ms: int, end_ms: int, before: int) -> "Deletion":
        """A deletion of what these matchers select."""
        texts = tuple((matcher.name, matcher.operator.value, matcher.value) for matcher in matchers)
        return cls(texts, start_ms, end_ms, before)

    def touches(self, number: int, min_time: int, max_time: int) -> bool:
        """Whether a file may have samples that are deleted."""
        return number < self.before and min_time <= self.end_ms and max_time >= self.start_ms

    def to_matchers(self) -> list[Matcher]:
        """The matchers."""
        return [Matcher(name, MatchOperator(operator), value) for name, operator, value in self.matchers]


class MaskedLayer:
    """A layer without the samples of some series in a time range; implements `reading.Layer`."""

    def __init__(self, layer: Layer, deleted: NDArray[np.int32], start_ms: int, end_ms: int) -> None:
        self._layer = layer
        self._deleted = deleted
        self._start_ms = start_ms
        self._end_ms = end_ms

    def find(self, refs: NDArray[np.int32], start_ms: int, end_ms: int) -> Parts:
        """See `Layer.find`."""
        touched = np.isin(refs, self._deleted)
        ranges = (
            (~touched, start_ms, end_ms),
            (touched, start_ms, min(end_ms, self._start_ms - 1)),
            (touched, max(start_ms, self._end_ms + 1), end_ms),
        )
        found = []
        for which, low_ms, high_ms in ranges:
            places = np.flatnonzero(which)
            if len(places) and low_ms <= high_ms:
                parts = self._layer.find(refs[places], low_ms, high_ms)
                parts.series = places[parts.series]
                found.append(parts)
        return Parts.join(found)

    def decode_values(
        self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, values: NDArray[np.float64]
    ) -> None:
        """See `Layer.decode_values`."""
        self._layer.decode_values(columns, begins, ends, targets, values)

    def decode_times(self, vectors: Longs, begins: Longs, ends: Longs, targets: Longs, times: Longs) -> None:
        """See `Layer.decode_times`."""
        self._layer.decode_times(vectors, begins, ends, targets, times)

    def decode_starts(self, columns: Longs, begins: Longs, ends: Longs, targets: Longs, starts: Longs) -> None:
        """See `Layer.decode_starts`."""
        self._layer.decode_starts(columns, begins, ends, targets, starts)

    def has_starts(self, columns: Longs) -> bool:
        """See `Layer.has_starts`."""
        return self._layer.has_starts(columns)

    def histogram_bytes(self, columns: Longs) -> Longs | None:
        """See `Layer.histogram_bytes`."""
        return self._layer.histogram_bytes(columns)

    def histograms(self, numbers: Longs) -> HistogramColumns:
        """See `Layer.histograms`."""
        return self._layer.histograms(numbers)
