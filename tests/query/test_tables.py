"""Label tables behave as lists of label sets do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.labels import Labels
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.query.operators import tables
from nunchi.query.operators.label_hash import xxhash64

NAMES = st.sampled_from(["__name__", "a", "b", "B", "é", "zz"])
LABELS = st.dictionaries(NAMES, st.sampled_from(["", "1", "2", "눈", "z"])).map(Labels)
SERIES = st.lists(LABELS, max_size=12)
CHOSEN = st.lists(NAMES, unique=True)


def listed(table: LabelTable) -> list[Labels]:
    return [table.labels(row) for row in range(len(table))]


def made(series: list[Labels]) -> LabelTable:
    return LabelTable.of(tables.QuerySymbols(Symbols()), series)


@given(SERIES, CHOSEN)
def test_labels_are_kept_and_dropped_by_name(series: list[Labels], names: list[str]) -> None:
    assert listed(tables.keep_labels(made(series), names)) == [labels.keep(*names) for labels in series]
    assert listed(tables.drop_labels(made(series), names)) == [labels.drop(*names) for labels in series]


@given(SERIES)
def test_equal_label_sets_get_equal_numbers(series: list[Labels]) -> None:
    ids, firsts = tables.group(made(series))
    order = list(dict.fromkeys(series))
    assert ids.tolist() == [order.index(labels) for labels in series]
    assert [series[row] for row in firsts.tolist()] == order


@given(SERIES)
def test_series_are_sorted_as_their_label_sets_are(series: list[Labels]) -> None:
    table = made(series)
    assert listed(table.take(tables.sorted_order(table))) == sorted(series)


@given(SERIES, NAMES, st.lists(st.sampled_from(["", "1", "new", None]), min_size=12, max_size=12))
def test_one_label_is_set_removed_or_left(series: list[Labels], name: str, values: list[str | None]) -> None:
    table = made(series)
    changes = [tables.LEAVE if value is None else table.symbols.intern(value) for value in values[: len(series)]]
    changed = tables.set_label(table, name, np.array(changes, np.int32))
    wanted = [
        labels if value is None else labels.merge({name: value}) for labels, value in zip(series, values, strict=False)
    ]
    assert listed(changed) == wanted


@given(SERIES, SERIES)
def test_tables_are_put_one_after_the_other(first: list[Labels], second: list[Labels]) -> None:
    symbols = tables.QuerySymbols(Symbols())
    both = tables.concatenate(symbols, [LabelTable.of(symbols, first), LabelTable.of(symbols, second)])
    assert listed(both) == [*first, *second]


def test_a_text_that_the_store_learns_later_keeps_the_id_the_query_gave_it() -> None:
    base = Symbols()
    symbols = tables.QuerySymbols(base)
    mine = symbols.intern("a")
    adopted = symbols.adopt(LabelTable.of(base, [Labels({"a": "a", "b": "1"})]))
    assert symbols.find("a") == mine < 0
    assert mine in adopted.names.tolist()
    assert mine in adopted.values.tolist()
    assert listed(adopted) == [Labels({"a": "a", "b": "1"})]


def test_xxhash64_gives_the_known_sums() -> None:
    assert xxhash64(b"") == 0xEF46DB3751D8E999
    assert xxhash64(b"a") == 0xD24EC4F1A98C6E5B
    assert xxhash64(b"as") == 0x1C330FB2D66BE179
    assert xxhash64(b"asdf") == 0x415872F599CEA71E
    assert xxhash64(b"Call me Ishmael. Some years ago--never mind how long precisely-") == 0x02A2E85470D6FD96


@given(st.lists(SERIES, min_size=1, max_size=3), st.integers(0, 20))
def test_tables_are_united_in_order(several: list[list[Labels]], most: int) -> None:
    symbols = tables.QuerySymbols(Symbols())
    found = tables.united(symbols, [LabelTable.of(symbols, series) for series in several])
    wanted = sorted({labels for series in several for labels in series})
    assert listed(found) == wanted
    assert listed(tables.first_series(found, most)) == (wanted[:most] if most else wanted)


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), min_size=1, max_size=20))
def test_rows_across_columns_are_numbered_by_first_appearance(rows: list[tuple[int, int]]) -> None:
    columns = [np.array(column, np.int32) for column in zip(*rows, strict=True)]
    ids, firsts = tables.group_columns(columns)
    order = list(dict.fromkeys(rows))
    assert ids.tolist() == [order.index(row) for row in rows]
    assert [rows[row] for row in firsts.tolist()] == order
    distinct, places = tables.numbered(columns[0])
    assert distinct.tolist() == sorted(set(columns[0].tolist()))
    assert distinct[places].tolist() == columns[0].tolist()
