"""Functions of windows with native histograms or start timestamps, one window at a time; the rules are those of the kernels.

Extrapolation: the raw difference is stretched to the borders of the window where samples stand close enough to them. Where a
start timestamp lies within the window, counting began there at zero, and nothing is stretched on that side.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, add, compact, divide, is_reset, scale
from nunchi.query.histograms.grid import Value
from nunchi.query.histograms.totals import HistogramTotals
from nunchi.query.notices import Notices
from nunchi.query.operators.extended_changes import ExtendedChange, MixedKindsError
from nunchi.query.operators.mixed_windows import Point, Window
from nunchi.query.remarks import (
    IGNORED_IN_RANGE,
    MIXED_KINDS,
    MIXED_SCHEMAS,
    NOT_COUNTER,
    NOT_GAUGE,
    RECONCILED,
    START_OVERLAP,
)
from nunchi.query.syntax.nodes import Extension

NEAR: Final = 1.1
COUNTERS: Final = frozenset(("rate", "increase", "irate"))


class Undecided:
    """Instead of a value: the numbers of the window decide, and the kernel has looked at them."""


UNDECIDED: Final = Undecided()
Outcome = Value | None | Undecided


class WindowFunction:
    """One function of mixed windows, with its place in the expression."""

    def __init__(self, name: str, extension: Extension | None, notices: Notices, position: int) -> None:
        self.name = name
        self._extension = extension
        self._notices = notices
        self._position = position
        self._is_counter = name in COUNTERS
        self._compute = self._computation()

    def _computation(self) -> "Callable[[Window, str], Outcome]":
        name = self.name
        if name in {"rate", "increase", "delta"}:
            return self._change if self._extension is None else self._extended
        if name in {"irate", "idelta"}:
            return self._instant_change
        if name in {"sum_over_time", "avg_over_time"}:
            return self._total
        counted: dict[str, Callable[[Window, str], Outcome]] = {
            "resets": lambda window, _: self._count(window, has_restarted),
            "changes": lambda window, _: self._count(window, lambda left, right: not is_same(left.value, right.value)),
            "count_over_time": lambda window, _: float(len(window.points)) or None,
            "present_over_time": lambda window, _: 1.0 if window.points else None,
            "absent_over_time": lambda window, _: 1.0 if window.points else None,
            "first_over_time": lambda window, _: window.points[0].value if window.points else None,
            "last_over_time": lambda window, _: window.points[-1].value if window.points else None,
            "ts_of_first_over_time": lambda window, _: window.points[0].timestamp_ms / 1000 if window.points else None,
            "ts_of_last_over_time": lambda window, _: window.points[-1].timestamp_ms / 1000 if window.points else None,
        }
        return counted.get(name, self._of_numbers)

    def evaluate(self, window: Window, metric_name: str) -> Outcome:
        """The value of a window; None: it has none."""
        return self._compute(window, metric_name)

    def _of_numbers(self, window: Window, metric_name: str) -> Undecided:
        if window.is_mixed:
            self._notices.inform(IGNORED_IN_RANGE.format(metric_name), self._position)
        return UNDECIDED

    def _count(self, window: Window, differs: Callable[[Point, Point], bool]) -> float | None:
        if not window.points:
            return None
        points = window.points
        if self._extension is not None and window.before is not None:
            points = [window.before, *points]
        return float(sum(differs(left, right) for left, right in pairwise(points)))

    def _total(self, window: Window, metric_name: str) -> Value | None:
        if window.is_mixed:
            self._notices.warn(MIXED_KINDS.format(metric_name), self._position)
            return None
        totals = HistogramTotals(self._notices, self._position, is_mean=self.name == "avg_over_time")
        try:
            return totals.total(window.histograms)
        except IncompatibleError:
            self._notices.warn(MIXED_SCHEMAS.format(metric_name), self._position)
            return None

    def _change(self, window: Window, metric_name: str) -> Value | None:
        points = window.points
        zero_ms = None
        if self._is_counter:
            if any(overlaps(left, right) for left, right in pairwise(points)):
                self._notices.warn(START_OVERLAP.format(metric_name), self._position)
            zero_ms = start_within(window)
        if len(points) < 2 and zero_ms is None:
            return None
        if window.is_mixed:
            self._notices.warn(MIXED_KINDS.format(metric_name), self._position)
            return None
        if window.histograms:
            raw: Value | None = self._histogram_change(window, metric_name, from_zero=zero_ms is not None)
        else:
            raw = self._number_change(points, from_zero=zero_ms is not None)
        if raw is None:
            return None
        factor = stretch(window, raw, zero_ms, is_counter=self._is_counter)
        if self.name == "rate":
            factor /= (window.end_ms - window.start_ms) / 1000
        return scale(raw, factor) if isinstance(raw, Histogram) else raw * factor

    def _number_change(self, points: Sequence[Point], *, from_zero: bool) -> float:
        values = [point.value for point in points if not isinstance(point.value, Histogram)]
        total = values[-1] - (0.0 if from_zero else values[0])
        if self._is_counter:
            for (left, right), before in zip(pairwise(points), values, strict=False):
                total += before if has_restarted(left, right) else 0.0
        return total

    def _histogram_change(self, window: Window, metric_name: str, *, from_zero: bool) -> Histogram | None:
        histograms = window.histograms
        self._remark_kind(histograms, metric_name)
        anew = [self._is_counter and has_restarted(left, right) for left, right in pairwise(window.points)]
        first, last = histograms[0], histograms[-1]
        if from_zero:
            first = scale(first, 0.0)
        elif anew and anew[0]:
            first = replace(scale(histograms[1], 0.0), reset_hint=ResetHint.UNKNOWN)
        relevant = histograms if from_zero else [first, *histograms[1:]]
        try:
            difference = add(last, first, -1.0)
            total, word = difference.histogram, "subtraction" if difference.reconciled else ""
            for before, was_reset in zip(relevant, anew, strict=False):
                if was_reset:
                    sum_ = add(total, before)
                    total, word = sum_.histogram, word or ("addition" if sum_.reconciled else "")
            for histogram in relevant:  # each must fit, and the lowest resolution wins
                if histogram.schema != total.schema or histogram.zero_threshold != total.zero_threshold:
                    add(total, histogram)
        except IncompatibleError:
            self._notices.warn(MIXED_SCHEMAS.format(metric_name), self._position)
            return None
        if word:
            self._notices.inform(RECONCILED.format(word), self._position)
        return replace(compact(total), reset_hint=ResetHint.GAUGE)

    def _remark_kind(self, histograms: Sequence[Histogram], metric_name: str) -> None:
        """Counters should be no gauges, and the other way round."""
        if self._is_counter:
            if any(histogram.reset_hint is ResetHint.GAUGE for histogram in histograms):
                self._notices.warn(NOT_COUNTER.format(metric_name), self._position)
        elif not histograms[0].reset_hint is histograms[-1].reset_hint is ResetHint.GAUGE:
            self._notices.warn(NOT_GAUGE.format(metric_name), self._position)

    def _instant_change(self, window: Window, metric_name: str) -> Value | None:
        if len(window.points) < 2:
            return None
        left, right = window.points[-2:]
        seconds = (right.timestamp_ms - left.timestamp_ms) / 1000
        before, after = left.value, right.value
        if isinstance(before, Histogram) and isinstance(after, Histogram):
            return self._instant_histogram(left, right, before, after, seconds, metric_name)
        if isinstance(before, Histogram) or isinstance(after, Histogram):
            self._notices.warn(MIXED_KINDS.format(metric_name), self._position)
            return None
        if not self._is_counter:
            return after - before
        return (after if has_restarted(left, right) else after - before) / seconds

    def _instant_histogram(
        self, left: Point, right: Point, before: Histogram, after: Histogram, seconds: float, metric_name: str
    ) -> Histogram | None:
        self._remark_kind((before, after), metric_name)
        difference = after
        if not (self._is_counter and has_restarted(left, right)):
            try:
                combined = add(after, before, -1.0)
            except IncompatibleError:
                self._notices.warn(MIXED_SCHEMAS.format(metric_name), self._position)
                return None
            if combined.reconciled:
                self._notices.inform(RECONCILED.format("subtraction"), self._position)
            difference = combined.histogram
        if self._is_counter:
            difference = divide(difference, seconds)
        return replace(compact(difference), reset_hint=ResetHint.GAUGE)

    def _extended(self, window: Window, metric_name: str) -> Value | None:
        change = ExtendedChange(window, is_smoothed=self._extension is Extension.SMOOTHED, is_counter=self._is_counter)
        if not change.is_known:
            return None
        try:
            path = change.follow()
            if change.histograms:
                self._remark_kind(change.histograms, metric_name)
            raw = change.compute(path)
        except IncompatibleError:
            self._notices.warn(MIXED_SCHEMAS.format(metric_name), self._position)
            return None
        except MixedKindsError:
            self._notices.warn(MIXED_KINDS.format(metric_name), self._position)
            return None
        seconds = (window.end_ms - window.start_ms) / 1000
        if not isinstance(raw, Histogram):
            return raw / seconds if self.name == "rate" else raw
        raw = replace(compact(raw), reset_hint=ResetHint.GAUGE)
        return divide(raw, seconds) if self.name == "rate" else raw


def start_within(window: Window) -> int | None:
    """When the first sample began to count, if that is within the window and before it."""
    start_ms = window.points[0].start_ms if window.points else 0
    return start_ms if start_ms and window.start_ms < start_ms < window.points[0].timestamp_ms else None


def overlaps(left: Point, right: Point) -> bool:
    """Whether a sample says that it counts since before the sample in front of it, and not since the same time."""
    return bool(right.start_ms) and right.start_ms < left.timestamp_ms and right.start_ms != left.start_ms


def has_restarted(left: Point, right: Point) -> bool:
    """Whether a counter began anew between two samples: its value tells, or its start timestamp."""
    start_ms = right.start_ms
    began = start_ms > left.timestamp_ms or 0 < left.start_ms < left.timestamp_ms
    if began and start_ms and left.timestamp_ms <= start_ms < right.timestamp_ms:
        return True
    before, after = left.value, right.value
    if isinstance(before, Histogram) and isinstance(after, Histogram):
        return is_reset(after, before)
    if isinstance(before, Histogram) or isinstance(after, Histogram):
        return True
    return after < before


def is_same(left: Value, right: Value) -> bool:
    """Whether two values are equal; NaN is like NaN, and what is known of resets does not count."""
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        neutral = ResetHint.UNKNOWN
        return compact(replace(left, reset_hint=neutral)) == compact(replace(right, reset_hint=neutral))
    return left == right or (left != left and right != right)  # noqa: PLR0124 (NaN)


def stretch(window: Window, raw: Value, zero_ms: int | None, *, is_counter: bool) -> float:
    """By how much the raw difference grows to cover the window."""
    points = window.points
    first_ms = points[0].timestamp_ms if zero_ms is None else zero_ms
    last_ms = points[-1].timestamp_ms
    span = (last_ms - first_ms) / 1000
    average = (last_ms - points[0].timestamp_ms) / 1000 / (len(points) - 1) if len(points) > 1 else 0.0
    to_start, to_end = (first_ms - window.start_ms) / 1000, (window.end_ms - last_ms) / 1000
    if zero_ms is not None:
        to_start = 0.0
    else:
        if to_start >= average * NEAR:
            to_start = average / 2
        total, begin = counted(raw), counted(points[0].value)
        if is_counter and total > 0 and begin >= 0:
            to_start = min(to_start, span * (begin / total))
    if to_end >= average * NEAR:
        to_end = average / 2
    return (span + to_start + to_end) / span


def counted(value: Value) -> float:
    """What extrapolation to zero looks at."""
    return value.count if isinstance(value, Histogram) else value
