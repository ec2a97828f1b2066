"""A tree as text again, on one line, in Prometheus's canonical form; `parse(print_node(node))` means the same."""

from nunchi.kit.durations import format_duration
from nunchi.model.matchers import Matcher
from nunchi.query.syntax.lexer import LABEL_NAME, NUMBER_WORDS
from nunchi.query.syntax.literals import format_number, quote_text
from nunchi.query.syntax.nodes import (
    Aggregation,
    At,
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


def print_node(node: Node) -> str:
    """The text of a tree."""
    match node:
        case NumberLiteral():
            return _number(node.value, is_duration=node.is_duration)
        case StringLiteral():
            return quote_text(node.value)
        case VectorSelector():
            return (
                selector_head(node) + _at(node.at) + _extension(node) + _offset(node.offset_ms, node.offset_expression)
            )
        case MatrixSelector():
            return selector_head(node.selector) + matrix_tail(node)
        case Subquery():
            return print_node(node.expression) + subquery_tail(node)
        case Unary():
            return node.operator + print_node(node.expression)
        case Binary():
            return f"{print_node(node.left)} {binary_head(node)} {print_node(node.right)}"
        case Aggregation():
            arguments = [node.expression] if node.parameter is None else [node.parameter, node.expression]
            return f"{aggregation_head(node)}({', '.join(map(print_node, arguments))})"
        case Call():
            return f"{node.function.name}({', '.join(map(print_node, node.arguments))})"
        case Parenthesis():
            return f"({print_node(node.expression)})"


def selector_head(node: VectorSelector) -> str:
    """`name{matchers}`, matchers sorted."""
    matchers = sorted(map(print_matcher, node.other_matchers))
    return f"{node.name}{{{','.join(matchers)}}}" if matchers or not node.name else node.name


def print_matcher(matcher: Matcher) -> str:
    """One condition; names that are no plain words are quoted."""
    name = matcher.name if LABEL_NAME.fullmatch(matcher.name) else quote_text(matcher.name)
    return f"{name}{matcher.operator.value}{quote_text(matcher.value)}"


def matrix_tail(node: MatrixSelector) -> str:
    """`[range]` and the modifiers."""
    selector = node.selector
    width = _duration(node.range_ms, node.range_expression)
    offset = _offset(selector.offset_ms, selector.offset_expression)
    return f"[{width}]{_extension(selector)}{_at(selector.at)}{offset}"


def subquery_tail(node: Subquery) -> str:
    """`[range:step]` and the modifiers."""
    step = _duration(node.step_ms, node.step_expression) if node.step_ms or node.step_expression is not None else ""
    width = _duration(node.range_ms, node.range_expression)
    return f"[{width}:{step}]{_at(node.at)}{_offset(node.offset_ms, node.offset_expression)}"


def aggregation_head(node: Aggregation) -> str:
    """`sum by (a, b) `: all before the bracket."""
    if node.without:
        return f"{node.operator} without ({_labels(node.grouping)}) "
    return f"{node.operator} by ({_labels(node.grouping)}) " if node.grouping else node.operator


def binary_head(node: Binary) -> str:
    """The operator and its modifiers."""
    return node.operator + (" bool" if node.returns_bool else "") + (_matching(node.matching) if node.matching else "")


def _matching(matching: Matching) -> str:
    text = ""
    is_grouped = matching.cardinality in {Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_MANY}
    if matching.labels or matching.is_on or is_grouped:
        text += f" {'on' if matching.is_on else 'ignoring'} ({_labels(matching.labels)})"
    if is_grouped:
        side = "left" if matching.cardinality is Cardinality.MANY_TO_ONE else "right"
        text += f" group_{side} ({_labels(matching.include)})"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and right is not None and (left == right or (left != left and right != right)):  # noqa: PLR0124 (NaN)
        return f"{text} fill ({format_number(left)})"
    text += f" fill_left ({format_number(left)})" if left is not None else ""
    return text + (f" fill_right ({format_number(right)})" if right is not None else "")


def _labels(names: tuple[str, ...]) -> str:
    def is_plain(name: str) -> bool:
        return LABEL_NAME.fullmatch(name) is not None and name.lower() not in NUMBER_WORDS

    return ", ".join(name if is_plain(name) else quote_text(name) for name in names)


def _number(value: float, *, is_duration: bool) -> str:
    return format_duration(round(value * 1000)) if is_duration else format_number(value)


def _duration(milliseconds: int, expression: DurationNode | None) -> str:
    return format_duration(milliseconds) if expression is None else print_duration(expression)


def _offset(offset_ms: int, expression: DurationNode | None) -> str:
    return f" offset {_duration(offset_ms, expression)}" if offset_ms or expression is not None else ""


def _extension(node: VectorSelector) -> str:
    return f" {node.extension.value}" if node.extension is not None else ""


def _at(at: At | None) -> str:
    if at is None:
        return ""
    if isinstance(at, Edge):
        return f" @ {at.value}()"
    sign, milliseconds = ("-", -at) if at < 0 else ("", at)
    return f" @ {sign}{milliseconds // 1000}.{milliseconds % 1000:03d}"


def print_duration(node: DurationNode) -> str:
    """The text of a duration expression."""
    match node:
        case DurationNumber():
            return _number(node.seconds, is_duration=node.is_duration)
        case DurationCall():
            return f"{node.name}({', '.join(map(print_duration, node.arguments))})"
        case DurationUnary():
            return ("-" if node.operator == "-" else "") + print_duration(node.operand)
        case DurationBinary():
            return f"{print_duration(node.left)} {node.operator} {print_duration(node.right)}"
        case DurationParenthesis():
            return f"({print_duration(node.inner)})"
