"""Parsing of selectors, label lists, and of what may stand behind an operand: `[]`, `offset`, `@`, `anchored`, `smoothed`."""

import math
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher, MatchOperator, RegexError
from nunchi.query.errors import ParseError
from nunchi.query.syntax import checks
from nunchi.query.syntax.checks import MisfitError
from nunchi.query.syntax.duration_parser import DurationParser
from nunchi.query.syntax.lexer import DURATION, IDENTIFIER, KEYWORDS, LABEL_NAME, NUMBER, STRING
from nunchi.query.syntax.literals import format_number, readable
from nunchi.query.syntax.nodes import At, Edge, Extension, MatrixSelector, Node, Span, Subquery, VectorSelector
from nunchi.query.syntax.signatures import Function

_MATCH_OPERATORS: Final = {operator.value: operator for operator in MatchOperator}
_AT_SECONDS_MAX: Final = 2**63 / 1000


@dataclass(frozen=True, slots=True)
class ParserSettings:
    """What is experimental and only parsed where it was asked for; and functions besides PromQL's own."""

    experimental_functions: bool = False
    extended_selectors: bool = False
    fill_modifiers: bool = False
    extensions: tuple[Function, ...] = ()

    def find_extension(self, name: str) -> Function | None:
        """The function of that name that is not PromQL's own."""
        return next((function for function in self.extensions if function.name == name), None)


STABLE: Final = ParserSettings()
EVERYTHING: Final = ParserSettings(experimental_functions=True, extended_selectors=True, fill_modifiers=True)


class _Placed(Protocol):
    @property
    def span(self) -> Span: ...


_Place = TypeVar("_Place", bound=_Placed)


class SelectorParser(DurationParser):
    """The part of the parser that reads selectors and their modifiers."""

    def __init__(self, text: str, settings: ParserSettings) -> None:
        super().__init__(text)
        self.settings = settings
        self.refinement_start = -1

    def checked(self, node: _Place) -> _Place:
        """The node, if its types fit."""
        try:
            checks.check_node(node)
        except MisfitError as problem:
            raise self.error(str(problem), problem.span) from None
        return node

    def parse_label_list(self, context: str) -> tuple[str, ...]:
        """`(label, "any label", …)`; a comma before the closing bracket is fine."""
        self.take("(", context)
        labels: list[str] = []
        while self.kinds[self.index] != ")":
            if self.kinds[self.index] == STRING:
                label = self.parse_string(is_name=True)
                if not label:
                    raise ParseError('invalid label name for grouping: ""', self.starts[self.index - 1], self.text)
            else:
                label = self.word()
                is_word = self.kinds[self.index] == IDENTIFIER or self.kinds[self.index] in KEYWORDS
                if not is_word or not LABEL_NAME.fullmatch(label):
                    raise self.unexpected(context, "label")
                self.index += 1
            labels.append(label)
            if self.kinds[self.index] == ")":
                break
            if self.kinds[self.index] != ",":
                raise self.unexpected(context, '"," or ")"')
            self.index += 1
        self.index += 1
        return tuple(labels)

    def parse_vector_selector(self) -> VectorSelector:
        """`name`, `{matchers}` or both. Whether it asks for anything at all is judged later."""
        start = self.starts[self.index]
        name = ""
        if self.kinds[self.index] != "{":
            name = self.word()
            self.index += 1
        matchers = self.parse_matchers() if self.kinds[self.index] == "{" else []
        if name:
            matchers.append(Matcher(METRIC_NAME, MatchOperator.EQUAL, name))
        span = self.span_from(start)
        named = [matcher.value for matcher in matchers if matcher.name == METRIC_NAME]
        if name and len(named) > 1:
            raise self.error(f'metric name must not be set twice: "{name}" or "{named[0]}"', span)
        self.height = 1
        return VectorSelector(name, tuple(matchers), span=span)

    def parse_matchers(self) -> list[Matcher]:
        """`{label="value", "any label"=~"regex", "metric name", …}`."""
        self.index += 1
        matchers: list[Matcher] = []
        quoted_name: str | None = None
        while self.kinds[self.index] != "}":
            start = self.starts[self.index]
            if self.kinds[self.index] == STRING:
                label = self.parse_string(is_name=True)
                if self.kinds[self.index] in {",", "}"}:
                    if quoted_name is not None:
                        raise ParseError(
                            f'metric name must not be set twice: "{quoted_name}" or "{label}"', start, self.text
                        )
                    quoted_name = label
                    matchers.append(Matcher(METRIC_NAME, MatchOperator.EQUAL, label))
                    label = ""
            elif self.kinds[self.index] == IDENTIFIER:
                label = self.word()
                self.index += 1
            else:
                raise self.unexpected("label matching", 'identifier or "}"')
            if self.kinds[self.index] not in {",", "}"} or label:
                matchers.append(self.parse_matcher(label, start))
            if self.kinds[self.index] == "}":
                break
            if self.kinds[self.index] != ",":
                raise self.unexpected("label matching", '"," or "}"')
            self.index += 1
            if self.kinds[self.index] == "," or (self.kinds[self.index] == "}" and not matchers):
                raise self.unexpected("label matching", 'identifier or "}"')
        self.index += 1
        return matchers

    def parse_matcher(self, label: str, start: int) -> Matcher:
        """The operator and the value behind a label name, which begins at `start`."""
        operator = _MATCH_OPERATORS.get(self.kinds[self.index])
        if operator is None:
            raise self.unexpected("label matching", "label matching operator")
        self.index += 1
        if self.kinds[self.index] != STRING:
            raise self.unexpected("label matching", "string")
        try:
            return Matcher(label, operator, readable(self.parse_string()))
        except RegexError as error:
            raise ParseError(str(error), start, self.text) from None

    def parse_postfixes(self, node: Node) -> Node:
        """An operand with all that stands behind it."""
        while True:
            kind = self.kinds[self.index]
            if kind == "[":
                node = self.parse_brackets(node)
            elif kind == "offset":
                node = self.parse_offset(node)
            elif kind == "@":
                node = self.parse_at(node)
            elif kind in {"anchored", "smoothed"}:
                node = self.parse_extension(node, kind)
            else:
                break
        if isinstance(node, VectorSelector) and not node.name:
            self.require_condition(node)
        elif isinstance(node, MatrixSelector) and not node.selector.name:
            self.require_condition(node.selector)
        return node

    def require_condition(self, selector: VectorSelector) -> None:
        """Refuse selectors of everything, except as the second argument of `info`, which only refines."""
        is_refinement = selector.span.start == self.refinement_start
        if not is_refinement and all(matcher.matches_empty() for matcher in selector.matchers):
            raise self.error("vector selector must contain at least one non-empty matcher", selector.span)

    def parse_brackets(self, node: Node) -> Node:
        """`[range]` or `[range:step]`."""
        opening = self.starts[self.index]
        self.index += 1
        range_ms, range_expression = self.parse_bracket_duration("subquery or range selector")
        if self.kinds[self.index] == ":":
            self.index += 1
            step_ms, step_expression = 0, None
            if self.kinds[self.index] != "]":
                step_ms, step_expression = self.parse_bracket_duration("subquery selector")
            self.take("]", "subquery selector")
            subquery = Subquery(
                node, range_ms, step_ms, range_expression, step_expression, span=self.span_from(node.span.start)
            )
            self.grow(self.height + 1, subquery.span)
            return self.checked(subquery)
        self.take("]", "subquery or range selector")
        span = self.span_from(node.span.start)
        if not isinstance(node, VectorSelector):
            raise self.error("ranges only allowed for vector selectors", Span(opening, 0))
        if node.offset_ms or node.offset_expression is not None:
            raise self.error("no offset modifiers allowed before range", Span(opening, 0))
        if node.at is not None:
            raise self.error("no @ modifiers allowed before range", Span(opening, 0))
        self.height = 2
        return MatrixSelector(node, range_ms, range_expression, span)

    def parse_offset(self, node: Node) -> Node:
        """`offset duration`."""
        self.index += 1
        offset_ms, expression = self.parse_offset_duration()
        span = self.span_from(node.span.start)
        target = node.selector if isinstance(node, MatrixSelector) else node
        if not isinstance(target, (VectorSelector, Subquery)):
            what = "an instant vector selector or range vector selector or a subquery"
            raise self.error(f"offset modifier must be preceded by {what}", span)
        if target.offset_ms or target.offset_expression is not None:
            raise self.error("offset may not be set multiple times", span)
        changed = replace(target, offset_ms=offset_ms, offset_expression=expression, span=span)
        return self.rewrapped(node, changed, span)

    def parse_at(self, node: Node) -> Node:
        """`@ time`."""
        self.index += 1
        at = self.parse_at_time(node.span)
        span = self.span_from(node.span.start)
        target = node.selector if isinstance(node, MatrixSelector) else node
        if not isinstance(target, (VectorSelector, Subquery)):
            what = "an instant vector selector or range vector selector or a subquery"
            raise self.error(f"@ modifier must be preceded by {what}", span)
        if target.at is not None:
            raise self.error("@ <timestamp> may not be set multiple times", span)
        return self.rewrapped(node, replace(target, at=at, span=span), span)

    def parse_at_time(self, pinned: Span) -> At:
        """Seconds, or `start()` or `end()`, behind what is pinned."""
        edge = self.word().lower()
        if self.kinds[self.index] == IDENTIFIER and edge in {"start", "end"}:
            self.index += 1
            for bracket in "()":
                if self.kinds[self.index] != bracket:
                    raise self.unexpected("@", "timestamp")
                self.index += 1
            return Edge(edge)
        if self.kinds[self.index] not in {"-", "+", NUMBER, DURATION}:
            raise self.unexpected("@", "timestamp")
        seconds, _ = self.parse_signed_number()
        if not abs(seconds) < _AT_SECONDS_MAX:
            shown = f"{seconds:f}" if math.isfinite(seconds) else format_number(seconds)
            raise self.error(f"timestamp out of bounds for @ modifier: {shown}", pinned)
        return round_half_away(seconds * 1000)

    def parse_extension(self, node: Node, kind: str) -> Node:
        """`anchored` or `smoothed`."""
        keyword = Span(self.starts[self.index], self.ends[self.index])
        if not self.settings.extended_selectors:
            raise self.error(f"{kind} modifier is experimental and not enabled", keyword)
        self.index += 1
        span = self.span_from(node.span.start)
        target = node.selector if isinstance(node, MatrixSelector) else node
        if not isinstance(target, VectorSelector):
            raise self.error(f"{kind} modifier must be preceded by a vector selector or range vector selector", keyword)
        if target.extension is not None:
            raise self.error(f"{kind} and {target.extension.value} may not be set at once", keyword)
        return self.rewrapped(node, replace(target, extension=Extension(kind), span=span), span)

    @staticmethod
    def rewrapped(node: Node, changed: VectorSelector | Subquery, span: Span) -> Node:
        """The changed selector, in its range if it had one."""
        if isinstance(node, MatrixSelector) and isinstance(changed, VectorSelector):
            return replace(node, selector=replace(changed, span=node.selector.span), span=span)
        return changed


def round_half_away(value: float) -> int:
    """The nearest whole number, halves away from zero."""
    return int(value + 0.5) if value >= 0 else -int(-value + 0.5)
