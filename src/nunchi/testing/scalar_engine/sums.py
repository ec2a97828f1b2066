"""Compensated summation (Kahan, Neumaier's variant): the order of addition is the order of the input."""

import math
from collections.abc import Iterable


class Sum:
    """A running sum and what rounding took from it."""

    def __init__(self, value: float = 0.0) -> None:
        self.plain = value
        self.lost = 0.0

    def add(self, value: float) -> None:
        """Add one number."""
        total = self.plain + value
        if math.isinf(total):
            self.lost = 0.0
        elif abs(self.plain) >= abs(value):
            self.lost += (self.plain - total) + value
        else:
            self.lost += (value - total) + self.plain
        self.plain = total

    @property
    def value(self) -> float:
        """The sum."""
        return self.plain if math.isinf(self.plain) else self.plain + self.lost


def total_of(values: Iterable[float]) -> float:
    """The compensated sum of numbers."""
    result = Sum()
    for value in values:
        result.add(value)
    return result.value


def mean_of(values: list[float]) -> float:
    """The compensated mean; by running means from where the sum would overflow."""
    total = Sum(values[0])
    for position, value in enumerate(values[1:], start=2):
        ahead = Sum()
        ahead.plain, ahead.lost = total.plain, total.lost
        ahead.add(value)
        if math.isinf(ahead.plain):
            return _running_mean(total, position - 1, values[position - 1 :])
        total = ahead
    return total.plain / len(values) + total.lost / len(values)


def _running_mean(total: Sum, count: int, values: list[float]) -> float:
    mean = Sum(total.plain / count)
    mean.lost = total.lost / count
    for value in values:
        count += 1
        part = (count - 1) / count
        mean.plain, mean.lost = part * mean.plain, part * mean.lost
        mean.add(value / count)
    return mean.value
