import numpy as np

from nunchi.model.batch import Batch, Conflict
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, STALE, bits_of, is_stale
from nunchi.model.symbols import LabelTable, Symbols


def test_a_layout_gives_back_keys_and_labels_by_column() -> None:
    layout = Layout.of(Labels.of("a"), Labels(), Labels.of("b", x="1"))
    assert [layout.labels(column) for column in range(3)] == [Labels.of("a"), Labels(), Labels.of("b", x="1")]
    assert layout.append(Labels.of("c").key()) == 3
    assert len(layout) == 4
    assert list(layout)[3] == Labels.of("c")


def test_a_row_is_one_timestamp_and_its_cells() -> None:
    batch = Batch.row(Layout.of(Labels.of("a"), Labels.of("b")), 1000, np.array([1, 0], np.int32), np.array([2.0, 1.0]))
    assert batch.timestamps.tolist() == [1000]
    assert batch.row_offsets.tolist() == [0, 2]
    assert batch.cell_timestamps().tolist() == [1000, 1000]
    assert len(batch) == 2


def test_cells_of_equal_timestamps_become_rows() -> None:
    times = np.array([5, 5, 7, 5], np.int64)
    batch = Batch.cells(
        Layout.of(Labels.of("a")), times, np.zeros(4, np.int32), np.arange(4.0), on_conflict=Conflict.REPLACE
    )
    assert batch.timestamps.tolist() == [5, 7, 5]
    assert batch.row_offsets.tolist() == [0, 2, 3, 4]
    assert batch.cell_timestamps().tolist() == times.tolist()


def test_a_batch_without_cells_has_no_rows() -> None:
    batch = Batch.cells(Layout(), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    assert batch.timestamps.tolist() == []
    assert batch.row_offsets.tolist() == [0]


def test_markers_differ_in_bits_alone() -> None:
    assert is_stale(STALE)
    assert not is_stale(ABSENT)
    assert not is_stale(float("nan"))
    assert len({bits_of(STALE), bits_of(ABSENT), bits_of(float("nan"))}) == 3


def test_a_label_table_gives_back_labels_and_takes_in_any_order() -> None:
    symbols = Symbols()
    series = [Labels.of("a", x="1"), Labels(), Labels.of("b", x="1", y="2")]
    table = LabelTable.of(symbols, series)
    assert [table.labels(position) for position in range(3)] == series
    taken = table.take(np.array([2, 0, 2], np.int64))
    assert [taken.labels(position) for position in range(3)] == [series[2], series[0], series[2]]
    assert len(table.take(np.empty(0, np.int64))) == 0


def test_symbols_are_interned_once_and_empty_text_is_zero() -> None:
    symbols = Symbols()
    assert symbols.intern("") == 0
    first = symbols.intern("a")
    assert symbols.intern_all(["a", "b", "a"]).tolist() == [first, first + 1, first]
    assert symbols.find("zzz") is None
    assert symbols.text(first) == "a"
    assert len(symbols) == 3
