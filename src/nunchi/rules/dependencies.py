"""Which metric names an expression may read: so that a rule sees what the rules before it in the group have just written.

Invariant: where it cannot be told the answer is "any"; a name is never left out.
"""

from typing import TypeAlias

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import MatchOperator
from nunchi.query.syntax.nodes import Node, VectorSelector, walk

# The names read; None means any.
Reads: TypeAlias = frozenset[str] | None


def reads_of(node: Node) -> Reads:
    """The metric names that the selectors of an expression select."""
    names: set[str] = set()
    for selector in walk(node):
        if not isinstance(selector, VectorSelector):
            continue
        name = _name(selector)
        if name is None:
            return None
        names.add(name)
    return frozenset(names)


def may_read(reads: Reads, written: frozenset[str] | set[str]) -> bool:
    """Whether an expression may read any of these names."""
    return bool(written) and (reads is None or not reads.isdisjoint(written))


def _name(selector: VectorSelector) -> str | None:
    if selector.name:
        return selector.name
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.operator is MatchOperator.EQUAL and matcher.value:
            return matcher.value
    return None
