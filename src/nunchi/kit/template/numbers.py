"""Floats as Go's strconv writes them: the shortest digits that read back the same, in form `e`, `f` or `g`. Pure."""

import math
from typing import Literal


def special(value: float) -> str | None:
    """`NaN`, `+Inf`, `-Inf`, or None for a finite number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def shortest(value: float, form: Literal["e", "f", "g"]) -> str:
    """The shortest digits that mean this float64; form `g` has an exponent below 1e-4 and from 1e6 on, as `%v` prints."""
    found = special(value)
    if found is not None:
        return found
    sign, digits, point = _digits(value)
    exponent = point - 1
    if form == "e" or (form == "g" and not -4 <= exponent < 6):
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, significant digits, and how many of them stand before the decimal point."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return (sign, stripped, point) if stripped else (sign, "0", 1)
