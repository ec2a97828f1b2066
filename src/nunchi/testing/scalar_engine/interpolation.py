"""Values between two samples, on the line through them."""

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import add, is_reset, scale
from nunchi.testing.scalar_engine.values import Point


class MixedKindsError(ValueError):
    """A number and a histogram: no line leads from one to the other."""


def interpolate(
    first: Point, second: Point, at_ms: int, *, is_counter: bool = False, at_left_edge: bool = False
) -> "float | Histogram":
    """The value at a time between two samples. A counter that was reset in between rises from 0: behind the left edge of a
    window from there, before the right edge on top of the first value. Raises `IncompatibleError`, `MixedKindsError`.
    """
    left, right = first.value, second.value
    if isinstance(left, Histogram) is not isinstance(right, Histogram):
        raise MixedKindsError
    part = (at_ms - first.timestamp_ms) / (second.timestamp_ms - first.timestamp_ms)
    if isinstance(left, Histogram):
        assert isinstance(right, Histogram)
        if is_counter and is_reset(right, left):
            if at_left_edge:
                left = scale(left, 0.0)
                return add(left, scale(right, part)).histogram
            return add(left, scale(right, part)).histogram
        return add(left, scale(add(right, left, -1.0).histogram, part)).histogram
    assert not isinstance(right, Histogram)
    if is_counter and right < left:
        left, right = (0.0, right) if at_left_edge else (left, right + left)
    return left + (right - left) * (at_ms - first.timestamp_ms) / (second.timestamp_ms - first.timestamp_ms)
