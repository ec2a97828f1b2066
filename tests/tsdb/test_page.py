import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.staleness import ABSENT, STALE
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.kernels import pages
from nunchi.tsdb.page import decode_page, encode_page, page_body

ODD = [0.0, -0.0, 1e-9, 0.1, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"), STALE, ABSENT, 2.0**52, 2.0**53]
FLOATS = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(10**15), 10**15).map(float),
    st.decimals(-1000, 1000, places=3).map(float),
    st.floats(),
)
COLUMNS = st.lists(st.lists(FLOATS, max_size=40), max_size=8)


def joined(columns: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value for column in columns for value in column], np.float64)
    return values, np.concatenate([[0], np.cumsum([len(column) for column in columns])]).astype(np.int64)


def bits(values: np.ndarray) -> list[int]:
    return values.view(np.uint64).tolist()


@given(COLUMNS)
def test_every_float_comes_back_bit_for_bit(columns: list[list[float]]):
    values, offsets = joined(columns)
    found, places = decode_page(memoryview(encode_page(values, offsets)))
    assert bits(found) == bits(values)
    assert places.tolist() == offsets.tolist()


def test_counters_with_two_decimals_take_less_than_a_byte_a_value():
    random = np.random.default_rng(7)
    columns = np.round(np.cumsum(np.abs(random.normal(0.4, 0.04, (30, 480))).round(2), 1), 2)
    values, offsets = joined(columns.tolist())
    assert len(encode_page(values, offsets)) < 1.0 * len(values)


def test_a_page_is_found_behind_another():
    first, second = encode_page(*joined([[1.0, 2.0]])), encode_page(*joined([[3.0]]))
    found, _ = decode_page(memoryview(first + second), len(first))
    assert found.tolist() == [3.0]


@given(COLUMNS, st.data())
def test_a_flipped_bit_or_a_torn_end_is_corruption_and_nothing_else(columns: list[list[float]], data: st.DataObject):
    whole = bytearray(encode_page(*joined(columns)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptionError):
        decode_page(memoryview(bytes(whole)))
    with pytest.raises(CorruptionError):
        decode_page(memoryview(encode_page(*joined(columns))[:at]))


def test_bytes_with_a_right_checksum_and_wrong_lengths_are_corruption():
    import zlib

    import cramjam

    for body in (b"", b"\xff" * 14, struct.pack("<IIIBB", 1, 5, 0, 8, 0) + b"\x05\0\0\0\0\0\0", b"\0" * 500_000):
        packed = bytes(cramjam.zstd.compress(body))
        checked = struct.pack("<II", len(packed), len(body)) + packed
        page = struct.pack("<I", zlib.crc32(checked)) + checked
        if body.count(0) == len(body) and len(body) > 14:
            assert len(decode_page(memoryview(page))[0]) == 0
        else:
            with pytest.raises(CorruptionError):
                decode_page(memoryview(page))


def decoded_rows(bodies: list[np.ndarray], counts: list[int], begin: int, threads: int) -> tuple[int, str, np.ndarray]:
    """The rows from `begin` on of every column of every page; each column has `counts[page]` rows."""
    columns = len(bodies) * 3
    ends = np.repeat(np.array(counts, np.int64), 3)
    targets = np.concatenate([[0], np.cumsum(ends - begin)]).astype(np.int64)
    values = np.full(int(targets[-1]), 7.0)
    page, fault = pages.decode_some(
        bodies, np.arange(len(bodies) + 1, dtype=np.int64) * 3, np.tile(np.arange(3, dtype=np.int64), len(bodies)),
        np.full(columns, begin, np.int64), ends, targets[:-1].copy(), values, threads,
    )  # fmt: skip
    return page, fault, values


@given(
    st.lists(st.lists(FLOATS, min_size=3, max_size=12), min_size=1, max_size=9), st.integers(0, 3), st.integers(1, 4)
)
def test_rows_of_many_pages_are_decoded_at_once(columns: list[list[float]], begin: int, threads: int):
    bodies = [page_body(memoryview(encode_page(*joined([column, column[::-1], column])))) for column in columns]
    _, fault, values = decoded_rows(bodies, [len(column) for column in columns], begin, threads)
    assert not fault
    wanted = [value for column in columns for some in (column, column[::-1], column) for value in some[begin:]]
    assert bits(values) == bits(np.array(wanted, np.float64))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_damaged_page_of_many_is_named(threads: int):
    bodies = [page_body(memoryview(encode_page(*joined([[1.0, 2.0]] * 3)))) for _ in range(5)]
    bodies[3] = bodies[3][:-1].copy()
    assert decoded_rows(bodies, [2] * 5, 0, threads)[:2] == (3, "its columns do not add up")
    assert decoded_rows(bodies[:2], [2, 4], 0, threads)[:2] == (1, "it does not have the rows asked for")
