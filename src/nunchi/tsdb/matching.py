"""Matchers against the distinct values of a label: literals are looked up, what is one text with anything around it is searched
for, regular expressions run last, on bytes.

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
_AROUND = re.compile(r"(\.[*+])?((?:[^\\.+*?()|\[\]{}^$]|\\[.\-/:_])*)(\.[*+])?")
_BYTES_AROUND = {None: -1, ".*": 0, ".+": 1}


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

    def encoded(self, symbols: NDArray[np.int32]) -> list[bytes]:
        """The text of each symbol, in UTF-8."""
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
    around = _AROUND.fullmatch(matcher.value)
    if around is None or matcher.value == ".+.+":  # bytes are no characters: only beside a text is one of them enough
        match = matcher.regex.match
        found = (match(text) is not None for text in index.encoded(values))
        matched = np.fromiter(found, np.bool_, len(values))
        return np.asarray(matched != matcher.is_negative)
    text, places = around[2].replace("\\", "").encode(), np.empty(len(values), np.uint8)
    before, after = _BYTES_AROUND[around[1]], _BYTES_AROUND[around[3]]
    kernel.match_text(text, before, after, values, index.symbol_bytes, index.symbol_ends, places)
    return np.asarray(places.astype(np.bool_) != matcher.is_negative)
