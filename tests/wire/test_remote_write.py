import contextlib
import math
import struct
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.model.batch import Batch
from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT_BITS, NORMAL_NAN_BITS, STALE, STALE_BITS
from nunchi.testing.contracts.store import CUSTOM, LATENCY
from nunchi.wire.errors import WireError
from nunchi.wire.histograms import decode_histograms
from nunchi.wire.prometheus_proto import bytes_field, double_field, integer_field
from nunchi.wire.remote_write import RemoteWriteReader, WriteRequest, encode_write_request

UP = Labels.of("up", job="node")
LOAD = Labels.of("node_load1", instance="a:9100", job="node")
NAN_PAYLOAD = struct.unpack("<d", struct.pack("<Q", ABSENT_BITS))[0]


class DamagedError(Exception):
    pass


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if at >= len(data):
            raise DamagedError
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if value >> 64:
            raise DamagedError
        if byte < 0x80:
            return value, at
        shift += 7
    raise DamagedError


def fields(data: bytes) -> Iterable[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise DamagedError
        if wire == 0:
            value, at = varint(data, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = varint(data, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise DamagedError
        if size > len(data) - at:
            raise DamagedError
        yield number, wire, data[at : at + size]
        at += size


def message(data: bytes, wires: dict[int, int]) -> list[tuple[int, int | bytes]]:
    """A message's fields; the ones named must have the wire type named."""
    found = []
    for number, wire, value in fields(data):
        if wires.get(number, wire) != wire:
            raise DamagedError
        found.append((number, value))
    return found


def twin(body: bytes) -> tuple[list[tuple[bytes, int, int]], dict[str, int]]:
    """The slow obvious reading: (label key, timestamp, bits of the value) of each cell, and the invalid ones."""
    cells, invalid = [], {}
    for number, series in message(body, {1: 2, 3: 2}):
        if number == 3:
            message(series, {1: 0, 2: 2, 4: 2, 5: 2})
        if number != 1:
            continue
        parts = message(series, {1: 2, 2: 2, 3: 2, 4: 2})
        pairs = []
        for part, label in parts:
            if part == 1:
                found = dict(message(label, {1: 2, 2: 2}))
                pairs.append((found.get(1, b""), found.get(2, b"")))
        pairs = sorted((pair for pair in pairs if pair[1] or not pair[0]), key=lambda pair: pair[0])
        fault = fault_of(pairs)
        key = b"".join(word + b"\xff" for pair in pairs for word in pair)
        for part, sample in parts:
            if part == 2:
                found = dict(message(sample, {1: 1, 2: 0}))
                timestamp = found.get(2, 0)
                bits = struct.unpack("<Q", found.get(1, bytes(8)))[0]
                if bits & 0x7FFFFFFFFFFFFFFF > 0x7FF0000000000000 and bits != STALE_BITS:
                    bits = NORMAL_NAN_BITS
                if fault:
                    invalid[fault] = invalid.get(fault, 0) + 1
                else:
                    cells.append((key, signed(timestamp), bits))
        for histogram in (value for part, value in parts if part == 4):
            times = [value for number, wire, value in fields(histogram) if (number, wire) == (15, 0)]
            if fault:
                invalid[fault] = invalid.get(fault, 0) + 1
            else:
                cells.append((key, signed(times[-1]) if times else 0, ABSENT_BITS))
    return cells, invalid


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def fault_of(pairs: list[tuple[bytes, bytes]]) -> str:
    for index, (name, _) in enumerate(pairs):
        if not name:
            return "empty_label_name"
        if index and pairs[index - 1][0] == name:
            return "duplicate_label_name"
    for name, value in pairs:
        try:
            (name + b" " + value).decode()
        except UnicodeDecodeError:
            return "not_utf8"
    return "" if any(name == b"__name__" for name, _ in pairs) else "no_metric_name"


class Columns:
    """What a consumer keeps: the layout that the ids are columns of."""

    def __init__(self) -> None:
        self.layout = Layout()

    def cells(self, request: WriteRequest) -> list[tuple[bytes, int, int]]:
        if request.is_renumbered:
            self.layout = Layout()
        for series, key in request.new_series:
            assert self.layout.append(key) == series
        keys = [self.layout.key(series) for series in request.series.tolist()]
        return list(zip(keys, request.timestamps.tolist(), request.values.view(np.uint64).tolist(), strict=True))


def agree(reader: RemoteWriteReader, columns: Columns, body: bytes) -> None:
    try:
        expected, invalid = twin(body)
    except DamagedError:
        with pytest.raises(WireError):
            reader.read(body)
        return
    request = reader.read(body)
    assert columns.cells(request) == expected
    assert request.invalid == invalid
    rows = Batch.cells(columns.layout, request.timestamps, request.series, request.values)
    assert request.row_timestamps.tolist() == rows.timestamps.tolist()
    assert request.row_offsets.tolist() == rows.row_offsets.tolist()


def test_a_request_becomes_cells_of_dense_columns() -> None:
    reader = RemoteWriteReader()
    request = reader.read(encode_write_request([(UP, [(1000, 1.0), (2000, STALE)]), (LOAD, [(2000, 0.5)])]))
    assert request.series.tolist() == [0, 0, 1]
    assert request.timestamps.tolist() == [1000, 2000, 2000]
    assert request.values.view(np.uint64)[1] == STALE_BITS
    assert request.new_series == [(0, UP.key()), (1, LOAD.key())]
    assert (request.row_timestamps.tolist(), request.row_offsets.tolist()) == ([1000, 2000], [0, 1, 3])
    again = reader.read(encode_write_request([(LOAD, [(3000, -0.0)]), (UP, [(3000, 1e308)])]))
    assert again.series.tolist() == [1, 0]
    assert again.new_series == []
    assert np.signbit(again.values[0])


def test_metadata_is_returned_by_family() -> None:
    known = {"up": Metadata(MetricType.GAUGE, "is it", ""), "x_seconds": Metadata(MetricType.STATESET, "é", "seconds")}
    assert RemoteWriteReader().read(encode_write_request([], known)).metadata == known


def test_exemplars_come_with_their_series() -> None:
    sent = [Exemplar(Labels({"trace_id": "é"}), 0.25, 5), Exemplar(Labels({}), -1.0, -5)]
    reader = RemoteWriteReader()
    body = encode_write_request([(UP, [(1, 2.0)]), (LOAD, [])], exemplars={LOAD: sent})
    for _ in range(2):
        request = reader.read(body)
        assert (request.exemplars, request.exemplars_invalid, len(request)) == ([(1, one) for one in sent], 0, 1)


@pytest.mark.parametrize(
    "message", [b"\x11\x00", b"\x0a\xff", b"\x18" + b"\xff" * 11, b"\x0a\x03\x0a\x01\xff", b"\x0b"]
)
def test_exemplars_that_cannot_be_read_are_counted(message: bytes) -> None:
    series = bytes_field(1, bytes_field(1, b"__name__") + bytes_field(2, b"h")) + bytes_field(3, message)
    request = RemoteWriteReader().read(bytes_field(1, series))
    assert (request.exemplars, request.exemplars_invalid) == ([], 1)


@pytest.mark.parametrize("is_integer", [True, False])
def test_histograms_come_back_as_they_were_sent(is_integer: bool) -> None:
    sent = [LATENCY, replace(CUSTOM, reset_hint=ResetHint.GAUGE), Histogram(sum=STALE), LATENCY]
    body = encode_write_request(
        [(UP, [(1, 2.0), *enumerate(sent, 2)]), (LOAD, [(9, LATENCY)])], integer_histograms=is_integer
    )
    request = RemoteWriteReader().read(body)
    assert request.series.tolist() == [0, 0, 0, 0, 0, 1]
    assert request.timestamps.tolist() == [1, 2, 3, 4, 5, 9]
    assert request.histogram_of is not None
    assert request.histogram_of.tolist() == [FLOAT, 0, 1, 2, 3, 4]
    assert request.values.view(np.uint64)[1:].tolist() == [ABSENT_BITS] * 5
    columns = request.histograms
    assert columns is not None
    assert list(map(repr, columns.histograms())) == list(map(repr, [*sent, LATENCY]))
    assert columns.is_stale().tolist() == [False, False, True, False, False]
    assert columns.is_integer.tolist() == [is_integer] * 5
    assert len(columns.shapes) == 3
    assert not len(request.invalid_histograms)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(LATENCY, schema=9),
        replace(LATENCY, schema=-5),
        replace(LATENCY, positive_buckets=(1.0,)),
        replace(LATENCY, positive_spans=(BucketSpan(0, 1), BucketSpan(-1, 2))),
        replace(LATENCY, negative_buckets=(-1.0,)),
        replace(LATENCY, zero_threshold=-1.0),
        replace(LATENCY, count=math.nan),
        replace(LATENCY, custom_values=(1.0,)),
        replace(CUSTOM, custom_values=(1.0, 0.5)),
        replace(CUSTOM, custom_values=()),
        replace(CUSTOM, zero_count=1.0),
    ],
)
def test_a_histogram_that_contradicts_itself_is_told_apart(wrong: Histogram) -> None:
    body = encode_write_request([(UP, [(1, LATENCY), (2, wrong), (3, 1.0), (4, CUSTOM)])])
    request = RemoteWriteReader().read(body)
    assert request.timestamps.tolist() == [3, 1, 2, 4]
    assert request.timestamps[request.invalid_histograms].tolist() == [2]
    assert request.histograms is not None
    assert [request.histograms.histogram(number) for number in (0, 2)] == [LATENCY, CUSTOM]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_histogram_or_none(body: bytes) -> None:
    columns, fine = decode_histograms(body, np.array([[0, len(body)]], np.int64))
    assert len(columns) == len(fine) == 1
    histogram = columns.histogram(0)
    assert len(histogram.positive_buckets) == sum(span.length for span in histogram.positive_spans)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(b"a", b"1")], "no_metric_name"),
        ([], "no_metric_name"),
        ([(b"__name__", b"x"), (b"", b"1")], "empty_label_name"),
        ([(b"__name__", b"x"), (b"a", b"1"), (b"a", b"2")], "duplicate_label_name"),
        ([(b"__name__", b"x"), (b"a", b"\xff")], "not_utf8"),
        ([(b"__name__", b"x"), (b"a", b"\xed\xa0\x80")], "not_utf8"),
        ([(b"__name__", b"x"), (b"a", b"\xc0\x80")], "not_utf8"),
        ([(b"__name__", b"x"), (b"a", b"12345678\xe2\x82")], "not_utf8"),
    ],
)
def test_a_series_with_invalid_labels_is_counted_and_the_rest_kept(
    pairs: list[tuple[bytes, bytes]], reason: str
) -> None:
    labels = b"".join(bytes_field(1, bytes_field(1, name) + bytes_field(2, value)) for name, value in pairs)
    samples = b"".join(bytes_field(2, double_field(1, 1.0) + integer_field(2, 5)) for _ in range(3))
    reader = RemoteWriteReader()
    for _ in range(2):
        request = reader.read(bytes_field(1, labels + samples) + encode_write_request([(UP, [(5, 1.0)])]))
        assert request.invalid == {reason: 3}
        assert request.series.tolist() == [0]


def test_other_spellings_of_equal_labels_are_the_same_series() -> None:
    def spell(order: list[int], empty: bool = False, between: bytes = b"") -> bytes:
        pairs = [(b"__name__", b"up"), (b"job", b"node")]
        parts = [bytes_field(1, bytes_field(1, pairs[index][0]) + bytes_field(2, pairs[index][1])) for index in order]
        if empty:
            parts.append(bytes_field(1, bytes_field(1, b"zone")))
        return bytes_field(1, between.join(parts) + bytes_field(2, double_field(1, 1.0)))

    reader = RemoteWriteReader()
    unknown_field, sample = bytes_field(9, b"??"), bytes_field(2, double_field(1, 2.0))
    spellings = [
        spell([1, 0]),
        spell([0, 1], empty=True),
        spell([0, 1], between=unknown_field),
        spell([0, 1], between=sample),
    ]
    for spelling in [*spellings, encode_write_request([(UP, [(0, 1.0)])]), *spellings]:
        request = reader.read(spelling)
        assert set(request.series.tolist()) == {0}
    assert len(reader.read(spellings[3])) == 2


def test_a_damaged_request_announces_nothing() -> None:
    reader, columns = RemoteWriteReader(), Columns()
    agree(reader, columns, encode_write_request([(UP, [(1, 1.0)])]))
    good = encode_write_request([(UP, [(2, 1.0)]), (LOAD, [(2, 1.0)])])
    with pytest.raises(
        WireError, match=r"remote write: the bytes are no protobuf message; send a prometheus.WriteRequest"
    ):
        reader.read(good + b"\x0a\x7f")
    request = reader.read(good)
    assert request.new_series == [(1, LOAD.key())]
    agree(reader, columns, encode_write_request([(UP, [(3, 1.0)])]))


def test_a_full_table_forgets_what_was_not_sent_since_and_numbers_anew() -> None:
    reader, columns = RemoteWriteReader(series_max=100), Columns()
    lasting = [Labels.of("lasting", number=str(number)) for number in range(20)]
    for generation in range(50):
        passing = [Labels.of("passing", number=str(number), generation=str(generation)) for number in range(30)]
        agree(reader, columns, encode_write_request([(labels, [(generation, 1.0)]) for labels in lasting + passing]))
        assert reader.series_remembered <= 150
        assert len(columns.layout) <= 150
        keys = {columns.layout.key(column) for column in range(len(columns.layout))}
        assert len(keys) == len(columns.layout)


def test_forgetting_is_announced_even_when_the_next_request_is_damaged() -> None:
    reader, columns = RemoteWriteReader(series_max=10), Columns()
    series = [Labels.of("x", number=str(number)) for number in range(11)]
    body = encode_write_request([(labels, [(1, 1.0)]) for labels in series])
    agree(reader, columns, body)
    for _ in range(2):
        with pytest.raises(WireError):
            reader.read(body + b"\xff")
    request = reader.read(body)
    assert request.is_renumbered
    columns.cells(request)
    agree(reader, columns, body)


LABEL_TEXT = st.binary(max_size=4) | st.sampled_from([b"__name__", b"job", b"a", b""])
LABEL = st.tuples(LABEL_TEXT, LABEL_TEXT).map(
    lambda pair: bytes_field(1, bytes_field(1, pair[0]) + bytes_field(2, pair[1]))
)
NAMED = st.sampled_from([b"up", b"x"]).map(
    lambda name: bytes_field(1, bytes_field(1, b"__name__") + bytes_field(2, name))
)
VALUES = st.floats() | st.sampled_from([STALE, NAN_PAYLOAD])
SAMPLE = st.tuples(VALUES, st.integers(-(2**63), 2**63 - 1)).map(
    lambda cell: bytes_field(2, double_field(1, cell[0]) + integer_field(2, cell[1]))
)
STRANGE = st.sampled_from([bytes_field(3, b"ab"), bytes_field(4, b""), bytes_field(77, b"x"), integer_field(50, 3)])
SERIES = st.lists(NAMED | LABEL | SAMPLE | STRANGE, max_size=6).map(lambda parts: bytes_field(1, b"".join(parts)))
METADATA = st.just(bytes_field(3, integer_field(1, 1) + bytes_field(2, b"up") + bytes_field(4, b"\xff")))
REQUEST = st.lists(SERIES | METADATA | STRANGE.filter(lambda part: part[0] >> 3 > 4), max_size=6).map(b"".join)


@given(bodies=st.lists(REQUEST, min_size=1, max_size=5))
def test_requests_read_as_the_slow_twin_reads_them(bodies: list[bytes]) -> None:
    reader, columns = RemoteWriteReader(series_max=8), Columns()
    for body in bodies:
        agree(reader, columns, body)


@settings(max_examples=300)
@given(body=REQUEST, data=st.data())
def test_damaged_requests_read_as_the_slow_twin_reads_them(body: bytes, data: st.DataObject) -> None:
    reader, columns = RemoteWriteReader(), Columns()
    agree(reader, columns, body)
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    agree(reader, columns, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    agree(reader, columns, body)


@given(body=st.binary(max_size=200))
def test_random_bytes_read_as_the_slow_twin_reads_them(body: bytes) -> None:
    agree(RemoteWriteReader(), Columns(), body)


def test_a_request_of_many_labels_takes_no_quadratic_time() -> None:
    labels = b"".join(
        bytes_field(1, bytes_field(1, b"l%06d" % (number * 7919 % 100_000)) + bytes_field(2, b"x"))
        for number in range(100_000)
    )
    with contextlib.suppress(WireError):
        request = RemoteWriteReader().read(bytes_field(1, labels + bytes_field(2, double_field(1, 1.0))))
        assert request.invalid == {"no_metric_name": 1}
