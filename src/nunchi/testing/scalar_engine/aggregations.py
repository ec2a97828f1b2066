"""Aggregations: groups of an instant vector, each made into one value, or into some of its members."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import IncompatibleError
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.query.errors import ExecutionError
from nunchi.query.operators.histogram_text import describe_histogram
from nunchi.query.remarks import (
    BAD_QUANTILE,
    BAD_RATIO,
    IGNORED_IN_AGGREGATION,
    MIXED_KINDS_AGGREGATION,
    MIXED_SCHEMAS_AGGREGATION,
)
from nunchi.query.syntax.literals import format_number
from nunchi.query.syntax.nodes import Aggregation, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation
from nunchi.testing.scalar_engine.hashing import label_hash
from nunchi.testing.scalar_engine.ranges import (
    format_g,
    maximum_of,
    minimum_of,
    quantile_of,
    total_of_histograms,
)
from nunchi.testing.scalar_engine.sums import mean_of, total_of
from nunchi.testing.scalar_engine.values import Element, Value

_INTEGER_MAX: Final = 2**63


def aggregate(evaluation: Evaluation, node: Aggregation, at_ms: int) -> list[Element]:
    """The value of an aggregation at a time."""
    elements = evaluation.vector(node.expression, at_ms)
    if node.operator == "count_values":
        assert node.parameter is not None
        return _count_values(evaluation, node, elements, evaluation.text(node.parameter, at_ms))
    parameter = 0.0 if node.parameter is None else evaluation.number(node.parameter, at_ms)
    if node.operator in {"topk", "bottomk", "limitk"}:
        _check_count(parameter)
    if node.operator == "quantile" and not 0 <= parameter <= 1:
        assert node.parameter is not None
        evaluation.notices.warn(BAD_QUANTILE.format(format_g(parameter)), node.parameter.span.start)
    if node.operator == "limit_ratio":
        parameter = _checked_ratio(evaluation, node, parameter)
    groups: dict[Labels, list[Element]] = {}
    for element in elements:
        groups.setdefault(group_labels(node, element.labels), []).append(element)
    if node.operator in SELECTING:
        return [
            replace(element, sample_ms=None)
            for members in groups.values()
            for element in SELECTING[node.operator](evaluation, node, members, parameter)
        ]
    results = []
    for labels, members in groups.items():
        value = _reduced(evaluation, node, members, parameter)
        if value is not None:
            drops_name = any(member.drops_name for member in members)
            results.append(Element(labels, value, drops_name))
    return results


def group_labels(node: Aggregation, labels: Labels) -> Labels:
    """The labels of the group that a series belongs to."""
    return labels.drop(*node.grouping, METRIC_NAME) if node.without else labels.keep(*node.grouping)


def _check_count(parameter: float) -> None:
    if math.isnan(parameter):
        raise ExecutionError("parameter value is NaN")
    if not -_INTEGER_MAX < parameter < _INTEGER_MAX:
        raise ExecutionError(f"scalar value {format_g(parameter)} overflows int64")


def _checked_ratio(evaluation: Evaluation, node: Aggregation, ratio: float) -> float:
    assert node.parameter is not None
    if math.isnan(ratio):
        raise ExecutionError("ratio value is NaN")
    capped = min(1.0, max(-1.0, ratio))
    if capped != ratio:
        evaluation.notices.warn(BAD_RATIO.format(format_g(ratio), format_g(capped)), node.parameter.span.start)
    return capped


def _reduced(evaluation: Evaluation, node: Aggregation, members: list[Element], parameter: float) -> "Value | None":
    """One value of a group's members."""
    operator, position = node.operator, unwrap(node.expression).span.start
    if operator == "count":
        return float(len(members))
    if operator == "group":
        return 1.0
    numbers = [member.value for member in members if not isinstance(member.value, Histogram)]
    histograms = [member.value for member in members if isinstance(member.value, Histogram)]
    if operator in {"sum", "avg"}:
        if numbers and histograms:
            evaluation.notices.warn(MIXED_KINDS_AGGREGATION, position)
            return None
        if numbers:
            return total_of(numbers) if operator == "sum" else mean_of(numbers)
        try:
            return total_of_histograms(evaluation, histograms, position, is_mean=operator == "avg")
        except IncompatibleError:
            evaluation.notices.warn(MIXED_SCHEMAS_AGGREGATION, position)
            return None
    if histograms:
        evaluation.notices.inform(IGNORED_IN_AGGREGATION.format(operator), position)
    if not numbers:
        return None
    if operator == "quantile":
        return quantile_of(parameter, numbers)
    return NUMERIC[operator](numbers)


def _variance(numbers: list[float]) -> float:
    mean, squares = numbers[0], 0.0
    if not math.isfinite(mean):
        return math.nan
    for count, value in enumerate(numbers[1:], start=2):
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
    return squares / len(numbers)


NUMERIC: Final[dict[str, Callable[[list[float]], float]]] = {
    "max": maximum_of,
    "min": minimum_of,
    "stddev": lambda numbers: math.sqrt(_variance(numbers)),
    "stdvar": _variance,
}


def _largest(evaluation: Evaluation, node: Aggregation, members: list[Element], parameter: float) -> list[Element]:
    """`topk` and `bottomk`: NaN loses, among equals the first wins."""
    sign = -1.0 if node.operator == "topk" else 1.0
    numbers = [member for member in members if not isinstance(member.value, Histogram)]
    if len(numbers) != len(members):
        evaluation.notices.inform(IGNORED_IN_AGGREGATION.format(node.operator), unwrap(node.expression).span.start)
    if parameter < 1:
        return []

    def order(member: Element) -> tuple[bool, float]:
        assert not isinstance(member.value, Histogram)
        return math.isnan(member.value), 0.0 if math.isnan(member.value) else sign * member.value

    return sorted(numbers, key=order)[: int(parameter)]


def _first(evaluation: Evaluation, node: Aggregation, members: list[Element], parameter: float) -> list[Element]:
    """`limitk`: the first ones."""
    del evaluation, node
    return members[: int(parameter)] if parameter >= 1 else []


def _share(evaluation: Evaluation, node: Aggregation, members: list[Element], parameter: float) -> list[Element]:
    """`limit_ratio`: those whose hash lies in the share asked for; a negative ratio asks for the others."""
    del evaluation, node
    places = [(label_hash(member.labels) / (2**64 - 1), member) for member in members]
    if parameter >= 0:
        return [member for place, member in places if place < parameter]
    return [member for place, member in places if place >= 1 + parameter]


SELECTING: Final[dict[str, Callable[[Evaluation, Aggregation, list[Element], float], list[Element]]]] = {
    "topk": _largest,
    "bottomk": _largest,
    "limitk": _first,
    "limit_ratio": _share,
}


def _count_values(evaluation: Evaluation, node: Aggregation, elements: list[Element], label: str) -> list[Element]:
    if not label:
        raise ExecutionError(f'invalid label name "{label}"')
    groups: dict[Labels, list[Element]] = {}
    for element in elements:
        value = element.value
        text = describe_histogram(value) if isinstance(value, Histogram) else format_number(value)
        base = group_labels(node, element.labels)
        groups.setdefault(base.merge({label: text}), []).append(element)
    del evaluation
    return [
        Element(labels, float(len(members)), any(member.drops_name for member in members))
        for labels, members in groups.items()
    ]
