"""Compensated summation (Kahan, Neumaier's variant): the order of addition is the order of the input."""

import math
from collections.abc import Iterable

from nunchi.query.compensated import Sum


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
