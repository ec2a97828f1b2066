"""The series notation says which values stand at which steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.labels import Labels
from nunchi.model.staleness import is_stale
from nunchi.testing.series_notation import NotationError, parse_histogram, parse_series_line, parse_values, split_series

VALUES = {
    "": [],
    "1 2 3": [1, 2, 3],
    "-1.5 .5 1e3": [-1.5, 0.5, 1000],
    "_ 1 _x2": [None, 1, None, None],
    "3x2": [3, 3, 3],
    "0x8": [0] * 9,
    "1+2x3": [1, 3, 5, 7],
    "1-2x2": [1, -1, -3],
    "-1-1x1 5": [-1, -2, 5],
    "Inf -Inf": [math.inf, -math.inf],
    "1+infx1": [1, math.inf],
}


@pytest.mark.parametrize(("text", "values"), VALUES.items())
def test_values_are_spread_over_steps(text: str, values: list[float | None]) -> None:
    assert [literal.value for literal in parse_values(text)] == values


def test_steps_are_added_one_by_one() -> None:
    assert parse_values("0+0.1x3")[3].value == 0.1 + 0.1 + 0.1


def test_stale_is_the_marker_and_nan_is_not() -> None:
    stale, nan = (literal.value for literal in parse_values("stale NaN"))
    assert isinstance(stale, float)
    assert isinstance(nan, float)
    assert is_stale(stale)
    assert math.isnan(nan)
    assert not is_stale(nan)


def test_a_line_begins_with_a_series() -> None:
    line = parse_series_line('up{job="a}", x="\\"{"}  1 2')
    assert line.labels == Labels.of("up", job="a}", x='"{')
    assert [literal.value for literal in line.literals] == [1, 2]
    assert split_series("{} {{}}") == (Labels(), "{{}}")
    assert split_series('{"a b", c="d"} 1')[0] == Labels({"__name__": "a b", "c": "d"})


def test_start_timestamps_have_lines_of_their_own() -> None:
    line = parse_series_line("x@st _ -1m")
    assert (line.labels, line.start_times) == (Labels.of("x"), "_ -1m")


def test_histograms_have_fields() -> None:
    text = "schema:1 sum:-2 count:9 z_bucket:2 z_bucket_w:0.5 buckets:[1 2] offset:-3 n_buckets:[4] counter_reset_hint:gauge"
    histogram, hint_given = parse_histogram(text)
    assert hint_given
    assert histogram == Histogram(
        1, 9, -2, 0.5, 2, (BucketSpan(-3, 2),), (1, 2), (BucketSpan(0, 1),), (4,), (), ResetHint.GAUGE
    )
    assert list(histogram.positive()) == [(-3, 1), (-2, 2)]


def test_histograms_are_repeated_and_stepped() -> None:
    third = parse_values("{{count:1 buckets:[1]}}+{{count:2 buckets:[0 2]}}x2")[2].value
    assert isinstance(third, Histogram)
    assert (third.count, dict(third.positive())) == (5, {0: 1, 1: 4})
    custom = parse_values("{{schema:-53 custom_values:[5 10] buckets:[1 2 1]}}x1")
    assert len(custom) == 2
    assert isinstance(custom[0].value, Histogram)
    assert custom[0].value.schema == CUSTOM_SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        *("1 x", "1+2", "0x1f", "_x", "{{sum:1", "{{sum:1 sum:2}}", "{{speed:1}}", "{{schema:x}}", "{{buckets:1]}}"),
        "{{schema:1}}+{{schema:0}}x2",
        "{{schema:-53}}+{{schema:0}}x1",
        "1x1000000",
        "{{counter_reset_hint:maybe}}",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse_values(text)


@pytest.mark.parametrize("line", ["", "1 2", 'up{job=~"a"} 1', 'up{a="1",a="2"} 1', "{{}} 1"])
def test_lines_without_a_series_are_refused(line: str) -> None:
    with pytest.raises(NotationError):
        parse_series_line(line)


@given(st.text(alphabet="_x+-.0123456789e {}:[]schemaunticoblInNf@", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_values(text)
    except NotationError:
        return
