import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.staleness import ABSENT, STALE
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.page import decode_page, encode_page

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
