"""Arithmetic of native histograms, two at a time, bucket by bucket over plain dicts: the rules, for stores and engines alike.

Lower resolution wins, the larger zero bucket wins, custom bounds are intersected, and reset hints follow a small algebra.
Invariant: nothing here changes a histogram; every result is a new one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint, bucket_indices, spans_over
from nunchi.model.staleness import bits_of, is_stale

FLOAT_MAX: Final = 1.7976931348623157e308


class IncompatibleError(ValueError):
    """Exponential and custom buckets have nothing in common."""


@dataclass(slots=True)
class Bucket:
    """One bucket with its bounds. Not frozen, as that costs most of the time of making one."""

    lower: float
    upper: float
    count: float
    index: int


@lru_cache(maxsize=16)
def _fractions(schema: int) -> tuple[float, ...]:
    """The bounds of a schema above 0 within [1/2, 1), to the bit as Prometheus and its clients have them.

    Every other one is a bound of the next coarser schema; those between are the one before, times the width of a bucket.
    The first root of 2 is Go's: the last digit but one.
    """
    if schema == 1:
        return (0.5, 0.7071067811865475)
    width = 2.0 ** (2.0**-schema)
    return tuple(bound for coarse in _fractions(schema - 1) for bound in (coarse, coarse * width))


@lru_cache(maxsize=16384)
def exponential_bound(index: int, schema: int) -> float:
    """The upper bound of bucket `index` on the positive side; the last finite one is the largest float."""
    if schema <= 0:
        exponent = index << -schema
        return FLOAT_MAX if exponent == 1024 else math.ldexp(1.0, exponent)
    fraction = _fractions(schema)[index & ((1 << schema) - 1)]
    exponent = (index >> schema) + 1
    return FLOAT_MAX if exponent > 1024 else math.ldexp(fraction, exponent)


def custom_bounds(index: int, bounds: tuple[float, ...]) -> tuple[float, float]:
    """Both bounds of a custom bucket."""
    lower = bounds[index - 1] if index else -math.inf
    return lower, bounds[index] if index < len(bounds) else math.inf


@lru_cache(maxsize=1024)
def _exponential_bounds(schema: int, spans: tuple[BucketSpan, ...]) -> tuple[tuple[float, float, int], ...]:
    """Both bounds and the index of each bucket of a side, from zero outwards."""
    return tuple((exponential_bound(i - 1, schema), exponential_bound(i, schema), i) for i in bucket_indices(spans))


def positive_buckets(histogram: Histogram) -> list[Bucket]:
    """The buckets of the positive side, ascending."""
    if histogram.has_custom_buckets:
        return [Bucket(*custom_bounds(i, histogram.custom_values), count, i) for i, count in histogram.positive()]
    bounds = _exponential_bounds(histogram.schema, histogram.positive_spans)
    return [
        Bucket(lower, upper, count, i)
        for (lower, upper, i), count in zip(bounds, histogram.positive_buckets, strict=True)
    ]


def negative_buckets(histogram: Histogram) -> list[Bucket]:
    """The buckets of the negative side, from zero outwards."""
    bounds = _exponential_bounds(histogram.schema, histogram.negative_spans)
    return [
        Bucket(-upper, -lower, count, i)
        for (lower, upper, i), count in zip(bounds, histogram.negative_buckets, strict=True)
    ]


def all_buckets(histogram: Histogram) -> list[Bucket]:
    """All buckets by ascending bounds, the zero bucket among them where it is populated or wide."""
    zero = []
    if histogram.zero_count != 0:
        zero = [Bucket(-histogram.zero_threshold, histogram.zero_threshold, histogram.zero_count, 0)]
    return [*reversed(negative_buckets(histogram)), *zero, *positive_buckets(histogram)]


def spans_of(counts: Mapping[int, float]) -> tuple[tuple[BucketSpan, ...], tuple[float, ...]]:
    """Spans and counts of the buckets that are not empty."""
    indices = sorted(index for index, count in counts.items() if count != 0)
    return spans_over(indices), tuple(counts[index] for index in indices)


def with_buckets(histogram: Histogram, positive: Mapping[int, float], negative: Mapping[int, float]) -> Histogram:
    """The histogram with other buckets."""
    positive_spans, positive_counts = spans_of(positive)
    negative_spans, negative_counts = spans_of(negative)
    return replace(
        histogram,
        positive_spans=positive_spans,
        positive_buckets=positive_counts,
        negative_spans=negative_spans,
        negative_buckets=negative_counts,
    )


def compact(histogram: Histogram) -> Histogram:
    """The same histogram without empty buckets."""
    return with_buckets(histogram, dict(histogram.positive()), dict(histogram.negative()))


def scale(histogram: Histogram, factor: float) -> Histogram:
    """Every count and the sum times a factor; a negative one makes a gauge."""
    scaled = replace(
        histogram,
        count=histogram.count * factor,
        sum=histogram.sum * factor,
        zero_count=histogram.zero_count * factor,
        positive_buckets=tuple(count * factor for count in histogram.positive_buckets),
        negative_buckets=tuple(count * factor for count in histogram.negative_buckets),
    )
    return replace(scaled, reset_hint=ResetHint.GAUGE) if factor < 0 else scaled


def divide(histogram: Histogram, divisor: float) -> Histogram:
    """Every count and the sum divided; by zero, the buckets vanish and the rest goes where IEEE sends it."""

    def quotient(value: float) -> float:
        if divisor != 0:
            return value / divisor
        if value == 0 or math.isnan(value):
            return math.nan
        return math.copysign(math.inf, value) * math.copysign(1, divisor)

    divided = replace(
        histogram,
        count=quotient(histogram.count),
        sum=quotient(histogram.sum),
        zero_count=quotient(histogram.zero_count),
        positive_buckets=tuple(count / divisor if divisor else 0.0 for count in histogram.positive_buckets),
        negative_buckets=tuple(count / divisor if divisor else 0.0 for count in histogram.negative_buckets),
    )
    if divisor == 0:
        divided = with_buckets(divided, {}, {})
    return replace(divided, reset_hint=ResetHint.GAUGE) if divisor < 0 else divided


def _reduced(counts: Iterable[tuple[int, float]], levels: int) -> dict[int, float]:
    result: dict[int, float] = {}
    for index, count in counts:
        target = ((index - 1) >> levels) + 1
        result[target] = result.get(target, 0.0) + count
    return result


def to_schema(histogram: Histogram, schema: int) -> Histogram:
    """The same observations at a lower (or equal) resolution."""
    if schema == histogram.schema:
        return histogram
    levels = histogram.schema - schema
    coarse = with_buckets(histogram, _reduced(histogram.positive(), levels), _reduced(histogram.negative(), levels))
    return replace(coarse, schema=schema)


def zero_count_for(histogram: Histogram, threshold: float) -> tuple[float, float]:
    """The count of a zero bucket of at least this threshold, and the threshold that it takes: a populated bucket that
    the border cuts is swallowed whole.
    """
    while True:
        count = histogram.zero_count
        settled = True
        for bucket in positive_buckets(histogram):
            if bucket.lower >= threshold:
                break
            count += bucket.count
            if bucket.upper > threshold:
                threshold = bucket.upper if bucket.count != 0 else threshold
                break
        for bucket in negative_buckets(histogram):
            if bucket.upper <= -threshold:
                break
            count += bucket.count
            if bucket.lower < -threshold:
                if bucket.count != 0:
                    threshold, settled = -bucket.lower, False
                break
        if settled:
            return count, threshold


def widen_zero(histogram: Histogram, threshold: float) -> Histogram:
    """The histogram with its zero bucket grown to at least this threshold."""
    if threshold <= histogram.zero_threshold:
        return histogram
    count, threshold = zero_count_for(histogram, threshold)
    positive = {b.index: b.count for b in positive_buckets(histogram) if b.lower >= threshold}
    negative = {b.index: b.count for b in negative_buckets(histogram) if b.upper <= -threshold}
    return replace(with_buckets(histogram, positive, negative), zero_count=count, zero_threshold=threshold)


def rebound(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """A histogram of custom buckets with only some of its bounds."""
    counts: dict[int, float] = {}
    for bucket in positive_buckets(histogram):
        target = next((i for i, bound in enumerate(bounds) if bucket.upper <= bound), len(bounds))
        counts[target] = counts.get(target, 0.0) + bucket.count
    return replace(with_buckets(histogram, counts, {}), custom_values=bounds)


def harmonize(left: Histogram, right: Histogram) -> tuple[Histogram, Histogram, bool]:
    """Both on one layout, and whether custom bounds had to be intersected; raises `IncompatibleError`."""
    if left.has_custom_buckets is not right.has_custom_buckets:
        raise IncompatibleError
    if left.has_custom_buckets:
        if left.custom_values == right.custom_values:
            return left, right, False
        bounds = tuple(bound for bound in left.custom_values if bound in right.custom_values)
        return rebound(left, bounds), rebound(right, bounds), True
    while left.zero_threshold != right.zero_threshold:
        left, right = widen_zero(left, right.zero_threshold), widen_zero(right, left.zero_threshold)
    schema = min(left.schema, right.schema)
    return to_schema(left, schema), to_schema(right, schema), False


def combine_hints(left: ResetHint, right: ResetHint) -> tuple[ResetHint, bool]:
    """The hint of a sum, and whether the two contradict each other."""
    if left is right:
        return left, False
    if ResetHint.GAUGE in {left, right}:
        return ResetHint.GAUGE, False
    if ResetHint.UNKNOWN in {left, right}:
        return ResetHint.UNKNOWN, False
    return ResetHint.UNKNOWN, True


class Combined(NamedTuple):
    """A sum or difference, and what is to be said of it."""

    histogram: Histogram
    hints_collide: bool
    reconciled: bool


def add(left: Histogram, right: Histogram, sign: float = 1.0) -> Combined:
    """`left + sign × right`; raises `IncompatibleError`."""
    hint, collide = combine_hints(left.reset_hint, right.reset_hint)
    left, right, reconciled = harmonize(left, right)
    positive, negative = dict(left.positive()), dict(left.negative())
    for index, count in right.positive():
        positive[index] = positive.get(index, 0.0) + sign * count
    for index, count in right.negative():
        negative[index] = negative.get(index, 0.0) + sign * count
    total = replace(
        with_buckets(left, positive, negative),
        count=left.count + sign * right.count,
        sum=left.sum + sign * right.sum,
        zero_count=left.zero_count + sign * right.zero_count,
        reset_hint=hint,
    )
    return Combined(total, collide, reconciled)


def is_reset(current: Histogram, previous: Histogram) -> bool:
    """Whether a counter was reset between two samples: the hint where it says so, else any count that fell."""
    if current.reset_hint in {ResetHint.RESET, ResetHint.NOT_RESET}:
        return current.reset_hint is ResetHint.RESET
    if current.count < previous.count or current.has_custom_buckets is not previous.has_custom_buckets:
        return True
    if current.has_custom_buckets:
        fitted, earlier, _ = harmonize(current, previous)
        return _fell(dict(fitted.positive()), dict(earlier.positive()))
    if current.schema > previous.schema or current.zero_threshold < previous.zero_threshold:
        return True
    zero_count, threshold = zero_count_for(previous, current.zero_threshold)
    if threshold != current.zero_threshold or current.zero_count < zero_count:
        return True
    earlier = to_schema(widen_zero(previous, threshold), current.schema)
    fell = _fell(dict(current.positive()), dict(earlier.positive()))
    return fell or _fell(dict(current.negative()), dict(earlier.negative()))


def _fell(current: Mapping[int, float], previous: Mapping[int, float]) -> bool:
    return any(count > current.get(index, 0.0) for index, count in previous.items())


def hint_after(previous: Histogram | None, current: Histogram) -> ResetHint:
    """The reset hint that a store tells of a sample: unknown at a beginning, at a reset and at a staleness marker, else none.

    Gauges stay gauges. That there was a reset is believed of whoever wrote it; that there was none is looked up.
    """
    if current.reset_hint is ResetHint.GAUGE:
        return ResetHint.GAUGE
    if previous is None or ResetHint.GAUGE is previous.reset_hint or ResetHint.RESET is current.reset_hint:
        return ResetHint.UNKNOWN
    if is_stale(previous.sum) or is_stale(current.sum):
        return ResetHint.UNKNOWN
    unsaid = replace(current, reset_hint=ResetHint.UNKNOWN)
    return ResetHint.UNKNOWN if is_reset(unsaid, previous) else ResetHint.NOT_RESET


def has_same_bits(left: Histogram, right: Histogram) -> bool:
    """Whether two samples are the same, NaN compared by its bits; what is known of resets does not count."""
    if bits_of(left.sum) != bits_of(right.sum):
        return False
    neutral = {"sum": 0.0, "reset_hint": ResetHint.UNKNOWN}
    return repr(replace(left, **neutral)) == repr(replace(right, **neutral))  # type: ignore[arg-type]  # the fields' own kinds
