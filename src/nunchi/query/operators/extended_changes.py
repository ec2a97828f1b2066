"""How native histograms moved between the borders of an extended window: `anchored` takes the sample at or before each border,
`smoothed` the value on the line between the samples around it. Nothing is extrapolated. Numbers are the kernels' concern.
"""

from itertools import pairwise

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import add, is_reset, scale
from nunchi.query.histograms.grid import Value
from nunchi.query.operators.mixed_windows import Point, Window


class MixedKindsError(ValueError):
    """A number and a histogram: no line leads from one to the other."""


def interpolate(first: Point, second: Point, at_ms: int, *, is_counter: bool = False, from_zero: bool = False) -> Value:
    """The value at a time between two samples; raises `IncompatibleError`, `MixedKindsError`.

    A counter that was reset in between rises from zero (`from_zero`), or on top of the first value.
    """
    left, right = first.value, second.value
    part = (at_ms - first.timestamp_ms) / (second.timestamp_ms - first.timestamp_ms)
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        if is_counter and is_reset(right, left):
            return add(scale(left, 0.0) if from_zero else left, scale(right, part)).histogram
        return add(left, scale(add(right, left, -1.0).histogram, part)).histogram
    if isinstance(left, Histogram) or isinstance(right, Histogram):
        raise MixedKindsError
    if is_counter and right < left:
        left, right = (0.0, right) if from_zero else (left, right + left)
    return left + (right - left) * part


class ExtendedChange:
    """The change of one window."""

    def __init__(self, window: Window, *, is_smoothed: bool, is_counter: bool) -> None:
        self._window = window
        self._is_smoothed = is_smoothed
        self._is_counter = is_counter
        after = window.after if is_smoothed else None
        if window.points and window.points[-1].timestamp_ms == window.end_ms:
            after = None
        self._after = after
        self.is_known = bool(window.points) or after is not None
        edges = ([window.before] if window.before else [], [after] if after else [])
        self._points = [*edges[0], *window.points, *edges[1]]
        self.histograms = [point.value for point in self._points if isinstance(point.value, Histogram)]

    def follow(self) -> tuple[list[Value], int, int]:
        """The values through the window, and between which of them resets are still to be counted.

        Raises `IncompatibleError`, `MixedKindsError`.
        """
        if 0 < len(self.histograms) < len(self._points):
            raise MixedKindsError
        return self._path()

    def compute(self, path: tuple[list[Value], int, int]) -> Value:
        """Last minus first, plus what resets took away; raises `IncompatibleError`."""
        values, counted_from, counted_to = path
        middle = values[counted_from : counted_to + 1]
        if not self.histograms:
            numbers = [value for value in values if not isinstance(value, Histogram)]
            total = numbers[-1] - numbers[0]
            for left, right in pairwise(middle) if self._is_counter else ():
                if not isinstance(left, Histogram) and not isinstance(right, Histogram) and right < left:
                    total += left
            return total
        first, last = values[0], values[-1]
        assert isinstance(first, Histogram)
        assert isinstance(last, Histogram)
        difference = add(last, first, -1.0).histogram
        for left, right in pairwise(middle) if self._is_counter else ():
            if isinstance(left, Histogram) and isinstance(right, Histogram) and is_reset(right, left):
                difference = add(difference, left).histogram
        return difference

    def _path(self) -> tuple[list[Value], int, int]:
        points, window = self._points, self._window
        values: list[Value] = [point.value for point in points]
        if not self._is_smoothed or len(points) < 2:
            return values, 0, len(values) - 1
        counted_from, counted_to = 0, len(values) - 1
        if points[0].timestamp_ms < window.start_ms:
            values[0] = interpolate(points[0], points[1], window.start_ms, is_counter=self._is_counter, from_zero=True)
            counted_from = 1
        if self._after is not None:
            from_zero = len(points) == 2 and counted_from == 1
            values[-1] = interpolate(
                points[-2], points[-1], window.end_ms, is_counter=self._is_counter, from_zero=from_zero
            )
            counted_to -= 1
        return values, counted_from, counted_to
