"""`match` and `reReplaceAll`: RE2, unanchored, with Go's `$1` and `${name}` in replacements."""

import re
from functools import lru_cache
from typing import Any

import re2

from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.printing import TEXT_CHARACTERS_MAX

PATTERN_CACHE_MAX = 512
_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<bare>\w+))")


@lru_cache(maxsize=PATTERN_CACHE_MAX)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise FunctionError(f"regular expression {pattern!r}: {reason}") from None


def match(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text."""
    return _compiled(pattern).search(text) is not None


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """The text with every match replaced."""
    expression = _compiled(pattern)
    names = {**{str(group): group for group in range(expression.groups + 1)}, **expression.groupindex}
    pieces: list[str] = []
    characters = position = 0
    for found in expression.finditer(text):
        groups = [found.group(group) for group in range(expression.groups + 1)]
        piece = text[position : found.start()] + _expand(replacement, names, groups)
        characters += len(piece)
        if characters > TEXT_CHARACTERS_MAX:
            raise FunctionError(f"reReplaceAll makes more than {TEXT_CHARACTERS_MAX} characters")
        pieces.append(piece)
        position = found.end()
    pieces.append(text[position:])
    return "".join(pieces)


def _expand(replacement: str, names: dict[str, int], groups: list[str | None]) -> str:
    def shown(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        group = names.get(reference["braced"] or reference["bare"])
        return (groups[group] if group is not None else None) or ""

    return _REFERENCE.sub(shown, replacement) if "$" in replacement else replacement
