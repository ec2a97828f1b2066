"""Names and values of labels of the series that have samples in a range, without putting these series together.

Most names and values belong to many series, and one of them that has samples is enough: one each is asked first, and all only
of those names and values for which that one had none.
Invariant: what is found is what the labels of the series selected would show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher
from nunchi.tsdb.index import Index
from nunchi.tsdb.kernels import labels as kernel
from nunchi.tsdb.matching import GOOD
from nunchi.tsdb.reading import Layer

Refs = NDArray[np.int32]
NO_KEY = -1
NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """The series of one index, and where their samples lie."""

    index: Index
    layers: Sequence[Layer]

    def refs_with_samples(self, refs: Refs, start_ms: int, end_ms: int) -> Refs:
        """Those of some distinct series that have samples in [start_ms, end_ms]."""
        found: list[Refs] = []
        for layer in self.layers:
            if not len(refs):
                break
            has_any = np.zeros(len(refs), np.bool_)
            has_any[layer.find(refs, start_ms, end_ms).series] = True
            found.append(refs[has_any])
            refs = refs[~has_any]
        return np.concatenate(found) if found else refs[:0]


def find_names(searched: Iterable[Searched], matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> set[str]:
    """The names of labels of the series that match and have samples in [start_ms, end_ms]."""
    names: set[str] = set()
    for place in searched:
        names.update(_find_keys(place, np.ascontiguousarray(place.index.pair_names), matchers, start_ms, end_ms))
    return names


def find_values(
    searched: Iterable[Searched], name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int
) -> set[str]:
    """The values of one label of the series that match and have samples in [start_ms, end_ms]."""
    values: set[str] = set()
    for place in searched:
        index = place.index
        is_named = index.pair_names == index.find_symbol(name)
        if is_named.any():
            keys = np.where(is_named, index.pair_values, NO_KEY).astype(np.int32)
            values.update(_find_keys(place, keys, matchers, start_ms, end_ms))
    return values


def _find_keys(place: Searched, keys: Refs, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
    """`keys` says for each pair which symbol it shows, if any: the texts of those that some series shows."""
    index = place.index
    refs = np.ascontiguousarray(index.select(matchers))
    asked = _owners(index, refs, keys)
    owned = asked != NOBODY
    proven = np.zeros(len(owned), np.bool_)
    examples = np.unique(asked[owned])
    has_samples = np.isin(asked, place.refs_with_samples(examples, start_ms, end_ms))
    proven[owned] = has_samples[owned]
    doubtful = owned & ~proven
    if doubtful.any():
        doubted = np.where((keys != NO_KEY) & doubtful[keys], keys, NO_KEY).astype(np.int32)
        having = np.empty(len(refs), np.int32)
        fates = np.where(doubted != NO_KEY, GOOD, 0).astype(np.uint8)
        count = kernel.filter_series(refs, index.begins, index.lengths, index.pairs, fates, False, having)
        rest = np.setdiff1d(having[:count], examples, assume_unique=True)
        proven |= _owners(index, place.refs_with_samples(rest, start_ms, end_ms), doubted) != NOBODY
    return index.texts(np.flatnonzero(proven))


def _owners(index: Index, refs: Refs, keys: Refs) -> Refs:
    """int32[symbols]: for each key the first of some series that shows it."""
    owners = np.full(len(index.symbol_ends), NOBODY, np.int32)
    shown = np.zeros(len(owners) + 1, np.bool_)
    shown[keys] = True  # what is no key falls upon the last, which is no symbol
    kernel.pick_owners(refs, index.begins, index.lengths, index.pairs, keys, int(shown[:-1].sum()), owners)
    return owners
