"""Times, durations, names and values in the spellings of Prometheus's clients."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.web.prometheus_api.errors import ApiError
from nunchi.web.prometheus_api.moments import format_moment
from nunchi.web.prometheus_api.names import unescape_name
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN, Parameters, parse_span, parse_time
from nunchi.web.prometheus_api.rules import format_exponent


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1435781451.781", 1435781451781),
        ("-1.5", -1500),
        ("1e3", 1_000_000),
        ("+5", 5000),
        (".5", 500),
        ("0.0004999", 0),
        ("0.0005", 1),
        ("2015-07-01T20:10:51.781Z", 1435781451781),
        ("2015-07-01T20:10:51.781999999Z", 1435781451781),
        ("2015-07-01T22:10:51+02:00", 1435781451000),
        ("1969-12-31T23:59:59.5Z", -500),
        ("-292273086-05-16T16:47:06Z", TIME_MS_MIN),
        ("292277025-08-18T07:12:54.999999999Z", TIME_MS_MAX),
    ],
)
def test_times_are_read(text: str, milliseconds: int):
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "now", " 1", "1_000", "NaN", "Inf", "1e300", "2015-07-01", "2015-13-01T00:00:00Z", "2015-07-01T20:10:51", "١"],
)
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ValueError, match="to a valid timestamp"):
        parse_time(text)


@given(st.integers(-(10**14), 10**14))
def test_milliseconds_survive_the_way_as_seconds(milliseconds: int):
    sign = "-" if milliseconds < 0 else ""
    text = f"{sign}{abs(milliseconds) // 1000}.{abs(milliseconds) % 1000:03d}"
    assert parse_time(text) == milliseconds


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str):
    for parse in (parse_time, parse_span):
        with contextlib.suppress(ValueError):
            assert isinstance(parse(text), int)


@pytest.mark.parametrize(("text", "milliseconds"), [("15", 15_000), ("0.25", 250), ("1h30m", 5_400_000), ("-5", -5000)])
def test_spans_are_read(text: str, milliseconds: int):
    assert parse_span(text) == milliseconds


def test_a_span_beyond_64_bits_is_refused():
    with pytest.raises(ValueError, match="It overflows int64"):
        parse_span("1e10")


def test_the_first_value_counts_and_all_can_be_had():
    parameters = Parameters([("a", "1"), ("b", ""), ("a", "2")])
    assert parameters.text("a") == "1"
    assert parameters.all("a") == ["1", "2"]
    assert parameters.count("b", 7) == 7
    with pytest.raises(ApiError, match="non-negative"):
        Parameters([("limit", "-3")]).count("limit")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("job", "job"),
        ("U__http_2e_status_3a_sum", "http.status:sum"),
        ("U__a__b", "a_b"),
        ("U___1f600_", "\U0001f600"),
        ("U__broken_zz_", "U__broken_zz_"),
        ("U__surrogate_d800_", "U__surrogate_d800_"),
        ("U__beyond_110000_", "U__beyond_110000_"),
    ],
)
def test_escaped_names_are_read(text: str, name: str):
    assert unescape_name(text) == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_survives_escaping(name: str):
    escaped = "".join(
        "__" if each == "_" else each if each.isascii() and each.isalnum() else f"_{ord(each):x}_" for each in name
    )
    assert unescape_name("U__" + escaped) == name


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1_700_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_050, "2023-11-14T22:13:20.05Z"),
        (1_700_000_000_500, "2023-11-14T22:13:20.5Z"),
    ],
)
def test_moments_are_rfc_3339(milliseconds: int, text: str):
    assert format_moment(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1e+00"),
        (0.0, "0e+00"),
        (-0.0, "-0e+00"),
        (12.5, "1.25e+01"),
        (1e-7, "1e-07"),
        (1e100, "1e+100"),
        (math.inf, "+Inf"),
    ],
)
def test_alert_values_have_exponents(value: float, text: str):
    assert format_exponent(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_alert_values_read_back_the_same(value: float):
    assert float(format_exponent(value)) == value
