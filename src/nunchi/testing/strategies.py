"""Hypothesis strategies: trees of valid PromQL, well typed and in canonical form, so that printing them loses nothing."""

from typing import Any

from hypothesis import strategies as st

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    DurationBinary,
    DurationCall,
    DurationNode,
    DurationNumber,
    DurationParenthesis,
    DurationUnary,
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
from nunchi.query.syntax.operators import (
    AGGREGATIONS,
    AGGREGATIONS_WITH_PARAMETER,
    ARITHMETIC,
    COMPARISONS,
    SET_OPERATORS,
    TRIMS,
)
from nunchi.query.syntax.printer import print_matcher
from nunchi.query.syntax.signatures import FUNCTIONS, Function, ValueType

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_NAMES = st.sampled_from(["up", "http_requests_total", "job:rate5m:sum", "sum", "offset", "by", "fill", "INF_2", "_x"])
_LABELS = st.one_of(
    st.sampled_from(["job", "le", "on", "bool", "group_left", "and"]), _TEXT.filter(lambda text: text != "")
)
_MILLISECONDS = st.integers(1, 400 * 24 * 3_600_000)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=True)
_SAFE_EXTENSIONS = {
    "rate": list(Extension),
    "increase": list(Extension),
    "delta": list(Extension),
    "changes": [Extension.ANCHORED],
    "resets": [Extension.ANCHORED],
}


def number_literals() -> st.SearchStrategy[Node]:
    """Numbers, some of them written as durations."""
    return st.one_of(
        st.builds(NumberLiteral, _NUMBERS),
        st.builds(lambda ms: NumberLiteral(ms / 1000, is_duration=True), st.integers(-10_000_000, 10_000_000)),
    )


def duration_expressions() -> st.SearchStrategy[DurationNode]:
    """Expressions that stand in `[]`, never plain numbers, never dividing by a literal zero."""
    numbers = st.builds(lambda ms: DurationNumber(ms / 1000, is_duration=True), _MILLISECONDS)
    calls = st.sampled_from([DurationCall("step"), DurationCall("range")])

    def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        wrapped = inner.map(
            lambda node: DurationParenthesis(node) if isinstance(node, DurationBinary | DurationUnary) else node
        )
        return st.one_of(
            st.builds(DurationBinary, st.sampled_from(["+", "-", "*", "/", "%", "^"]), wrapped, wrapped),
            st.builds(DurationUnary, st.just("-"), wrapped),
            st.builds(DurationParenthesis, inner),
            st.builds(
                lambda name, a, b: DurationCall(name, (a, b)), st.sampled_from(["min_of", "max_of"]), inner, inner
            ),
        )

    leaves: st.SearchStrategy[Any] = st.one_of(numbers, calls)
    return st.recursive(leaves, extend, max_leaves=4).filter(lambda node: not isinstance(node, DurationNumber))


def matchers() -> st.SearchStrategy[Matcher]:
    """Conditions on labels; regular expressions are literal texts."""
    plain = st.builds(Matcher, _LABELS, st.sampled_from([MatchOperator.EQUAL, MatchOperator.NOT_EQUAL]), _TEXT)
    regexes = st.sampled_from(["a.*", "", "x|y", "[0-9]+"])
    patterns = st.builds(Matcher, _LABELS, st.sampled_from([MatchOperator.REGEX, MatchOperator.NOT_REGEX]), regexes)
    return st.one_of(plain, patterns).filter(lambda matcher: matcher.name != METRIC_NAME)


@st.composite
def vector_selectors(draw: st.DrawFn) -> VectorSelector:
    """Selectors with any modifiers."""
    name = draw(st.one_of(_NAMES, st.just("")))
    conditions = sorted(draw(st.lists(matchers(), max_size=3)), key=print_matcher)
    if name:
        conditions.append(Matcher(METRIC_NAME, MatchOperator.EQUAL, name))
    elif all(condition.matches_empty() for condition in conditions):
        conditions = sorted([*conditions, Matcher("job", MatchOperator.EQUAL, "x")], key=print_matcher)
    expression = draw(st.one_of(st.none(), duration_expressions().map(_offset_form)))
    return VectorSelector(
        name,
        tuple(conditions),
        offset_ms=0 if expression is not None else draw(st.integers(-(10**9), 10**9)),
        offset_expression=expression,
        at=draw(st.one_of(st.none(), st.integers(-(10**12), 10**13), st.sampled_from(Edge))),
    )


def _offset_form(node: DurationNode) -> DurationNode:
    """Behind `offset` stands one operand; anything longer needs brackets."""
    return DurationParenthesis(node) if isinstance(node, DurationBinary | DurationUnary) else node


@st.composite
def matrix_selectors(draw: st.DrawFn, extensions: tuple[Extension, ...] = ()) -> MatrixSelector:
    """Range selectors."""
    selector = draw(vector_selectors())
    extension = draw(st.sampled_from([None, *extensions]))
    selector = VectorSelector(
        selector.name, selector.matchers, selector.offset_ms, selector.offset_expression, selector.at, extension
    )
    expression = draw(st.one_of(st.none(), duration_expressions()))
    return MatrixSelector(selector, 0 if expression is not None else draw(_MILLISECONDS), expression)


def _operand(node: Node) -> Node:
    """A node that binds as closely as a selector."""
    is_loose = isinstance(node, Binary | Unary | NumberLiteral | Subquery)
    return Parenthesis(node) if is_loose else node


@st.composite
def _matchings(draw: st.DrawFn, operator: str) -> Matching:
    is_on = draw(st.booleans())
    labels = tuple(draw(st.lists(_LABELS, max_size=2)))
    if operator in SET_OPERATORS:
        return Matching(Cardinality.MANY_TO_MANY, labels, is_on)
    cardinality = draw(st.sampled_from([Cardinality.ONE_TO_ONE, Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_MANY]))
    include: tuple[str, ...] = ()
    if cardinality is not Cardinality.ONE_TO_ONE:
        include = tuple(label for label in draw(st.lists(_LABELS, max_size=2)) if label not in labels)
    fills = st.one_of(st.none(), st.floats(allow_nan=False))
    return Matching(cardinality, labels, is_on, include, draw(fills), draw(fills))


@st.composite
def _binaries(draw: st.DrawFn, scalars: st.SearchStrategy[Node], vectors: st.SearchStrategy[Node]) -> Node:
    operator = draw(st.sampled_from(sorted(ARITHMETIC | COMPARISONS | SET_OPERATORS | TRIMS)))
    left, right = _operand(draw(vectors)), _operand(draw(vectors))
    returns_bool = operator in COMPARISONS and draw(st.booleans())
    if operator not in SET_OPERATORS and draw(st.booleans()):
        scalar = _operand(draw(scalars))
        left, right = draw(st.sampled_from([(left, scalar), (scalar, right)]))
        return Binary(operator, left, right, returns_bool)
    return Binary(operator, left, right, returns_bool, draw(_matchings(operator)))


@st.composite
def _aggregations(draw: st.DrawFn, scalars: st.SearchStrategy[Node], vectors: st.SearchStrategy[Node]) -> Node:
    operator = draw(st.sampled_from(sorted(AGGREGATIONS)))
    parameter: Node | None = None
    if operator == "count_values":
        parameter = StringLiteral(draw(_TEXT))
    elif operator in AGGREGATIONS_WITH_PARAMETER:
        parameter = draw(scalars)
    grouping = tuple(draw(st.lists(_LABELS, max_size=2)))
    return Aggregation(operator, draw(vectors), parameter, grouping, draw(st.booleans()))


@st.composite
def _calls(
    draw: st.DrawFn, returns: ValueType, scalars: st.SearchStrategy[Node], vectors: st.SearchStrategy[Node]
) -> Node:
    names = sorted(name for name, function in FUNCTIONS.items() if function.returns is returns and name != "info")
    function: Function = FUNCTIONS[draw(st.sampled_from(names))]
    arguments_max = function.arguments_min + 2 if function.arguments_max is None else function.arguments_max
    count = draw(st.integers(function.arguments_min, min(arguments_max, 5)))
    sources: dict[ValueType, st.SearchStrategy[Node]] = {
        ValueType.SCALAR: scalars,
        ValueType.VECTOR: vectors,
        ValueType.STRING: st.builds(StringLiteral, _TEXT),
        ValueType.MATRIX: st.one_of(
            matrix_selectors(tuple(_SAFE_EXTENSIONS.get(function.name, ()))), subqueries(vectors)
        ),
    }
    return Call(function, tuple(draw(sources[function.argument_type(position)]) for position in range(count)))


@st.composite
def subqueries(draw: st.DrawFn, vectors: st.SearchStrategy[Node]) -> Node:
    """Subqueries with any modifiers."""
    width = draw(st.one_of(st.none(), duration_expressions()))
    step = draw(st.one_of(st.none(), duration_expressions()))
    return Subquery(
        Parenthesis(draw(vectors)),
        range_ms=0 if width is not None else draw(_MILLISECONDS),
        step_ms=0 if step is not None else draw(st.one_of(st.just(0), _MILLISECONDS)),
        range_expression=width,
        step_expression=step,
        offset_ms=draw(st.integers(-(10**9), 10**9)),
        at=draw(st.one_of(st.none(), st.integers(0, 10**13), st.sampled_from(Edge))),
    )


def vector_expressions() -> st.SearchStrategy[Node]:
    """Expressions whose value is an instant vector."""

    def extend(vectors: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        scalars = st.one_of(number_literals(), _calls(ValueType.SCALAR, number_literals(), vectors))
        return st.one_of(
            _binaries(scalars, vectors),
            _aggregations(scalars, vectors),
            _calls(ValueType.VECTOR, scalars, vectors),
            st.builds(Parenthesis, vectors),
            st.builds(lambda sign, node: Unary(sign, _operand(node)), st.sampled_from(["-", "+"]), vectors),
        )

    leaves: st.SearchStrategy[Node] = vector_selectors().map(lambda node: node)
    return st.recursive(leaves, extend, max_leaves=5)


def expressions() -> st.SearchStrategy[Node]:
    """Expressions of any type."""
    vectors = vector_expressions()
    return st.one_of(
        vectors, number_literals(), st.builds(StringLiteral, _TEXT), matrix_selectors(), subqueries(vectors)
    )
