"""Binary operators: on numbers, on histograms, and on vectors whose series meet by their labels."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, add, compact, divide, scale
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.statistics import trim
from nunchi.query.remarks import (
    INCOMPATIBLE_BUCKETS,
    INCOMPATIBLE_TYPES,
    RECONCILED,
    RESETS_COLLIDE,
)
from nunchi.query.syntax.nodes import Binary, Cardinality, Matching
from nunchi.query.syntax.operators import ARITHMETIC, COMPARISONS, SET_OPERATORS, TRIMS
from nunchi.testing.scalar_engine.evaluation import Evaluation, Result, elements_of
from nunchi.testing.scalar_engine.values import Element, Value, without_name


def divided(left: float, right: float) -> float:
    """Division as IEEE has it."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def remainder(left: float, right: float) -> float:
    """C's fmod: the sign is the dividend's."""
    if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def power(left: float, right: float) -> float:
    """C's pow: overflow is infinite, a root of a negative number is NaN."""
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        if left == 0:
            is_odd = float(right).is_integer() and right % 2 == 1
            return math.copysign(math.inf, left) if is_odd else math.inf
        return math.nan


ARITHMETIC_OF: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divided,
    "%": remainder,
    "^": power,
    "atan2": math.atan2,
}
COMPARISON_OF: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class Outcome(NamedTuple):
    """What an operator makes of two values: whether there is a result, and it."""

    keep: bool
    value: Value


_NOTHING: Final = Outcome(keep=False, value=0.0)


def combine(evaluation: Evaluation, node: Binary, at_ms: int) -> Result:
    """The value of a binary expression at a time."""
    left, right = evaluation.evaluate(node.left, at_ms), evaluation.evaluate(node.right, at_ms)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if node.operator in COMPARISONS:
            return float(COMPARISON_OF[node.operator](left, right))
        return ARITHMETIC_OF[node.operator](left, right)
    if isinstance(left, (int, float)):
        return _with_scalar(evaluation, node, elements_of(right), float(left), scalar_is_left=True)
    if isinstance(right, (int, float)):
        return _with_scalar(evaluation, node, elements_of(left), float(right), scalar_is_left=False)
    assert node.matching is not None
    if node.operator in SET_OPERATORS:
        return _combine_sets(node.operator, node.matching, elements_of(left), elements_of(right))
    return _combine_vectors(evaluation, node, node.matching, elements_of(left), elements_of(right))


def _with_scalar(
    evaluation: Evaluation, node: Binary, elements: list[Element], scalar: float, *, scalar_is_left: bool
) -> list[Element]:
    kept, changed = [], []
    for element in elements:
        sides = (scalar, element.value) if scalar_is_left else (element.value, scalar)
        outcome = apply(evaluation, node, *sides)
        if node.returns_bool and outcome is not _NOTHING:
            changed.append(replace(element, value=float(outcome.keep)))
        elif outcome.keep and node.operator in COMPARISONS:
            kept.append(replace(element, sample_ms=None))
        elif outcome.keep and node.operator in TRIMS:
            kept.append(replace(element, value=outcome.value, sample_ms=None))
        elif outcome.keep:
            changed.append(replace(element, value=outcome.value))
    return kept or evaluation.renamed(changed)


def apply(evaluation: Evaluation, node: Binary, left: Value, right: Value) -> Outcome:
    """An operator on two values; combinations without a meaning are remarked on and give nothing."""
    operator = node.operator
    if not isinstance(left, Histogram) and not isinstance(right, Histogram):
        if operator in COMPARISONS:
            return Outcome(COMPARISON_OF[operator](left, right), left)
        if operator in ARITHMETIC:
            return Outcome(keep=True, value=ARITHMETIC_OF[operator](left, right))
    elif isinstance(left, Histogram) and isinstance(right, Histogram):
        outcome = _of_histograms(evaluation, node, left, right)
        if outcome is not None:
            return outcome
    elif isinstance(left, Histogram) and not isinstance(right, Histogram):
        if operator == "*":
            return Outcome(keep=True, value=scale(left, right))
        if operator == "/":
            return Outcome(keep=True, value=divide(left, right))
        if operator in TRIMS:
            return Outcome(keep=True, value=trim(left, right, keep_below=operator == "</"))
    elif isinstance(right, Histogram) and not isinstance(left, Histogram) and operator == "*":
        return Outcome(keep=True, value=scale(right, left))
    kinds = ["histogram" if isinstance(side, Histogram) else "float" for side in (left, right)]
    evaluation.notices.inform(INCOMPATIBLE_TYPES.format(operator, *kinds), node.span.start)
    return _NOTHING


def _of_histograms(evaluation: Evaluation, node: Binary, left: Histogram, right: Histogram) -> Outcome | None:
    operator, position = node.operator, node.span.start
    if operator in {"==", "!="}:
        neutral = ResetHint.UNKNOWN
        same = compact(replace(left, reset_hint=neutral)) == compact(replace(right, reset_hint=neutral))
        return Outcome(same is (operator == "=="), left)
    if operator not in {"+", "-"}:
        return None
    word = "addition" if operator == "+" else "subtraction"
    try:
        combined = add(left, right, 1.0 if operator == "+" else -1.0)
    except IncompatibleError:
        evaluation.notices.warn(INCOMPATIBLE_BUCKETS.format(operator), position)
        return _NOTHING
    if combined.hints_collide:
        evaluation.notices.warn(RESETS_COLLIDE.format(word), position)
    if combined.reconciled:
        evaluation.notices.inform(RECONCILED.format(word), position)
    result = compact(combined.histogram)
    return Outcome(keep=True, value=replace(result, reset_hint=ResetHint.GAUGE) if operator == "-" else result)


def match_labels(matching: Matching, labels: Labels) -> Labels:
    """What a series is matched by."""
    if matching.is_on:
        return labels.keep(*matching.labels)
    return labels.drop(*matching.labels, METRIC_NAME)


def _combine_sets(operator: str, matching: Matching, left: list[Element], right: list[Element]) -> list[Element]:
    keys_right = {match_labels(matching, element.labels) for element in right}
    if operator == "or":
        keys_left = {match_labels(matching, element.labels) for element in left}
        return [*left, *(element for element in right if match_labels(matching, element.labels) not in keys_left)]
    wanted = operator == "and"
    return [element for element in left if (match_labels(matching, element.labels) in keys_right) is wanted]


def _combine_vectors(
    evaluation: Evaluation, node: Binary, matching: Matching, left: list[Element], right: list[Element]
) -> list[Element]:
    """One to one, many to one, one to many. `many` and `one` are the sides turned so that the second is unique."""
    swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    # The fills belong to the sides after the turn: with `group_right`, `fill_left` stands in for the many.
    fill_many, fill_one = matching.fill_left, matching.fill_right
    if not many and not one:
        return []
    if (not many or not one) and fill_many is None and fill_one is None:
        return []
    partners = _unique_side(matching, one, "left" if swapped else "right")
    results: list[Element] = []
    taken: dict[Labels, set[Labels]] = {}

    def meet(key: Labels, several: Element, single: Element) -> None:
        if matching.cardinality is Cardinality.ONE_TO_ONE and key in taken:
            raise ExecutionError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        taken.setdefault(key, set())
        sides = (single.value, several.value) if swapped else (several.value, single.value)
        outcome = apply(evaluation, node, *sides)
        if outcome is _NOTHING or not (outcome.keep or node.returns_bool):
            return
        value = float(outcome.keep) if node.returns_bool else outcome.value
        labels = _result_labels(node, matching, several.labels, single.labels)
        if node.returns_bool and not evaluation.settings.delayed_names:
            labels = without_name(labels)
        if labels in taken[key]:
            raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
        taken[key].add(labels)
        drops_name = node.returns_bool or several.drops_name
        results.append(Element(labels, value, drops_name and evaluation.settings.delayed_names))

    keys_many = set()
    for element in many:
        key = match_labels(matching, element.labels)
        keys_many.add(key)
        partner = partners.get(key)
        if partner is not None:
            meet(key, element, partner)
        elif fill_one is not None:
            meet(key, element, Element(key, fill_one))
    if fill_many is not None:
        for key, element in partners.items():
            if key not in keys_many:
                meet(key, Element(key, fill_many), element)
    return results


def _unique_side(matching: Matching, elements: list[Element], side: str) -> dict[Labels, Element]:
    found: dict[Labels, Element] = {}
    for element in elements:
        key = match_labels(matching, element.labels)
        if key in found:
            raise ExecutionError(
                f"found duplicate series for the match group {key} on the {side} hand-side of the operation: "
                f"[{element.labels}, {found[key].labels}];many-to-many matching not allowed: "
                "matching labels must be unique on one side"
            )
        found[key] = element
    return found


def _result_labels(node: Binary, matching: Matching, many: Labels, one: Labels) -> Labels:
    labels = without_name(many) if node.operator in ARITHMETIC else many
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        return labels.keep(*matching.labels) if matching.is_on else labels.drop(*matching.labels)
    return labels.merge({name: one.get(name) for name in matching.include})
