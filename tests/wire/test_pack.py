"""Packs: cells keep their bits, bodies survive nothing but themselves, every sequence number has one fate."""

import contextlib
import math
import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.kernels.pack import DamagedCellsError, decode_cells, encode_cells, spread
from nunchi.wire.pack_seal import PackMode, SealError, derive, make_cookie, session_keys
from nunchi.wire.pack_window import WINDOW, PackWindow

VALUES = st.one_of(
    st.floats(),
    st.integers(-(2**60), 2**60).map(float),
    st.integers(-(10**9), 10**9).map(lambda number: number / 100),
    st.integers(-(10**12), 10**12).map(lambda number: number / 1e9),
    st.sampled_from(
        [0.0, -0.0, math.inf, -math.inf, 2.0**53, struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]]
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), VALUES), max_size=80),
    st.lists(VALUES, max_size=50),
    st.integers(64, 300),
)
def test_cells_keep_their_bits_against_any_base(cells: list[tuple[int, float]], base: list[float], room: int) -> None:
    columns, values = array("i", [column for column, _ in cells]), array("d", [value for _, value in cells])
    known, begin = array("d", base), 0
    found_columns, found_values = b"", b""
    while begin < len(cells):
        body, end = encode_cells(columns, values, begin, known, room)
        assert len(body) <= room
        assert end > begin
        one, two = decode_cells(body, known, end - begin)
        found_columns += one
        found_values += two
        begin = end
    assert (found_columns, found_values) == (columns.tobytes(), values.tobytes())


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 100))
def test_cells_of_any_bytes_are_decoded_or_refused(body: bytes, count: int) -> None:
    try:
        columns, values = decode_cells(body, array("d", [1.0, 2.0]), count)
    except DamagedCellsError:
        return
    assert (len(columns), len(values)) == (4 * count, 8 * count)


def test_a_round_like_its_base_takes_two_bytes_and_one_that_counts_on_little_more() -> None:
    columns = array("i", range(500))
    base = array("d", [float(number * 1000) for number in range(500)])
    same, end = encode_cells(columns, base, 0, base, 1000)
    assert (len(same), end) == (2, 500)
    more = array("d", [value + 3 for value in base])
    body, end = encode_cells(columns, more, 0, base, 1000)
    assert (len(body), end) == (500, 500)


def test_golden_cells() -> None:
    columns = array("i", [0, 1, 2, 5, 6])
    values = array("d", [7.0, 1.0, 0.25, -1.5, 1e300])
    body, _ = encode_cells(columns, values, 0, array("d", [5.0, 1.0]), 100)
    bits_of_large = struct.pack("<d", 1e300)
    assert body == (
        bytes([4 << 3 | 1])  # 7 is 2 more than 5; zigzag 4
        + bytes([0 << 3 | 0])  # one cell like its base
        + bytes([50 << 3 & 0x7F | 2 | 0x80, 50 << 3 >> 7])  # 0.25 is 25 hundredths; zigzag 50
        + bytes([4 << 3 | 7])  # two columns further
        + bytes([(299 << 3 & 0x7F) | 2 | 0x80, 299 << 3 >> 7])  # -1.5
        + bytes([0 << 3 | 6]) + bits_of_large
    )  # fmt: skip


def test_a_base_has_nothing_where_a_round_had_nothing() -> None:
    assert array("d", spread(array("i", [3, 1]), array("d", [4.0, 5.0]))).tolist() == [0, 5, 0, 4]
    assert spread(array("i"), array("d")) == b""


@given(st.lists(st.binary(max_size=80), max_size=40), st.integers(100, 400))
@settings(deadline=None)
def test_dictionaries_come_back(keys: list[bytes], room: int) -> None:
    found: list[bytes] = []
    for body in pack.encode_dictionary(7, 100, keys, room):
        assert len(body) <= room
        one = pack.decode_dictionary(body)
        assert (one.dictionary, one.first_column) == (7, 100 + len(found))
        found += one.keys
    assert found == keys


def test_metadata_comes_back_in_as_many_bodies_as_it_takes() -> None:
    metadata = {f"m{number}": Metadata(MetricType.COUNTER, "é" * 40, "seconds") for number in range(50)}
    found: dict[str, Metadata] = {}
    for body in pack.encode_metadata(1, metadata, 300):
        assert len(body) <= 300
        found.update(pack.decode_dictionary(body).metadata)
    assert found == metadata


def test_all_other_bodies_come_back() -> None:
    confirm = pack.Confirm(5, 6, 10_000, "web-1", "0.1")
    assert pack.decode_confirm(pack.encode_confirm(confirm)) == confirm
    welcome = pack.Welcome(bytes(16), 1, 2, 3)
    assert pack.decode_welcome(pack.encode_welcome(welcome)) == welcome
    stats = pack.Stats(1, 2, 3, 4, 5, 6, 7)
    assert pack.decode_stats(pack.encode_stats(stats)) == stats
    answer = pack.Answer(1, 0, 3, 4, 5, 6, 7, 8, {"too_old": 9, "other": 1})
    assert pack.decode_answer(pack.encode_answer(answer, 200)) == answer
    assert pack.decode_answer(pack.encode_answer(answer, 40)).rejected == {}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_bodies_and_heads_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    readers = (
        pack.decode_confirm, pack.decode_welcome, pack.decode_data, pack.decode_dictionary, pack.decode_stats,
        pack.decode_answer, pack.split, pack.split_first,
    )  # fmt: skip
    for read in readers:
        for body in (data, b"NP\x01\x04" + data, b"NP\x81\x01" + data):
            with contextlib.suppress(WireError):
                read(body)  # type: ignore[operator]


@pytest.mark.parametrize("mode", list(PackMode))
def test_a_seal_holds_for_its_own_bytes_alone(mode: PackMode) -> None:
    keys = session_keys(b"k" * 32, b"s" * 16, b"c" * 16, mode)
    nonce = pack.nonce_of(5)
    sealed = keys.to_server.seal(nonce, b"body", b"head")
    assert keys.to_server.open(nonce, sealed, b"head") == b"body"
    assert (b"body" in sealed) is (mode is PackMode.HMAC)
    others = [
        (nonce, sealed, b"heat"), (pack.nonce_of(6), sealed, b"head"), (nonce, sealed[:-1], b"head"), (nonce, b"", b"head"),
        *((nonce, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"head") for at in range(len(sealed))),
    ]  # fmt: skip
    for one in others:
        with pytest.raises(SealError):
            keys.to_server.open(*one)
    with pytest.raises(SealError):
        keys.to_agent.open(nonce, sealed, b"head")
    for other in (
        session_keys(b"K" * 32, b"s" * 16, b"c" * 16, mode),
        session_keys(b"k" * 32, b"s" * 16, b"C" * 16, mode),
    ):
        assert other.id != keys.id
        with pytest.raises(SealError):
            other.to_server.open(nonce, sealed, b"head")


def test_keys_are_those_of_rfc_5869() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    expected = HKDF(SHA256(), 32, b"salt" * 4, b"nunchi pack 1 hello aead").derive(b"key" * 8)
    assert derive(b"key" * 8, b"salt" * 4, b"hello aead") == expected
    assert make_cookie(b"a", "x", b"s" * 16) != make_cookie(b"b", "x", b"s" * 16)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3000), st.integers(0, 40)), max_size=200), st.integers(0, 3500))
def test_every_pack_is_received_or_lost_or_open(arrivals: list[int], told: int) -> None:
    window, came, edge = PackWindow(), set(), 0
    for sequence in arrivals:
        is_new = window.is_new(sequence)
        assert window.take(sequence) == is_new == (sequence not in came and sequence >= edge)
        if is_new:
            came.add(sequence)
        edge = window.edge
        assert window.received + window.lost + window.open_packs == window.expected
    window.expect(told)
    assert (
        window.received + window.lost + window.open_packs
        == window.expected
        == max([told, *(one + 1 for one in arrivals)])
    )
    window.close_below(window.expected)
    assert (window.received, window.lost, window.open_packs) == (len(came), window.expected - len(came), 0)
    assert window.received + window.duplicates + window.late == len(arrivals)


def test_reordered_packs_are_taken_within_the_window_alone() -> None:
    window = PackWindow()
    assert [window.take(sequence) for sequence in (0, 2, 1, WINDOW + 5, 5, 6)] == [True, True, True, True, False, True]
    assert (window.reordered, window.late, window.lost) == (2, 1, 3)


def test_golden_datagram_of_a_signed_session() -> None:
    """Every byte of a stats pack: head, body, seal, as docs/formats/pack.md has them, sealed here by hand."""
    import hashlib
    import hmac

    key, salt, cookie = b"k" * 32, bytes(range(16)), bytes(range(16, 32))
    extracted = hmac.new(salt, key, hashlib.sha256).digest()

    def purpose(text: bytes) -> bytes:
        return hmac.new(extracted, b"nunchi pack 1 " + text + b" hmac " + cookie + b"\x01", hashlib.sha256).digest()

    session = purpose(b"session")[:8]
    head = b"NP\x81\x06" + session + (7).to_bytes(8, "big")
    body = bytes.fromhex(
        "00000003000000000000000800000000000003e800000000000000020000000000000001000027100000018bcfe56800"
    )
    nonce = bytes(4) + (7).to_bytes(8, "big")
    signed = (20).to_bytes(4, "big") + head + nonce + body
    datagram = head + body + hmac.new(purpose(b"to server"), signed, hashlib.sha256).digest()[:16]
    keys = session_keys(key, salt, cookie, PackMode.HMAC)
    found, head_bytes, sealed = pack.split(datagram)
    assert (found.kind, found.session, found.sequence) == (pack.PackKind.STATS, keys.id, 7)
    stats = pack.decode_stats(keys.to_server.open(pack.nonce_of(found.sequence), sealed, head_bytes))
    assert stats == pack.Stats(3, 8, 1000, 2, 1, 10_000, 1_700_000_000_000)
    again = found.encode() + keys.to_server.seal(pack.nonce_of(7), pack.encode_stats(stats), found.encode())
    assert again == datagram
