"""The ways in which an instant query must give the same answer: pinned with `@` to its time, asked at others."""

from dataclasses import replace
from typing import Final

from nunchi.query.syntax import EVERYTHING, parse, print_node
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    MatrixSelector,
    Node,
    Parenthesis,
    Subquery,
    Unary,
    VectorSelector,
    walk,
)

UNPINNABLE: Final = frozenset(
    (
        *("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"),
        *("predict_linear", "time", "timestamp", "start", "end", "range", "step"),
    )
)


def pinned_variants(expression: str, at_ms: int) -> list[tuple[str, int]]:
    """The expression with every selector pinned to its time, and times at which it must give the same answer."""
    node = parse(expression, EVERYTHING)
    if any(isinstance(inner, Call) and inner.function.name in UNPINNABLE for inner in walk(node)):
        return []
    text = print_node(pin(node, at_ms))
    if at_ms == 0:
        return [(text, at) for at in (-1000, 0, 1000)]
    return [(text, at) for at in (-10 * at_ms, 0, at_ms // 5, at_ms, 10 * at_ms)]


def pin(node: Node, at_ms: int) -> Node:
    """The tree with `@` on every selector and subquery that has no time of its own and stands in no pinned subquery."""
    match node:
        case VectorSelector():
            return node if isinstance(node.at, int) else replace(node, at=at_ms)
        case MatrixSelector():
            selector = pin(node.selector, at_ms)
            assert isinstance(selector, VectorSelector)
            return replace(node, selector=selector)
        case Subquery():
            return node if isinstance(node.at, int) else replace(node, at=at_ms)
        case Unary() | Parenthesis():
            return replace(node, expression=pin(node.expression, at_ms))
        case Binary():
            return replace(node, left=pin(node.left, at_ms), right=pin(node.right, at_ms))
        case Aggregation():
            parameter = None if node.parameter is None else pin(node.parameter, at_ms)
            return replace(node, expression=pin(node.expression, at_ms), parameter=parameter)
        case Call():
            return replace(node, arguments=tuple(pin(argument, at_ms) for argument in node.arguments))
        case _:
            return node
