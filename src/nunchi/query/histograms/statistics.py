"""Deviations and trims of one native histogram.

Within a bucket observations are taken to be spread evenly: exponentially where the buckets are, linearly in the zero bucket
and in custom ones. Invariant: observations that are NaN count in `count` alone; no bucket holds them.
"""

import math
from dataclasses import replace

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import Bucket, all_buckets, compact, with_buckets
from nunchi.query.compensated import Sum


def effective_zero(histogram: Histogram, bucket: Bucket) -> Bucket:
    """The zero bucket reaches only to the side that is populated."""
    if histogram.negative_buckets and not histogram.positive_buckets:
        return replace(bucket, upper=0.0)
    if histogram.positive_buckets and not histogram.negative_buckets:
        return replace(bucket, lower=0.0)
    return bucket


def part_below(histogram: Histogram, bucket: Bucket, bound: float) -> float:
    """The part of a bucket below a bound within it."""
    if histogram.has_custom_buckets or (bucket.lower <= 0 <= bucket.upper):
        return (bound - bucket.lower) / (bucket.upper - bucket.lower)
    low, high, at = math.log2(abs(bucket.lower)), math.log2(abs(bucket.upper)), math.log2(abs(bound))
    return (at - low) / (high - low) if bucket.lower > 0 else 1 - (at - high) / (low - high)


def has_nan_observations(histogram: Histogram) -> bool:
    """Whether some observations were NaN: the sum is, and the buckets do not hold all."""
    held = sum(bucket.count for bucket in all_buckets(histogram))
    return math.isnan(histogram.sum) and histogram.count > held


def native_variance(histogram: Histogram) -> float:
    """The variance, every bucket's observations taken to stand in its middle (geometric for exponential ones)."""
    if histogram.count == 0:
        return math.nan
    mean = histogram.sum / histogram.count
    total = Sum()
    for bucket in all_buckets(histogram):
        if bucket.count == 0:
            continue
        total.add(bucket.count * (_middle(histogram, bucket) - mean) ** 2)
    return total.value / histogram.count


def _middle(histogram: Histogram, bucket: Bucket) -> float:
    if histogram.has_custom_buckets:
        return (bucket.lower + bucket.upper) / 2
    if bucket.lower <= 0 <= bucket.upper:
        return 0.0
    middle = math.sqrt(bucket.lower * bucket.upper)
    return -middle if bucket.upper < 0 else middle


def trim(histogram: Histogram, bound: float, *, keep_below: bool) -> Histogram:
    """Only the observations below (or above) a bound; a bucket that the bound cuts is shared out by interpolation."""
    kept: list[tuple[float, float]] = []
    positive: dict[int, float] = {}
    negative: dict[int, float] = {}
    zero_count = 0.0
    was_cut = False
    for raw in all_buckets(histogram):
        if raw.count == 0:
            continue
        is_zero = not histogram.has_custom_buckets and raw.lower < 0 < raw.upper
        bucket = effective_zero(histogram, raw) if is_zero else _clamped(histogram, raw, bound, keep_below=keep_below)
        part, remaining = _kept_part(histogram, bucket, bound, keep_below=keep_below)
        was_cut = was_cut or part != 1
        count = raw.count * part
        if part and count:
            kept.append((count, _trimmed_middle(histogram, remaining, is_zero=is_zero)))
        if is_zero:
            zero_count += count
        elif raw.upper <= 0 and not histogram.has_custom_buckets:
            negative[raw.index] = count
        else:
            positive[raw.index] = count
    if not was_cut:
        return histogram
    count_total, sum_total = Sum(), Sum()
    for count, middle in kept:
        count_total.add(count)
        sum_total.add(count * middle)
    trimmed = with_buckets(histogram, positive, negative)
    return compact(replace(trimmed, zero_count=zero_count, count=count_total.value, sum=sum_total.value))


def _clamped(histogram: Histogram, bucket: Bucket, bound: float, *, keep_below: bool) -> Bucket:
    """The first custom bucket begins at 0 where it ends above; but nothing tells how much of it is above a negative bound."""
    is_first = histogram.has_custom_buckets and bucket.lower == -math.inf and 0 < bucket.upper < math.inf
    return replace(bucket, lower=0.0) if is_first and (keep_below or bound >= 0) else bucket


def _kept_part(histogram: Histogram, bucket: Bucket, bound: float, *, keep_below: bool) -> tuple[float, Bucket]:
    """Which part of a bucket stays, and the bucket cut to it."""
    if keep_below:
        if bucket.upper <= bound:
            return 1.0, bucket
        if bucket.lower >= bound and not math.isinf(bucket.lower):
            return 0.0, bucket
        if bucket.upper == math.inf:
            return 0.0, bucket
        if bucket.lower == -math.inf:
            return (1.0, replace(bucket, upper=bound)) if bound > -math.inf else (0.0, bucket)
        return part_below(histogram, bucket, bound), replace(bucket, upper=bound)
    if bucket.lower >= bound:
        return 1.0, bucket
    if bucket.upper <= bound:
        return 0.0, bucket
    if bucket.lower == -math.inf:
        return (0.0, bucket) if bound > -math.inf else (1.0, bucket)
    if bucket.upper == math.inf:
        return (1.0, replace(bucket, lower=bound)) if bound < math.inf else (0.0, bucket)
    return 1 - part_below(histogram, bucket, bound), replace(bucket, lower=bound)


def _trimmed_middle(histogram: Histogram, bucket: Bucket, *, is_zero: bool) -> float:
    if math.isinf(bucket.lower):
        return bucket.upper
    if math.isinf(bucket.upper):
        return bucket.lower
    if histogram.has_custom_buckets or is_zero:
        return (bucket.lower + bucket.upper) / 2
    middle = math.sqrt(bucket.lower * bucket.upper)
    return -middle if bucket.upper < 0 else middle
