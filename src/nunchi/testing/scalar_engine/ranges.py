"""Functions of a window besides the rates: `…_over_time`, regression, smoothing. Each makes one value of a window, or none."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import (
    IncompatibleError,
    compact,
    divide,
    harmonize,
    with_buckets,
)
from nunchi.query.compensated import Sum
from nunchi.query.errors import ExecutionError
from nunchi.query.remarks import (
    BAD_QUANTILE,
    IGNORED_IN_RANGE,
    MIXED_KINDS,
    MIXED_SCHEMAS,
    RECONCILED,
    RESETS_COLLIDE,
)
from nunchi.query.syntax.nodes import Call, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation
from nunchi.testing.scalar_engine.histogram_sum import HistogramSum
from nunchi.testing.scalar_engine.rates import change, changes, instant_change, resets
from nunchi.testing.scalar_engine.sums import mean_of, total_of
from nunchi.testing.scalar_engine.values import Point, Value, Window

RangeFunction: TypeAlias = Callable[[Evaluation, Call, Window, int], "Value | None"]


def quantile_of(rank: float, values: list[float]) -> float:
    """The quantile of some numbers, NaN smallest, linear between neighbours."""
    if not values or math.isnan(rank):
        return math.nan
    if rank < 0:
        return -math.inf
    if rank > 1:
        return math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    place = rank * (len(ordered) - 1)
    lower = max(0, math.floor(place))
    upper = min(len(ordered) - 1, lower + 1)
    weight = place - math.floor(place)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def format_g(value: float) -> str:
    """A number as remarks show it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def of_floats(compute: Callable[[list[float]], float]) -> RangeFunction:
    """A function of the numbers of a window; histograms beside them are remarked on, alone they are nothing."""

    def evaluate(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
        del at_ms
        if not window.floats:
            return None
        remark_ignored(evaluation, call, window)
        return compute(window.numbers)

    return evaluate


def remark_ignored(evaluation: Evaluation, call: Call, window: Window) -> None:
    """Say that histograms among numbers were ignored."""
    if window.histograms:
        position = unwrap(call.arguments[0]).span.start
        evaluation.notices.inform(IGNORED_IN_RANGE.format(window.labels.metric_name), position)


def maximum_of(values: list[float]) -> float:
    """The largest number; NaN only where there is nothing else."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def minimum_of(values: list[float]) -> float:
    """The smallest number; NaN only where there is nothing else."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def variance_of(values: list[float]) -> float:
    """The population variance, one value after the other, compensated."""
    mean, squares = Sum(), Sum()
    for count, value in enumerate(values, start=1):
        delta = value - (mean.plain + mean.lost)
        mean.add(delta / count)
        squares.add(delta * (value - (mean.plain + mean.lost)))
    return (squares.plain + squares.lost) / len(values)


def median_deviation_of(values: list[float]) -> float:
    """The median of the distances from the median; NaN where any value is."""
    if any(math.isnan(value) for value in values):
        return math.nan
    middle = quantile_of(0.5, values)
    return quantile_of(0.5, [abs(value - middle) for value in values])


def total_over_time(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> "Value | None":
    """`sum_over_time` and `avg_over_time`."""
    del at_ms
    is_mean = call.function.name == "avg_over_time"
    position = unwrap(call.arguments[0]).span.start
    if not window.histograms:
        numbers = window.numbers
        return mean_of(numbers) if is_mean else total_of(numbers)
    name = window.labels.metric_name
    if window.floats:
        evaluation.notices.warn(MIXED_KINDS.format(name), position)
        return None
    try:
        histograms = [point.value for point in window.points if isinstance(point.value, Histogram)]
        return total_of_histograms(evaluation, histograms, position, is_mean=is_mean)
    except IncompatibleError:
        evaluation.notices.warn(MIXED_SCHEMAS.format(name), position)
        return None


def total_of_histograms(
    evaluation: Evaluation, histograms: list[Histogram], position: int, *, is_mean: bool
) -> Histogram:
    """Sum or mean of histograms, with the remarks it deserves; raises `IncompatibleError`."""
    total = HistogramSum.of(histograms)
    if total.hints_collide:
        evaluation.notices.warn(RESETS_COLLIDE.format("aggregation"), position)
    if total.reconciled:
        evaluation.notices.inform(RECONCILED.format("aggregation"), position)
    result = total.total()
    if not is_mean:
        return compact(result)
    count = len(histograms)
    if math.isinf(result.count) or math.isinf(result.sum):
        return compact(mean_of_histograms(total, histograms))
    return compact(divide(result, count))


def mean_of_histograms(total: HistogramSum, histograms: list[Histogram]) -> Histogram:
    """The mean where a plain sum overflows: each field by itself, as for numbers."""
    fitted = [harmonize(total.layout, histogram)[1] for histogram in histograms]

    def means(sides: list[dict[int, float]]) -> dict[int, float]:
        indices = {index for side in sides for index in side}
        return {index: mean_of([side.get(index, 0.0) for side in sides]) for index in indices}

    mean = with_buckets(
        total.layout, means([dict(h.positive()) for h in fitted]), means([dict(h.negative()) for h in fitted])
    )
    return replace(
        mean,
        count=mean_of([h.count for h in fitted]),
        sum=mean_of([h.sum for h in fitted]),
        zero_count=mean_of([h.zero_count for h in fitted]),
        reset_hint=total.hint,
    )


def regression(points: list[Point], origin_ms: int) -> tuple[float, float]:
    """Slope per second and value at the origin, by least squares, compensated."""
    numbers = [point.value for point in points if not isinstance(point.value, Histogram)]
    first = numbers[0]
    if all(value == first for value in numbers):
        return (math.nan, math.nan) if math.isinf(first) else (0.0, first)
    x_sum, y_sum, xy_sum, xx_sum = Sum(), Sum(), Sum(), Sum()
    for point, value in zip(points, numbers, strict=True):
        x = (point.timestamp_ms - origin_ms) / 1000
        x_sum.add(x)
        y_sum.add(value)
        xy_sum.add(x * value)
        xx_sum.add(x * x)
    count = len(numbers)
    sums = [total.plain + total.lost for total in (x_sum, y_sum, xy_sum, xx_sum)]
    covariance = sums[2] - sums[0] * sums[1] / count
    variance = sums[3] - sums[0] * sums[0] / count
    slope = covariance / variance if variance else math.nan
    return slope, sums[1] / count - slope * sums[0] / count


def deriv(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
    """The slope of the window."""
    del at_ms
    floats = window.floats
    if len(floats) < 2:
        if floats:
            remark_ignored(evaluation, call, window)
        return None
    remark_ignored(evaluation, call, window)
    return regression(floats, floats[0].timestamp_ms)[0]


def predict_linear(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
    """The value some seconds behind the time of evaluation, if the window went on as it did."""
    floats = window.floats
    if len(floats) < 2:
        if floats:
            remark_ignored(evaluation, call, window)
        return None
    remark_ignored(evaluation, call, window)
    seconds = evaluation.number(call.arguments[1], at_ms)
    slope, intercept = regression(floats, at_ms)
    return slope * seconds + intercept


def smoothing(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
    """`double_exponential_smoothing`: a level and a trend, each a running mean."""
    level_factor = evaluation.number(call.arguments[1], at_ms)
    trend_factor = evaluation.number(call.arguments[2], at_ms)
    for title, factor in (("smoothing", level_factor), ("trend", trend_factor)):
        if not 0 < factor < 1:
            raise ExecutionError(f"invalid {title} factor. Expected: 0 < {title[0]}f < 1, got: {factor:f}")
    numbers = window.numbers
    if len(numbers) < 2:
        if numbers:
            remark_ignored(evaluation, call, window)
        return None
    remark_ignored(evaluation, call, window)
    level, trend = numbers[0], numbers[1] - numbers[0]
    earlier = 0.0
    for position, value in enumerate(numbers[1:], start=1):
        if position > 1:
            trend = trend_factor * (level - earlier) + (1 - trend_factor) * trend
        earlier, level = level, level_factor * value + (1 - level_factor) * (level + trend)
    return level


def quantile_over_time(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
    """The quantile of the numbers of a window."""
    if not window.floats:
        return None
    rank = evaluation.number(call.arguments[0], at_ms)
    if window.histograms:
        position = unwrap(call.arguments[1]).span.start
        evaluation.notices.inform(IGNORED_IN_RANGE.format(window.labels.metric_name), position)
    if not 0 <= rank <= 1:
        evaluation.notices.warn(BAD_QUANTILE.format(format_g(rank)), unwrap(call.arguments[0]).span.start)
    return quantile_of(rank, window.numbers)


def _time_of_extreme(*, largest: bool) -> RangeFunction:
    def evaluate(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> float | None:
        del at_ms
        if not window.floats:
            return None
        remark_ignored(evaluation, call, window)
        extreme = (maximum_of if largest else minimum_of)(window.numbers)
        matching = [p for p in window.floats if p.value == extreme or math.isnan(extreme)]
        return matching[-1].timestamp_ms / 1000

    return evaluate


def _timeless(compute: Callable[[Evaluation, Call, Window], "Value | None"]) -> RangeFunction:
    def evaluate(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> "Value | None":
        del at_ms
        return compute(evaluation, call, window)

    return evaluate


def _of_points(compute: Callable[[list[Point]], Value]) -> RangeFunction:
    def evaluate(evaluation: Evaluation, call: Call, window: Window, at_ms: int) -> "Value | None":
        del evaluation, call, at_ms
        return compute(window.points) if window.points else None

    return evaluate


RANGE_FUNCTIONS: Final[dict[str, RangeFunction]] = {
    "rate": _timeless(change),
    "increase": _timeless(change),
    "delta": _timeless(change),
    "irate": _timeless(instant_change),
    "idelta": _timeless(instant_change),
    "resets": _timeless(resets),
    "changes": _timeless(changes),
    "deriv": deriv,
    "predict_linear": predict_linear,
    "double_exponential_smoothing": smoothing,
    "sum_over_time": total_over_time,
    "avg_over_time": total_over_time,
    "count_over_time": _of_points(lambda points: float(len(points))),
    "present_over_time": _of_points(lambda points: 1.0 if points else 0.0),
    "first_over_time": _of_points(lambda points: points[0].value),
    "last_over_time": _of_points(lambda points: points[-1].value),
    "ts_of_first_over_time": _of_points(lambda points: points[0].timestamp_ms / 1000),
    "ts_of_last_over_time": _of_points(lambda points: points[-1].timestamp_ms / 1000),
    "ts_of_max_over_time": _time_of_extreme(largest=True),
    "ts_of_min_over_time": _time_of_extreme(largest=False),
    "min_over_time": of_floats(minimum_of),
    "max_over_time": of_floats(maximum_of),
    "stddev_over_time": of_floats(lambda values: math.sqrt(variance_of(values))),
    "stdvar_over_time": of_floats(variance_of),
    "mad_over_time": of_floats(median_deviation_of),
    "quantile_over_time": quantile_over_time,
}
