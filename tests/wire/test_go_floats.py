import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.wire.go_floats import format_canonical, format_float, parse_float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (123456.0, "123456"),
        (999999.9, "999999.9"),
        (1e6, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (16_777_216_000.0, "1.6777216e+10"),
        (1.6e10, "1.6e+10"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (0.000123, "0.000123"),
        (0.0000123, "1.23e-05"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_floats_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert format_float(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (0.0, "0.0"), (-1.0, "-1.0"), (0.5, "0.5"), (1e6, "1e+06"), (100.0, "100.0"), (math.inf, "+Inf")],
)
def test_canonical_floats_never_look_like_integers(value: float, text: str) -> None:
    assert format_canonical(value) == text


@given(value=st.floats(allow_nan=False))
def test_what_was_written_reads_back_bit_by_bit(value: float) -> None:
    for text in (format_float(value), format_canonical(value)):
        assert struct.pack("<d", parse_float(text)) == struct.pack("<d", value)


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1_0", "0x1", "1e", "e5", ".", "+-1", "-nan", "infi", "1e400", "-1e400", "٣"]
)
def test_what_go_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|range"):
        parse_float(text)
