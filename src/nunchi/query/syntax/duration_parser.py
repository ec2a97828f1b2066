"""Parsing of what stands in `[]` and behind `offset`: numbers, durations, and expressions of them."""

from typing import Final

from nunchi.query.errors import ParseError
from nunchi.query.syntax.cursor import HEIGHT_MAX, Cursor
from nunchi.query.syntax.lexer import DURATION, END, IDENTIFIER, NUMBER, STRING
from nunchi.query.syntax.nodes import (
    DurationBinary,
    DurationCall,
    DurationNode,
    DurationNumber,
    DurationParenthesis,
    DurationUnary,
    Span,
)

_DURATION_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
_DURATION_SIGN: Final = 3
_DURATION_CALLS: Final = {"step": 0, "range": 0, "min_of": 2, "max_of": 2}


class DurationParser(Cursor):
    """The part of the parser that reads durations."""

    def parse_bracket_duration(self, context: str) -> tuple[int, DurationNode | None]:
        """Milliseconds of a plain number or duration; else 0 and the expression."""
        start = self.starts[self.index]
        if self.kinds[self.index] in {"]", ":", END}:
            raise self.unexpected(context, "number, duration, or step()")
        if self.kinds[self.index] == STRING:
            raise self.unexpected(context, "number, duration, or step()")
        node = self.parse_duration_expression(0)
        if self.kinds[self.index] not in {"]", ":"}:
            raise self.unexpected(context, '"]" or ":"')
        return self.plain_duration(node, start, signed=False)

    def parse_offset_duration(self) -> tuple[int, DurationNode | None]:
        """A sign and one operand: what follows it belongs to the expression around, unless in brackets."""
        start = self.starts[self.index]
        sign = self.kinds[self.index]
        if sign not in {"-", "+"}:
            return self.plain_duration(self.parse_duration_operand("offset"), start, signed=True)
        self.index += 1
        operand = self.parse_duration_operand("offset")
        return self.plain_duration(DurationUnary(sign, operand, self.span_from(start)), start, signed=True)

    def plain_duration(self, node: DurationNode, start: int, *, signed: bool) -> tuple[int, DurationNode | None]:
        """Milliseconds of a plain number; else 0 and the expression."""
        number, factor = node, 1
        if signed and isinstance(node, DurationUnary):
            number, factor = node.operand, -1 if node.operator == "-" else 1
        if not isinstance(number, DurationNumber):
            self.refuse_division_by_zero(node)
            return 0, node
        seconds = number.seconds * factor
        if not abs(seconds) * 1e9 < 2**63:
            raise ParseError("duration out of range", start, self.text)
        if not signed and int(seconds * 1000) <= 0:
            raise ParseError("duration must be greater than 0", start, self.text)
        return int(seconds * 1000) if not number.is_duration else round(seconds * 1000), None

    def refuse_division_by_zero(self, node: DurationNode) -> None:
        """Divisors that are written as 0 are found before anything runs."""
        match node:
            case DurationBinary():
                if node.operator in {"/", "%"} and node.right == DurationNumber(0.0):
                    word = "division" if node.operator == "/" else "modulo"
                    raise self.error(f"{word} by zero", node.right.span)
                self.refuse_division_by_zero(node.left)
                self.refuse_division_by_zero(node.right)
            case DurationUnary():
                self.refuse_division_by_zero(node.operand)
            case DurationParenthesis():
                self.refuse_division_by_zero(node.inner)
            case DurationCall():
                for argument in node.arguments:
                    self.refuse_division_by_zero(argument)
            case _:
                return

    def parse_duration_expression(self, precedence_min: int) -> DurationNode:
        """An operand and the operators behind it that bind at least this closely."""
        self.descend()
        start = self.starts[self.index]
        left: DurationNode
        if self.kinds[self.index] in {"-", "+"}:
            sign = self.kinds[self.index]
            self.index += 1
            operand = self.parse_duration_expression(_DURATION_SIGN)
            left = DurationUnary(sign, operand, self.span_from(start))
        else:
            left = self.parse_duration_operand("duration expression")
        length = 0
        while True:
            operator = self.kinds[self.index]
            precedence = _DURATION_PRECEDENCE.get(operator)
            if precedence is None or precedence < precedence_min:
                self.depth -= 1
                return left
            length += 1
            if length + self.depth > HEIGHT_MAX:
                raise self.error(f"expression is nested more than {HEIGHT_MAX} deep", Span(start, 0))
            self.index += 1
            right = self.parse_duration_expression(precedence if operator == "^" else precedence + 1)
            left = DurationBinary(operator, left, right, Span(left.span.start, right.span.end))

    def parse_duration_operand(self, context: str) -> DurationNode:
        """A number, a call, or brackets."""
        start = self.starts[self.index]
        kind = self.kinds[self.index]
        if kind in {NUMBER, DURATION}:
            seconds, is_duration = self.parse_number()
            return DurationNumber(seconds, is_duration, self.span_from(start))
        if kind == "(":
            self.index += 1
            inner = self.parse_duration_expression(0)
            self.take(")", "duration expression")
            return DurationParenthesis(inner, self.span_from(start))
        name = self.word().lower()
        count = _DURATION_CALLS.get(name) if kind == IDENTIFIER else None
        if count is None:
            raise self.unexpected(context, "number, duration, step(), or range()")
        self.index += 1
        self.take("(", "duration expression")
        arguments: list[DurationNode] = []
        for position in range(count):
            if position:
                self.take(",", "duration expression")
            arguments.append(self.parse_duration_expression(0))
        self.take(")", "duration expression")
        return DurationCall(name, tuple(arguments), self.span_from(start))
