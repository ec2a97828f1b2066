"""Scouter packs: bytes built by hand from the format's description, and the way back."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.wire.errors import WireError
from nunchi.wire.scouter_pack import (
    LAYOUTS,
    PARTIAL_MAX,
    ScouterAssembler,
    ScouterPack,
    ScouterType,
    encode_datagrams,
    encode_pack,
)
from nunchi.wire.scouter_values import Float32, ScouterReader, Summary, TextHash, Value, put_decimal, put_value


def text(word: str) -> bytes:
    return bytes([len(word)]) + word.encode()


MAP_ONE = bytes([80]) + b"\x01\x01" + text("cpu") + bytes([30]) + struct.pack(">f", 12.5)
OBJECT = (
    bytes([80]) + text("linux") + b"\x04\x12\x34\x56\x78" + text("/web-1") + text("10.0.0.1") + text("1.0") + b"\x01"
    + b"\x08" + (1_700_000_000_000).to_bytes(8, "big") + bytes([80]) + b"\x01\x01" + text("az") + bytes([50]) + text("b")
)  # fmt: skip
COUNTER = bytes([60]) + (1_700_000_000_000).to_bytes(8, "big") + text("/web-1") + b"\x01" + MAP_ONE
RESOURCE = (
    bytes([18]) + b"\x01\x07" + text("i-1") + b"\x00" + b"\x02\x01\x00" + b"\x03\x01\x00\x00" + bytes([0])
    + bytes([80]) + b"\x00"
)  # fmt: skip
OBJECT_PACK = ScouterPack(
    ScouterType.OBJECT,
    {"objType": "linux", "objHash": 0x12345678, "objName": "/web-1", "address": "10.0.0.1", "version": "1.0", "alive": True,
     "wakeup": 1_700_000_000_000, "tags": {"az": "b"}},
)  # fmt: skip
COUNTER_PACK = ScouterPack(
    ScouterType.PERF_COUNTER,
    {"time": 1_700_000_000_000, "objName": "/web-1", "timetype": 1, "data": {"cpu": Float32(12.5)}},
)


def read(datagram: bytes) -> list[ScouterPack]:
    return ScouterAssembler().read(datagram, "10.0.0.1", 0.0)


def test_one_pack_built_by_hand_is_read() -> None:
    assert read(b"CAFE" + OBJECT) == [OBJECT_PACK]
    assert read(b"JAVA" + COUNTER) == [COUNTER_PACK]


def test_several_packs_built_by_hand_are_read() -> None:
    found = read(b"CAFN\x00\x03" + OBJECT + COUNTER + RESOURCE)
    assert found[:2] == [OBJECT_PACK, COUNTER_PACK]
    assert found[2] == ScouterPack(
        ScouterType.CLOUD_RESOURCE,
        {"resourceId": 7, "fullName": "i-1", "providerId": 0, "metricMetaId": 256, "time": 65536, "systemTags": {},
         "customTags": {}},
    )  # fmt: skip


@pytest.mark.parametrize("magic", [b"CAFM", b"JAVM", b"JMTU"])
def test_parts_built_by_hand_are_joined_in_any_order(magic: bytes) -> None:
    def part(index: int, piece: bytes) -> bytes:
        return (
            magic
            + bytes(4)
            + (9).to_bytes(8, "big")
            + b"\x00\x03"
            + index.to_bytes(2, "big")
            + bytes([len(piece)])
            + piece
        )

    assembler = ScouterAssembler()
    pieces = [OBJECT[:10], OBJECT[10:20], OBJECT[20:]]
    assert assembler.read(part(2, pieces[2]), "a", 0.0) == []
    assert assembler.read(part(0, pieces[0]), "a", 1.0) == []
    assert assembler.read(part(0, pieces[0]), "a", 1.0) == []
    assert assembler.read(part(1, pieces[1]), "b", 1.0) == []
    assert assembler.read(part(1, pieces[1]), "a", 2.0) == [OBJECT_PACK]


def test_what_is_written_is_what_was_built_by_hand() -> None:
    assert encode_pack(OBJECT_PACK) == OBJECT
    assert encode_pack(COUNTER_PACK) == COUNTER
    assert list(encode_datagrams([OBJECT_PACK])) == [b"CAFE" + OBJECT]
    assert list(encode_datagrams([OBJECT_PACK, COUNTER_PACK])) == [b"CAFN\x00\x02" + OBJECT + COUNTER]


def test_parts_that_stay_away_are_given_up_after_ten_seconds_or_when_there_are_too_many() -> None:
    def part(number: int) -> bytes:
        return b"CAFM" + bytes(4) + number.to_bytes(8, "big") + b"\x00\x02\x00\x00\x01x"

    assembler = ScouterAssembler()
    assembler.read(part(1), "a", 0.0)
    assembler.read(b"CAFE" + OBJECT, "a", 10.5)
    assert assembler.dropped == {"parts_missing": 1}
    for number in range(PARTIAL_MAX + 5):
        assembler.read(part(number), "a", 11.0)
    assert assembler.dropped == {"parts_missing": 1, "too_many_parts": 5}


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (1, "0101"), (-1, "01ff"), (127, "017f"), (128, "020080"), (32768, "0400008000"),
     (1 << 31, "080000000080000000"), (-(1 << 63), "088000000000000000")],
)  # fmt: skip
def test_decimals_take_as_few_bytes_as_they_need(number: int, written: str) -> None:
    assert put_decimal(number).hex() == written
    assert ScouterReader(put_decimal(number)).decimal() == number


def test_decimals_of_three_and_five_bytes_are_read() -> None:
    assert ScouterReader(bytes.fromhex("03fffffe")).decimal() == -2
    assert ScouterReader(bytes.fromhex("050100000000")).decimal() == 1 << 32


@pytest.mark.parametrize("length", [0, 1, 253, 254, 255, 65535, 65536])
def test_blobs_of_every_length_come_back(length: int) -> None:
    assert ScouterReader(put_value(b"x" * length)).value() == b"x" * length


def test_arrays_and_summaries_are_read() -> None:
    assert ScouterReader(bytes.fromhex("47000200000001ffffffff")).value() == [1, -1]
    assert ScouterReader(bytes.fromhex("4a0001") + (5).to_bytes(8, "big")).value() == [5]
    assert ScouterReader(bytes.fromhex("490001") + text("a")).value() == ["a"]
    assert ScouterReader(bytes([61, 10, 0, 0, 1])).value() == "10.0.0.1"
    assert ScouterReader(bytes([51]) + (7).to_bytes(4, "big")).value() == TextHash(7)
    assert ScouterReader(bytes([45]) + struct.pack(">didd", 3, 2, 1, 2)).value() == Summary(3, 2, 1, 2)


NUMBERS = st.integers(-(2**63), 2**63 - 1)
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), NUMBERS, st.floats(allow_nan=False), st.text(max_size=300), st.binary(max_size=300)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=10,
)
STRATEGIES = {
    "int8": st.integers(-128, 127), "int16": st.integers(-32768, 32767), "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": NUMBERS, "dec": NUMBERS, "text": st.text(max_size=400), "bool": st.booleans(),
    "map": st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
    "float32": st.floats(width=32, allow_nan=False).map(Float32),
}  # fmt: skip


@st.composite
def packs(draw: st.DrawFn) -> ScouterPack:
    kind = draw(st.sampled_from(list(ScouterType)))
    if kind is ScouterType.MAP:
        return ScouterPack(kind, draw(STRATEGIES["map"]))
    return ScouterPack(kind, {name: draw(STRATEGIES[form]) for name, form in LAYOUTS[kind]})


@settings(deadline=None)
@given(st.lists(packs(), max_size=6), st.integers(64, 1500))
def test_every_pack_comes_back_through_datagrams_of_any_size(found: list[ScouterPack], bytes_max: int) -> None:
    assembler, read_back = ScouterAssembler(), []
    for datagram in encode_datagrams(found, bytes_max):
        assert len(datagram) <= bytes_max
        read_back += assembler.read(datagram, "a", 0.0)
    key = repr
    assert sorted(read_back, key=key) == sorted(found, key=key)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([b"CAFE", b"CAFN", b"CAFM", b"CAFN\x00\x01", b""]),
    st.sampled_from(list(ScouterType)),
    st.binary(max_size=80),
)
def test_any_bytes_are_read_or_refused(magic: bytes, kind: ScouterType, data: bytes) -> None:
    for datagram in (magic + data, magic + bytes([kind]) + data):
        with contextlib.suppress(WireError):
            read(datagram)


@pytest.mark.parametrize(
    ("pack", "message"),
    [
        (ScouterPack(ScouterType.TEXT, {"xtype": "a", "hash": 1}), "needs text"),
        (ScouterPack(ScouterType.TEXT, {"xtype": "a", "hash": 1 << 40, "text": ""}), "does not fit"),
    ],
)
def test_packs_that_cannot_be_written_are_named(pack: ScouterPack, message: str) -> None:
    with pytest.raises(WireError, match=message):
        encode_pack(pack)
