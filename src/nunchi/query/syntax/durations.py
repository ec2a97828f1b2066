"""Duration expressions, `[5m + step()]`, `offset (-range())`: what they come to once the query's step and range are known."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nunchi.kit.durations import DURATION_MS_MAX
from nunchi.query.errors import ParseError
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    DurationBinary,
    DurationCall,
    DurationNode,
    DurationNumber,
    DurationParenthesis,
    DurationUnary,
    MatrixSelector,
    Node,
    Parenthesis,
    Span,
    Subquery,
    Unary,
    VectorSelector,
)


class DurationError(ValueError):
    """A duration expression without a value."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.span = span


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise ValueError("division by zero")
    return left / right


def _modulo(left: float, right: float) -> float:
    if right == 0:
        raise ValueError("modulo by zero")
    return math.fmod(left, right)


_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _modulo,
    "^": math.pow,
}


def seconds_of(node: DurationNode, step_ms: int, range_ms: int) -> float:
    """The value of a duration expression in seconds; raises `DurationError`."""
    match node:
        case DurationNumber():
            return node.seconds
        case DurationParenthesis():
            return seconds_of(node.inner, step_ms, range_ms)
        case DurationUnary():
            value = seconds_of(node.operand, step_ms, range_ms)
            return -value if node.operator == "-" else value
        case DurationCall("step"):
            return step_ms / 1000
        case DurationCall("range"):
            return range_ms / 1000
        case DurationCall(name, arguments):
            left, right = (seconds_of(argument, step_ms, range_ms) for argument in arguments)
            return min(left, right) if name == "min_of" else max(left, right)
        case DurationBinary():
            left = seconds_of(node.left, step_ms, range_ms)
            right = seconds_of(node.right, step_ms, range_ms)
            try:
                return _ARITHMETIC[node.operator](left, right)
            except OverflowError:
                raise DurationError("duration is out of range", node.span) from None
            except ValueError as error:
                message = str(error) if "by zero" in str(error) else "duration is not a number"
                raise DurationError(message, node.span) from None


def milliseconds_of(node: DurationNode, step_ms: int, range_ms: int, *, signed: bool) -> int:
    """The value in whole milliseconds, cut towards zero. Only offsets are `signed`; raises `DurationError`."""
    seconds = seconds_of(node, step_ms, range_ms)
    if math.isnan(seconds):
        raise DurationError("duration is not a number", node.span)
    if not signed and seconds <= 0:
        raise DurationError("duration must be greater than 0", node.span)
    if abs(seconds) * 1000 > DURATION_MS_MAX:
        raise DurationError("duration is out of range", node.span)
    return int(seconds * 1000)


def resolve_durations(node: Node, text: str, step_ms: int, range_ms: int) -> Node:
    """The same tree with milliseconds in place of every duration expression.

    `step_ms` and `range_ms` (end − start) are the query's, both 0 for an instant query. Trees without such expressions
    are returned as they are. Raises `ParseError` pointing into `text`.
    """

    def value(expression: DurationNode, *, signed: bool) -> int:
        try:
            return milliseconds_of(expression, step_ms, range_ms, signed=signed)
        except DurationError as problem:
            raise ParseError(str(problem), problem.span.start, text) from None

    def resolve(node: Node) -> Node:
        match node:
            case VectorSelector():
                if node.offset_expression is None:
                    return node
                return replace(node, offset_ms=value(node.offset_expression, signed=True), offset_expression=None)
            case MatrixSelector():
                selector = resolve(node.selector)
                assert isinstance(selector, VectorSelector)
                if node.range_expression is None:
                    return node if selector is node.selector else replace(node, selector=selector)
                range_ms = value(node.range_expression, signed=False)
                return replace(node, selector=selector, range_ms=range_ms, range_expression=None)
            case Subquery():
                changes: dict[str, object] = {"expression": resolve(node.expression)}
                if node.range_expression is not None:
                    changes |= {"range_ms": value(node.range_expression, signed=False), "range_expression": None}
                if node.step_expression is not None:
                    changes |= {"step_ms": value(node.step_expression, signed=False), "step_expression": None}
                if node.offset_expression is not None:
                    changes |= {"offset_ms": value(node.offset_expression, signed=True), "offset_expression": None}
                return node if changes == {"expression": node.expression} else replace(node, **changes)  # type: ignore[arg-type] # each key has its type
            case Unary() | Parenthesis():
                expression = resolve(node.expression)
                return node if expression is node.expression else replace(node, expression=expression)
            case Binary():
                left, right = resolve(node.left), resolve(node.right)
                unchanged = left is node.left and right is node.right
                return node if unchanged else replace(node, left=left, right=right)
            case Aggregation():
                expression = resolve(node.expression)
                parameter = None if node.parameter is None else resolve(node.parameter)
                unchanged = expression is node.expression and parameter is node.parameter
                return node if unchanged else replace(node, expression=expression, parameter=parameter)
            case Call():
                arguments = tuple(resolve(argument) for argument in node.arguments)
                unchanged = all(new is old for new, old in zip(arguments, node.arguments, strict=True))
                return node if unchanged else replace(node, arguments=arguments)
            case _:
                return node

    return resolve(node)
