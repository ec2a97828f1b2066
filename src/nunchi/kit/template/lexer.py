"""Templates to tokens: text outside `{{ }}`, words inside. Trim markers and comments end here.

Invariant: every token knows its position in the text, and the tokens of a text end with one `END`.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum

from nunchi.kit.template.errors import TemplateParseError


class TokenKind(Enum):
    """What a token is."""

    TEXT = "text"
    OPEN = "{{"
    CLOSE = "}}"
    KEYWORD = "keyword"
    IDENTIFIER = "function name"
    BOOLEAN = "boolean"
    FIELD = "field"
    VARIABLE = "variable"
    DOT = "."
    NUMBER = "number"
    CHARACTER = "character"
    STRING = "string"
    RAW_STRING = "raw string"
    PIPE = "|"
    DECLARE = ":="
    ASSIGN = "="
    COMMA = ","
    LEFT = "("
    RIGHT = ")"
    END = "end of template"


KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))

_WORDS = re.compile(
    r"""
      (?P<CLOSE>\}\})
    | (?P<STRING>"(?:\\.|[^"\\\n])*")
    | (?P<RAW_STRING>`[^`]*`)
    | (?P<CHARACTER>'(?:\\.|[^'\\\n])+')
    | (?P<NUMBER>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?))
    | (?P<VARIABLE>\$\w*)
    | (?P<FIELD>\.[^\W\d]\w*)
    | (?P<DOT>\.)
    | (?P<IDENTIFIER>[^\W\d]\w*)
    | (?P<DECLARE>:=)
    | (?P<ASSIGN>=)
    | (?P<PIPE>\|)
    | (?P<COMMA>,)
    | (?P<LEFT>\()
    | (?P<RIGHT>\))
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \t\r\n]*")
_TRIM_CLOSE = re.compile(r"[ \t\r\n]+-\}\}")
_OPEN_TRIM = re.compile(r"\{\{-(?=[ \t\r\n])")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Token:
    """One word; `is_spaced` tells whether white space stands before it (`.a.b` is one operand, `.a .b` are two)."""

    kind: TokenKind
    text: str
    position: int
    is_spaced: bool = False


def tokens(name: str, text: str) -> Iterator[Token]:
    """All tokens of a template; raises `TemplateParseError`."""
    position = 0
    trim_next = False
    while True:
        opening = text.find("{{", position)
        end = len(text) if opening < 0 else opening
        piece = text[position:end]
        start = position
        if trim_next:
            trimmed = piece.lstrip(_WHITE)
            start += len(piece) - len(trimmed)
            piece = trimmed
        trim_before = opening >= 0 and _OPEN_TRIM.match(text, opening) is not None
        if trim_before:
            piece = piece.rstrip(_WHITE)
        if piece:
            yield Token(TokenKind.TEXT, piece, start)
        if opening < 0:
            yield Token(TokenKind.END, "", len(text))
            return
        inside = opening + (3 if trim_before else 2)
        commented = _comment_end(name, text, opening, inside)
        if commented is not None:
            position, trim_next = commented
            continue
        yield Token(TokenKind.OPEN, "{{", opening)
        position, trim_next = yield from _action(name, text, opening, inside)


def _comment_end(name: str, text: str, opening: int, inside: int) -> tuple[int, bool] | None:
    blank = _SPACE.match(text, inside)
    begin = blank.end() if blank and text[opening:inside].endswith("-") else inside
    if not text.startswith("/*", begin):
        return None
    comment = _COMMENT.match(text, begin)
    if comment is None:
        raise TemplateParseError(name, text, begin, "unclosed comment: end it with */}}")
    trim = _TRIM_CLOSE.match(text, comment.end())
    if trim is not None:
        return trim.end(), True
    if text.startswith("}}", comment.end()):
        return comment.end() + 2, False
    raise TemplateParseError(name, text, comment.end(), "a comment ends before its action does: write {{/* … */}}")


def _action(name: str, text: str, opening: int, position: int) -> Generator[Token, None, tuple[int, bool]]:
    while True:
        trim = _TRIM_CLOSE.match(text, position)
        if trim is not None:
            yield Token(TokenKind.CLOSE, "}}", trim.end() - 2, is_spaced=True)
            return trim.end(), True
        blank = _SPACE.match(text, position)
        begin = blank.end() if blank else position
        if begin >= len(text):
            raise TemplateParseError(name, text, opening, "unclosed action: end it with }}")
        word = _WORDS.match(text, begin)
        if word is None:
            raise TemplateParseError(name, text, begin, _complaint(text, begin))
        kind = TokenKind[word.lastgroup or ""]
        if kind is TokenKind.IDENTIFIER:
            kind = _kind_of_word(word.group())
        yield Token(kind, word.group(), begin, is_spaced=begin > position)
        position = word.end()
        if kind is TokenKind.CLOSE:
            return position, False


def _kind_of_word(word: str) -> TokenKind:
    if word in KEYWORDS:
        return TokenKind.KEYWORD
    return TokenKind.BOOLEAN if word in ("true", "false") else TokenKind.IDENTIFIER


def _complaint(text: str, position: int) -> str:
    character = text[position]
    if character == '"':
        return "unterminated quoted string: close it on the same line, or use `…`"
    if character == "`":
        return "unterminated raw string: close it with `"
    if character == "'":
        return "unterminated character constant"
    return f"unexpected {character!r} in an action"
