"""`label_replace`, `label_join`, the sorts, and the labels of what is absent."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nunchi.model.histogram import Histogram
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import MatchOperator, RegexError, compile_regex
from nunchi.query.errors import ExecutionError
from nunchi.query.remarks import SORT_IN_RANGE
from nunchi.query.syntax.literals import readable
from nunchi.query.syntax.nodes import Call, MatrixSelector, Node, VectorSelector, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation, Result
from nunchi.testing.scalar_engine.values import Element

_REFERENCE = re.compile(r"\$(?:\$|(?P<word>[A-Za-z0-9_]+)|\{(?P<braced>[A-Za-z0-9_]+)\})")
_PIECES = re.compile(r"\d+|\D+")


def absent_labels(node: Node | None) -> Labels:
    """The labels that a missing series would have had: those of `=` matchers, each named once."""
    inner = None if node is None else unwrap(node)
    selector = inner.selector if isinstance(inner, MatrixSelector) else inner
    if not isinstance(selector, VectorSelector):
        return Labels()
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.operator is MatchOperator.EQUAL and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return Labels(labels)


def expand(template: str, match: object) -> str:
    """`$1`, `${1}` and `${name}` replaced by what a match found; what it did not find is empty."""

    def group(reference: "re.Match[str]") -> str:
        name = reference["word"] or reference["braced"]
        if name is None:
            return "$"
        try:
            found = match.group(int(name) if name.isdigit() else name)  # type: ignore[attr-defined] # RE2's match object
        except (IndexError, KeyError):
            return ""
        return found or ""

    return _REFERENCE.sub(group, template)


def _relabelled(evaluation: Evaluation, element: Element, name: str, value: str) -> Element:
    """The element with one label set, or removed by an empty value. Setting the metric name keeps it."""
    labels = element.labels
    if element.drops_name and name == METRIC_NAME:
        return replace(element, labels=labels.merge({name: value}), drops_name=False)
    del evaluation
    return replace(element, labels=labels.merge({name: value}))


def _is_name(text: str) -> bool:
    return bool(text) and readable(text) == text


def _label_replace(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    target, template, source, pattern = (evaluation.text(argument, at_ms) for argument in node.arguments[1:])
    try:
        regex = compile_regex(pattern)
    except RegexError:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from None
    if not _is_name(target):
        raise ExecutionError(f"invalid destination label name in label_replace(): {target}")
    elements = []
    for element in evaluation.vector(node.arguments[0], at_ms):
        match = regex.match(element.labels.get(source))
        renamed = element if match is None else _relabelled(evaluation, element, target, expand(template, match))
        elements.append(replace(renamed, sample_ms=None))
    return evaluation.distinct(elements)


def _label_join(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    target, separator, *sources = (evaluation.text(argument, at_ms) for argument in node.arguments[1:])
    if not _is_name(target):
        raise ExecutionError(f"invalid destination label name in label_join(): {target}")
    for source in sources:
        if not _is_name(source):
            raise ExecutionError(f"invalid source label name in label_join(): {source}")
    elements = []
    for element in evaluation.vector(node.arguments[0], at_ms):
        value = separator.join(element.labels.get(source) for source in sources)
        elements.append(replace(_relabelled(evaluation, element, target, value), sample_ms=None))
    return evaluation.distinct(elements)


def _sort(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    """By value, NaN last in both directions; histograms are left out."""
    if evaluation.step_ms:
        evaluation.notices.warn(SORT_IN_RANGE, node.span.start)
    sign = -1.0 if node.function.name == "sort_desc" else 1.0
    numbers = [(e.value, e) for e in evaluation.vector(node.arguments[0], at_ms) if not isinstance(e.value, Histogram)]
    numbers.sort(key=lambda pair: (math.isnan(pair[0]), 0.0 if math.isnan(pair[0]) else sign * pair[0]))
    return [replace(element, sample_ms=None) for _, element in numbers]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Text in natural order: digits by their number."""
    return [(0, int(piece), piece) if piece.isdigit() else (1, 0, piece) for piece in _PIECES.findall(text)]


def _sort_by_label(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    if evaluation.step_ms:
        evaluation.notices.warn(SORT_IN_RANGE, node.span.start)
    names = [evaluation.text(argument, at_ms) for argument in node.arguments[1:]]
    elements = [replace(element, sample_ms=None) for element in evaluation.vector(node.arguments[0], at_ms)]
    elements.sort(
        key=lambda e: ([natural_key(e.labels.get(name)) for name in names], e.labels.pairs),
        reverse=node.function.name == "sort_by_label_desc",
    )
    return elements


LABEL_FUNCTIONS: Final[dict[str, Callable[[Evaluation, Call, int], Result]]] = {
    "label_replace": _label_replace,
    "label_join": _label_join,
    "sort": _sort,
    "sort_desc": _sort,
    "sort_by_label": _sort_by_label,
    "sort_by_label_desc": _sort_by_label,
}
