"""The head's table gives back the label keys that it took, whatever words neighbours have in common."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.labels import SEPARATOR
from nunchi.tsdb.series_table import SeriesTable

WORDS = st.sampled_from(["", "a", "b", "ab", "__name__", "é", "a" * 9])
KEYS = st.lists(
    st.one_of(
        st.lists(st.tuples(WORDS, WORDS), max_size=4), st.lists(st.tuples(WORDS, WORDS), min_size=31, max_size=34)
    ),
    min_size=1,
    max_size=12,
)


def key_of(pairs: list[tuple[str, str]]) -> bytes:
    return b"".join(word.encode() + SEPARATOR for pair in pairs for word in pair)


def interned(table: SeriesTable, keys: list[bytes]) -> list[int]:
    ends = np.cumsum([0, *map(len, keys)]).astype(np.int64)
    refs, _ = table.intern(np.frombuffer(b"".join(keys) or b"\0", np.uint8), ends)
    found: list[int] = refs.tolist()
    return found


@given(st.lists(KEYS, min_size=1, max_size=3))
def test_label_keys_come_back_as_they_were_and_equal_ones_are_one_series(
    batches: list[list[list[tuple[str, str]]]],
) -> None:
    table = SeriesTable()
    ref_of: dict[bytes, int] = {}
    for batch in batches:
        keys = [key_of(pairs) for pairs in batch]
        for key, ref in zip(keys, interned(table, keys), strict=True):
            assert ref_of.setdefault(key, ref) == ref
    assert len(set(ref_of.values())) == len(ref_of) == table.series
    found, ends = table.keys_of(np.array(list(ref_of.values()), np.int32))
    begins = [0, *ends[:-1]]
    assert [found[begin:end] for begin, end in zip(begins, ends, strict=True)] == list(ref_of)


def test_a_name_without_a_value_leaves_its_neighbours_as_they_are() -> None:
    table = SeriesTable()
    keys = [key_of([("a", "1")]), b"b" + SEPARATOR, key_of([("b", "1")]), key_of([("a", "1"), ("b", "1")])]
    refs = interned(table, keys)
    for key, ref in zip(keys[2:], refs[2:], strict=True):
        assert table.keys_of(np.array([ref], np.int32))[0] == key
