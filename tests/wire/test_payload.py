import struct
import subprocess
import sys
import zlib
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT_BITS, NORMAL_NAN_BITS, STALE, STALE_BITS
from nunchi.wire import payload as payload_module
from nunchi.wire.compression import decode, encode
from nunchi.wire.errors import BodyTooLarge, UnknownVersion, WireError
from nunchi.wire.payload import (
    LAYOUTS_REMEMBERED_MAX,
    Payload,
    PayloadReader,
    agent_id_of,
    decode_payload,
)
from nunchi.wire.payload_encoder import PayloadEncoder, Round, Sender, encode_payload, seal
from nunchi.wire.payload_envelope import open_envelope
from nunchi.wire.payload_rounds import PayloadRounds

SENDER = Sender("0123456789abcdef", "host-17", "0.1.0", 1_700_000_000_000)
GOLDEN = Path(__file__).parent / "golden" / "payload-1.bin"


def layout(*series: Labels) -> Layout:
    return Layout.of(*series)


UP, LOAD, FREE = (
    Labels.of("up", job="node"),
    Labels.of("node_load1", job="node"),
    Labels.of("node_memory_MemFree_bytes", job="node"),
)


def golden_payload() -> bytes:
    one, other = layout(UP, LOAD, FREE), layout(Labels.of("other", zone="é"))
    rounds = [
        Round(1_700_000_000_000, one, array("i", [0, 1, 2]), array("d", [1.0, 0.25, 8e9])),
        Round(1_700_000_010_000, one, array("i", [0, 1, 2]), array("d", [1.0, 0.5, 8e9 + 4096])),
        Round(1_700_000_010_000, other, array("i", [0]), array("d", [STALE])),
        Round(1_700_000_020_000, one, array("i", [2, 0]), array("d", [float("inf"), -0.0])),
    ]
    metadata = {"node_load1": Metadata(MetricType.GAUGE, "Load of one minute.", ""), "up": Metadata(MetricType.GAUGE)}
    return encode_payload(SENDER, 42, 10_000, rounds, metadata)


def cells(payload: Payload) -> list[tuple[int, list[tuple[bytes, int]]]]:
    return [
        (
            one.timestamp_ms,
            list(
                zip(
                    (one.layout.keys[c] for c in one.columns.tolist()), one.values.view(np.uint64).tolist(), strict=True
                )
            ),
        )
        for one in payload.rounds
    ]


def test_a_payload_carries_rounds_layouts_and_who_sent_them() -> None:
    payload = decode_payload(golden_payload())
    assert payload.sender == SENDER
    assert (payload.first_sequence, payload.samples, payload.interval_ms) == (42, 9, 10_000)
    assert payload.metadata["node_load1"] == Metadata(MetricType.GAUGE, "Load of one minute.", "")
    bits = struct.Struct("<Q").unpack
    of = lambda value: bits(struct.pack("<d", value))[0]  # noqa: E731
    assert cells(payload) == [
        (1_700_000_000_000, [(UP.key(), of(1.0)), (LOAD.key(), of(0.25)), (FREE.key(), of(8e9))]),
        (1_700_000_010_000, [(UP.key(), of(1.0)), (LOAD.key(), of(0.5)), (FREE.key(), of(8e9 + 4096))]),
        (1_700_000_010_000, [(Labels.of("other", zone="é").key(), STALE_BITS)]),
        (1_700_000_020_000, [(FREE.key(), of(float("inf"))), (UP.key(), of(-0.0))]),
    ]


def test_the_agents_id_is_read_before_all_else() -> None:
    body = open_envelope(golden_payload(), 10_000)
    assert agent_id_of(body) == SENDER.agent_id
    assert cells(PayloadReader().read_body(body)) == cells(decode_payload(golden_payload()))
    for cut_off in (b"", b"\x10", b"\x10\x00abc"):
        with pytest.raises(WireError, match="it ends before what it announces"):
            agent_id_of(cut_off)


def test_the_body_has_the_golden_bytes() -> None:
    """The format is frozen: whoever changes these bytes makes a version 2. The zstd frame around them may differ."""
    written, golden = golden_payload(), GOLDEN.read_bytes()
    assert written[:12] == golden[:12]
    assert decode("zstd", written[12:], 10_000) == decode("zstd", golden[12:], 10_000)
    assert cells(decode_payload(golden)) == cells(decode_payload(written))


def test_the_same_rounds_give_the_same_bytes_after_their_layout_has_grown() -> None:
    encoder, one = PayloadEncoder(SENDER), layout(UP, LOAD)
    rounds = [Round(1, one, array("i", [0, 1]), array("d", [1.0, 2.0]))]
    before = encoder.encode(0, 1000, rounds)
    one.append(FREE.key())
    assert encoder.encode(0, 1000, rounds) == before
    grown = [Round(1, one, array("i", [2]), array("d", [1.0]))]
    assert len(decode_payload(encoder.encode(0, 1000, grown)).rounds[0].layout.keys) == 3


def test_a_layout_that_was_seen_before_is_the_same_object() -> None:
    reader, encoder = PayloadReader(), PayloadEncoder(SENDER)
    layouts = [layout(Labels.of("x", number=str(number))) for number in range(LAYOUTS_REMEMBERED_MAX + 1)]

    def read(number: int) -> object:
        return (
            reader.read(encoder.encode(0, 1, [Round(1, layouts[number], array("i", [0]), array("d", [1.0]))]))
            .rounds[0]
            .layout
        )

    first = read(0)
    assert read(0) is first
    for number in range(1, LAYOUTS_REMEMBERED_MAX):
        read(number)
    assert read(0) is first
    for number in range(1, LAYOUTS_REMEMBERED_MAX + 1):
        read(number)
    assert read(0) is not first


def test_markers_of_ours_do_not_come_from_outside() -> None:
    absent = struct.unpack("<d", struct.pack("<Q", ABSENT_BITS))[0]
    one = layout(UP)
    for value, bits in ((absent, NORMAL_NAN_BITS), (float("nan"), NORMAL_NAN_BITS), (STALE, STALE_BITS)):
        payload = decode_payload(encode_payload(SENDER, 0, 1, [Round(1, one, array("i", [0]), array("d", [value]))]))
        assert payload.rounds[0].values.view(np.uint64).tolist() == [bits]


def test_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(
        UnknownVersion, match="its version is 3, this program reads up to 2; upgrade servers before agents"
    ):
        decode_payload(b"\x03anything")


def sealed(body: bytes) -> bytes:
    return seal(body)


def body_of(payload: bytes) -> bytes:
    return decode("zstd", payload[12:], 1 << 20)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"", "it is empty"),
        (b"\x00", "these bytes are not a payload"),
        (b"\x01\x00\x00", "cut off in its envelope"),
        (b"\x01\x00\x00\x01" + golden_payload()[4:], "reserved bytes are not zero"),
        (golden_payload()[:8] + b"\x00\x00\x00\x00" + golden_payload()[12:], "its checksum is wrong"),
        (golden_payload()[:-1], "body is not zstd"),
        (
            b"\x01\x00\x00\x00" + struct.pack("<II", 3, zlib.crc32(b"")) + encode("zstd", b"ab"),
            "declares 3 bytes and holds 2",
        ),
        (sealed(body_of(golden_payload()) + b"\x00"), "bytes are left over"),
        (sealed(body_of(golden_payload())[:-1]), "ends before what it announces"),
        (sealed(b"\x00\x00" + body_of(golden_payload())[18:]), "the agent's id is empty"),
        (sealed(body_of(golden_payload()).replace(b"node_load1", b"node_lo\xff\xff1", 1)), "is not valid UTF-8"),
    ],
)
def test_a_damaged_payload_is_refused_with_the_reason(payload: bytes, what: str) -> None:
    with pytest.raises(WireError, match=what):
        decode_payload(payload)


def test_sizes_are_bounded_before_anything_is_made_of_them() -> None:
    with pytest.raises(BodyTooLarge, match="4294967295 bytes are more than the 33554432 allowed"):
        decode_payload(b"\x01\x00\x00\x00" + struct.pack("<II", 0xFFFFFFFF, 0) + b"\x00")
    with pytest.raises(BodyTooLarge, match="more than the 10 allowed"):
        decode_payload(golden_payload(), body_bytes_max=10)


def planes(numbers: list[int]) -> bytes:
    return np.array(numbers, "<u4").view(np.uint8).reshape(len(numbers), 4).T.tobytes() if numbers else b""


def with_layout(texts: list[bytes], counts: list[int], names: list[int], values: list[int]) -> bytes:
    head = struct.pack("<IIII", len(counts), len(texts), sum(map(len, texts)), len(names))
    block = (
        head + planes([len(text) for text in texts]) + b"".join(texts) + planes(counts) + planes(names) + planes(values)
    )
    start = b"\x01\x00a" + b"\x00\x00" * 2 + struct.pack("<qQIIII", 0, 0, 1, 1, 0, 0)
    return sealed(start + struct.pack("<I", len(block)) + block)


@pytest.mark.parametrize(
    ("texts", "counts", "names", "values", "what"),
    [
        ([b"__name__", b"x"], [1], [0], [2], "a text that is not there"),
        ([b"__name__", b"x"], [2], [0], [1], "not have as many labels as it declares"),
        ([b"a", b"x"], [1], [0], [1], "not sorted, not complete, or empty"),
        ([b"__name__", b""], [1], [0], [1], "not sorted, not complete, or empty"),
        ([b"__name__", b"x", b"a"], [2], [2, 0], [1, 1], "not sorted, not complete, or empty"),
        ([b"__name__", b"x"], [2], [0, 0], [1, 1], "not sorted, not complete, or empty"),
        ([b"__name__", b"x"], [1, 1], [0, 0], [1, 1], "lists a series twice"),
        ([b"__name__", b"x\xff"], [1], [0], [1], "not valid UTF-8"),
    ],
)
def test_layouts_are_checked(
    texts: list[bytes], counts: list[int], names: list[int], values: list[int], what: str
) -> None:
    with pytest.raises(WireError, match=what):
        decode_payload(with_layout(texts, counts, names, values))


def test_one_long_text_that_stands_in_many_labels_is_no_bomb() -> None:
    texts = [b"__name__", b"x" * 1_000_000, *(b"n%05d" % number for number in range(200))]
    names = [name for _ in range(200) for name in [0, *range(2, 202)]]
    with pytest.raises(BodyTooLarge, match="its labels are longer than the 67108864 bytes allowed"):
        decode_payload(with_layout(texts, [201] * 200, names, [1] * len(names)))


@pytest.mark.parametrize(
    ("head", "columns", "what"),
    [
        ((0, 1, 0, 0), [], "a layout that is not there"),
        ((0, 0, 1, 0), [7], "a column that its layout does not have"),
        ((0, 0, 2, 0), [0, 0], "lists a column twice"),
        ((0, 0, 1, 1), [], "the columns of one before that is not there"),
        ((0, 0, 2, 2), [], "given in no known way"),
        ((0, 0, 1, 9), [], "given in no known way"),
        ((0, 0, 4_000_000_000, 2), [], "ends before what it announces"),
    ],
)
def test_rounds_are_checked(head: tuple[int, int, int, int], columns: list[int], what: str) -> None:
    body = body_of(with_layout([b"__name__", b"x"], [1], [0], [1]))
    body = body[: 7 + 28] + struct.pack("<I", 1) + body[7 + 32 :]
    rounds = struct.pack("<qIIB", *head) + planes(columns) + (bytes(8 * head[2]) if head[2] < 10 else b"")
    with pytest.raises(WireError, match=what):
        decode_payload(sealed(body + rounds))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
SERIES = st.dictionaries(TEXT, TEXT, max_size=4).map(lambda pairs: Labels({**pairs, "__name__": "x"}))
LAYOUT = st.lists(SERIES, min_size=1, max_size=6, unique=True)
VALUE = st.floats(allow_nan=False) | st.just(STALE)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, list[tuple[bytes, int]]]]]:
    layouts = [layout(*series) for series in draw(st.lists(LAYOUT, min_size=1, max_size=3))]
    rounds, expected = [], []
    for _ in range(draw(st.integers(0, 6))):
        one = draw(st.sampled_from(layouts))
        columns = draw(st.just(list(range(len(one)))) | st.lists(st.integers(0, len(one) - 1), unique=True))
        values = array("d", draw(st.lists(VALUE, min_size=len(columns), max_size=len(columns))))
        timestamp = draw(st.integers(-(2**63), 2**63 - 1))
        rounds.append(Round(timestamp, one, array("i", columns), values))
        bits = struct.unpack(f"<{len(values)}Q", struct.pack(f"<{len(values)}d", *values))
        expected.append((timestamp, list(zip([one.key(column) for column in columns], bits, strict=True))))
    metadata = draw(st.dictionaries(TEXT, st.builds(Metadata, st.sampled_from(MetricType), TEXT, TEXT), max_size=2))
    return encode_payload(SENDER, draw(st.integers(0, 2**32)), 10_000, rounds, metadata), expected


@given(case=payloads())
def test_what_was_encoded_decodes_to_itself(case: tuple[bytes, list[tuple[int, list[tuple[bytes, int]]]]]) -> None:
    payload, expected = case
    assert cells(decode_payload(payload)) == expected


@settings(max_examples=300)
@given(case=payloads(), data=st.data())
def test_a_damaged_body_behind_a_right_checksum_is_an_error_or_a_payload(
    case: tuple[bytes, list[tuple[int, list[tuple[bytes, int]]]]], data: st.DataObject
) -> None:
    body = bytearray(body_of(case[0]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body
    try:
        payload = decode_payload(sealed(bytes(body)))
    except WireError:
        return
    for one in payload.rounds:
        assert len(one.columns) == len(one.values)
        for column in one.columns.tolist():
            assert Labels.from_key(one.layout.keys[column]).key() == one.layout.keys[column]


@given(junk=st.binary(max_size=200))
def test_random_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(WireError):
        decode_payload(junk)
    with pytest.raises(WireError):
        decode_payload(b"\x01" + junk)


def test_the_senders_side_loads_no_numpy() -> None:
    modules = "nunchi.wire.payload_encoder, nunchi.wire.exposition_text, nunchi.wire.openmetrics"
    script = f"import sys, {modules}; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_the_modules_share_their_constants() -> None:
    assert payload_module.CONTENT_TYPE == PayloadEncoder.content_type == "application/vnd.nunchi.payload"


def test_who_wrote_a_payload_reads_it_back_and_writes_the_same_bytes() -> None:
    reader = PayloadRounds()
    for body in (golden_payload(), encode_payload(SENDER, 0, 1, [])):
        written = reader.read(body)
        again = PayloadEncoder(written.sender)
        assert again.encode(written.first_sequence, written.interval_ms, written.rounds, written.metadata) == body
    assert written.samples == 0
    assert cells(decode_payload(golden_payload()))[0][0] == reader.read(golden_payload()).rounds[0].timestamp_ms


def test_equal_layouts_of_several_payloads_are_read_as_one() -> None:
    reader = PayloadRounds()
    first, second = reader.read(golden_payload()), reader.read(golden_payload())
    assert first.rounds[0].layout is second.rounds[0].layout


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(230, 1)
def test_a_payload_that_rotted_is_never_read_as_something_else(position: int, change: int) -> None:
    body = bytearray(golden_payload())
    body[position % len(body)] ^= change
    try:
        PayloadRounds().read(bytes(body))
    except WireError:
        return
    # A few bits of a compressed frame mean nothing.
    assert repr(cells(decode_payload(bytes(body)))) == repr(cells(decode_payload(golden_payload())))


def test_a_payload_that_is_cut_off_is_not_read_back() -> None:
    body = golden_payload()
    for length in range(len(body)):
        with pytest.raises(WireError):
            PayloadRounds().read(body[:length])
