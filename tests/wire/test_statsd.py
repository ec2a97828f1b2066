"""StatsD in its dialects: what each line means, and that no bytes do harm."""

import contextlib
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.wire import statsd_twin

from nunchi.wire.errors import WireError
from nunchi.wire.statsd import IS_SIGNED, SAMPLE, StatsdKind, StatsdReader, StatsdText, parse_name
from nunchi.wire.statsd_records import Event, ServiceCheck, parse_event, parse_service_check

PIECES = [
    b"a", b"b.c", b":", b"|", b"|c", b"|g", b"|ms", b"|h", b"|d", b"|s", b"|@", b"0.1", b"1", b"-2", b"+3.5", b"|#", b"k:v",
    b",", b"|T", b"170", b"|c:", b"|e:x", b"|card:low", b"\n", b"\r\n", b"\r", b"_e{", b"_sc|", b"1e400", b"nan", b".", b"=",
    b"0", b"\xff", b"\x00", b"1e-9", b"1|c:2|c", b"x:1|c|#t:u",
]  # fmt: skip


def read(text: bytes, series_max: int = 1000) -> StatsdText:
    return StatsdReader(7, series_max).read(text)


def samples(text: bytes) -> list[tuple[str, str, float, float, int]]:
    found = read(text)
    assert not found.malformed
    series = {one.series: one for one in found.new_series}
    return [
        (series[number].name, series[number].kind.name, value, rate, timestamp)
        for number, _, value, rate, timestamp in SAMPLE.iter_unpack(found.samples)
    ]


def bits(value: float) -> bytes:
    return struct.pack("=d", value)


@settings(max_examples=800, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)))
@example(b"n:1|c|:2|c")
@example(b"n:1|g|c:abc:2|g")
def test_kernel_reads_what_the_slow_twin_reads(text: bytes) -> None:
    assert_read_alike(text)


def assert_read_alike(text: bytes) -> None:
    """Kernel and twin see the same samples, and refuse the same lines for the same reasons."""
    found, twin = read(text), statsd_twin.read(text)
    assert found.lines == twin.lines
    records = len(found.events) + len(found.service_checks)
    of_records = found.malformed.pop("event", 0) + found.malformed.pop("service_check", 0)
    assert records + of_records == twin.apart
    assert found.malformed == twin.malformed
    known: dict[int, tuple[int, str, object]] = {one.series: (one.kind, one.name, one.tags) for one in found.new_series}
    members: dict[bytes, bytes] = {}
    read_samples = list(SAMPLE.iter_unpack(found.samples))
    assert len(read_samples) == len(twin.samples)
    for (number, flags, value, rate, timestamp), ((kind, name, tags), expected) in zip(
        read_samples, twin.samples, strict=True
    ):
        assert known[number] == (kind, *parse_name(name, tags))
        assert (rate, timestamp, flags == IS_SIGNED) == expected[1:]
        if kind == StatsdKind.SET:
            assert isinstance(expected[0], bytes)
            assert members.setdefault(expected[0], bits(value)) == bits(value)
        else:
            assert value == expected[0]
    assert len(set(members.values())) == len(members)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a.b:1|c", [("a.b", "COUNTER", 1, 1, 0)]),
        (b"a:2|c|@0.1", [("a", "COUNTER", 2, 0.1, 0)]),
        (b"a:-3.5|g", [("a", "GAUGE", -3.5, 1, 0)]),
        (b"a:320|ms|@0.5", [("a", "TIMER", 320, 0.5, 0)]),
        (b"a:1|c:2|c|@0.1", [("a", "COUNTER", 1, 1, 0), ("a", "COUNTER", 2, 0.1, 0)]),
        (b"a:1|c:2|ms", [("a", "COUNTER", 1, 1, 0), ("a", "TIMER", 2, 1, 0)]),
        (b"a:1:2::3|h|#k:v", [("a", "HISTOGRAM", value, 1, 0) for value in (1, 2, 3)]),
        (b"a:1|#k:v", None),
        (b"a:1|d|T1700000000|c:ci-abc|e:it-false|card:low|future:1", [("a", "DISTRIBUTION", 1, 1, 1700000000)]),
        (b"a:1|c|#k:v|@0.5", [("a", "COUNTER", 1, 0.5, 0)]),
    ],
)
def test_lines_of_every_dialect(line: bytes, expected: list[tuple[str, str, float, float, int]] | None) -> None:
    if expected is None:
        assert read(line).malformed == {"type": 1}
    else:
        assert samples(line) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a", "name"), (b":1|c", "name"), (b"a|b:1|c", "name"), (b"a:|c", "value"), (b"a:x|c", "value"),
        (b"a:nan|g", "value"), (b"a:inf|g", "value"), (b"a:-1|ms", "value"), (b"a:1|c:", "value"), (b"a:1", "type"),
        (b"a:1|", "type"), (b"a:1|z", "type"), (b"a:1|c|@0", "rate"), (b"a:1|c|@2", "rate"), (b"a:1|c|@", "rate"),
        (b"a:1|c|T0", "timestamp"), (b"a:1|g|Tx", "timestamp"), (b"a:|s", "value"), (b"a:1|c:2|z", "type"),
    ],
)  # fmt: skip
def test_malformed_lines_are_counted_by_reason_and_cost_only_themselves(line: bytes, reason: str) -> None:
    found = read(b"before:1|c\n" + line + b"\nafter:2|c\n")
    assert found.malformed == {reason: 1}
    assert [one.name for one in found.new_series] == ["before", "after"]
    assert found.example == f"{reason}: {line.decode()}"


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        (b"a", b"", ("a", ())),
        (b"a", b"env:prod,flag,empty:,url:http://x", ("a", (("env", "prod"), ("flag", "true"), ("url", "http://x")))),
        (b"a,k=v,l=w", b"", ("a", (("k", "v"), ("l", "w")))),
        (b"a#k=v", b"m:x", ("a", (("k", "v"), ("m", "x")))),
        (b"a.b[k=v,l=w].c", b"", ("a.b.c", (("k", "v"), ("l", "w")))),
        (b"\xff", b"\xfe:1", ("�", (("�", "1"),))),
    ],
)
def test_tags_of_every_dialect(name: bytes, tags: bytes, expected: tuple[str, object]) -> None:
    assert parse_name(name, tags) == expected


def test_series_are_announced_once_and_anew_after_forgetting() -> None:
    reader = StatsdReader(3)
    assert [one.series for one in reader.read(b"a:1|c\nb:1|c").new_series] == [0, 1]
    assert [one.series for one in reader.read(b"a:1|c\nc:1|c").new_series] == [2]
    reader.forget()
    assert [(one.series, one.name) for one in reader.read(b"c:1|c").new_series] == [(0, "c")]


def test_container_tells_series_apart_only_when_asked_to() -> None:
    text = b"a:1|c|c:one\na:1|c|c:two"
    assert len(StatsdReader(3).read(text).new_series) == 1
    assert [one.container for one in StatsdReader(3, with_container=True).read(text).new_series] == ["one", "two"]


def test_series_beyond_the_bound_are_counted_and_cost_no_other() -> None:
    found = read(b"a:1|c\nb:1:2|ms\na:1|c|@0.5:2|g\na:3|c", series_max=1)
    assert found.overflow == 3
    assert [one[2] for one in SAMPLE.iter_unpack(found.samples)] == [1, 1, 3]


def test_many_series_are_found_again() -> None:
    reader = StatsdReader(11, 50_000)
    text = b"".join(b"s.%d:1|c|#n:%d\n" % (number, number) for number in range(20_000))
    assert len(reader.read(text).new_series) == 20_000
    again = reader.read(text)
    assert not again.new_series
    assert [one[0] for one in SAMPLE.iter_unpack(again.samples)] == list(range(20_000))


def test_event_with_all_its_fields() -> None:
    fields = r"Hällo|two\nlines!|d:1700000000|h:web|k:key|p:low|s:jenkins|t:error|#env:prod,x".encode()
    with pytest.raises(WireError, match="lengths"):
        parse_event(b"_e{5,11}:" + fields)
    assert parse_event(b"_e{6,11}:" + fields) == Event(
        "Hällo", "two\nlines!", 1_700_000_000, "web", "key", "low", "jenkins", "error", (("env", "prod"), ("x", "true"))
    )
    assert parse_event(rb"_e{4,4}:a\nb|c\nd") == Event("a\nb", "c\nd"), "clients write title and text alike"


@pytest.mark.parametrize(
    "line",
    [b"_e{1,1}", b"_e{1}:a|b", b"_e{x,1}:a|b", b"_e{0,1}:|b", b"_e{9,9}:a|b", b"_e{1,1}:a|bc", b"_e{1,1}:ab|c",
     b"_e{1,1}:a|b|d:x", b"_e{99999,1}:a|b"],
)  # fmt: skip
def test_damaged_events_are_counted(line: bytes) -> None:
    assert read(line).malformed == {"event": 1}


def test_service_check_with_all_its_fields() -> None:
    line = b"_sc|db.up|2|d:1700000000|h:web|#env:prod|m:it is|down: m\\: x"
    assert parse_service_check(line) == ServiceCheck(
        "db.up", 2, 1_700_000_000, "web", "it is|down: m: x", (("env", "prod"),)
    )
    assert read(b"_sc|db|4\n_sc||0\n_sc|db").malformed == {"service_check": 3}


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_records_of_any_bytes_are_read_or_refused(body: bytes) -> None:
    for begin, parse in ((b"_e{1,1}:", parse_event), (b"_e{", parse_event), (b"_sc|", parse_service_check)):
        with contextlib.suppress(WireError):
            parse(begin + body)
