"""Floats as Go prints and reads them, which is how every exposition and every bucket bound of this field is written.

Invariant: `parse_float(format_float(x))` has the bits of `x`, for every `x` but NaN.
"""

import math
import re

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN]"
)


def format_float(value: float) -> str:
    """The shortest decimal that reads back the same, as Go's `%g` without precision: `1e+06`, `0.25`, `+Inf`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    if 1e-4 <= abs(value) < 1e6 or value == 0:
        return text.removesuffix(".0")
    return _with_exponent(text)


def format_canonical(value: float) -> str:
    """As OpenMetrics writes bucket bounds and quantiles: `format_float`, but never looking like an integer: `1.0`."""
    text = format_float(value)
    return text if any(character in text for character in ".eIN") else text + ".0"


def parse_float(text: str) -> float:
    """What Go's `ParseFloat` makes of a decimal; raises `ValueError` for everything else, and above the range."""
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a decimal number")
    value = float(text)
    if math.isinf(value) and text[-1].isdigit():
        raise ValueError(f"{text!r} is out of range")
    return value


def _with_exponent(text: str) -> str:
    """Python's shortest digits, in scientific notation with at least two digits of exponent."""
    mantissa, _, exponent_text = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    exponent = len(whole) - 1 - leading + int(exponent_text or 0)
    digits = digits.rstrip("0") or "0"
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
