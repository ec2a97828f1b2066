"""One series of the memory store: samples in a sorted list, and what is more than a number beside it.

Invariant: timestamps are strictly ascending. Reset hints are kept as they were written and decided when they are read.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Conflict
from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import has_same_bits, hint_after
from nunchi.model.labels import Labels
from nunchi.model.staleness import bits_of


class Sample(NamedTuple):
    """One sample: a number, or a histogram, whose `value` is *absent*. `start_ms`: since when it counts, 0 if unknown."""

    value: float
    histogram: Histogram | None = None
    is_integer: bool = False
    start_ms: int = 0

    def has_same_bits(self, other: "Sample") -> bool:
        """Whether two samples say the same."""
        if self.histogram is not None and other.histogram is not None:
            return has_same_bits(self.histogram, other.histogram)
        return bits_of(self.value) == bits_of(other.value)


class Series:
    """One series: who it is and what is known of it. `rich` has what is more than a number, by timestamp."""

    __slots__ = ("labels", "rich", "timestamps", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.timestamps = array("q")
        self.values = array("d")
        self.rich: dict[int, Sample] = {}

    def find(self, timestamp_ms: int) -> Sample | None:
        """The sample at exactly this time."""
        at = bisect_left(self.timestamps, timestamp_ms)
        found = at < len(self.timestamps) and self.timestamps[at] == timestamp_ms
        return self.rich.get(timestamp_ms, Sample(self.values[at])) if found else None

    def put(self, timestamp_ms: int, sample: Sample, conflict: Conflict) -> None:
        """Insert in order; a value that is there already gives way only to a replacement."""
        at = len(self.timestamps)
        if at and timestamp_ms <= self.timestamps[-1]:
            at = bisect_left(self.timestamps, timestamp_ms)
            if self.timestamps[at] == timestamp_ms and conflict is not Conflict.REPLACE:
                return
        if at < len(self.timestamps) and self.timestamps[at] == timestamp_ms:
            self.values[at] = sample.value
            self.rich.pop(timestamp_ms, None)
        else:
            self.timestamps.insert(at, timestamp_ms)
            self.values.insert(at, sample.value)
        if sample.histogram is not None or sample.start_ms:
            self.rich[timestamp_ms] = sample

    def rich_within(self, begin: int, end: int) -> dict[int, Sample]:
        """What is more than a number among the samples `begin` to `end`, by place from `begin`, hints as they are true now."""
        if not self.rich:
            return {}
        found = {}
        before = self.rich.get(self.timestamps[begin - 1]) if 0 < begin < end else None
        for at in range(begin, end):
            sample = self.rich.get(self.timestamps[at])
            if sample is not None:
                found[at - begin] = _settled(sample, before)
            before = sample
        return found

    def drop_before(self, timestamp_ms: int) -> None:
        """Forget older samples."""
        at = bisect_left(self.timestamps, timestamp_ms)
        for old_ms in self.timestamps[:at] if self.rich else ():
            self.rich.pop(old_ms, None)
        del self.timestamps[:at]
        del self.values[:at]


def _settled(sample: Sample, before: Sample | None) -> Sample:
    """A sample whose reset hint tells of the sample before it."""
    if sample.histogram is None:
        return sample
    hint = hint_after(before.histogram if before else None, sample.histogram)
    return sample._replace(histogram=replace(sample.histogram, reset_hint=hint))


class ChangedNames:
    """Implements `MetricNames` for the cells of a commit: each counts as a series of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self._names = list(numbers)
        self.series = np.array([numbers[name] for name in names], np.int32)

    def metrics_of(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """See `MetricNames`."""
        return series

    def metric_texts(self, metrics: NDArray[np.int64]) -> list[str]:
        """See `MetricNames`."""
        return [self._names[metric] for metric in metrics.tolist()]
