"""Calls: functions of scalars and instant vectors, and the way to those of windows."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from nunchi.model.histogram import Histogram
from nunchi.query.syntax.nodes import Call
from nunchi.testing.scalar_engine.binary import divided
from nunchi.testing.scalar_engine.evaluation import Evaluation, Result
from nunchi.testing.scalar_engine.histogram_functions import HISTOGRAM_FUNCTIONS
from nunchi.testing.scalar_engine.info import info
from nunchi.testing.scalar_engine.label_functions import LABEL_FUNCTIONS, absent_labels
from nunchi.testing.scalar_engine.ranges import RANGE_FUNCTIONS
from nunchi.testing.scalar_engine.values import Element

Function: TypeAlias = Callable[[Evaluation, Call, int], Result]

KEEPING_NAMES: Final = frozenset(("last_over_time", "first_over_time"))


def call(evaluation: Evaluation, node: Call, at_ms: int) -> Result:
    """The value of a call at a time."""
    name = node.function.name
    if name in RANGE_FUNCTIONS:
        return _of_windows(evaluation, node, at_ms)
    return FUNCTIONS_OF[name](evaluation, node, at_ms)


def _of_windows(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    name = node.function.name
    compute = RANGE_FUNCTIONS[name]
    elements = []
    for window in evaluation.windows(node.arguments[1 if name == "quantile_over_time" else 0], at_ms):
        value = compute(evaluation, node, window, at_ms)
        if value is not None:
            elements.append(Element(window.labels, value, window.drops_name))
    return elements if name in KEEPING_NAMES else evaluation.renamed(elements)


def _number_or(value: float, compute: Callable[[float], float]) -> float:
    """A computation where C gives NaN or infinity and Python raises."""
    try:
        return compute(value)
    except ValueError:
        return math.nan
    except OverflowError:
        return math.inf


def _log(base: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else base(value)


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1, value)


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: math.copysign(float(rounding(value)), value) if math.isfinite(value) else value


def _atanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


def _sinh(value: float) -> float:
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(math.inf, value)


_MATH: Final[dict[str, Callable[[float], float]]] = {
    **{
        name: getattr(math, name)
        for name in ("acos", "acosh", "asin", "asinh", "atan", "cos", "cosh", "exp", "sin", "sqrt")
    },
    **{name: getattr(math, name) for name in ("tan", "tanh")},
    "abs": abs,
    "atanh": _atanh,
    "sinh": _sinh,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sgn": _sign,
    "deg": lambda value: value * 180 / math.pi,
    "rad": lambda value: value * math.pi / 180,
}


def _per_number(evaluation: Evaluation, node: Call, at_ms: int, compute: Callable[[float], float]) -> list[Element]:
    """Each number of a vector by itself; histograms are left out."""
    return evaluation.renamed(
        [
            replace(element, value=_number_or(element.value, compute))
            for element in evaluation.vector(node.arguments[0], at_ms)
            if not isinstance(element.value, Histogram)
        ]
    )


def _math(compute: Callable[[float], float]) -> Function:
    return lambda evaluation, node, at_ms: _per_number(evaluation, node, at_ms, compute)


def _clamp(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    bounds = [evaluation.number(argument, at_ms) for argument in node.arguments[1:]]
    if node.function.name == "clamp_min":
        low, high = bounds[0], math.inf
    elif node.function.name == "clamp_max":
        low, high = -math.inf, bounds[0]
    else:
        low, high = bounds
    if high < low:
        evaluation.vector(node.arguments[0], at_ms)  # its errors and remarks count all the same
        return []
    return _per_number(evaluation, node, at_ms, lambda value: _greater(low, _lesser(high, value)))


def _greater(left: float, right: float) -> float:
    """The greater of two; NaN where either is, but that infinity is greater than NaN too."""
    if math.inf in (left, right):
        return math.inf
    return math.nan if math.isnan(left) or math.isnan(right) else max(left, right)


def _lesser(left: float, right: float) -> float:
    """The lesser of two; NaN where either is, but that minus infinity is less than NaN too."""
    return -_greater(-left, -right)


def _round(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    to = evaluation.number(node.arguments[1], at_ms) if len(node.arguments) > 1 else 1.0
    inverse = divided(1.0, to)

    def rounded(value: float) -> float:
        place = value * inverse + 0.5
        return divided(float(math.floor(place)) if math.isfinite(place) else place, inverse)

    return _per_number(evaluation, node, at_ms, rounded)


_CYCLE_SECONDS: Final = 146_097 * 86_400
_ABSOLUTE_SECONDS: Final = 106_751_991_073_094 * 86_400  # from where Go's unsigned calendar begins, to 1970


def _date(part: Callable[[datetime], int]) -> Function:
    def evaluate(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
        def compute(value: float) -> float:
            seconds = int(value) if -(2.0**63) <= value < 2.0**63 else -(2**63)
            seconds = (seconds + _ABSOLUTE_SECONDS) % 2**64 - _ABSOLUTE_SECONDS
            # The calendar repeats itself every 400 years, weekdays included: Python's knows the years 1 to 9999 alone.
            cycles, rest = divmod(seconds, _CYCLE_SECONDS)
            date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=rest)
            return float(part(date)) + (400 * cycles if part is _DATES["year"] else 0)

        if not node.arguments:
            return [Element(_NO_LABELS, compute(at_ms / 1000))]
        return _per_number(evaluation, node, at_ms, compute)

    return evaluate


def _days_in_month(date: datetime) -> int:
    import calendar

    return calendar.monthrange(date.year, date.month)[1]


_DATES: Final[dict[str, Callable[[datetime], int]]] = {
    "minute": lambda date: date.minute,
    "hour": lambda date: date.hour,
    "day_of_week": lambda date: date.isoweekday() % 7,
    "day_of_month": lambda date: date.day,
    "day_of_year": lambda date: date.timetuple().tm_yday,
    "days_in_month": _days_in_month,
    "month": lambda date: date.month,
    "year": lambda date: date.year,
}


def _timestamp(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    elements = evaluation.vector(node.arguments[0], at_ms)
    return evaluation.renamed(
        [
            replace(element, value=(at_ms if element.sample_ms is None else element.sample_ms) / 1000)
            for element in elements
        ]
    )


def _start_timestamp(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    elements = evaluation.vector(node.arguments[0], at_ms)
    return evaluation.renamed([replace(element, value=element.start_ms / 1000) for element in elements])


def _scalar(evaluation: Evaluation, node: Call, at_ms: int) -> float:
    numbers = [e.value for e in evaluation.vector(node.arguments[0], at_ms) if not isinstance(e.value, Histogram)]
    return numbers[0] if len(numbers) == 1 else math.nan


def _vector(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    return [Element(_NO_LABELS, evaluation.number(node.arguments[0], at_ms))]


def _extreme(choose: Callable[[float, float], float]) -> Function:
    def evaluate(evaluation: Evaluation, node: Call, at_ms: int) -> float:
        left, right = (evaluation.number(argument, at_ms) for argument in node.arguments)
        return math.nan if math.isnan(left) or math.isnan(right) else choose(left, right)

    return evaluate


def _absent(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    return [] if evaluation.vector(node.arguments[0], at_ms) else [Element(absent_labels(node.arguments[0]), 1.0)]


def _absent_over_time(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    present = any(window.points for window in evaluation.windows(node.arguments[0], at_ms))
    return [] if present else [Element(absent_labels(node.arguments[0]), 1.0)]


_NO_LABELS: Final = absent_labels(None)

FUNCTIONS_OF: Final[dict[str, Function]] = {
    **{name: _math(compute) for name, compute in _MATH.items()},
    **{name: _date(part) for name, part in _DATES.items()},
    **HISTOGRAM_FUNCTIONS,
    **LABEL_FUNCTIONS,
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "clamp": _clamp,
    "clamp_max": _clamp,
    "clamp_min": _clamp,
    "end": lambda evaluation, *_: evaluation.end_ms / 1000,
    "info": info,
    "max_of": _extreme(max),
    "min_of": _extreme(min),
    "pi": lambda *_: math.pi,
    "range": lambda evaluation, *_: (evaluation.end_ms - evaluation.start_ms) / 1000,
    "round": _round,
    "scalar": _scalar,
    "start": lambda evaluation, *_: evaluation.start_ms / 1000,
    "start_timestamp": _start_timestamp,
    "step": lambda evaluation, *_: evaluation.step_ms / 1000,
    "time": lambda evaluation, node, at_ms: at_ms / 1000,
    "timestamp": _timestamp,
    "vector": _vector,
}
