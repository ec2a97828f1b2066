"""Quantiles and fractions of one native histogram, bucket by bucket: what the kernel is held against.

Within a bucket observations are taken to be spread evenly: exponentially where the buckets are, linearly in the zero bucket
and in custom ones. Invariant: observations that are NaN count in `count` alone; no bucket holds them.
"""

import math
from dataclasses import replace

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import Bucket, all_buckets
from nunchi.query.compensated import Sum
from nunchi.query.histograms.statistics import effective_zero, part_below


def _within(histogram: Histogram, bucket: Bucket, part: float) -> float:
    """The value below which a part of a bucket lies."""
    if histogram.has_custom_buckets or (bucket.lower <= 0 <= bucket.upper):
        return bucket.lower + (bucket.upper - bucket.lower) * part
    low, high = math.log2(abs(bucket.lower)), math.log2(abs(bucket.upper))
    if bucket.lower > 0:
        return float(2 ** (low + (high - low) * part))
    return float(-(2 ** (high + (low - high) * (1 - part))))


def visible_buckets(histogram: Histogram) -> list[Bucket]:
    """The populated buckets by ascending bounds, the zero bucket clamped to where observations can be."""
    buckets = [bucket for bucket in all_buckets(histogram) if bucket.count != 0]
    if histogram.has_custom_buckets:
        clamped = []
        for bucket in buckets:
            lower = 0.0 if bucket.lower == -math.inf and bucket.upper > 0 else bucket.lower
            clamped.append(replace(bucket, lower=lower))
        return clamped
    return [effective_zero(histogram, bucket) if bucket.lower < 0 < bucket.upper else bucket for bucket in buckets]


def native_quantile(rank: float, histogram: Histogram) -> float:
    """The quantile of a native histogram; observations that are NaN count as largest."""
    if rank < 0:
        return -math.inf
    if rank > 1:
        return math.inf
    if histogram.count == 0 or math.isnan(rank):
        return math.nan
    buckets = visible_buckets(histogram)
    upwards = math.isnan(histogram.sum) or rank < 0.5
    place = rank * histogram.count if upwards else (1 - rank) * histogram.count
    passed = Sum()
    found: Bucket | None = None
    for bucket in buckets if upwards else reversed(buckets):
        found = bucket
        passed.add(bucket.count)
        if passed.value >= place:
            break
    if found is None:
        return math.nan
    count = passed.value
    if histogram.has_custom_buckets:
        if found.lower == -math.inf:
            return found.upper
        if found.upper == math.inf:
            return found.lower if not (math.isnan(histogram.sum) and place > count) else math.nan
    if upwards and place > count:
        if math.isnan(histogram.sum):
            return math.nan
        return found.upper
    into = place - (count - found.count) if upwards else count - place
    return _within(histogram, found, into / found.count)


def native_fraction(lower: float, upper: float, histogram: Histogram) -> float:
    """The part of the observations between two bounds; NaN ones are in no part."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    buckets = visible_buckets(histogram)

    def at_or_below(bound: float) -> float:
        below = 0.0
        for bucket in buckets:
            if bound >= bucket.upper:
                below += bucket.count
            elif bound > bucket.lower and not math.isinf(bucket.upper):
                part = 1.0 if math.isinf(bucket.lower) else part_below(histogram, bucket, bound)
                return below + bucket.count * part
            else:
                break
        return below

    return (at_or_below(upper) - at_or_below(lower)) / histogram.count
