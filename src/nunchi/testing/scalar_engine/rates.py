"""`rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`: how a series moved within a window.

Extrapolation: the raw difference is stretched to the borders of the window where samples stand close enough to them. Where a
start timestamp lies within the window, counting began there at zero, and nothing is stretched on that side.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import (
    IncompatibleError,
    add,
    compact,
    divide,
    is_reset,
    scale,
)
from nunchi.query.remarks import (
    MAYBE_NOT_COUNTER,
    MIXED_KINDS,
    MIXED_SCHEMAS,
    NOT_COUNTER,
    NOT_GAUGE,
    RECONCILED,
    START_OVERLAP,
)
from nunchi.query.syntax.nodes import Call, Extension, MatrixSelector, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation
from nunchi.testing.scalar_engine.interpolation import MixedKindsError, interpolate
from nunchi.testing.scalar_engine.values import Point, Value, Window

NEAR_FACTOR: Final = 1.1
_COUNTER_SUFFIXES: Final = ("_total", "_sum", "_count", "_bucket")
_COUNTERS: Final = frozenset(("rate", "increase", "irate"))


def change(evaluation: Evaluation, call: Call, window: Window) -> "Value | None":
    """`rate`, `increase` or `delta` of one window."""
    selector = unwrap(call.arguments[0])
    extension = selector.selector.extension if isinstance(selector, MatrixSelector) else None
    if extension is not None:
        return _extended(evaluation, call, window, extension)
    is_counter = call.function.name in _COUNTERS
    position = unwrap(call.arguments[0]).span.start
    points = window.points
    name = window.labels.metric_name
    if is_counter:
        _warn_of_overlaps(evaluation, points, name, position)
    zero = _start_of(points, window) if is_counter else None
    if len(points) < 2 and zero is None:
        return None
    if window.floats and window.histograms:
        evaluation.notices.warn(MIXED_KINDS.format(name), position)
        return None
    raw = _raw_change(evaluation, points, name, position, is_counter=is_counter, from_zero=zero is not None)
    if raw is None:
        return None
    factor = _stretch(points, window, raw, zero, is_counter=is_counter)
    if call.function.name == "rate":
        factor /= (window.end_ms - window.start_ms) / 1000
    if isinstance(raw, Histogram):
        return scale(raw, factor)
    if is_counter and name and not name.endswith(_COUNTER_SUFFIXES):
        evaluation.notices.inform(MAYBE_NOT_COUNTER.format(name), position)
    return raw * factor


def _start_of(points: Sequence[Point], window: Window) -> int | None:
    """When the first sample began to count, if that is within the window and before it."""
    start = points[0].start_timestamp_ms if points else 0
    return start if start and window.start_ms < start < points[0].timestamp_ms else None


def _warn_of_overlaps(evaluation: Evaluation, points: Sequence[Point], name: str, position: int) -> None:
    for previous, current in pairwise(points):
        start = current.start_timestamp_ms
        if start and start < previous.timestamp_ms and start != previous.start_timestamp_ms:
            evaluation.notices.warn(START_OVERLAP.format(name), position)


def started_anew(previous: Point, current: Point) -> bool:
    """Whether start timestamps tell that a counter began again between two samples."""
    start = current.start_timestamp_ms
    if not start or start >= current.timestamp_ms or start < previous.timestamp_ms:
        return False
    return start > previous.timestamp_ms or 0 < previous.start_timestamp_ms < previous.timestamp_ms


def _stretch(points: Sequence[Point], window: Window, raw: Value, zero: int | None, *, is_counter: bool) -> float:
    """By how much the raw difference grows to cover the window."""
    first = zero if zero is not None else points[0].timestamp_ms
    last = points[-1].timestamp_ms
    span = (last - first) / 1000
    average = (last - points[0].timestamp_ms) / 1000 / (len(points) - 1) if len(points) > 1 else 0.0
    to_start = 0.0 if zero is not None else (first - window.start_ms) / 1000
    to_end = (window.end_ms - last) / 1000
    near = average * NEAR_FACTOR
    if zero is None:
        if to_start >= near:
            to_start = average / 2
        if is_counter:
            total, begin = _counted(raw), _counted(points[0].value)
            if total > 0 and begin >= 0:
                to_start = min(to_start, span * (begin / total))
    if to_end >= near:
        to_end = average / 2
    return (span + to_start + to_end) / span


def _counted(value: Value) -> float:
    return value.count if isinstance(value, Histogram) else value


def _raw_change(
    evaluation: Evaluation, points: Sequence[Point], name: str, position: int, *, is_counter: bool, from_zero: bool
) -> "Value | None":
    """Last minus first, plus what resets took away."""
    if isinstance(points[0].value, Histogram):
        return _raw_histogram(evaluation, points, name, position, is_counter=is_counter, from_zero=from_zero)
    values = [point.value for point in points]
    total = values[-1] - (0.0 if from_zero else values[0])  # type: ignore[operator] # all are numbers
    if is_counter:
        for previous, current in pairwise(points):
            if current.value < previous.value or started_anew(previous, current):  # type: ignore[operator] # numbers
                total += previous.value  # type: ignore[operator] # numbers
    return total


def _raw_histogram(
    evaluation: Evaluation, points: Sequence[Point], name: str, position: int, *, is_counter: bool, from_zero: bool
) -> Histogram | None:
    histograms = [point.value for point in points if isinstance(point.value, Histogram)]
    first, last = histograms[0], histograms[-1]
    if is_counter and any(histogram.reset_hint is ResetHint.GAUGE for histogram in histograms):
        evaluation.notices.warn(NOT_COUNTER.format(name), position)
    if not is_counter and not (first.reset_hint is last.reset_hint is ResetHint.GAUGE):
        evaluation.notices.warn(NOT_GAUGE.format(name), position)
    anew = [
        is_counter and (is_reset(current.value, previous.value) or started_anew(previous, current))  # type: ignore[arg-type] # histograms
        for previous, current in pairwise(points)
    ]
    if from_zero:
        first = replace(
            histograms[0],
            count=0.0,
            sum=0.0,
            zero_count=0.0,
            positive_spans=(),
            positive_buckets=(),
            negative_spans=(),
            negative_buckets=(),
        )
    elif anew and anew[0]:
        second = histograms[1]
        first = Histogram(second.schema, custom_values=second.custom_values, zero_threshold=second.zero_threshold)
    relevant = histograms if from_zero else [first, *histograms[1:]]
    try:
        combined = add(last, first, -1.0)
        reconciled = "subtraction" if combined.reconciled else ""
        total = combined.histogram
        for previous, was_reset in zip(relevant, anew, strict=False):
            if was_reset:
                combined = add(total, previous)
                total = combined.histogram
                reconciled = reconciled or ("addition" if combined.reconciled else "")
        for histogram in relevant:
            add(total, histogram)
    except IncompatibleError:
        evaluation.notices.warn(MIXED_SCHEMAS.format(name), position)
        return None
    if reconciled:
        evaluation.notices.inform(RECONCILED.format(reconciled), position)
    return replace(compact(total), reset_hint=ResetHint.GAUGE)


def instant_change(evaluation: Evaluation, call: Call, window: Window) -> "Value | None":
    """`irate` or `idelta` of one window: its last two samples alone."""
    is_rate = call.function.name == "irate"
    position = unwrap(call.arguments[0]).span.start
    name = window.labels.metric_name
    if len(window.points) < 2:
        return None
    previous, current = window.points[-2:]
    seconds = (current.timestamp_ms - previous.timestamp_ms) / 1000
    was_started = is_rate and started_anew(previous, current)
    left, right = previous.value, current.value
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        return _instant_histogram(evaluation, left, right, name, position, seconds if is_rate else None, was_started)
    if isinstance(left, Histogram) or isinstance(right, Histogram):
        evaluation.notices.warn(MIXED_KINDS.format(name), position)
        return None
    difference = right if is_rate and (right < left or was_started) else right - left
    return difference / seconds if is_rate else difference


def _instant_histogram(
    evaluation: Evaluation,
    left: Histogram,
    right: Histogram,
    name: str,
    position: int,
    seconds: float | None,
    was_started: bool,
) -> Histogram | None:
    gauges = {left.reset_hint, right.reset_hint}
    if seconds is not None and ResetHint.GAUGE in gauges:
        evaluation.notices.warn(NOT_COUNTER.format(name), position)
    if seconds is None and gauges != {ResetHint.GAUGE}:
        evaluation.notices.warn(NOT_GAUGE.format(name), position)
    difference = right
    if seconds is None or not (was_started or is_reset(right, left)):
        try:
            combined = add(right, left, -1.0)
        except IncompatibleError:
            evaluation.notices.warn(MIXED_SCHEMAS.format(name), position)
            return None
        if combined.reconciled:
            evaluation.notices.inform(RECONCILED.format("subtraction"), position)
        difference = combined.histogram
    if seconds is not None:
        difference = divide(difference, seconds)
    return replace(compact(difference), reset_hint=ResetHint.GAUGE)


def _extended(evaluation: Evaluation, call: Call, window: Window, extension: Extension) -> "Value | None":
    """The change between the borders of the window: the sample at or before each (anchored), or the value on the line
    between the samples around each (smoothed). Nothing is extrapolated.
    """
    is_counter = call.function.name in _COUNTERS
    position = unwrap(call.arguments[0]).span.start
    name = window.labels.metric_name
    known = [*([window.before] if window.before else []), *window.points]
    after = window.after if extension is Extension.SMOOTHED else None
    if window.points and window.points[-1].timestamp_ms == window.end_ms:
        after = None
    if not window.points and after is None:
        return None
    everything = [*known, *([after] if after else [])]
    if len({isinstance(point.value, Histogram) for point in everything}) > 1:
        evaluation.notices.warn(MIXED_KINDS.format(name), position)
        return None
    try:
        path = _extended_path(window, extension, everything, after, is_counter=is_counter)
        raw = _extended_raw(evaluation, path, everything, name, position, is_counter=is_counter)
    except IncompatibleError:
        evaluation.notices.warn(MIXED_SCHEMAS.format(name), position)
        return None
    except MixedKindsError:
        evaluation.notices.warn(MIXED_KINDS.format(name), position)
        return None
    seconds = (window.end_ms - window.start_ms) / 1000
    if isinstance(raw, Histogram):
        raw = replace(compact(raw), reset_hint=ResetHint.GAUGE)
        return divide(raw, seconds) if call.function.name == "rate" else raw
    if is_counter and name and not name.endswith(_COUNTER_SUFFIXES):
        evaluation.notices.inform(MAYBE_NOT_COUNTER.format(name), position)
    return raw / seconds if call.function.name == "rate" else raw


class _Path(NamedTuple):
    """The values that the series takes through the window; between interpolated ones and their neighbours resets are
    accounted for already: only those between `counted_from` and `counted_to` are left.
    """

    values: list[Value]
    counted_from: int
    counted_to: int


def _extended_path(
    window: Window, extension: Extension, everything: Sequence[Point], after: Point | None, *, is_counter: bool
) -> _Path:
    values = [point.value for point in everything]
    if extension is Extension.ANCHORED or len(everything) < 2:
        return _Path(values, 0, len(values) - 1)
    first, second, last = everything[0], everything[1], everything[-1]
    counted_from, counted_to = 0, len(values) - 1
    is_one_gap = after is not None and len(everything) == 2
    if first.timestamp_ms < window.start_ms:
        values[0] = interpolate(first, second, window.start_ms, is_counter=is_counter, at_left_edge=True)
        counted_from = 1
    if after is not None:
        before = everything[-2]
        from_zero = is_one_gap and counted_from == 1
        values[-1] = interpolate(before, last, window.end_ms, is_counter=is_counter, at_left_edge=from_zero)
        counted_to -= 1
    return _Path(values, counted_from, counted_to)


def _extended_raw(
    evaluation: Evaluation,
    path: _Path,
    everything: Sequence[Point],
    name: str,
    position: int,
    *,
    is_counter: bool,
) -> Value:
    values = path.values
    counted = slice(path.counted_from, path.counted_to + 1)
    floats = [value for value in values if not isinstance(value, Histogram)]
    if len(floats) == len(values):
        total = floats[-1] - floats[0]
        lost = [left for left, right in pairwise(floats[counted]) if right < left]
        for value in lost if is_counter else ():
            total += value
        return total
    histograms = [value for value in values if isinstance(value, Histogram)]
    seen = [point.value.reset_hint for point in everything if isinstance(point.value, Histogram)]
    if is_counter and ResetHint.GAUGE in seen:
        evaluation.notices.warn(NOT_COUNTER.format(name), position)
    if not is_counter and not (seen[0] is seen[-1] is ResetHint.GAUGE):
        evaluation.notices.warn(NOT_GAUGE.format(name), position)
    difference = add(histograms[-1], histograms[0], -1.0).histogram
    if is_counter:
        for previous, current in pairwise(histograms[counted]):
            if is_reset(current, previous):
                difference = add(difference, previous).histogram
    return difference


def resets(_: Evaluation, call: Call, window: Window) -> float | None:
    """How often a counter began again; a change between number and histogram counts too."""
    points = _with_anchor(call, window)
    if points is None:
        return None
    return float(
        sum(
            started_anew(previous, current) or _is_reset(previous.value, current.value)
            for previous, current in pairwise(points)
        )
    )


def _is_reset(previous: Value, current: Value) -> bool:
    if isinstance(previous, Histogram) and isinstance(current, Histogram):
        return is_reset(current, previous)
    if isinstance(previous, Histogram) or isinstance(current, Histogram):
        return True
    return current < previous


def changes(_: Evaluation, call: Call, window: Window) -> float | None:
    """How often the value changed; NaN after NaN is none."""
    points = _with_anchor(call, window)
    if points is None:
        return None
    pairs = pairwise(points)
    return float(sum(not _is_same(previous.value, current.value) for previous, current in pairs))


def _is_same(previous: Value, current: Value) -> bool:
    if isinstance(previous, Histogram) and isinstance(current, Histogram):
        neutral = ResetHint.UNKNOWN
        return compact(replace(previous, reset_hint=neutral)) == compact(replace(current, reset_hint=neutral))
    return previous == current or (previous != previous and current != current)  # noqa: PLR0124 (NaN)


def _with_anchor(call: Call, window: Window) -> list[Point] | None:
    selector = unwrap(call.arguments[0])
    is_extended = isinstance(selector, MatrixSelector) and selector.selector.extension is not None
    if not window.points:
        return None
    if is_extended and window.before is not None:
        return [window.before, *window.points]
    return window.points


__all__ = ["change", "changes", "instant_change", "resets", "started_anew"]
