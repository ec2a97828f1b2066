"""One series of the memory store: samples in a sorted list, and what is more than a number beside it.

Invariant: timestamps are strictly ascending; the reset hint of a histogram tells of the sample before it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from nunchi.model.batch import Conflict
from nunchi.model.histogram import Histogram, ResetHint
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
        if self.rich:
            self._settle_hint(at)
            if at + 1 < len(self.timestamps):
                self._forget_hint(at + 1)
                self._settle_hint(at + 1)

    def _settle_hint(self, at: int) -> None:
        """Let a sample's reset hint tell of the sample before it; a reset that its writer knew of counts."""
        before = self.rich.get(self.timestamps[at - 1]) if at else None
        self._set_hint(at, lambda histogram: hint_after(before.histogram if before else None, histogram))

    def _forget_hint(self, at: int) -> None:
        """What was known of a reset is about another sample before."""
        self._set_hint(at, lambda it: it.reset_hint if it.reset_hint is ResetHint.GAUGE else ResetHint.UNKNOWN)

    def _set_hint(self, at: int, choose: Callable[[Histogram], ResetHint]) -> None:
        sample = self.rich.get(self.timestamps[at])
        if sample is not None and sample.histogram is not None:
            settled = replace(sample.histogram, reset_hint=choose(sample.histogram))
            self.rich[self.timestamps[at]] = sample._replace(histogram=settled)

    def drop_before(self, timestamp_ms: int) -> None:
        """Forget older samples."""
        at = bisect_left(self.timestamps, timestamp_ms)
        for old_ms in self.timestamps[:at] if self.rich else ():
            self.rich.pop(old_ms, None)
        del self.timestamps[:at]
        del self.values[:at]
