"""Matchers as Alertmanager writes them: `{severity=~"page|warn", "my name"!=x}`.

Two grammars exist: one for UTF-8 names, and the classic one, which takes nearly any text for a value. Both are tried; where
both understand a text differently, the classic one counts, so that old files keep their meaning.
Invariant: regular expressions are anchored on both ends, and here, other than in PromQL, `.` does not match a newline.
"""

import re

from nunchi.kit.template.literals import unquote
from nunchi.model.labels import quote
from nunchi.model.matchers import Matcher, MatchOperator, RegexError, compile_regex
from nunchi.notify.errors import MatcherError

_WORD = re.compile(r'"(?:\\.|[^"\\])*"|[^\s{}!=~,\\"\'`]+', re.DOTALL)
_OPERATOR = re.compile(r"=~|!~|!=|=")
_SPACE = re.compile(r"\s*")
_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_RESERVED = re.compile(r'[\s{}!=~,\\"\'`]')


def make_matcher(name: str, operator: str, value: str) -> Matcher:
    """A matcher of this file's kind; raises `MatcherError`."""
    try:
        matcher = Matcher(name, MatchOperator(operator), value)
        if matcher.regex is not None:
            matcher.regex = compile_regex(f"(?-s:{value})")
    except RegexError as error:
        raise MatcherError(f"{name}{operator}: {error}") from None
    return matcher


def parse_matchers(text: str) -> list[Matcher]:
    """All matchers of a text; raises `MatcherError`."""
    failure: MatcherError | None = None
    matchers: list[Matcher] = []
    try:
        matchers = _parse_modern(text)
    except MatcherError as error:
        failure = error
    try:
        return _parse_classic(text)
    except MatcherError:
        if failure is not None:
            raise failure from None
        return matchers


def _parse_modern(text: str) -> list[Matcher]:
    body = text.strip()
    if body.startswith("{") != body.endswith("}") or body == "{":
        raise MatcherError(f"{text!r}: braces must be a pair")
    if body.startswith("{"):
        body = body[1:-1]
    matchers: list[Matcher] = []
    position = _skip(body, 0)
    while position < len(body):
        name, position = _word(text, body, position, "a label name")
        operator = _OPERATOR.match(body, position := _skip(body, position))
        if operator is None:
            raise MatcherError(f"{text!r}: expected one of = != =~ !~ after {name!r}")
        value, position = _word(text, body, _skip(body, operator.end()), "a value")
        matchers.append(make_matcher(name, operator.group(), value))
        position = _skip(body, position)
        if position < len(body):
            if body[position] != ",":
                raise MatcherError(f"{text!r}: expected a comma before {body[position:]!r}")
            position = _skip(body, position + 1)
    return matchers


def _skip(body: str, position: int) -> int:
    blank = _SPACE.match(body, position)
    return blank.end() if blank else position


def _word(text: str, body: str, position: int, what: str) -> tuple[str, int]:
    word = _WORD.match(body, position)
    if word is None:
        raise MatcherError(f"{text!r}: expected {what} at {body[position:] or 'the end'!r}")
    if not word.group().startswith('"'):
        return word.group(), word.end()
    try:
        return unquote(word.group()[1:-1]), word.end()
    except ValueError as error:
        raise MatcherError(f"{text!r}: {error}") from None


def _parse_classic(text: str) -> list[Matcher]:
    body = text.removeprefix("{").removesuffix("}")
    pieces: list[str] = []
    piece = ""
    is_quoted = is_escaped = False
    for character in body:
        if character == "," and not is_quoted:
            pieces.append(piece)
            piece = ""
            continue
        if character == '"' and not is_escaped:
            is_quoted = not is_quoted
        is_escaped = character == "\\" and not is_escaped
        piece += character
    if piece.strip():
        pieces.append(piece)
    return [_parse_classic_one(one) for one in pieces]


def _parse_classic_one(text: str) -> Matcher:
    match = _CLASSIC.fullmatch(text)
    if match is None:
        raise MatcherError(f"{text!r} is no matcher: write name=value, or !=, =~, !~")
    name, operator, raw = match.groups()
    needs_quote = raw.startswith('"')
    raw = raw[1:] if needs_quote else raw
    value = ""
    position = 0
    while position < len(raw):
        character = raw[position]
        is_last = position == len(raw) - 1
        if character == "\\" and not is_last:
            position += 1
            following = raw[position]
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(following, "\\" + following)
        elif character == '"':
            if not (needs_quote and is_last):
                raise MatcherError(f'{text!r}: the value has a double quote that is not escaped: write \\"')
            needs_quote = False
        else:
            value += character
        position += 1
    if needs_quote:
        raise MatcherError(f"{text!r}: the closing double quote is missing")
    return make_matcher(name, operator, value)


def format_matcher(matcher: Matcher) -> str:
    """As group keys show it: the name quoted only where it must be."""
    name = quote(matcher.name) if not matcher.name or _RESERVED.search(matcher.name) else matcher.name
    return f"{name}{matcher.operator.value}{quote(matcher.value)}"


def format_matchers(matchers: list[Matcher]) -> str:
    """As group keys show them."""
    return "{" + ",".join(map(format_matcher, matchers)) + "}"
