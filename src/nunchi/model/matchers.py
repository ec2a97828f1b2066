"""Conditions on labels: `=`, `!=`, `=~`, `!~`. Regular expressions are RE2's, anchored on both ends, `.` matches newline.

Invariant: an absent label reads as the empty string, so a matcher that matches "" also matches series without the label.
"""

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Any

import re2

from nunchi.kit.errors import InputError
from nunchi.model.labels import METRIC_NAME, Labels, quote

REGEX_CACHE_MAX = 4096


class MatchOperator(Enum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class RegexError(InputError):
    """A regular expression that RE2 does not accept."""


@lru_cache(maxsize=REGEX_CACHE_MAX)
def compile_regex(pattern: str) -> Any:
    """RE2's compiled form, anchored on both ends; raises `RegexError`."""
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        re2.compile(pattern, options)  # alone first: `)(` must not pass by grace of the group around it
        return re2.compile(f"^(?:{pattern})$", options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise RegexError(f"regular expression {quote(pattern)}: {reason}") from None


class Matcher:
    """One condition; immutable, hashable."""

    __slots__ = ("name", "operator", "regex", "value")

    def __init__(self, name: str, operator: MatchOperator, value: str) -> None:
        self.name = name
        self.operator = operator
        self.value = value
        is_regex = operator in (MatchOperator.REGEX, MatchOperator.NOT_REGEX)
        self.regex: Any = compile_regex(value) if is_regex else None

    @property
    def is_negative(self) -> bool:
        """Whether this matches what its value does *not* describe."""
        return self.operator in (MatchOperator.NOT_EQUAL, MatchOperator.NOT_REGEX)

    def matches(self, value: str) -> bool:
        """Whether a label of this value (empty: absent) satisfies the condition."""
        found = value == self.value if self.regex is None else self.regex.match(value) is not None
        return found is not self.is_negative

    def matches_empty(self) -> bool:
        """Whether series without the label satisfy the condition."""
        return self.matches("")

    def _key(self) -> tuple[str, str, str]:
        return self.name, self.operator.value, self.value

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Matcher) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return f"{self.name}{self.operator.value}{quote(self.value)}"

    def __repr__(self) -> str:
        return f"Matcher({self})"


def all_match(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether a label set satisfies every condition."""
    return all(matcher.matches(labels.get(matcher.name)) for matcher in matchers)


def equal_names(matchers: Iterable[Matcher]) -> frozenset[str] | None:
    """The metric name that matchers demand; None where they leave it open."""
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.operator is MatchOperator.EQUAL:
            return frozenset((matcher.value,))
    return None
