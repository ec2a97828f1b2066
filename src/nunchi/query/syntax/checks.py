"""Static types: which node accepts what. One function per kind of node; a misfit raises `MisfitError` with its span."""

from typing import Final

from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Extension,
    Matching,
    MatrixSelector,
    Node,
    Span,
    Subquery,
    Unary,
    VectorSelector,
    unwrap,
)
from nunchi.query.syntax.operators import SET_OPERATORS
from nunchi.query.syntax.signatures import ValueType

EXTENDED_FUNCTIONS: Final = {
    Extension.ANCHORED: ("changes", "delta", "increase", "rate", "resets"),
    Extension.SMOOTHED: ("delta", "increase", "rate"),
}


class MisfitError(ValueError):
    """Types that do not fit."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.span = span


def check_node(node: object) -> None:
    """Whether what stands right below a node fits it; what is further down was checked before."""
    match node:
        case Binary():
            _check_binary(node)
        case Call():
            _check_call(node)
        case Aggregation():
            _check_aggregation(node)
        case Unary():
            found = node.expression.value_type
            if found not in {ValueType.SCALAR, ValueType.VECTOR}:
                message = "unary expression only allowed on expressions of type scalar or instant vector"
                raise MisfitError(f'{message}, got "{found.title}"', node.span)
        case Subquery():
            if node.expression.value_type is not ValueType.VECTOR:
                found = node.expression.value_type
                raise MisfitError(f"subquery is only allowed on instant vector, got {found.value} instead", node.span)


def matching_problem(matching: Matching) -> str:
    """What to say of a matching between anything but two vectors."""
    if matching.fill_left is not None or matching.fill_right is not None:
        return "filling in missing series only allowed between instant vectors"
    return "vector matching only allowed between instant vectors"


def _expect(node: Node, wanted: ValueType, context: str) -> None:
    if node.value_type is not wanted:
        raise MisfitError(f"expected type {wanted.title} in {context}, got {node.value_type.title}", node.span)


def _check_binary(node: Binary) -> None:
    left, right = node.left.value_type, node.right.value_type
    for side, found in ((node.left, left), (node.right, right)):
        if found not in {ValueType.SCALAR, ValueType.VECTOR}:
            raise MisfitError("binary expression must contain only scalar and instant vector types", side.span)
    if left is ValueType.VECTOR and right is ValueType.VECTOR:
        matching = node.matching
        is_set = node.operator in SET_OPERATORS
        if matching is not None and is_set is not (matching.cardinality is Cardinality.MANY_TO_MANY):
            raise MisfitError("set operations must always be many-to-many", node.span)
        return
    if node.operator in SET_OPERATORS:
        raise MisfitError(f'set operator "{node.operator}" not allowed in binary scalar expression', node.span)


def _check_aggregation(node: Aggregation) -> None:
    _expect(node.expression, ValueType.VECTOR, "aggregation expression")
    if node.parameter is not None:
        wanted = ValueType.STRING if node.operator == "count_values" else ValueType.SCALAR
        _expect(node.parameter, wanted, "aggregation parameter")


def _check_call(node: Call) -> None:
    function, count = node.function, len(node.arguments)
    name = f'"{function.name}"'
    if function.arguments_min == function.arguments_max != count:
        raise MisfitError(f"expected {function.arguments_min} argument(s) in call to {name}, got {count}", node.span)
    if count < function.arguments_min:
        wanted = f"expected at least {function.arguments_min} argument(s)"
        raise MisfitError(f"{wanted} in call to {name}, got {count}", node.span)
    if function.arguments_max is not None and count > function.arguments_max:
        wanted = f"expected at most {function.arguments_max} argument(s)"
        raise MisfitError(f"{wanted} in call to {name}, got {count}", node.span)
    for position, argument in enumerate(node.arguments):
        _expect(argument, function.argument_type(position), f"call to function {name}")
        inner = unwrap(argument)
        if isinstance(inner, MatrixSelector) and inner.selector.extension is not None:
            _check_extension(function.name, inner.selector.extension, argument.span)
    if function.name == "info" and count == 2:
        _check_info(node.arguments[1])


def _check_extension(function: str, extension: Extension, span: Span) -> None:
    allowed = EXTENDED_FUNCTIONS[extension]
    if function not in allowed:
        message = f"{extension.value} modifier can only be used with: {', '.join(allowed)} - not with {function}"
        raise MisfitError(message, span)


def _check_info(argument: Node) -> None:
    if not isinstance(argument, VectorSelector):
        raise MisfitError("expected label selectors as the second argument to info function", argument.span)
    if argument.name:
        raise MisfitError("expected label selectors only, got vector selector instead", argument.span)
