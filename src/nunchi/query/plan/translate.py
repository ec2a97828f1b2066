"""Syntax to plan: brackets go, defaults come, and what this engine does not evaluate is refused, before anything is read."""

from dataclasses import replace

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher, MatchOperator, RegexError, compile_regex
from nunchi.query.errors import ExecutionError, Unsupported
from nunchi.query.plan import nodes as plan
from nunchi.query.syntax import nodes as syntax
from nunchi.query.syntax.literals import readable
from nunchi.query.syntax.operators import SET_OPERATORS
from nunchi.query.syntax.signatures import ValueType

DATES = frozenset(("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"))
SORTS = frozenset(("sort", "sort_desc", "sort_by_label", "sort_by_label_desc"))
QUERY_TIMES = frozenset(("time", "start", "end", "range", "step"))
PI = 3.141592653589793
HISTOGRAM_FIELDS = frozenset(f"histogram_{name}" for name in ("avg", "count", "stddev", "stdvar", "sum"))
WITHOUT_BUCKETS = frozenset(("histogram_avg", "histogram_count", "histogram_sum"))


def translate(node: syntax.Node) -> plan.PlanNode | syntax.StringLiteral:
    """The plan of an expression whose durations are resolved; a string is its own plan."""
    node = syntax.unwrap(node)
    if isinstance(node, syntax.StringLiteral):
        return node
    if isinstance(node, syntax.MatrixSelector | syntax.Subquery):
        window = _window(node)
        if isinstance(window, plan.RangeSelect) and window.extension is not None:
            raise Unsupported(f"{window.extension.value} on a range without a function")
        return window
    return _scalar(node) if node.value_type is ValueType.SCALAR else _vector(node)


def _scalar(node: syntax.Node) -> plan.ScalarNode:
    position = node.span.start
    match node:
        case syntax.Parenthesis():
            return _scalar(node.expression)
        case syntax.NumberLiteral():
            return plan.Constant(node.value, position)
        case syntax.Unary():
            inner = _scalar(node.expression)
            return inner if node.operator == "+" else plan.ScalarFunction("negate", (inner,), position)
        case syntax.Binary():
            return plan.ScalarFunction(node.operator, (_scalar(node.left), _scalar(node.right)), position)
        case syntax.Call(function, arguments):
            if function.name == "pi":
                return plan.Constant(PI, position)
            if function.name == "scalar":
                return plan.ScalarOf(_vector(arguments[0]), position)
            if function.name in QUERY_TIMES:
                return plan.QueryTime(function.name, position)
            if function.name in {"min_of", "max_of"}:
                return plan.ScalarFunction(function.name, tuple(map(_scalar, arguments)), position)
    raise Unsupported(f"a scalar of {type(node).__name__}")


def _text(node: syntax.Node) -> str:
    literal = syntax.unwrap(node)
    assert isinstance(literal, syntax.StringLiteral), literal
    return literal.value


def _window(node: syntax.Node) -> plan.WindowNode:
    node = syntax.unwrap(node)
    position = node.span.start
    if isinstance(node, syntax.MatrixSelector):
        selector = node.selector
        return plan.RangeSelect(
            selector.matchers, node.range_ms, selector.offset_ms, selector.at, selector.extension, position=position
        )
    assert isinstance(node, syntax.Subquery), node
    child = syntax.unwrap(node.expression)
    inner = plan.VectorOf(_scalar(child)) if child.value_type is ValueType.SCALAR else _vector(child)
    return plan.Subquery(inner, node.range_ms, node.step_ms, node.offset_ms, node.at, position)


def _vector(node: syntax.Node) -> plan.VectorNode:
    position = node.span.start
    match node:
        case syntax.Parenthesis():
            return _vector(node.expression)
        case syntax.VectorSelector():
            if node.extension is syntax.Extension.ANCHORED:
                raise ExecutionError("anchored modifier cannot be used on an instant vector: use it on a range")
            return plan.InstantSelect(node.matchers, node.offset_ms, node.at, node.extension, position=position)
        case syntax.Unary():
            inner = _vector(node.expression)
            return inner if node.operator == "+" else plan.Elementwise("negate", inner, (), position)
        case syntax.Binary():
            return _binary(node)
        case syntax.Aggregation():
            return _aggregation(node)
        case syntax.Call():
            return _call(node)
    raise Unsupported(f"a vector of {type(node).__name__}")


def _binary(node: syntax.Binary) -> plan.VectorNode:
    position = node.span.start
    left_is_scalar = node.left.value_type is ValueType.SCALAR
    if left_is_scalar or node.right.value_type is ValueType.SCALAR:
        scalar, vector = (node.left, node.right) if left_is_scalar else (node.right, node.left)
        return plan.VectorScalar(
            node.operator, _vector(vector), _scalar(scalar), left_is_scalar, node.returns_bool, position
        )
    matching = node.matching or syntax.Matching()
    left, right = _vector(node.left), _vector(node.right)
    if node.operator in SET_OPERATORS:
        return plan.SetOperation(node.operator, left, right, matching, position)
    return plan.Join(node.operator, left, right, matching, node.returns_bool, position)


def _aggregation(node: syntax.Aggregation) -> plan.VectorNode:
    parameter: plan.ScalarNode | None = None
    label = ""
    if node.parameter is not None:
        if node.parameter.value_type is ValueType.STRING:
            label = _text(node.parameter)
        else:
            parameter = _scalar(node.parameter)
    child = _vector(node.expression)
    return plan.Aggregate(node.operator, child, node.grouping, node.without, parameter, label, node.span.start)


def _call(node: syntax.Call) -> plan.VectorNode:
    name, arguments, position = node.function.name, node.arguments, node.span.start
    if name == "info":
        return _info(arguments, position)
    if node.function.is_extension:
        numbers = tuple(map(_scalar, arguments[1:]))
        return plan.PythonCall(name, _vector(arguments[0]), numbers, node.function.is_stepwise, position)
    if name == "vector":
        return plan.VectorOf(_scalar(arguments[0]), position)
    if name in {"timestamp", "start_timestamp"}:
        selector = syntax.unwrap(arguments[0])
        if isinstance(selector, syntax.VectorSelector) and selector.extension is None:
            wants_starts = name == "start_timestamp"
            times = plan.InstantSelect(
                selector.matchers, selector.offset_ms, selector.at, None,
                wants_times=not wants_starts, wants_starts=wants_starts, position=selector.span.start,
            )  # fmt: skip
            return plan.Elementwise("identity", times, (), position)
    if name in DATES:
        date = _vector(arguments[0]) if arguments else plan.VectorOf(plan.QueryTime("time", position), position)
        return plan.Elementwise(name, date, (), position)
    if name in {"absent", "absent_over_time"}:
        return _absent(name, arguments[0], position)
    if name in SORTS:
        labels = tuple(map(_text, arguments[1:]))
        child = _vector(arguments[0])
        return plan.Sort(child, name.endswith("_desc"), name.startswith("sort_by_label"), labels, position)
    if name in {"label_replace", "label_join"}:
        return _label_function(name, arguments, position)
    if name in HISTOGRAM_FIELDS:
        child = _vector(arguments[0])
        return plan.Elementwise(name, with_exact_hints(child) if name in WITHOUT_BUCKETS else child, (), position)
    if name.startswith("histogram_"):
        return _bucket_function(name, arguments, position)
    kinds = [argument.value_type for argument in arguments]
    if ValueType.MATRIX in kinds:
        return _range_function(name, arguments, kinds.index(ValueType.MATRIX), position)
    return plan.Elementwise(name, _vector(arguments[0]), tuple(map(_scalar, arguments[1:])), position)


def with_exact_hints(node: plan.VectorNode) -> plan.VectorNode:
    """The plan with selectors that spell out resets, as whoever reads no buckets sees them; subqueries have no hints."""

    def change(child: plan.PlanNode) -> plan.PlanNode:
        if isinstance(child, plan.InstantSelect | plan.RangeSelect):
            return replace(child, exact_hints=True)
        needs_buckets = isinstance(child, plan.Elementwise) and child.name in HISTOGRAM_FIELDS - WITHOUT_BUCKETS
        if needs_buckets or isinstance(child, plan.Subquery | plan.BucketFunction):
            return child
        return plan.with_children(child, change)

    return change(node)  # type: ignore[return-value]  # a vector stays one


def _range_function(name: str, arguments: tuple[syntax.Node, ...], at: int, position: int) -> plan.VectorNode:
    window = _window(arguments[at])
    scalars = tuple(_scalar(argument) for i, argument in enumerate(arguments) if i != at)
    return plan.RangeFunction(name, window, scalars, position)


def _absent(name: str, argument: syntax.Node, position: int) -> plan.VectorNode:
    node = syntax.unwrap(argument)
    selector = node.selector if isinstance(node, syntax.MatrixSelector) else node
    labels: dict[str, str] = {}
    if isinstance(selector, syntax.VectorSelector):
        seen: set[str] = set()
        for matcher in selector.matchers:
            if matcher.name == METRIC_NAME:
                continue
            if matcher.operator is MatchOperator.EQUAL and matcher.name not in seen:
                labels[matcher.name] = matcher.value
                seen.add(matcher.name)
            else:
                labels.pop(matcher.name, None)
    child = _vector(node) if name == "absent" else _range_function("absent_over_time", (node,), 0, position)
    return plan.Absent(child, tuple(sorted((k, v) for k, v in labels.items() if v)), position)


def _info(arguments: tuple[syntax.Node, ...], position: int) -> plan.VectorNode:
    refinement = syntax.unwrap(arguments[1]) if len(arguments) > 1 else None
    matchers = refinement.matchers if isinstance(refinement, syntax.VectorSelector) else ()
    names = tuple(filter(syntax.is_name_matcher, matchers)) or (
        Matcher(METRIC_NAME, MatchOperator.EQUAL, "target_info"),
    )
    data = tuple(matcher for matcher in matchers if not syntax.is_name_matcher(matcher))
    selected = (*names, *data)
    if all(matcher.is_negative for matcher in names):
        selected = (*selected, Matcher(METRIC_NAME, MatchOperator.REGEX, ".+_info"))
    at, offset_ms = _first_selected_time(arguments[0]) or (None, 0)
    select = plan.InstantSelect(selected, offset_ms, at, wants_times=True, position=position)
    return plan.Info(_vector(arguments[0]), select, names, data, position)


def _first_selected_time(node: syntax.Node) -> tuple[syntax.At | None, int] | None:
    """When the first selector below a node reads: pinned time and offset, those of subqueries around it included."""
    if isinstance(node, syntax.VectorSelector):
        return node.at, node.offset_ms
    for child in syntax.children(node):
        found = _first_selected_time(child)
        if found is not None and isinstance(node, syntax.Subquery) and found[0] is None:
            return node.at, node.offset_ms + found[1]
        if found is not None:
            return found
    return None


def _label_function(name: str, arguments: tuple[syntax.Node, ...], position: int) -> plan.VectorNode:
    child = _vector(arguments[0])
    destination, middle, *rest = map(_text, arguments[1:])
    if not is_label_name(destination):
        raise ExecutionError(f"invalid destination label name in {name}(): {readable(destination)}")
    if name == "label_replace":
        source, regex = rest
        try:
            compile_regex(readable(regex))
        except RegexError:
            raise ExecutionError(f"invalid regular expression in label_replace(): {readable(regex)}") from None
        return plan.LabelReplace(child, destination, readable(middle), source, readable(regex), position)
    for source in rest:
        if not is_label_name(source):
            raise ExecutionError(f"invalid source label name in label_join(): {readable(source)}")
    return plan.LabelJoin(child, destination, readable(middle), tuple(rest), position)


def is_label_name(name: str) -> bool:
    """Whether a text may name a label: any that is not empty and valid UTF-8."""
    return bool(name) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _bucket_function(name: str, arguments: tuple[syntax.Node, ...], position: int) -> plan.VectorNode:
    label = ""
    if name == "histogram_quantiles":
        vector, label_node, *scalars = arguments
        label = _text(label_node)
    else:
        *scalars, vector = arguments
    return plan.BucketFunction(name, _vector(vector), tuple(map(_scalar, scalars)), label, position)
