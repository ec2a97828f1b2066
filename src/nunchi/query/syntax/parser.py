"""Tokens to a tree: a Pratt parser. `parse` is the door; `checks` judges types, `durations` what stands in `[]`.

The tree is at most `cursor.HEIGHT_MAX` high and brackets nest at most `lexer.NESTING_MAX` deep: whoever walks it may recurse.
"""

from dataclasses import replace
from typing import Final

from nunchi.model.labels import Labels
from nunchi.model.matchers import MatchOperator
from nunchi.query.errors import ParseError
from nunchi.query.syntax import checks
from nunchi.query.syntax.lexer import (
    DURATION,
    END,
    IDENTIFIER,
    KEYWORDS,
    NEVER_METRIC_NAMES,
    NUMBER,
    STRING,
)
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Matching,
    Node,
    NumberLiteral,
    Parenthesis,
    Span,
    StringLiteral,
    Unary,
    VectorSelector,
)
from nunchi.query.syntax.operators import (
    AGGREGATIONS,
    AGGREGATIONS_EXPERIMENTAL,
    AGGREGATIONS_WITH_PARAMETER,
    COMPARISONS,
    PRECEDENCE,
    PRECEDENCE_SIGN,
    RIGHT_ASSOCIATIVE,
    SET_OPERATORS,
    TRIMS,
)
from nunchi.query.syntax.selector_parser import STABLE, ParserSettings, SelectorParser
from nunchi.query.syntax.signatures import FUNCTIONS, ValueType

_MATCH_OPERATORS: Final = {operator.value: operator for operator in MatchOperator}
_AT_SECONDS_MAX: Final = 2**63 / 1000


def parse(text: str, settings: ParserSettings = STABLE) -> Node:
    """The tree of an expression, types checked; raises `ParseError`."""
    return _Parser(text, settings).parse_text()


def parse_selector(text: str) -> VectorSelector:
    """A bare selector, `name{matchers}`, as `match[]` takes it; raises `ParseError`."""
    node = parse(text)
    if not isinstance(node, VectorSelector) or node.at is not None or node.offset_ms or node.offset_expression:
        raise ParseError('only a selector without modifiers may stand here, as in up{job="node"}', 0, text)
    return node


def parse_labels(text: str) -> Labels:
    """A series as it is written, `name{label="value"}` or `{"name", "label"="value"}`; raises `ParseError`."""
    parser = _Parser(text, STABLE)
    if parser.kinds[0] == END:
        raise ParseError("no series found in input", 0, text)
    selector = parser.parse_vector_selector()
    if parser.kinds[parser.index] != END:
        raise parser.unexpected("")
    if any(matcher.operator is not MatchOperator.EQUAL for matcher in selector.matchers):
        raise ParseError("only = may stand between a label and its value here", 0, text)
    try:
        return Labels((matcher.name, matcher.value) for matcher in selector.matchers)
    except ValueError as error:
        raise ParseError(str(error), 0, text) from None


class _Parser(SelectorParser):
    """One parse. Each `parse_…` method starts at its first token, ends behind its last, and leaves the height of the
    tree it returns in `height`.
    """

    def parse_text(self) -> Node:
        if self.kinds[0] == END:
            raise ParseError("no expression found in input", 0, self.text)
        node = self.parse_expression(0)
        if self.kinds[self.index] != END:
            raise self.unexpected("")
        return node

    def parse_expression(self, precedence_min: int) -> Node:
        """An operand and the operators behind it that bind at least this closely."""
        self.descend()
        left = self.parse_signed()
        while True:
            operator = self.kinds[self.index]
            precedence = PRECEDENCE.get(operator)
            if precedence is None or precedence < precedence_min:
                self.depth -= 1
                return left
            height = self.height
            sign = Span(self.starts[self.index], self.ends[self.index])
            self.index += 1
            returns_bool, matching = self.parse_matching(operator, sign)
            right = self.parse_expression(precedence if operator in RIGHT_ASSOCIATIVE else precedence + 1)
            span = Span(left.span.start, right.span.end)
            if left.value_type is ValueType.SCALAR and right.value_type is ValueType.SCALAR:
                self.check_scalars(operator, sign, returns_bool=returns_bool)
            both_vectors = left.value_type is ValueType.VECTOR and right.value_type is ValueType.VECTOR
            if matching is not None and not both_vectors:
                raise self.error(checks.matching_problem(matching), span)
            if both_vectors:
                matching = self.complete_matching(operator, matching, span)
            left = self.checked(Binary(operator, left, right, returns_bool, matching, span))
            self.grow(max(height, self.height) + 1, span)

    def check_scalars(self, operator: str, sign: Span, *, returns_bool: bool) -> None:
        """Whether an operator may stand between two scalars; `sign` is where it stands."""
        if operator in COMPARISONS and not returns_bool:
            raise self.error("comparisons between scalars must use BOOL modifier", sign)
        if operator in TRIMS:
            raise self.error(f'operator "{operator}" not allowed for scalar operations', sign)

    def complete_matching(self, operator: str, matching: Matching | None, span: Span) -> Matching:
        """The matching between two vectors, where unwritten: all labels, one to one."""
        if operator not in SET_OPERATORS:
            return matching or Matching()
        if matching is None:
            return Matching(Cardinality.MANY_TO_MANY)
        if matching.cardinality is not Cardinality.ONE_TO_ONE:
            raise self.error(f'no grouping allowed for "{operator}" operation', span)
        if matching.fill_left is not None or matching.fill_right is not None:
            raise self.error("filling in missing series is not allowed for set operators", span)
        return replace(matching, cardinality=Cardinality.MANY_TO_MANY)

    def parse_signed(self) -> Node:
        kind = self.kinds[self.index]
        if kind not in {"-", "+"}:
            return self.parse_operand()
        start = self.starts[self.index]
        self.index += 1
        operand = self.parse_expression(PRECEDENCE_SIGN)
        span = self.span_from(start)
        if isinstance(operand, NumberLiteral):
            value = -operand.value if kind == "-" else operand.value
            return NumberLiteral(value, operand.is_duration, span)
        node = self.checked(Unary(kind, operand, span))
        self.grow(self.height + 1, span)
        return node

    def parse_operand(self) -> Node:
        kind = self.kinds[self.index]
        node: Node
        if kind == IDENTIFIER:
            node = self.parse_call() if self.kinds[self.index + 1] == "(" else self.parse_vector_selector()
        elif kind in {NUMBER, DURATION}:
            node = self.parse_number_literal()
        elif kind == "(":
            start = self.starts[self.index]
            self.index += 1
            inner = self.parse_expression(0)
            self.take(")", "parenthesis")
            node = Parenthesis(inner, self.span_from(start))
            self.grow(self.height + 1, node.span)
        elif kind == STRING:
            start = self.starts[self.index]
            node = StringLiteral(self.parse_string(), self.span_from(start))
            self.height = 1
        elif kind in AGGREGATIONS and self.kinds[self.index + 1] in {"(", "by", "without"}:
            node = self.parse_aggregation(kind)
        elif kind == "{" or (kind in KEYWORDS and kind not in NEVER_METRIC_NAMES):
            node = self.parse_vector_selector()
        else:
            raise self.unexpected("")
        return self.parse_postfixes(node)

    def parse_number_literal(self) -> NumberLiteral:
        value, is_duration = self.parse_number()
        self.height = 1
        return NumberLiteral(value, is_duration, Span(self.starts[self.index - 1], self.ends[self.index - 1]))

    def parse_call(self) -> Call:
        start = self.starts[self.index]
        name = self.word()
        function = FUNCTIONS.get(name) or self.settings.find_extension(name)
        if function is None:
            raise ParseError(f'unknown function with name "{name}"', start, self.text)
        if function.experimental and not self.settings.experimental_functions:
            raise ParseError(f'function "{name}" is experimental and not enabled', start, self.text)
        self.index += 1
        arguments = self.parse_arguments(f'call to function "{name}"', refines=name == "info")
        height = self.height
        node = self.checked(Call(function, arguments, self.span_from(start)))
        self.grow(height + 1, node.span)
        return node

    def parse_arguments(self, context: str, *, refines: bool = False) -> tuple[Node, ...]:
        """`(expression, …)`; a comma before the closing bracket is an error. `refines`: the second is `info`'s."""
        if self.kinds[self.index] != "(":
            raise self.unexpected(context)
        self.index += 1
        arguments: list[Node] = []
        height = 0
        if self.kinds[self.index] != ")":
            while True:
                arguments.append(self.parse_expression(0))
                height = max(height, self.height)
                if self.kinds[self.index] != ",":
                    break
                self.index += 1
                if refines and len(arguments) == 1:
                    self.refinement_start = self.starts[self.index]
                if self.kinds[self.index] == ")":
                    raise self.error(
                        "trailing commas not allowed in function call args", self.span_from(self.starts[self.index - 1])
                    )
        self.take(")", context)
        self.height = height
        return tuple(arguments)

    def parse_aggregation(self, operator: str) -> Aggregation:
        start = self.starts[self.index]
        if operator in AGGREGATIONS_EXPERIMENTAL and not self.settings.experimental_functions:
            raise ParseError(f"{operator}() is experimental and must be enabled", start, self.text)
        self.index += 1
        grouping: tuple[str, ...] = ()
        without = False
        is_grouped = self.kinds[self.index] in {"by", "without"}
        if is_grouped:
            without, grouping = self.parse_grouping()
        arguments = self.parse_arguments("aggregation")
        height = self.height
        if not is_grouped and self.kinds[self.index] in {"by", "without"}:
            without, grouping = self.parse_grouping()
        span = self.span_from(start)
        wanted = 2 if operator in AGGREGATIONS_WITH_PARAMETER else 1
        if not arguments:
            raise self.error("no arguments for aggregate expression provided", span)
        if len(arguments) != wanted:
            counts = f"expected {wanted}, got {len(arguments)}"
            raise self.error(f"wrong number of arguments for aggregate expression provided, {counts}", span)
        parameter = arguments[0] if wanted == 2 else None
        node = self.checked(Aggregation(operator, arguments[-1], parameter, grouping, without, span))
        self.grow(height + 1, span)
        return node

    def parse_grouping(self) -> tuple[bool, tuple[str, ...]]:
        self.index += 1
        return self.kinds[self.index - 1] == "without", self.parse_label_list("grouping opts")

    # Binary modifiers.

    def parse_matching(self, operator: str, sign: Span) -> tuple[bool, Matching | None]:
        """`bool`, `on`/`ignoring`, `group_left`/`group_right`, `fill…`, in this order, each optional, behind `sign`."""
        kind = self.kinds[self.index]
        returns_bool = kind == "bool"
        if returns_bool:
            if operator not in COMPARISONS:
                raise self.error("bool modifier can only be used on comparison operators", sign)
            self.index += 1
            kind = self.kinds[self.index]
        if kind not in {"on", "ignoring", "fill", "fill_left", "fill_right"}:
            return returns_bool, None
        matching = Matching()
        if kind in {"on", "ignoring"}:
            self.index += 1
            matching = Matching(labels=self.parse_label_list("grouping opts"), is_on=kind == "on")
            side = self.kinds[self.index]
            if side in {"group_left", "group_right"}:
                cardinality = Cardinality.MANY_TO_ONE if side == "group_left" else Cardinality.ONE_TO_MANY
                self.index += 1
                include: tuple[str, ...] = ()
                if self.kinds[self.index] == "(":
                    include = self.parse_label_list("grouping opts")
                matching = replace(matching, cardinality=cardinality, include=include)
                both = next((label for label in include if label in matching.labels), None)
                if matching.is_on and both is not None:
                    message = f'label "{both}" must not occur in ON and GROUP clause at once'
                    raise self.error(message, sign)
        filled = self.parse_fills(matching)
        return returns_bool, (filled if filled != Matching() or kind in {"on", "ignoring"} else None)

    def parse_fills(self, matching: Matching) -> Matching:
        """`fill(x)`, or `fill_left(x)` and `fill_right(y)` in any order."""
        while True:
            kind = self.kinds[self.index]
            if kind not in {"fill", "fill_left", "fill_right"} or self.kinds[self.index + 1] != "(":
                return matching
            span = Span(self.starts[self.index], 0)
            if not self.settings.fill_modifiers:
                raise self.error("binop fill modifiers are experimental and not enabled", span)
            left_taken, right_taken = matching.fill_left is not None, matching.fill_right is not None
            if (left_taken and kind != "fill_right") or (right_taken and kind != "fill_left"):
                raise self.unexpected("fill modifiers")
            self.index += 2
            value, _ = self.parse_signed_number()
            self.take(")", "fill modifiers")
            if kind != "fill_right":
                matching = replace(matching, fill_left=value)
            if kind != "fill_left":
                matching = replace(matching, fill_right=value)
