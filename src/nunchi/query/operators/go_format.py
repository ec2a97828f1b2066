"""Numbers as Go prints them in messages and label values."""

import math

from nunchi.query.kernels.render import format_number


def format_shortest(value: float) -> str:
    """As `%g`/`%v`: shortest digits, with an exponent below 1e-4 and from 1e21 on."""
    if not math.isfinite(value) or value == 0 or 1e-4 <= abs(value) < 1e21:
        return format_number(value, plain=True)
    digits, _, exponent = repr(value).partition("e")
    if exponent:
        return f"{digits.removesuffix('.0')}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-'):0>2}"
    return format_number(value, plain=True)


def format_plain(value: float) -> str:
    """As `strconv.FormatFloat(value, 'f', -1, 64)`: shortest digits, never an exponent."""
    return format_number(value, plain=True)
