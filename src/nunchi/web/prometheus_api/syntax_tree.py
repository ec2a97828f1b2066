"""The tree of an expression as JSON, in the shape that the pages of Prometheus read from `parse_query`."""

from typing import Any

from nunchi.query.syntax.literals import format_number, readable
from nunchi.query.syntax.nodes import (
    Aggregation,
    At,
    Binary,
    Call,
    Edge,
    Extension,
    Matching,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parenthesis,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from nunchi.query.syntax.signatures import Function

Tree = dict[str, Any]


def tree_of(node: Node) -> Tree:
    """A node and all below it."""
    match node:
        case NumberLiteral():
            return {"type": "numberLiteral", "val": format_number(node.value)}
        case StringLiteral():
            return {"type": "stringLiteral", "val": readable(node.value)}
        case VectorSelector():
            return {"type": "vectorSelector", **_selector(node)}
        case MatrixSelector():
            return {"type": "matrixSelector", "range": node.range_ms, **_selector(node.selector)}
        case Subquery():
            return {
                "type": "subquery",
                "expr": tree_of(node.expression),
                "range": node.range_ms,
                "offset": node.offset_ms,
                "step": node.step_ms,
                **_pin(node.at),
            }
        case Unary():
            return {"type": "unaryExpr", "op": node.operator, "expr": tree_of(node.expression)}
        case Parenthesis():
            return {"type": "parenExpr", "expr": tree_of(node.expression)}
        case Binary():
            return {
                "type": "binaryExpr",
                "op": node.operator,
                "lhs": tree_of(node.left),
                "rhs": tree_of(node.right),
                "matching": None if node.matching is None else _matching(node.matching),
                "bool": node.returns_bool,
            }
        case Aggregation():
            return {
                "type": "aggregation",
                "op": node.operator,
                "expr": tree_of(node.expression),
                "param": None if node.parameter is None else tree_of(node.parameter),
                "grouping": list(node.grouping),
                "without": node.without,
            }
        case Call():
            arguments = [tree_of(argument) for argument in node.arguments]
            return {"type": "call", "func": _function(node.function), "args": arguments}


def _selector(node: VectorSelector) -> Tree:
    matchers = [{"name": each.name, "value": each.value, "type": each.operator.value} for each in node.matchers]
    extension = {each.value: node.extension is each for each in Extension}
    return {"name": node.name, "offset": node.offset_ms, "matchers": matchers, **_pin(node.at), **extension}


def _pin(at: At | None) -> Tree:
    is_edge = isinstance(at, Edge)
    return {"timestamp": None if is_edge else at, "startOrEnd": at.value if isinstance(at, Edge) else None}


def _matching(matching: Matching) -> Tree:
    return {
        "card": matching.cardinality.value,
        "labels": list(matching.labels),
        "on": matching.is_on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }


def _function(function: Function) -> Tree:
    """`variadic`: how many arguments may be left out, -1 where the last may repeat."""
    arguments_max = function.arguments_max
    return {
        "name": function.name,
        "argTypes": [kind.value for kind in function.arguments],
        "variadic": -1 if arguments_max is None else arguments_max - function.arguments_min,
        "returnType": function.returns.value,
    }
