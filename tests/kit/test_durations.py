"""`nunchi.kit.durations`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.durations import DURATION_MS_MAX, Duration, format_duration, parse_duration

WRITTEN = [
    ("0", 0),
    ("0s", 0),
    ("0w", 0),
    ("250ms", 250),
    ("15s", 15_000),
    ("5m", 300_000),
    ("1h30m", 5_400_000),
    ("3d4h", 76 * 3_600_000),
    ("2w", 14 * 86_400_000),
    ("1y", 365 * 86_400_000),
    ("1y2w3d4h5m6s7ms", (365 + 17) * 86_400_000 + 4 * 3_600_000 + 306_007),
    ("90d", 90 * 86_400_000),
]


@pytest.mark.parametrize(("text", "duration_ms"), WRITTEN)
def test_units_add_up(text: str, duration_ms: int) -> None:
    assert parse_duration(text) == duration_ms


@pytest.mark.parametrize(
    "text", ["", "1", "-1m", "1.5s", "1m1h", "1s1s", " 5m", "5m ", "5 m", "1µs", "1M", "m", "٣s", "5m\n", "00"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["293y", "106752d", "9" * 30 + "s", f"{DURATION_MS_MAX + 1}ms"])
def test_what_does_not_fit_64_bits_of_nanoseconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="292y is the most"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0s"),
        (90 * 86_400_000, "90d"),
        (365 * 86_400_000, "1y"),
        (14 * 86_400_000, "2w"),
        (15 * 86_400_000, "15d"),
        (5_400_000, "1h30m"),
        (-300_000, "-5m"),
        (61_001, "1m1s1ms"),
    ],
)
def test_text_is_what_prometheus_writes(duration_ms: int, text: str) -> None:
    assert format_duration(duration_ms) == text


@given(st.integers(0, DURATION_MS_MAX))
def test_every_duration_survives_being_written(duration_ms: int) -> None:
    assert parse_duration(format_duration(duration_ms)) == duration_ms


@given(st.text("0123456789ywdhms ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        duration_ms = parse_duration(text)
    except ValueError:
        return
    assert 0 <= duration_ms <= DURATION_MS_MAX


def test_duration_of_settings_compares_and_prints() -> None:
    assert Duration.parse("90s") == Duration(90_000)
    assert Duration(1500).seconds == 1.5
    assert str(Duration(60_000)) == "1m"
    assert Duration(1) < Duration(2)
    assert not Duration(0)
