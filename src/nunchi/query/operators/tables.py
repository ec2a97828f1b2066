"""Label tables for operators: the kernels of labels with names instead of ids, and a query's own symbols."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable, Symbols, rank_texts
from nunchi.query.kernels import labels as kernel

LEAVE = kernel.LEAVE

# Labels that say what a metric is: they go wherever the metric name goes.
METADATA_LABELS = (METRIC_NAME, "__type__", "__unit__")


class QuerySymbols(Symbols):
    """A store's symbols and, under negative ids, the texts that a query makes: the store never learns of these.

    A store may learn of a text by itself after the query made it; `adopt` then keeps to the query's id.
    """

    def __init__(self, base: Symbols) -> None:
        super().__init__()
        self._base = base

    def intern(self, text: str) -> int:
        """See `Symbols.intern`."""
        return int(self.intern_all((text,))[0])

    def intern_all(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """See `Symbols.intern_all`."""
        own, known, ids = self._ids, self._base.find, []
        for text in texts:
            symbol = own.get(text)
            if symbol is None:
                symbol = known(text)
            if symbol is None:
                symbol = own[text] = -len(self._texts)
                self._texts.append(text)
            ids.append(symbol)
        return np.array(ids, np.int32)

    def find(self, text: str) -> int | None:
        """See `Symbols.find`."""
        found = self._ids.get(text)
        return found if found is not None else self._base.find(text)

    def text(self, symbol: int) -> str:
        """See `Symbols.text`."""
        return self._base.text(symbol) if symbol >= 0 else self._texts[-symbol]

    def __len__(self) -> int:
        return len(self._base) + len(self._texts) - 1

    def adopt(self, table: LabelTable) -> LabelTable:
        """A store's table under these symbols."""
        names, values = table.names, table.values
        for text, own in self._ids.items():
            known = self._base.find(text) if own else None
            if known is not None:
                names = np.where(names == known, np.int32(own), names)
                values = np.where(values == known, np.int32(own), values)
        return LabelTable(self, names, values, table.offsets)


def known_names(symbols: Symbols, names: Iterable[str]) -> NDArray[np.int32]:
    """The ids of those names that any label set of the query can have."""
    found = (symbols.find(name) for name in names)
    return np.array([symbol for symbol in found if symbol is not None], np.int32)


def keep_labels(table: LabelTable, names: Sequence[str]) -> LabelTable:
    """Only the labels named."""
    listed = known_names(table.symbols, names)
    return LabelTable(table.symbols, *kernel.select_pairs(table.names, table.values, table.offsets, listed, True))


def drop_labels(table: LabelTable, names: Sequence[str]) -> LabelTable:
    """All but the labels named."""
    listed = known_names(table.symbols, names)
    if not len(listed):
        return table
    return LabelTable(table.symbols, *kernel.select_pairs(table.names, table.values, table.offsets, listed, False))


def drop_metadata(table: LabelTable) -> LabelTable:
    """Without the metric name and its kin."""
    return drop_labels(table, METADATA_LABELS)


def group(table: LabelTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers for equal label sets by first appearance, int64[series], and the first series of each."""
    return kernel.group_rows(table.names, table.values, table.offsets)


def group_columns(columns: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `group`, of rows across some columns of symbols."""
    width, rows = len(columns), len(columns[0])
    names = np.zeros(width * rows, np.int32)
    offsets = np.arange(0, width * rows + 1, width, dtype=np.int64)
    return kernel.group_rows(names, np.stack(columns, axis=1).reshape(-1), offsets)


def column(table: LabelTable, name: str) -> NDArray[np.int32]:
    """int32[series]: the symbols of one label's values, 0 where a series does not have it."""
    symbol = table.symbols.find(name)
    if symbol is None:
        return np.zeros(len(table), np.int32)
    return kernel.column(table.names, table.values, table.offsets, symbol)


def used(symbols: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct ids, ascending."""
    if not len(symbols):
        return symbols
    low = int(symbols.min())
    seen = np.zeros(int(symbols.max()) - low + 1, np.bool_)
    seen[symbols - low] = True
    return (np.flatnonzero(seen) + low).astype(np.int32)


def numbered(symbols: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The distinct ids, ascending, and the place of each given one among them."""
    ids = used(symbols)
    if not len(ids):
        return ids, symbols
    low = int(ids[0])
    places = np.zeros(int(ids[-1]) - low + 1, np.int32)
    places[ids - low] = np.arange(len(ids), dtype=np.int32)
    return ids, places[symbols - low]


def texts(table_symbols: Symbols, ids: NDArray[np.int32]) -> list[str]:
    """The texts of ids."""
    return list(map(table_symbols.text, ids.tolist()))


def set_label(table: LabelTable, name: str, changes: NDArray[np.int32]) -> LabelTable:
    """One label set per series to the symbol in `changes`: 0 removes it, `LEAVE` leaves the series alone."""
    symbols = table.symbols
    names = used(table.names)
    before = np.array(
        [symbol for symbol, text in zip(names.tolist(), texts(symbols, names), strict=True) if text < name], np.int32
    )
    rows = kernel.set_label(
        table.names, table.values, table.offsets, symbols.intern(name), np.ascontiguousarray(changes, np.int32), before
    )
    return LabelTable(symbols, *rows)


def concatenate(symbols: Symbols, tables: Sequence[LabelTable]) -> LabelTable:
    """The series of several tables, one after the other."""
    ends = np.cumsum([0, *(len(table.names) for table in tables)])
    offsets = [table.offsets[1:] + end for table, end in zip(tables, ends.tolist(), strict=False)]
    return LabelTable(
        symbols,
        np.concatenate([np.empty(0, np.int32), *(table.names for table in tables)]),
        np.concatenate([np.empty(0, np.int32), *(table.values for table in tables)]),
        np.concatenate([np.zeros(1, np.int64), *offsets]),
    )


def united(symbols: Symbols, tables: Sequence[LabelTable]) -> LabelTable:
    """The series of several tables under the same symbols, each once, sorted by labels."""
    joined = concatenate(symbols, tables)
    _, firsts = group(joined)
    distinct = joined.take(firsts)
    return distinct.take(sorted_order(distinct))


def first_series(table: LabelTable, most: int) -> LabelTable:
    """At most so many series, the first; all where `most` is 0."""
    return table.take(np.arange(most, dtype=np.int64)) if 0 < most < len(table) else table


def sorted_order(table: LabelTable) -> NDArray[np.int64]:
    """int64[series]: the order of the series by label sets."""
    if len(table) < 2:
        return np.arange(len(table), dtype=np.int64)
    ids = used(np.concatenate([table.names, table.values]))
    if not len(ids):
        return np.arange(len(table), dtype=np.int64)
    low = int(ids[0])
    ranks = np.zeros(int(ids[-1]) - low + 1, np.int32)
    ranks[ids - low] = rank_texts(texts(table.symbols, ids))
    return kernel.sort_rows(table.names, table.values, table.offsets, ranks, low)


def empty_table(symbols: Symbols, series: int = 0) -> LabelTable:
    """A table of series without labels."""
    return LabelTable(symbols, np.empty(0, np.int32), np.empty(0, np.int32), np.zeros(series + 1, np.int64))
