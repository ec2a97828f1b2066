"""Matchers against the distinct values of a label: literals are looked up, prefixes compared, regular expressions run last.

Invariant: a matcher is judged per (name, value) pair, never per series.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.tsdb.kernels import labels as kernel

GOOD, BAD = 1, 2
LITERALS_MAX = 4096
_LITERALS = re.compile(r"(?:[^\\.+*?()|\[\]{}^$]|\\[.\-/:_])+(?:\|(?:[^\\.+*?()|\[\]{}^$]|\\[.\-/:_])+)*")
_PREFIX = re.compile(r"((?:[^\\.+*?()|\[\]{}^$]|\\[.\-/:_])*)(\.\*|\.\+)")


class Pairs(Protocol):
    """What is asked of an index."""

    symbol_bytes: NDArray[np.uint8]
    symbol_ends: NDArray[np.int64]
    pair_names: NDArray[np.int32]
    pair_values: NDArray[np.int32]

    def find_symbol(self, text: str) -> int:
        """The symbol of a text, -1 where there is none."""
        ...

    def find_pair(self, name: int, value: int) -> int:
        """The pair of two symbols, -1 where there is none."""
        ...

    def texts(self, symbols: NDArray[np.int32]) -> list[str]:
        """The text of each symbol."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fates:
    """What a matcher says of each pair: 0 another name, `GOOD`, `BAD`; and of series without the name."""

    of_pair: NDArray[np.uint8]
    good: NDArray[np.int64]
    matches_empty: bool


def judge_pairs(index: Pairs, matcher: Matcher) -> Fates | None:
    """The fates of an index's pairs; None where every series matches."""
    matches_empty = matcher.matches_empty()
    fates = np.zeros(len(index.pair_names), np.uint8)
    name = index.find_symbol(matcher.name)
    if name < 0:
        return None if matches_empty else Fates(fates, np.zeros(0, np.int64), matches_empty=False)
    literals = _literals(matcher)
    if literals is not None and matcher.is_negative == matches_empty:
        found = _find_pairs(index, name, literals)
        if not matcher.is_negative:
            fates[found] = GOOD
            return Fates(fates, found, matches_empty=False)
        fates[found] = BAD
        good = np.flatnonzero(index.pair_names == name)
        fates[good] = np.where(fates[good] == BAD, BAD, GOOD)
        return Fates(fates, good[fates[good] == GOOD], matches_empty=True)
    pairs = np.flatnonzero(index.pair_names == name)
    matched = _match_values(index, matcher, index.pair_values[pairs])
    if matches_empty and matched.all():
        return None
    fates[pairs] = np.where(matched, GOOD, BAD)
    return Fates(fates, pairs[matched], matches_empty)


def _literals(matcher: Matcher) -> list[str] | None:
    """The texts that alone a matcher's pattern stands for, where it stands for some."""
    if matcher.regex is None:
        return [matcher.value]
    if matcher.value.count("|") < LITERALS_MAX and _LITERALS.fullmatch(matcher.value):
        return [word.replace("\\", "") for word in matcher.value.split("|")]
    return None


def _find_pairs(index: Pairs, name: int, texts: Sequence[str]) -> NDArray[np.int64]:
    symbols = (index.find_symbol(text) for text in set(texts) if text)
    pairs = [index.find_pair(name, symbol) for symbol in symbols if symbol >= 0]
    return np.array(sorted(pair for pair in pairs if pair >= 0), np.int64)


def _match_values(index: Pairs, matcher: Matcher, values: NDArray[np.int32]) -> NDArray[np.bool_]:
    matched: NDArray[np.bool_]
    if matcher.operator in (MatchOperator.EQUAL, MatchOperator.NOT_EQUAL):
        matched = values == index.find_symbol(matcher.value)
        return np.asarray(matched != matcher.is_negative)
    prefix = _PREFIX.fullmatch(matcher.value)
    if prefix is None:
        return np.fromiter(map(matcher.matches, index.texts(values)), np.bool_, len(values))
    text = prefix[1].replace("\\", "").encode()
    found = np.empty(len(values), np.uint8)
    kernel.match_prefix(text, values, index.symbol_bytes, index.symbol_ends, found)
    matched = found.astype(np.bool_)
    if prefix[2] == ".+":
        sizes = index.symbol_ends[values] - np.where(values > 0, index.symbol_ends[np.maximum(values - 1, 0)], 0)
        matched &= sizes > len(text)
    return np.asarray(matched != matcher.is_negative)
