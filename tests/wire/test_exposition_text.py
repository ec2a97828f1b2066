from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire.exposition import NO_TIMESTAMP, ExpositionReader
from nunchi.wire.exposition_text import ExpositionFormat, Family, Sample, format_families, format_telemetry
from nunchi.wire.openmetrics import validate

TEXT, OPEN = ExpositionFormat.TEXT, ExpositionFormat.OPEN_METRICS


def telemetry() -> Telemetry:
    made = Telemetry()
    made.counter("pushes_total", 'Payloads sent;\nby "outcome" \\.', "outcome").add(1e6, 'a"b\\c\n')
    made.gauge("queue_length", "").set(2.5)
    made.histogram("wait_seconds", "How long.", "queue", bounds=(0.25, 1.0)).observe(0.5, "fresh")
    made.counter("unused_total", "Never counted.", "reason")
    return made


def test_telemetry_is_written_as_text() -> None:
    assert format_telemetry(telemetry()).decode() == (
        '# HELP pushes_total Payloads sent;\\nby "outcome" \\\\.\n'
        "# TYPE pushes_total counter\n"
        'pushes_total{outcome="a\\"b\\\\c\\n"} 1e+06\n'
        "# TYPE queue_length gauge\n"
        "queue_length 2.5\n"
        "# HELP wait_seconds How long.\n"
        "# TYPE wait_seconds histogram\n"
        'wait_seconds_bucket{queue="fresh",le="0.25"} 0\n'
        'wait_seconds_bucket{queue="fresh",le="1.0"} 1\n'
        'wait_seconds_bucket{queue="fresh",le="+Inf"} 1\n'
        'wait_seconds_sum{queue="fresh"} 0.5\n'
        'wait_seconds_count{queue="fresh"} 1\n'
    )


def test_telemetry_is_written_as_valid_openmetrics() -> None:
    written = format_telemetry(telemetry(), OPEN)
    assert validate(written).samples == 7
    assert b'# TYPE pushes counter\n# HELP pushes Payloads sent;\\nby \\"outcome\\" \\\\.\npushes_total{' in written
    assert written.endswith(b"# EOF\n")


def test_units_and_times_are_written_where_the_format_has_them() -> None:
    family = Family("wait_seconds", MetricType.GAUGE, "", [Sample("wait_seconds", (), 1, 1_700_000_000_123)], "seconds")
    assert format_families([family], TEXT) == b"# TYPE wait_seconds gauge\nwait_seconds 1 1700000000123\n"
    assert format_families([family], OPEN) == (
        b"# TYPE wait_seconds gauge\n# UNIT wait_seconds seconds\nwait_seconds 1 1700000000.123\n# EOF\n"
    )
    before_1970 = Family("a", MetricType.UNKNOWN, "", [Sample("a", (), 1, -1)])
    assert b"a 1 -0.001\n" in format_families([before_1970], OPEN)


def test_a_counter_without_its_suffix_is_no_openmetrics_counter() -> None:
    family = Family("requests", MetricType.COUNTER, "", [Sample("requests", (), 1)])
    written = format_families([family], OPEN)
    assert written == b"# TYPE requests unknown\nrequests 1\n# EOF\n"
    assert validate(written).samples == 1


def test_a_lone_surrogate_does_not_cost_the_exposition() -> None:
    family = Family("a", MetricType.GAUGE, "", [Sample("a", (("path", "x\udcff"),), 1)])
    assert format_families([family]) == b'# TYPE a gauge\na{path="x?"} 1\n'


WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
SAMPLES = st.builds(
    Sample,
    WORD,
    st.dictionaries(WORD.filter(lambda name: name != "__name__"), WORD, max_size=3).map(
        lambda labels: tuple(labels.items())
    ),
    st.floats(allow_nan=False),
    st.none() | st.integers(0, 2**42),
)
FAMILIES = st.lists(
    st.builds(
        Family,
        WORD,
        st.sampled_from([MetricType.GAUGE, MetricType.COUNTER]),
        WORD,
        st.lists(SAMPLES, min_size=1, max_size=3),
    ),
    max_size=3,
    unique_by=lambda family: family.name,
)


@given(families=FAMILIES)
def test_what_is_written_reads_back_the_same(families: list[Family]) -> None:
    samples = [sample for family in families for sample in family.samples]
    for exposition_format in (TEXT, OPEN):
        exposition = ExpositionReader().read(format_families(families, exposition_format), exposition_format)
        labels = dict(exposition.new_series)
        assert [labels[series] for series in exposition.series.tolist()] == [
            Labels([("__name__", sample.name), *sample.labels]) for sample in samples
        ]
        assert exposition.values.tolist() == [sample.value for sample in samples]
        times = [NO_TIMESTAMP if sample.timestamp_ms is None else sample.timestamp_ms for sample in samples]
        tolerance = 0 if exposition_format is TEXT else 1  # a float of seconds is cut off, as Prometheus does
        for read, written in zip(exposition.timestamps.tolist(), times, strict=True):
            assert read == written or abs(read - written) <= tolerance
        if exposition_format is TEXT:
            assert exposition.metadata == {family.name: Metadata(family.type, family.help) for family in families}
