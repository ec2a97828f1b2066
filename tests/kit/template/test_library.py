"""Numbers, times and durations for people."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from nunchi.kit.template.library import humanize, humanize_binary, humanize_duration, humanize_percentage
from nunchi.kit.template.moment import Moment, format_go_duration, format_moment
from nunchi.kit.template.numbers import shortest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (1234567.0, "1.235M"),
        (0.12, "120m"),
        (1e-9, "1n"),
        (float("inf"), "+Inf"),
        ("1000", "1k"),
        (-2048, "-2.048k"),
        (1e30, "1e+06Y"),
    ],
)
def test_humanize(value, expected):
    assert humanize(value) == expected


def test_humanize_with_other_units():
    assert [humanize_binary(value) for value in (0, 1, 1048576, 1e11)] == ["0", "1", "1Mi", "93.13Gi"]
    assert humanize_percentage(0.1234567) == "12.35%"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (1, "1s"),
        (60, "1m 0s"),
        (3600, "1h 0m 0s"),
        (86400 + 3600 + 62, "1d 1h 1m 2s"),
        (0.1, "100ms"),
        (0.0001, "100us"),
        (-90, "-1m 30s"),
        (1.2345, "1.234s"),
        (float("nan"), "NaN"),
    ],
)
def test_humanize_duration(seconds, expected):
    assert humanize_duration(seconds) == expected


def test_layouts_are_examples_of_the_reference_time():
    moment = datetime(2026, 3, 4, 15, 6, 7, 89_000, tzinfo=timezone(timedelta(hours=-7)))
    shown = format_moment(moment, "Mon Jan _2 15:04:05.000 2006 -07:00|Monday 2 January 06 3:04PM 01/02 Z07:00")
    assert shown == "Wed Mar  4 15:06:07.089 2026 -07:00|Wednesday 4 March 26 3:06PM 03/04 -07:00"
    assert format_moment(datetime(2026, 1, 2, tzinfo=UTC), "2006-01-02T15:04:05.999Z07:00") == "2026-01-02T00:00:00Z"


def test_times_and_durations_print_as_in_go():
    assert str(Moment.of_seconds(1435065584.128)) == "2015-06-23 13:19:44.128 +0000 UTC"
    durations = [0, 1_500_000, 1_000_000_000, 90_500_000_000, 3_600_000_000_000, -5]
    assert [format_go_duration(value) for value in durations] == ["0s", "1.5ms", "1s", "1m30.5s", "1h0m0s", "-5ns"]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (1.0, "e", "1e+00"),
        (0.25, "e", "2.5e-01"),
        (1e-7, "f", "0.0000001"),
        (1e21, "f", "1000000000000000000000"),
        (-0.0, "f", "-0"),
        (123456.0, "g", "123456"),
        (float("-inf"), "g", "-Inf"),
    ],
)
def test_shortest_digits(value, form, expected):
    assert shortest(value, form) == expected
