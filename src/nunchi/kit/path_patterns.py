r"""Files by patterns as Go's `path/filepath` has them: `*`, `?`, `[a-z]`, `[^a-z]` within a part of a path, `\` for a literal.

Prometheus's and Alertmanager's files speak this language. It is not a shell's: `*` means names that begin with a dot too, and
what is malformed is a mistake and not a name.
Invariant: the folder that a pattern is relative to is taken literally.
"""

import os
import re
from pathlib import Path

_WILDCARDS = re.compile(r"[*?\[\\]")


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern may mean other names than its own text."""
    return _WILDCARDS.search(pattern) is not None


def check_pattern(pattern: str) -> None:
    """Raise ValueError, saying what is wrong, where a pattern is malformed."""
    for part in pattern.split("/"):
        _compiled(part)


def find_paths(pattern: str, folder: Path) -> list[Path]:
    """What exists under a pattern relative to `folder`, sorted; folders that cannot be read have nothing. Raises ValueError."""
    check_pattern(pattern)
    found = [Path("/") if pattern.startswith("/") else folder]
    for part in filter(None, pattern.split("/")):
        if has_wildcard(part):
            name = _compiled(part)
            found = [path / entry for path in found for entry in _entries(path) if name.fullmatch(entry)]
        else:
            found = [path / part for path in found]
    return [path for path in found if os.path.lexists(path)]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _compiled(part: str) -> re.Pattern[str]:
    expression, position = "", 0
    while position < len(part):
        character = part[position]
        if character == "[":
            members, position = _members(part, position + 1)
            expression += members
            continue
        if character == "\\":
            character, position = _literal(part, position)
            expression += re.escape(character)
            continue
        expression += {"*": ".*", "?": "."}.get(character, re.escape(character))
        position += 1
    return re.compile(expression, re.DOTALL)


def _members(part: str, position: int) -> tuple[str, int]:
    """The class of characters that begins behind a bracket, and where it ends."""
    is_negated = part[position : position + 1] == "^"
    position += is_negated
    ranges: list[tuple[str, str]] = []
    while not ranges or part[position : position + 1] != "]":
        low, position = _member(part, position)
        high = low
        if part[position : position + 1] == "-":
            high, position = _member(part, position + 1)
        ranges.append((low, high))
    # What runs backwards, as z-a, has no members; re would call it an error.
    members = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if members:
        return f"[{'^' if is_negated else ''}{members}]", position + 1
    return "." if is_negated else "(?!)", position + 1


def _member(part: str, position: int) -> tuple[str, int]:
    character = part[position : position + 1]
    if character in {"", "-", "]"}:
        raise ValueError(f'"{part}" is no pattern: close its bracket as in [a-z], or write \\[ for the character')
    return _literal(part, position) if character == "\\" else (character, position + 1)


def _literal(part: str, position: int) -> tuple[str, int]:
    if position + 1 == len(part):
        raise ValueError(f'"{part}" is no pattern: a backslash at its end escapes nothing')
    return part[position + 1], position + 2
