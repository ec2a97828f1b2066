"""Which series of several indexes match, in the order of their labels: kept by matchers, so that who asks again pays little.

Dashboards and rules ask for the same series again and again. Invariant: what is kept was found in indexes of the same identity
and size as those asked about; indexes only grow, so that it is what would be found now. What counts is when they were used
last, and how large they are together.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable, Symbols, rank_texts
from nunchi.tsdb.distinct import distinct
from nunchi.tsdb.index import Index
from nunchi.tsdb.kernels import labels as kernel

Longs: TypeAlias = NDArray[np.int64]
Key: TypeAlias = tuple[tuple[Matcher, ...], tuple[tuple[object, int], ...]]
BYTES_MAX = 32 << 20
SHARE_MAX = 4  # no selection takes more than one part in so many


@dataclass(frozen=True, slots=True, eq=False)
class United:
    """Series of several indexes as one each: `positions[i]` belongs to the i-th ref of all indexes, one after the other.

    examples  for each series, the place of one of its refs among all
    """

    positions: Longs
    examples: Longs


def unite(selected: Sequence[tuple[Index, NDArray[np.int32]]]) -> United:
    """Series are one where the 128 bits of their label keys are."""
    if len(selected) == 1:
        own = np.arange(len(selected[0][1]), dtype=np.int64)
        return United(own, own)
    hashes = np.concatenate([index.hashes[refs] for index, refs in selected])
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    ordered = hashes[order]
    is_new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    positions = np.empty(len(order), np.int64)
    positions[order] = np.cumsum(is_new) - 1
    return United(positions, order[is_new])


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """Series in the order of their labels.

    labels   under symbols of its own
    members  (which index, positions of its series, ascending, and their refs) of every index that has any
    """

    labels: LabelTable
    members: Sequence[tuple[int, Longs, NDArray[np.int32]]]

    @classmethod
    def of(cls, indexes: Sequence[Index], matchers: Sequence[Matcher]) -> "Selected":
        """Asks every index."""
        found = [(number, index.select(matchers)) for number, index in enumerate(indexes)]
        found = [(number, refs) for number, refs in found if len(refs)]
        symbols = Symbols()
        if not found:
            return cls(LabelTable(symbols, np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(1, np.int64)), ())
        united = unite([(indexes[number], refs) for number, refs in found])
        labels = _label_table(found, indexes, united.examples, symbols)
        order = sort_labels(labels)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        members = []
        begin = 0
        for number, refs in found:
            positions = rank[united.positions[begin : begin + len(refs)]]
            ascending = np.argsort(positions)
            members.append((number, positions[ascending], refs[ascending]))
            begin += len(refs)
        return cls(labels.take(order), members)

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        refs = sum(positions.nbytes + refs.nbytes for _, positions, refs in self.members)
        return refs + self.labels.names.nbytes * 2 + self.labels.offsets.nbytes + 100 * len(self.labels.symbols)

    def table(self, symbols: Symbols) -> LabelTable:
        """The label sets under a reader's symbols."""
        own = self.labels
        if len(symbols) == 1:
            symbols.take_over(own.symbols)
            return LabelTable(symbols, own.names, own.values, own.offsets)
        ids = symbols.intern_all(own.symbols.texts)
        return LabelTable(symbols, ids[own.names], ids[own.values], own.offsets)


def _label_table(
    found: Sequence[tuple[int, NDArray[np.int32]]], indexes: Sequence[Index], examples: Longs, symbols: Symbols
) -> LabelTable:
    """The label sets of the examples among the series found, in their order."""
    names, values, counts, places = [], [], [], []
    begin = 0
    for number, refs in found:
        own = np.flatnonzero((examples >= begin) & (examples < begin + len(refs)))
        own_names, own_values, own_counts = indexes[number].label_pairs(refs[examples[own] - begin], symbols)
        names.append(own_names)
        values.append(own_values)
        counts.append(own_counts)
        places.append(own)
        begin += len(refs)
    offsets = np.zeros(len(examples) + 1, np.int64)
    np.cumsum(np.concatenate(counts), out=offsets[1:])
    table = LabelTable(symbols, np.concatenate(names), np.concatenate(values), offsets)
    return table if len(names) == 1 else table.take(np.argsort(np.concatenate(places), kind="stable"))


def sort_labels(table: LabelTable) -> Longs:
    """The order of the label sets by their texts."""
    order = np.arange(len(table), dtype=np.int64)
    symbols = len(table.symbols)
    (names, name_places), (values, value_places) = (distinct(part, symbols) for part in (table.names, table.values))
    used, places = distinct(np.concatenate([names, values]), symbols)
    ranked = rank_texts([table.symbols.text(symbol) for symbol in used.tolist()])[places]
    kernel.sort_series(table.offsets, ranked[: len(names)][name_places], ranked[len(names) :][value_places], order)
    return order


class SelectionMemory:
    """What was selected lately. Safe to use from several threads."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Key, Selected] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def select(self, indexes: Sequence[Index], matchers: Sequence[Matcher]) -> Selected:
        """What matches, found before or now."""
        key = tuple(matchers), tuple((index.identity, len(index.created)) for index in indexes)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
        selected = Selected.of(indexes, matchers)
        self._keep(key, selected)
        return selected

    def _keep(self, key: Key, selected: Selected) -> None:
        with self._lock:
            if selected.bytes * SHARE_MAX > self._bytes_max or key in self._kept:
                return
            self._kept[key] = selected
            self._size += selected.bytes
            while self._size > self._bytes_max:
                self._size -= self._kept.popitem(last=False)[1].bytes
