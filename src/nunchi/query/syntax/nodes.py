"""The tree of a PromQL expression: frozen nodes, each with the span of text it was read from.

Two trees are equal when they mean the same text modulo spacing: spans take no part in comparison. What is written as a
duration is held in milliseconds; where it depends on the query (`step()`, `range()`) the expression stands beside it and
`durations.resolve_durations` puts the number in place before anything is planned.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher
from nunchi.query.syntax.signatures import Function, ValueType


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of the text."""

    start: int
    end: int


NOWHERE = Span(0, 0)


class Edge(Enum):
    """An edge of the query's range, as `@ start()` and `@ end()` name it."""

    START = "start"
    END = "end"


class Extension(Enum):
    """How a selector treats the borders of its window."""

    ANCHORED = "anchored"
    SMOOTHED = "smoothed"


class Cardinality(Enum):
    """How many series of the left side meet how many of the right."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


# A point in time that `@` pins: milliseconds since the epoch, or an edge of the query's range.
At: TypeAlias = int | Edge


@dataclass(frozen=True, slots=True)
class DurationNumber:
    """A number of seconds inside a duration expression; `is_duration` remembers that it was written like `5m`."""

    seconds: float
    is_duration: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class DurationCall:
    """`step()`, `range()`, `min_of(a, b)` or `max_of(a, b)` inside a duration expression."""

    name: str
    arguments: tuple["DurationNode", ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class DurationUnary:
    """A sign inside a duration expression."""

    operator: str
    operand: "DurationNode"
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class DurationBinary:
    """Arithmetic inside a duration expression: `+ - * / % ^`."""

    operator: str
    left: "DurationNode"
    right: "DurationNode"
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class DurationParenthesis:
    """Brackets inside a duration expression, kept for printing."""

    inner: "DurationNode"
    span: Span = field(default=NOWHERE, compare=False)


DurationNode: TypeAlias = DurationNumber | DurationCall | DurationUnary | DurationBinary | DurationParenthesis


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """A number. `is_duration` remembers that it was written like `5m`, for printing; the value is then in seconds."""

    value: float
    is_duration: bool = False
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.SCALAR


@dataclass(frozen=True, slots=True)
class StringLiteral:
    """A string."""

    value: str
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.STRING


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """`name{matchers}` with its modifiers.

    matchers           in the order written; the one for the name, where it stands outside the braces, comes last
    offset_ms          positive looks into the past
    offset_expression  set while the offset depends on the query; `offset_ms` is 0 then
    at                 the pinned time, before the offset applies
    """

    name: str
    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    offset_expression: DurationNode | None = None
    at: At | None = None
    extension: Extension | None = None
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.VECTOR

    @property
    def other_matchers(self) -> tuple[Matcher, ...]:
        """The matchers as written between the braces."""
        return self.matchers[:-1] if self.name else self.matchers


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """`selector[range]`. Offset, `@` and extension are the selector's."""

    selector: VectorSelector
    range_ms: int
    range_expression: DurationNode | None = None
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expression[range:step]` with its modifiers; `step_ms` 0 means the engine's default."""

    expression: "Node"
    range_ms: int
    step_ms: int = 0
    range_expression: DurationNode | None = None
    step_expression: DurationNode | None = None
    offset_ms: int = 0
    offset_expression: DurationNode | None = None
    at: At | None = None
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before a scalar or a vector."""

    operator: str
    expression: "Node"
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def value_type(self) -> ValueType:
        """That of its operand."""
        return self.expression.value_type


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two vectors meet. `fill_left`/`fill_right` stand in for the partner a series does not find."""

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    is_on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and an operator (`operators.py` tells what kind). `matching` is set between two vectors only."""

    operator: str
    left: "Node"
    right: "Node"
    returns_bool: bool = False
    matching: Matching | None = None
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def value_type(self) -> ValueType:
        """Scalar for two scalars, else vector."""
        both_scalar = self.left.value_type is ValueType.SCALAR and self.right.value_type is ValueType.SCALAR
        return ValueType.SCALAR if both_scalar else ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`operator by/without (grouping) (parameter, expression)`."""

    operator: str
    expression: "Node"
    parameter: "Node | None" = None
    grouping: tuple[str, ...] = ()
    without: bool = False
    span: Span = field(default=NOWHERE, compare=False)

    value_type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to arguments."""

    function: Function
    arguments: tuple["Node", ...] = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def value_type(self) -> ValueType:
        """What the function returns."""
        return self.function.returns


@dataclass(frozen=True, slots=True)
class Parenthesis:
    """Brackets around an expression."""

    expression: "Node"
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def value_type(self) -> ValueType:
        """That of what it holds."""
        return self.expression.value_type


Node: TypeAlias = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | Subquery
    | Unary
    | Binary
    | Aggregation
    | Call
    | Parenthesis
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below, in the order of the text (an aggregation's parameter before its operand)."""
    match node:
        case Binary():
            return (node.left, node.right)
        case Call():
            return node.arguments
        case Aggregation():
            return (node.expression,) if node.parameter is None else (node.parameter, node.expression)
        case Unary() | Parenthesis() | Subquery():
            return (node.expression,)
        case MatrixSelector():
            return (node.selector,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, parents first."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(children(current)))


def unwrap(node: Node) -> Node:
    """What stands inside any brackets around it."""
    while isinstance(node, Parenthesis):
        node = node.expression
    return node


def is_name_matcher(matcher: Matcher) -> bool:
    """Whether a matcher is about the metric name."""
    return matcher.name == METRIC_NAME
