import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.exposition_twin import Cell, RefusedError, Twin

from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.staleness import NORMAL_NAN_BITS
from nunchi.wire.errors import ExpositionError, WireError
from nunchi.wire.exposition import (
    NO_TIMESTAMP,
    REMEMBERED_LINES_MIN,
    REMEMBERED_RATIO,
    Exposition,
    ExpositionFormat,
    ExpositionReader,
)

TEXT, OPEN = ExpositionFormat.TEXT, ExpositionFormat.OPEN_METRICS
SAMPLES = Path(__file__).parents[3] / "shared/conformance/textparse"


class Known:
    """What a consumer keeps: the labels of each id."""

    def __init__(self) -> None:
        self.labels: dict[int, Labels] = {}
        self.families: dict[str, Metadata] = {}
        self.repeated: set[str] = set()

    def cells(self, exposition: Exposition) -> list[Cell]:
        self.labels.update(exposition.new_series)
        self.families.update(exposition.metadata)
        times = [None if time == NO_TIMESTAMP else time for time in exposition.timestamps.tolist()]
        labels = [self.labels[series].pairs for series in exposition.series.tolist()]
        return list(zip(labels, exposition.values.view(np.uint64).tolist(), times, strict=True))


def agree(reader: ExpositionReader, known: Known, body: bytes, grammar: ExpositionFormat) -> bool:
    try:
        twin = Twin(body, grammar is OPEN).read()
    except RefusedError:
        with pytest.raises(ExpositionError):
            reader.read(body, grammar)
        return False
    exposition = reader.read(body, grammar)
    assert known.cells(exposition) == twin.cells
    known.repeated |= twin.repeated  # a family described twice in one body has no right answer
    for name in (twin.help | twin.types).keys() - known.repeated:
        assert known.families[name].help == twin.help.get(name, known.families[name].help)
        kind = twin.types.get(name, known.families[name].type.value)
        assert known.families[name].type.value == kind.replace("untyped", "unknown")
    return True


def read(body: str, grammar: ExpositionFormat = TEXT) -> list[tuple[str, float, int]]:
    exposition = ExpositionReader().read(body.encode(), grammar)
    labels = dict(exposition.new_series)
    return [
        (str(labels[series]), value, time)
        for series, value, time in zip(
            exposition.series.tolist(), exposition.values.tolist(), exposition.timestamps.tolist(), strict=True
        )
    ]


def test_a_line_becomes_labels_value_and_timestamp() -> None:
    assert read('up{job="node",instance="a:9100"} 1 1700000000123\nload 0.5') == [
        ('up{instance="a:9100", job="node"}', 1.0, 1700000000123),
        ("load", 0.5, NO_TIMESTAMP),
    ]


def test_utf8_names_stand_in_quotes_between_the_braces() -> None:
    assert read('{"my.metric","a.b"="c"} 1\n{x="y","näme"} 2\n') == [
        (str(Labels({"__name__": "my.metric", "a.b": "c"})), 1.0, NO_TIMESTAMP),
        (str(Labels({"__name__": "näme", "x": "y"})), 2.0, NO_TIMESTAMP),
    ]


def test_bucket_bounds_and_quantiles_are_written_canonically_where_their_type_says_so() -> None:
    lines = 'x{le="1",quantile="1"} 1\nx{le="1e6",quantile="0.99"} 1\nx{le="+inf",quantile="x"} 1\n'
    plain = [pairs for pairs, _, _ in read(lines)]
    assert plain[0] == 'x{le="1", quantile="1"}'
    for grammar, end in ((TEXT, ""), (OPEN, "# EOF\n")):
        buckets = [pairs for pairs, _, _ in read("# TYPE x histogram\n" + lines + end, grammar)]
        assert buckets == [
            'x{le="1.0", quantile="1"}',
            'x{le="1e+06", quantile="0.99"}',
            'x{le="+Inf", quantile="x"}',
        ]
        quantiles = [pairs for pairs, _, _ in read("# TYPE x summary\n" + lines + end, grammar)]
        assert quantiles[:2] == ['x{le="1", quantile="1.0"}', 'x{le="1e6", quantile="0.99"}']


def test_the_same_text_under_another_type_is_another_series() -> None:
    reader, known = ExpositionReader(), Known()
    for kind in ("gauge", "histogram", "gauge", "summary", "histogram"):
        assert agree(reader, known, f'# TYPE x {kind}\nx{{le="1",quantile="2"}} 1\n'.encode(), TEXT)


def test_nan_is_always_the_ordinary_one() -> None:
    values = ExpositionReader().read(b"a NaN\nb nan\nc -0\n").values
    assert values.view(np.uint64).tolist() == [NORMAL_NAN_BITS, NORMAL_NAN_BITS, 1 << 63]


def test_openmetrics_counts_seconds_and_its_created_series_are_series() -> None:
    body = '# TYPE a counter\na_total 1 1.5 # {id="x"} 2 3.5\na_created 1e9 -0.25\n# EOF\n'
    assert read(body, OPEN) == [("a_total", 1.0, 1500), ("a_created", 1e9, -250)]
    assert ExpositionReader().read(body.encode(), OPEN).exemplars != []


def test_labels_exposed_as_empty_are_told_apart() -> None:
    exposition = ExpositionReader().read(b'a{job="",b="c"} 1\na{b="d"} 1\n')
    assert exposition.empty_labels == {0: ("job",)}
    assert exposition.new_series[0] == (0, Labels.of("a", b="c"))


def test_metadata_is_told_once_and_again_when_it_changes() -> None:
    reader = ExpositionReader()
    body = b"# HELP a one\\ntwo \\\\ \\x\n# TYPE a counter\na 1\n# TYPE b untyped\n"
    assert reader.read(body).metadata == {"a": Metadata(MetricType.COUNTER, "one\ntwo \\ \\x"), "b": Metadata()}
    assert reader.read(body).metadata == {}
    assert reader.read(body.replace(b"counter", b"gauge")).metadata == {
        "a": Metadata(MetricType.GAUGE, "one\ntwo \\ \\x")
    }
    assert reader.read(body.replace(b"counter", b"gauge")).metadata == {}
    assert reader.read(body).metadata == {"a": Metadata(MetricType.COUNTER, "one\ntwo \\ \\x")}
    units = b"# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# EOF\n"
    assert reader.read(units, OPEN).metadata == {"a_seconds": Metadata(MetricType.GAUGE, "", "seconds")}


def test_a_body_like_the_last_one_has_the_same_ids_in_the_same_array() -> None:
    reader = ExpositionReader()
    first = reader.read(b"# comment 1\na 1\n# TYPE b gauge\nb 1\n")
    second = reader.read(b"# comment 2\na 2\n# TYPE b gauge\n\nb 2\n")
    assert (first.is_steady, second.is_steady) == (False, True)
    assert second.series is first.series
    assert second.values.tolist() == [2, 2]
    assert second.timestamps is first.timestamps


def test_series_keep_their_ids_when_lines_come_go_and_move() -> None:
    reader, known = ExpositionReader(), Known()
    lines = [f'x{{number="{number}"}} {number}\n'.encode() for number in range(50)]
    agree(reader, known, b"".join(lines), TEXT)
    agree(reader, known, b"".join([*lines[:20], b"new 1\n", *lines[21:]]), TEXT)
    agree(reader, known, b"".join(reversed(lines)), TEXT)
    agree(reader, known, b"".join(lines + lines), TEXT)
    exposition = reader.read(b"".join(lines[25:] + lines[:25]))
    assert exposition.new_series == []
    assert exposition.series.tolist() == [*range(25, 50), *range(25)]
    assert reader.read(b"").series.tolist() == []
    assert reader.read(lines[7]).series.tolist() == [7]


def test_a_longer_name_is_no_continuation_of_the_line_expected() -> None:
    reader, known = ExpositionReader(), Known()
    for body in (
        b'a 1\na{b="c"} 2\n',
        b'ab 1\na {b="c"} 2\n',
        b'a{b="c"} 1\na 2\n',
        b'a\t{b="c"}\t1\na1 2\n',
        b'a{b="c"}1\na+2\n',
    ):
        assert agree(reader, known, body, TEXT)


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("a 1\n<html>\n", 2, "a metric name, a brace or # must begin the line: <html>"),
        ("a 1\n\n\nb one\n", 4, "the value is not a number: b one"),
        ("a 0x1p3\n", 1, "the value is not a number"),
        ("a 1_000\n", 1, "the value is not a number"),
        ("a 1e999\n", 1, "the value is not a number"),
        ("a -nan\n", 1, "the value is not a number"),
        ("a\n", 1, "a value is expected after the series"),
        ("a 1 -5\n", 1, "the timestamp is not a number, or out of range"),
        ("a 1 9223372036854775808\n", 1, "the timestamp is not a number, or out of range"),
        ("a 1 5 6\n", 1, "the line should end after the value and its timestamp"),
        ("a 1\r\n", 1, "the value is not a number"),
        ('a{b="c} 1\n', 1, "a label value in double quotes is expected after ="),
        ("a{b='c'} 1\n", 1, "a label value in double quotes is expected after ="),
        ('a{b "c"} 1\n', 1, "= is expected after a label name"),
        ('a{0="c"} 1\n', 1, "a label name is expected between the braces"),
        ('{b="c"} 1\n', 1, "the series has no metric name"),
        ('a{"b"} 1\n', 1, "the metric has two names, one of them between the braces"),
        ('{""} 1\n', 1, "a name is empty"),
        ('a{b="1",b="2"} 1\n', 1, "label 'b' is given twice"),
        ("# TYPE a meter\n", 1, "metric type 'meter' does not exist in this format"),
        ("# HELP 0 x\n", 1, "HELP, TYPE and UNIT are followed by a metric name and a text"),
    ],
)
def test_a_bad_line_is_named_with_its_number(body: str, line: int, what: str) -> None:
    with pytest.raises(ExpositionError) as caught:
        read(body)
    assert caught.value.line == line
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("a 1\n", "the exposition is cut off: OpenMetrics ends with # EOF"),
        ("a 1\n\n# EOF\n", "no comments but HELP, TYPE, UNIT and EOF, and no empty lines"),
        ("# hello\n# EOF\n", "no comments but HELP, TYPE, UNIT and EOF, and no empty lines"),
        ("# EOF\na 1\n", "text follows after # EOF"),
        ("a  1\n# EOF\n", "the value is not a number"),
        ("a 1 NaN\n# EOF\n", "the timestamp is not a number"),
        ('a 1 # {b="c"}\n# EOF\n', "the exemplar is not {labels} value timestamp"),
        ("# UNIT a_seconds bytes\n# EOF\n", "the unit 'bytes' is not the ending of the metric name 'a_seconds'"),
        ('a{b="c"d="e"} 1\n# EOF\n', "a comma or } is expected after a label value"),
    ],
)
def test_openmetrics_is_held_to_its_own_grammar(body: str, what: str) -> None:
    with pytest.raises(ExpositionError, match=r"line \d+: .*") as caught:
        read(body, OPEN)
    assert what in str(caught.value)


def test_invalid_utf8_fails_the_exposition() -> None:
    for body in (b'a{b="\xff"} 1', b'{"\xed\xa0\x80"} 1', b"# HELP a \xc0\n"):
        with pytest.raises(ExpositionError, match="line 1: the text is not valid UTF-8"):
            ExpositionReader().read(body)


def test_a_failed_exposition_leaves_the_reader_as_it_was() -> None:
    reader, known = ExpositionReader(), Known()
    agree(reader, known, b"# HELP a x\na 1\nb 1\n", TEXT)
    for bad in (
        b"# HELP a y\nnew 1\nb 1\n?",
        b"# HELP a y\nnew 1\nnewer{b='1'} 1\n",
        b'a 1\nnew{c="\xff"} 1\n',
        b"new 1\n# TYPE a z\n",
    ):
        with pytest.raises(ExpositionError):
            reader.read(bad)
    exposition = reader.read(b"# HELP a x\na 1\nb 1\n")
    assert (exposition.is_steady, exposition.new_series, exposition.metadata) == (True, [], {})
    exposition = reader.read(b"# HELP a y\nnew 1\nb 1\n")
    assert exposition.new_series == [(2, Labels.of("new"))]
    assert exposition.metadata == {"a": Metadata(MetricType.UNKNOWN, "y")}


def test_a_target_that_always_has_new_series_is_remembered_within_bounds() -> None:
    reader, known = ExpositionReader(), Known()
    for number in range(300):
        lines = [f"# HELP family_{number} x\n".encode(), b"lasting 1\n"]
        lines += [f'x{{read="{number}",line="{line}"}} 1\n'.encode() for line in range(98)]
        agree(reader, known, b"".join(lines), TEXT)
        assert reader._scanner.remembered <= REMEMBERED_RATIO * 100 + REMEMBERED_LINES_MIN
    assert max(known.labels) < REMEMBERED_RATIO * 100 + REMEMBERED_LINES_MIN + 100
    assert {series for series, labels in known.labels.items() if labels == Labels.of("lasting")} == {0}


def test_a_series_that_returns_before_it_is_forgotten_has_its_id() -> None:
    reader = ExpositionReader()
    first = reader.read(b"a 1\nb 1\n").series.tolist()
    for _ in range(100):
        reader.read(b"a 1\n")
    assert reader.read(b"a 1\nb 1\n").series.tolist() == first


@pytest.mark.parametrize(
    "name", ["alltypes.237mfs.prom.txt", "alltypes.237mfs.nometa.prom.txt", "alltypes.5mfs.om.txt", "1histogram.om.txt"]
)
def test_real_expositions_read_as_the_slow_twin_reads_them(name: str) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    body, grammar = path.read_bytes(), OPEN if ".om." in name else TEXT
    reader, known = ExpositionReader(), Known()
    assert agree(reader, known, body, grammar)
    assert agree(reader, known, body, grammar)
    assert agree(reader, known, body.replace(b"go_", b"gone_", 40), grammar)
    assert agree(reader, known, body, grammar)


NUMBER = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(r"[+-]?[0-9]{0,25}\.?[0-9]{0,25}([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(
        [
            "+Inf",
            "-inf",
            "Infinity",
            "NaN",
            "nAn",
            "-nan",
            "infi",
            "0x10",
            "1_0",
            "1e",
            "1e+",
            ".",
            "-.5",
            "1e400",
            "1e-400",
            "0e999",
            "00001",
        ]
    ),
)


@settings(max_examples=500)
@given(number=NUMBER)
def test_numbers_are_exact_or_refused(number: str) -> None:
    agree(ExpositionReader(), Known(), f"a {number}\n".encode(), TEXT)
    agree(ExpositionReader(), Known(), f"a {number}\n# EOF\n".encode(), OPEN)


@given(bits=st.integers(0, 2**64 - 1))
def test_every_double_survives_its_seventeen_digits(bits: int) -> None:
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    if math.isnan(value):
        return
    for text in (f"{value:.17g}", f"{value:.20e}"):
        assert ExpositionReader().read(f"a {text}".encode()).values[0] == value


@pytest.mark.parametrize(
    "text", ["1" + "0" * 400, "0." + "0" * 400 + "1e401", "1" + "0" * 400 + "e-400", "0." + "0" * 330 + "1"]
)
def test_the_size_of_a_number_is_judged_by_all_of_its_digits(text: str) -> None:
    value = float(text)
    if math.isinf(value):
        with pytest.raises(ExpositionError):
            read(f"a {text}\n")
    else:
        assert read(f"a {text}\n")[0][1] == value


FRAGMENT = st.sampled_from(
    [
        "a", "b_total", ":c", "0", "{", "}", '"', '"x.y"', "=", ",", " ", "  ", "\t", "\n", "\\", '\\"', "\\n", "#", "# ",
        "# HELP a ", "# TYPE a histogram\n", "# TYPE a summary\n", "# TYPE b gauge", "# UNIT a_s s\n", "# EOF\n", "# EOF",
        '{le="1"}', '{quantile="0.50"}', '{b="c",d=""}', " 1", " 1.5e3", " NaN", " 1 1234567890", " 12.25 -1.5",
        ' # {id="1"} 2 3',
        "a 1\n", 'a{b="c"} 2\n', 'a{b="d"} 3 4\n', "é", "\x00", "\r", "1e999", "-",
    ]
)  # fmt: skip
LINES = st.lists(FRAGMENT, max_size=25).map("".join)
ANY_BODY = st.one_of(LINES.map(str.encode), st.binary(max_size=60))
GOOD_LINE = st.builds(
    lambda name, labels, value, time: f"{name}{labels} {value}{time}\n",
    st.sampled_from(["a", "ab", "abc:d", "e_bucket"]),
    st.sampled_from(
        ["", "{}", '{b="c"}', '{b="d"}', '{le="1",b="}{"}', '{quantile="1e-5"}', '{b="\\"\\\\\\n",c="é",}']
    ),
    st.floats().map(repr),
    st.sampled_from(["", "", " 1700000000000"]),
)
HEAD_LINE = st.sampled_from(
    ["# TYPE a histogram\n", "# TYPE a summary\n", "# TYPE a gauge\n", "# HELP a x\n", "# HELP ab y\n"]
)
GOOD_BODY = st.lists(GOOD_LINE | HEAD_LINE, max_size=12).map("".join).map(str.encode)


@settings(max_examples=400)
@given(bodies=st.lists(ANY_BODY | GOOD_BODY, min_size=1, max_size=4), grammar=st.sampled_from([TEXT, OPEN]))
def test_any_bodies_in_a_row_read_as_the_slow_twin_reads_them(bodies: list[bytes], grammar: ExpositionFormat) -> None:
    reader, known = ExpositionReader(), Known()
    for body in bodies:
        agree(reader, known, body, grammar)
        if grammar is OPEN:
            agree(reader, known, body + b"# EOF\n", grammar)


@settings(max_examples=300)
@given(body=GOOD_BODY, data=st.data())
def test_damaged_bodies_read_as_the_slow_twin_reads_them(body: bytes, data: st.DataObject) -> None:
    reader, known = ExpositionReader(), Known()
    assert agree(reader, known, body, TEXT)
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    agree(reader, known, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), TEXT)
    assert agree(reader, known, body, TEXT)


def test_content_types_name_the_format() -> None:
    assert ExpositionFormat.of_content_type("text/plain; version=0.0.4; charset=utf-8") is TEXT
    assert ExpositionFormat.of_content_type("Application/OpenMetrics-Text;version=1.0.0") is OPEN
    assert ExpositionFormat.of_content_type("text/html", fallback=TEXT) is TEXT
    for header in ("text/html", "", None):
        with pytest.raises(WireError, match="set fallback_scrape_protocol"):
            ExpositionFormat.of_content_type(header)
    assert ExpositionFormat.of_protocol("OpenMetricsText0.0.1") is OPEN
    assert ExpositionFormat.of_protocol("PrometheusProto") is ExpositionFormat.PROTOBUF
    with pytest.raises(ValueError, match="'PrometheusProto2' is not supported"):
        ExpositionFormat.of_protocol("PrometheusProto2")


def test_what_a_client_accepts_decides_the_format_of_the_answer() -> None:
    assert ExpositionFormat.of_accept(None) is TEXT
    assert ExpositionFormat.of_accept("*/*") is TEXT
    assert (
        ExpositionFormat.of_accept("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.1")
        is OPEN
    )
    assert ExpositionFormat.of_accept("text/plain;q=0.9,application/openmetrics-text;q=0.1") is TEXT
    assert ExpositionFormat.of_accept("application/openmetrics-text;q=0") is TEXT
