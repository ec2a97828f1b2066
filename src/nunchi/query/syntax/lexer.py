"""Text to tokens. A token is a kind and a span; kinds are the operator or keyword itself, or one of the constants below.

Three modes, by what the last opening sign was: outside, between `[` and `]` (where `:` stands alone), between `{` and `}`
(where every word is a label name). The nesting of brackets is bounded here, so that megabytes of them fail at once.
"""

import re
from typing import Final, NamedTuple

from nunchi.query.errors import ParseError
from nunchi.query.syntax.operators import AGGREGATIONS

NESTING_MAX: Final = 128

IDENTIFIER: Final = "identifier"
NUMBER: Final = "number"
DURATION: Final = "duration"
STRING: Final = "string"
END: Final = "end of input"

WORD_OPERATORS: Final = frozenset(("and", "or", "unless", "atan2"))
MODIFIERS: Final = frozenset(
    (
        *("anchored", "bool", "by", "fill", "fill_left", "fill_right", "group_left", "group_right", "ignoring"),
        *("offset", "on", "smoothed", "without"),
    )
)
NUMBER_WORDS: Final = frozenset(("inf", "nan"))
KEYWORDS: Final = WORD_OPERATORS | MODIFIERS | AGGREGATIONS
# Keywords that never name a metric. All keywords may name labels.
NEVER_METRIC_NAMES: Final = frozenset(("bool", "on", "ignoring", "group_left", "group_right", "atan2"))

LABEL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SPACE = r"(?:[ \t\r\n]+|\#[^\n]*)*"
_STRING = r"""(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'|`[^`]*`)"""
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBERS = (
    r"(?P<duration>[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdw]))*(?![A-Za-z0-9_]))"
    r"|(?P<number>(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    rf"|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)(?![A-Za-z0-9_.]))"
    r"|(?P<malformed>\.?[0-9][A-Za-z0-9_.]*)"
)
_OPERATORS = r"(?P<operator>==|!=|=~|!~|<=|>=|</|>/|[-+*/%^()\[\]{},=<>@:])"
_TAIL = r"(?P<end>\Z)|(?P<other>.)"

_OUTSIDE = re.compile(
    rf"{_SPACE}(?:(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)|{_NUMBERS}|{_STRING}|{_OPERATORS}|{_TAIL})", re.DOTALL
)
_BRACKETS = re.compile(
    rf"{_SPACE}(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|{_NUMBERS}|{_STRING}|{_OPERATORS}|{_TAIL})", re.DOTALL
)
_BRACES = re.compile(
    rf"{_SPACE}(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|{_STRING}|(?P<operator>!=|=~|!~|[}},=])|{_TAIL})", re.DOTALL
)

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPENING_NAMES = {"(": "left parenthesis", "[": "left bracket", "{": "left brace"}
_CLOSING_NAMES = {")": "right parenthesis", "]": "right bracket"}


class Tokens(NamedTuple):
    """The tokens of a text, as columns; the last one is END."""

    kinds: list[str]
    starts: list[int]
    ends: list[int]


def tokenize(text: str) -> Tokens:
    """The tokens of a text; raises `ParseError`."""
    kinds: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    opened: list[str] = []
    pattern = _OUTSIDE
    at = 0
    while True:
        match = pattern.match(text, at)
        assert match is not None
        group = match.lastgroup
        assert group is not None
        start, at = match.span(group)
        kind = group
        if group == "word":
            kind = IDENTIFIER if pattern is _BRACES else _word_kind(match.group(group))
        elif group == "operator":
            kind = match.group(group)
            if kind in {"=~", "!~"} and pattern is not _BRACES:
                raise ParseError(f"unexpected character after '{kind[0]}': '~'", start, text)
            if kind in "([{":
                opened.append(kind)
                if len(opened) > NESTING_MAX:
                    raise ParseError(f"brackets are nested more than {NESTING_MAX} deep", start, text)
                pattern = _OUTSIDE if kind == "(" and pattern is _OUTSIDE else _BRACES if kind == "{" else _BRACKETS
            elif kind in ")]}":
                if not opened or _CLOSING[opened.pop()] != kind:
                    # Prometheus has passed a round bracket when it complains, and knows no curly one outside of selectors.
                    what = f"character: '{kind}'" if kind == "}" else f"{_CLOSING_NAMES[kind]} '{kind}'"
                    raise ParseError(f"unexpected {what}", at if kind == ")" else start, text)
                pattern = _BRACKETS if "[" in opened else _OUTSIDE
        elif group == "end":
            if opened:
                what = "unexpected end of input inside braces" if opened[-1] == "{" else _unclosed(opened[-1])
                raise ParseError(what, start, text)
            kinds.append(END)
            starts.append(start)
            ends.append(at)
            return Tokens(kinds, starts, ends)
        elif group in {"other", "malformed"}:
            raise ParseError(_complaint(text, start, at, pattern is _BRACES), start, text)
        kinds.append(kind)
        starts.append(start)
        ends.append(at)


def _unclosed(opening: str) -> str:
    return f"unclosed {_OPENING_NAMES[opening]}"


def _word_kind(word: str) -> str:
    lower = word.lower()
    if lower in KEYWORDS:
        return lower
    return NUMBER if lower in NUMBER_WORDS else IDENTIFIER


def _complaint(text: str, start: int, end: int, inside_braces: bool) -> str:
    """What is wrong with a stretch of text that is no token."""
    found = text[start:end]
    if found in {'"', "'"}:
        return "unterminated quoted string"
    if found == "`":
        return "unterminated raw string"
    if inside_braces and found == "!" and end < len(text):
        return f"unexpected character after '!' inside braces: '{text[end]}'"
    if inside_braces:
        return f"unexpected character inside braces: '{found}'"
    if end - start > 1 or found.isdigit():
        return f"bad number or duration syntax: {quote_short(found)}"
    if found == "!" and end < len(text):
        return f"unexpected character after '!': '{text[end]}'"
    return f"unexpected character: '{found}'"


def quote_short(found: str) -> str:
    """A piece of text for an error message."""
    return f'"{found}"' if len(found) <= 32 else f'"{found[:32]}"...'
