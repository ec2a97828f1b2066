"""`info`: series enriched with the labels of info metrics that share their identifying labels."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.query.errors import ExecutionError
from nunchi.query.syntax.nodes import Call, MatrixSelector, Node, Subquery, VectorSelector, children, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation
from nunchi.testing.scalar_engine.values import Element

IDENTIFYING: Final = ("instance", "job")
DEFAULT_INFO: Final = "target_info"


def info(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    """The value of `info` at a time."""
    base = evaluation.vector(node.arguments[0], at_ms)
    refinement = unwrap(node.arguments[1]) if len(node.arguments) > 1 else None
    matchers = refinement.matchers if isinstance(refinement, VectorSelector) else ()
    name_matchers = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    data_matchers = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    if not name_matchers:
        name_matchers = [Matcher(METRIC_NAME, MatchOperator.EQUAL, DEFAULT_INFO)]
    candidates = _info_series(evaluation, node.arguments[0], at_ms, [*name_matchers, *data_matchers])
    enriched = []
    positive = [matcher for matcher in name_matchers if not matcher.is_negative]
    for element in base:
        if positive and all(matcher.matches(element.labels.metric_name) for matcher in positive):
            enriched.append(replace(element, sample_ms=None))
            continue
        found = _enriched(element, candidates, data_matchers)
        if found is not None:
            enriched.append(replace(found, sample_ms=None))
    return evaluation.distinct(enriched)


def _info_series(evaluation: Evaluation, base: Node, at_ms: int, matchers: list[Matcher]) -> list[Element]:
    """The info series as of the time that the base series are read at."""
    reference = at_ms
    for pinned in _time_shifts(base):
        reference = evaluation.reference_ms(pinned.at, pinned.offset_ms, reference)
    if any(matcher.name == METRIC_NAME and not matcher.is_negative for matcher in matchers):
        selected = matchers
    else:
        selected = [*matchers, Matcher(METRIC_NAME, MatchOperator.REGEX, ".+_info")]
    return evaluation.select_vector(VectorSelector("", tuple(selected)), reference)


def _time_shifts(node: Node) -> "Iterator[VectorSelector | Subquery]":
    """The selectors and subqueries on the way to the first selector, outermost first."""
    if isinstance(node, MatrixSelector):
        node = node.selector
    if isinstance(node, VectorSelector):
        yield node
        return
    if isinstance(node, Subquery):
        yield node
    for child in children(node):
        found = list(_time_shifts(child))
        if found:
            yield from found
            return


def _enriched(element: Element, candidates: list[Element], data_matchers: list[Matcher]) -> Element | None:
    """The element with the data labels that belong to it; None where a label is demanded that nothing has."""
    own = {name: element.labels.get(name) for name in IDENTIFYING if element.labels.get(name)}
    newest: dict[str, Element] = {}
    for candidate in candidates if own else ():
        if {name: candidate.labels.get(name) for name in IDENTIFYING if candidate.labels.get(name)} != own:
            continue
        rival = newest.setdefault(candidate.labels.metric_name, candidate)
        if rival is not candidate:
            times = (rival.sample_ms or 0, candidate.sample_ms or 0)
            if times[0] == times[1]:
                raise ExecutionError(f"found duplicate series for info metric: {rival.labels} and {candidate.labels}")
            newest[candidate.labels.metric_name] = rival if times[0] > times[1] else candidate
    if not newest and any(not matcher.matches_empty() for matcher in data_matchers):
        return None
    wanted = {matcher.name for matcher in data_matchers}
    labels: dict[str, str] = {}
    for name, value in (pair for candidate in newest.values() for pair in candidate.labels.pairs):
        if name == METRIC_NAME or name in IDENTIFYING or (wanted and name not in wanted) or element.labels.get(name):
            continue
        if labels.setdefault(name, value) != value:
            raise ExecutionError(f"conflicting label: {name}")
    return replace(element, labels=Labels({**dict(element.labels.pairs), **labels}))
