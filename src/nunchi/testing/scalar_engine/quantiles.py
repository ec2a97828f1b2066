"""Quantiles and fractions of classic histograms."""

import math
from typing import Final, NamedTuple

SMALL_DIFFERENCE: Final = 1e-12


class ClassicBucket(NamedTuple):
    """A bucket of a classic histogram: its upper bound and how many observations are at or below it."""

    upper: float
    total: float


class ClassicQuantile(NamedTuple):
    """A quantile, and whether counts had to be lifted to make one."""

    value: float
    was_repaired: bool


def merge_bounds(buckets: list[ClassicBucket]) -> list[ClassicBucket]:
    """Buckets sorted by bound, equal bounds added up."""
    merged: dict[float, float] = {}
    for bucket in sorted(buckets):
        merged[bucket.upper] = merged.get(bucket.upper, 0.0) + bucket.total
    return [ClassicBucket(upper, total) for upper, total in sorted(merged.items())]


def make_monotonic(buckets: list[ClassicBucket]) -> tuple[list[ClassicBucket], bool]:
    """Buckets whose totals never fall, and whether one had to be lifted by more than rounding explains."""
    result = [buckets[0]]
    was_repaired = False
    for bucket in buckets[1:]:
        previous, total = result[-1].total, bucket.total
        if total != previous:
            size = abs(total) + abs(previous)
            if math.isfinite(size) and size and abs(total - previous) / size < SMALL_DIFFERENCE:
                total = previous
            elif total < previous:
                total, was_repaired = previous, True
        result.append(ClassicBucket(bucket.upper, total))
    return result, was_repaired


def classic_quantile(rank: float, buckets: list[ClassicBucket]) -> ClassicQuantile:
    """The quantile of a classic histogram, linear within its bucket."""
    if not buckets or math.isnan(rank):
        return ClassicQuantile(math.nan, was_repaired=False)
    if rank < 0 or rank > 1:
        return ClassicQuantile(math.copysign(math.inf, rank), was_repaired=False)
    buckets = merge_bounds(buckets)
    if buckets[-1].upper != math.inf:
        return ClassicQuantile(math.nan, was_repaired=False)
    buckets, was_repaired = make_monotonic(buckets)
    observations = buckets[-1].total
    if len(buckets) < 2 or observations == 0 or math.isnan(observations):
        return ClassicQuantile(math.nan, was_repaired)
    place = rank * observations
    found = next((i for i, bucket in enumerate(buckets[:-1]) if bucket.total >= place), len(buckets) - 1)
    if found == len(buckets) - 1:
        return ClassicQuantile(buckets[-2].upper, was_repaired)
    if found == 0 and buckets[0].upper <= 0:
        return ClassicQuantile(buckets[0].upper, was_repaired)
    lower = buckets[found - 1].upper if found else 0.0
    below = buckets[found - 1].total if found else 0.0
    width, inside = buckets[found].upper - lower, buckets[found].total - below
    return ClassicQuantile(lower + width * ((place - below) / inside), was_repaired)


def classic_fraction(lower: float, upper: float, buckets: list[ClassicBucket]) -> float:
    """The part of the observations between two bounds."""
    buckets = merge_bounds(buckets)
    if not buckets or buckets[-1].upper != math.inf:
        return math.nan
    observations = buckets[-1].total
    if observations == 0 or math.isnan(observations) or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0

    def at_or_below(bound: float) -> float:
        below, begin = 0.0, (0.0 if buckets[0].upper > 0 else -math.inf)
        for bucket in buckets:
            if bound >= bucket.upper:
                below, begin = bucket.total, bucket.upper
                continue
            if bound <= begin or math.isinf(bucket.upper):
                return below
            if math.isinf(begin):
                return bucket.total
            return below + (bucket.total - below) * (bound - begin) / (bucket.upper - begin)
        return below

    return (at_or_below(upper) - at_or_below(lower)) / observations
