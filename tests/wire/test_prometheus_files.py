"""Prometheus's files as bytes: known checksums, hostile bytes, damage. Real files are read in tests/server/data_folder."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.wire.errors import DamagedFile, UnknownVersion, WireError
from nunchi.wire.kernels.prometheus_chunks import crc32c
from nunchi.wire.prometheus_chunks import decode_chunks, decode_histogram_chunk, locate_chunks, scan_head_chunks
from nunchi.wire.prometheus_index import parse_index, parse_tombstones
from nunchi.wire.prometheus_log import decode_histograms, decode_samples, decode_series, read_records


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def test_the_checksum_is_castagnolis() -> None:
    assert (crc32c(b""), crc32c(b"123456789"), crc32c(bytes(32))) == (0, 0xE3069283, 0x8A9136AA)


@given(st.binary(min_size=1, max_size=200), st.sampled_from([1, 2, 3, 4, 0]))
def test_any_bytes_as_a_chunk_are_samples_or_lost(data: bytes, encoding: int) -> None:
    one = np.array([0], np.int64)
    found = decode_chunks(array(data), one, np.array([len(data)], np.int64), np.array([encoding], np.uint8))
    assert len(found.times) == len(found.values) == len(found.chunk_of)
    assert not found.lost[0] or len(found.times) == 0
    decode_histogram_chunk(array(data), encoding)


@given(st.binary(max_size=100), st.lists(st.integers(-5, 200), min_size=1, max_size=5))
def test_places_beyond_a_segment_hold_no_chunk(data: bytes, places: list[int]) -> None:
    begins, sizes, good = locate_chunks(array(data), np.array(places, np.int64))
    for begin, size, is_good in zip(begins.tolist(), sizes.tolist(), good.tolist(), strict=True):
        assert not is_good or (begin >= 0 and begin + size + 5 <= len(data))


@given(st.binary(max_size=300))
def test_any_bytes_as_an_index_tombstones_or_records_are_refused_by_name(data: bytes) -> None:
    for magic in (
        b"",
        struct.pack(">IB", 0xBAAAD700, 2),
        struct.pack(">IB", 0x0130BA30, 1),
        struct.pack(">IB3x", 0x0130BC91, 1),
    ):
        for parse in (
            lambda body: parse_index(array(body)),
            parse_tombstones,
            lambda body: scan_head_chunks(array(body)),
            lambda body: list(read_records(memoryview(body))),
            lambda body: decode_series(b"\1" + body),
            lambda body: decode_samples(b"\2" + body),
            lambda body: decode_histograms(b"\7" + body),
        ):
            try:
                parse(magic + data)
            except WireError:
                continue


def test_versions_of_the_future_are_refused() -> None:
    with pytest.raises(UnknownVersion, match="format version 3, this nunchi reads 1 and 2"):
        parse_index(array(struct.pack(">IB", 0xBAAAD700, 3) + bytes(60)))
    with pytest.raises(UnknownVersion, match="format version 2, this nunchi reads 1"):
        parse_tombstones(struct.pack(">IB", 0x0130BA30, 2) + bytes(4))
    with pytest.raises(DamagedFile, match="begins with"):
        parse_index(array(bytes(80)))


def test_places_that_an_index_has_not_are_damage() -> None:
    places = struct.pack(">6Q", 5, 10**6, 0, 0, 0, 0)
    with pytest.raises(DamagedFile, match="names byte 1000000 of 70"):
        parse_index(array(struct.pack(">IB", 0xBAAAD700, 2) + bytes(13) + places + struct.pack(">I", crc32c(places))))
