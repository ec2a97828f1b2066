"""Protobuf expositions: what each kind of metric becomes, native histograms, and what damage costs."""

import math
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.peers import find_peer, free_port, running

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire.errors import ExpositionError, WireError
from nunchi.wire.exposition import NO_TIMESTAMP, Exposition, ExpositionReader
from nunchi.wire.exposition_format import ExpositionFormat
from nunchi.wire.metric_families import FamilyReader
from nunchi.wire.prometheus_proto import bytes_field, double_field, encode_varint, integer_field, text_field

PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def label(name: str, value: str) -> bytes:
    return bytes_field(1, text_field(1, name) + text_field(2, value))


def family(name: str, kind: int, *metrics: bytes, help_text: str = "", unit: str = "") -> bytes:
    head = text_field(1, name) + text_field(2, help_text) + integer_field(3, kind)
    body = head + b"".join(bytes_field(4, metric) for metric in metrics) + text_field(5, unit)
    return encode_varint(len(body)) + body


def span(offset: int, length: int) -> bytes:
    return integer_field(1, offset << 1 if offset >= 0 else -offset * 2 - 1) + integer_field(2, length)


def deltas(*values: int) -> bytes:
    return b"".join(encode_varint(value << 1 if value >= 0 else -value * 2 - 1) for value in values)


CLASSIC = (
    integer_field(1, 4)
    + double_field(2, 3.5)
    + bytes_field(3, integer_field(1, 1) + double_field(2, 1.0))
    + bytes_field(3, integer_field(1, 3) + double_field(2, 2.5))
)
NATIVE = (
    integer_field(5, 2 << 1)
    + double_field(6, 0.001)
    + integer_field(7, 1)
    + bytes_field(12, span(-1, 2))
    + bytes_field(12, span(3, 1))
    + bytes_field(13, deltas(1, 0, -1))
    + bytes_field(9, span(0, 1))
    + bytes_field(10, deltas(1))
)
OBSERVED = Histogram(
    2, 4.0, 3.5, 0.001, 1.0, (BucketSpan(-1, 2), BucketSpan(3, 1)), (1.0, 1.0, 0.0), (BucketSpan(0, 1),), (1.0,)
)


def samples(exposition: Exposition, labels: dict[int, Labels]) -> dict[Labels, float | Histogram]:
    labels |= dict(exposition.new_series)
    found: dict[Labels, float | Histogram] = {}
    for place, number in enumerate(exposition.series.tolist()):
        at = FLOAT if exposition.histogram_of is None else int(exposition.histogram_of[place])
        value: float | Histogram = float(exposition.values[place])
        if at != FLOAT:
            assert exposition.histograms is not None
            value = exposition.histograms.histogram(at)
        found[labels[number]] = value
    return found


def read(body: bytes, **wishes: bool) -> dict[Labels, float | Histogram]:
    return samples(FamilyReader(**wishes).read(body), {})


def test_plain_metrics_become_one_sample_each():
    body = (
        family("a_total", COUNTER, label("x", "1") + bytes_field(3, double_field(1, 7.5)), help_text="A.", unit="a")
        + family("b", GAUGE, bytes_field(2, double_field(1, -math.inf)) + integer_field(6, 1234))
        + family("c", UNTYPED, bytes_field(5, b""))
    )
    exposition = FamilyReader().read(body)
    assert samples(exposition, {}) == {
        Labels.of("a_total", x="1"): 7.5,
        Labels.of("b"): -math.inf,
        Labels.of("c"): 0.0,
    }
    assert exposition.timestamps.tolist() == [NO_TIMESTAMP, 1234, NO_TIMESTAMP]
    assert exposition.metadata["a_total"] == Metadata(MetricType.COUNTER, "A.", "a")


def test_summaries_and_classic_histograms_become_the_series_of_the_text():
    quantile = bytes_field(3, double_field(1, 0.5) + double_field(2, 8.0))
    body = family("s", SUMMARY, bytes_field(4, integer_field(1, 3) + double_field(2, 9.0) + quantile))
    body += family("h", HISTOGRAM, label("x", "1") + bytes_field(7, CLASSIC))
    assert read(body) == {
        Labels.of("s", quantile="0.5"): 8.0,
        Labels.of("s_sum"): 9.0,
        Labels.of("s_count"): 3.0,
        Labels.of("h_bucket", x="1", le="1.0"): 1.0,
        Labels.of("h_bucket", x="1", le="2.5"): 3.0,
        Labels.of("h_bucket", x="1", le="+Inf"): 4.0,
        Labels.of("h_sum", x="1"): 3.5,
        Labels.of("h_count", x="1"): 4.0,
    }


def test_native_parts_are_read_where_they_are_wanted():
    body = family("h", HISTOGRAM, bytes_field(7, CLASSIC + NATIVE))
    classic = {name for name in read(body) if name.metric_name != "h"}
    assert len(classic) == 5
    assert read(body, with_native=True) == {Labels.of("h"): OBSERVED}
    both = read(body, with_native=True, with_classic=True)
    assert both[Labels.of("h")] == OBSERVED
    assert set(both) == {Labels.of("h"), *classic}
    gauge = family("g", GAUGE_HISTOGRAM, bytes_field(7, CLASSIC + NATIVE))
    assert read(gauge, with_native=True)[Labels.of("g")].reset_hint is ResetHint.GAUGE


def test_float_histograms_and_those_without_observations_are_native():
    floats = double_field(4, 1.5) + double_field(8, 0.5) + bytes_field(12, span(0, 1)) + double_field(14, 1.0)
    found = read(family("h", HISTOGRAM, bytes_field(7, floats)), with_native=True)[Labels.of("h")]
    assert (found.count, found.zero_count, found.positive_buckets) == (1.5, 0.5, (1.0,))
    empty = read(family("h", HISTOGRAM, bytes_field(7, bytes_field(12, b""))), with_native=True)
    assert empty[Labels.of("h")].count == 0


def test_a_steady_exposition_costs_no_labels():
    reader = FamilyReader()
    body = family("a", GAUGE, label("x", "1") + bytes_field(2, double_field(1, 1.0)))
    first, second = reader.read(body), reader.read(body)
    assert second.is_steady
    assert second.series is first.series
    assert (second.new_series, second.metadata) == ([], {})


def test_series_that_come_and_go_do_not_pile_up():
    reader, labels = FamilyReader(), {}
    for turn in range(3000):
        body = family("a", GAUGE, label("x", str(turn)) + bytes_field(2, double_field(1, float(turn))))
        assert samples(reader.read(body), labels) == {Labels.of("a", x=str(turn)): float(turn)}
    assert reader._scanner.remembered <= 1100


def stamp(seconds: int, nanos: int = 0) -> bytes:
    return integer_field(1, seconds) + integer_field(2, nanos)


def exemplar(trace: str, value: float, seconds: int = 0) -> bytes:
    return label("trace_id", trace) + double_field(2, value) + (bytes_field(3, stamp(seconds)) if seconds else b"")


def test_created_timestamps_are_starts_of_all_samples_of_a_metric():
    body = family("a_total", COUNTER, bytes_field(3, double_field(1, 1.0) + bytes_field(3, stamp(1500, 250_000_000))))
    body += family("b", GAUGE, bytes_field(2, double_field(1, 1.0)))
    body += family("h", HISTOGRAM, bytes_field(7, CLASSIC + bytes_field(15, stamp(7))))
    body += family("s", SUMMARY, bytes_field(4, bytes_field(4, stamp(8))))
    exposition = FamilyReader().read(body)
    assert exposition.starts is not None
    assert exposition.starts.tolist() == [1_500_250, 0, *[7000] * 5, 8000, 8000]
    assert FamilyReader().read(family("b", GAUGE, bytes_field(2, b""))).starts is None


def test_exemplars_belong_to_their_counters_and_buckets_and_to_native_histograms_where_they_have_a_time():
    counter = bytes_field(3, double_field(1, 1.0) + bytes_field(2, exemplar("x", 0.5)))
    bucket = bytes_field(3, integer_field(1, 1) + double_field(2, 1.0) + bytes_field(3, exemplar("y", 0.7, 12)))
    native = bytes_field(16, exemplar("z", 0.8, 13)) + bytes_field(16, exemplar("timeless", 0.9))
    body = family("a_total", COUNTER, counter)
    body += family("h", HISTOGRAM, bytes_field(7, CLASSIC + NATIVE + bucket + native))

    def given(**wishes: bool) -> list[tuple[str, str, int]]:
        exposition = FamilyReader(**wishes).read(body)
        names = dict(exposition.new_series)
        return [
            (names[int(exposition.series[at])].metric_name, one.labels.pairs[0][1], one.timestamp_ms)
            for at, one in exposition.exemplars
        ]

    plain = ("a_total", "x", NO_TIMESTAMP)
    assert given() == [plain, ("h_bucket", "y", 12_000)]
    assert given(with_native=True) == [plain, ("h", "z", 13_000)]
    assert given(with_native=True, with_classic=True) == [plain, ("h", "z", 13_000), ("h_bucket", "y", 12_000)]


def test_a_metric_that_moves_or_changes_its_buckets_keeps_its_labels():
    reader, names = FamilyReader(), {}
    one, two = (family(name, GAUGE, bytes_field(2, double_field(1, 1.0))) for name in "ab")
    finer = CLASSIC + bytes_field(3, integer_field(1, 4) + double_field(2, 7.0))
    buckets = [family("h", HISTOGRAM, bytes_field(7, message)) for message in (CLASSIC, finer)]
    first = samples(reader.read(one + two + buckets[0]), names)
    second = samples(reader.read(two + buckets[1] + one), names)
    assert set(second) == {*first, Labels.of("h_bucket", le="7.0")}
    again = reader.read(two + buckets[1] + one)
    assert again.is_steady
    assert not again.new_series


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x05ab", "family 2 .*: it is cut off"),
        (family("", GAUGE), "no name"),
        (family("a", 9), "its type does not exist"),
        (family("h", HISTOGRAM, bytes_field(7, bytes_field(12, span(0, 3)))), "contradict its spans"),
        (
            family("h", HISTOGRAM, bytes_field(7, NATIVE + integer_field(5, 80))),
            "contradict its spans, its count or its schema",
        ),
        (
            family("h", HISTOGRAM, bytes_field(7, bytes_field(12, span(0, 1)) + bytes_field(13, deltas(-1)))),
            "contradict",
        ),
        (family("a", GAUGE, bytes_field(1, bytes_field(1, b"\xff")) + bytes_field(2, b"")), "UTF-8"),
    ],
)
def test_damage_fails_the_exposition_and_changes_nothing(body: bytes, said: str):
    reader = FamilyReader(with_native=True)
    good = family("a", GAUGE, bytes_field(2, double_field(1, 1.0)))
    reader.read(good)
    with pytest.raises(ExpositionError, match=said):
        reader.read(good + body)
    assert reader.read(good).is_steady


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, place: int, byte: int):
    whole = bytearray(family("h", HISTOGRAM, label("a", "b") + bytes_field(7, CLASSIC + NATIVE)))
    whole[place % len(whole)] = byte
    for body in (noise, bytes(whole), bytes(whole[:place])):
        try:
            exposition = FamilyReader(with_native=True, with_classic=True).read(body)
        except ExpositionError:
            continue
        assert len(exposition.series) == len(exposition.values) == len(exposition.timestamps)


def test_only_delimited_families_are_taken():
    assert ExpositionFormat.of_content_type(PROTOBUF) is ExpositionFormat.PROTOBUF
    for other in ("application/vnd.google.protobuf", PROTOBUF.replace("delimited", "text")):
        with pytest.raises(WireError, match="unsupported Content-Type"):
            ExpositionFormat.of_content_type(other)


@pytest.mark.peer
def test_what_prometheus_serves_as_protobuf_is_what_it_serves_as_text(tmp_path: Path):
    program, address = find_peer("prometheus"), f"127.0.0.1:{free_port()}"
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    command = [
        program, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]  # fmt: skip

    def body(accept: str) -> bytes:
        request = urllib.request.Request(f"http://{address}/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert ("protobuf" in answer.headers["Content-Type"]) == ("protobuf" in accept)
            return answer.read()

    with running(command, f"http://{address}/-/ready", tmp_path / "log"):
        text = ExpositionReader().read(body("text/plain"))
        encoded = body(PROTOBUF)
    told = samples(text, {})
    found = read(encoded)
    # Quantiles without observations are left out of texts by nobody; what counts requests and memory moves on meanwhile.
    assert set(told) <= set(found)
    still = [
        name for name in told if not name.metric_name.startswith(("go_", "process_", "prometheus_http", "promhttp"))
    ]
    assert len(still) > 200
    differing = {name for name in still if not (told[name] == found[name] or math.isnan(told[name]))}
    assert len(differing) < len(still) / 20, differing
    native = read(encoded, with_native=True)
    histograms = {name.metric_name for name, value in native.items() if isinstance(value, Histogram)}
    assert "prometheus_http_request_duration_seconds" in histograms
