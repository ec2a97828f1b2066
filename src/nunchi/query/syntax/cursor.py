"""A place among the tokens of one text: looking, stepping, complaining. What both parsers stand on."""

from typing import Final

from nunchi.kit.durations import parse_duration
from nunchi.query.errors import ParseError
from nunchi.query.syntax.lexer import DURATION, END, IDENTIFIER, KEYWORDS, NUMBER, STRING, tokenize
from nunchi.query.syntax.literals import parse_number, quote_text, readable, unquote
from nunchi.query.syntax.nodes import Span
from nunchi.query.syntax.operators import AGGREGATIONS, PRECEDENCE

HEIGHT_MAX: Final = 256

_TITLES: Final = {IDENTIFIER: "identifier", NUMBER: "number", DURATION: "duration", STRING: "string"}


class Cursor:
    """One text and a position in it. `height` is that of the tree last built, `depth` that of the recursion."""

    def __init__(self, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ParseError("text is not valid Unicode", error.start, text) from None
        self.text = text
        self.kinds, self.starts, self.ends = tokenize(text)
        self.index = 0
        self.height = 0
        self.depth = 0

    def word(self, index: int | None = None) -> str:
        """The text of a token, by default the one at hand."""
        at = self.index if index is None else index
        return self.text[self.starts[at] : self.ends[at]]

    def take(self, kind: str, context: str) -> int:
        """Step over a token of this kind; its index."""
        if self.kinds[self.index] != kind:
            raise self.unexpected(context, _TITLES.get(kind, f'"{kind}"'))
        self.index += 1
        return self.index - 1

    def span_from(self, start: int) -> Span:
        """From a character to the end of the token just passed."""
        return Span(start, self.ends[self.index - 1])

    def error(self, message: str, span: Span) -> ParseError:
        """An error about a span."""
        return ParseError(message, span.start, self.text)

    def unexpected(self, context: str, expected: str = "") -> ParseError:
        """An error about the token at hand."""
        kind = self.kinds[self.index]
        found = self.word()
        shown = found if len(found) <= 32 else found[:32] + "..."
        if kind == END:
            what = END
        elif kind == STRING:
            what = f"string {quote_text(shown)}"
        elif kind in _TITLES:
            what = f'{_TITLES[kind]} "{shown}"'
        elif kind in PRECEDENCE:
            what = f"<op:{found}>"
        elif kind in AGGREGATIONS:
            what = f"<aggr:{found}>"
        elif kind in KEYWORDS:
            what = f"<{found}>"
        else:
            what = f'"{shown}"'
        tail = f", expected {expected}" if expected else ""
        return ParseError(
            f"unexpected {what}{' in ' + context if context else ''}{tail}", self.starts[self.index], self.text
        )

    def grow(self, height: int, span: Span) -> None:
        """Note the height of a tree just built."""
        if height > HEIGHT_MAX:
            raise self.error(f"expression is nested more than {HEIGHT_MAX} deep", span)
        self.height = height

    def descend(self) -> None:
        """Note one more level of recursion."""
        self.depth += 1
        if self.depth > HEIGHT_MAX:
            raise self.error(f"expression is nested more than {HEIGHT_MAX} deep", Span(self.starts[self.index], 0))

    def parse_number(self) -> tuple[float, bool]:
        """A number, or a duration as its seconds; and which of the two it was."""
        kind = self.kinds[self.index]
        if kind not in {NUMBER, DURATION}:
            raise self.unexpected("", "number or duration")
        try:
            value = parse_duration(self.word()) / 1000 if kind == DURATION else parse_number(self.word())
        except ValueError as error:
            raise ParseError(str(error), self.starts[self.index], self.text) from None
        self.index += 1
        return value, kind == DURATION

    def parse_signed_number(self) -> tuple[float, bool]:
        """`parse_number` with a sign before it."""
        sign = self.kinds[self.index]
        if sign in {"-", "+"}:
            self.index += 1
        value, is_duration = self.parse_number()
        return (-value if sign == "-" else value), is_duration

    def parse_string(self, *, is_name: bool = False) -> str:
        """What a string token means; a name has to be UTF-8."""
        at = self.take(STRING, "")
        try:
            text = unquote(self.word(at))
        except ValueError as error:
            raise ParseError(str(error), self.starts[at], self.text) from None
        if is_name and readable(text) != text:
            raise ParseError("the bytes of this name are not UTF-8", self.starts[at], self.text)
        return text
