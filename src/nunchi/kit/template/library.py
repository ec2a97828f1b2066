"""Functions that several tables share: words, regular expressions, numbers for people. Pure."""

import math
from collections.abc import Callable, Mapping

from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.moment import Duration
from nunchi.kit.template.numbers import special
from nunchi.kit.template.regular_expressions import match, replace_all
from nunchi.kit.template.values import type_name

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def number(value: object) -> float:
    """A float of a number, a duration (seconds) or a text that is a number."""
    if isinstance(value, Duration):
        return value.seconds
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value.replace("_", "x"))
        except ValueError:
            raise FunctionError(f"{value!r} is not a number") from None
    raise FunctionError(f"cannot take a {type_name(value)} for a number")


def four_digits(value: float) -> str:
    """As `%.4g` prints."""
    return special(value) or f"{value:.4g}"


def humanize(value: object) -> str:
    """With a metric prefix: 1234567 is `1.235M`."""
    amount = number(value)
    if amount == 0 or not math.isfinite(amount):
        return four_digits(amount)
    return _scaled_up(amount, 1000, _LARGE) if abs(amount) >= 1 else _scaled_down(amount)


def humanize_binary(value: object) -> str:
    """With a binary prefix: 1048576 is `1Mi`."""
    amount = number(value)
    if abs(amount) <= 1 or not math.isfinite(amount):
        return four_digits(amount)
    return _scaled_up(amount, 1024, _LARGE_BINARY)


def humanize_duration(value: object) -> str:
    """Seconds as `1d 2h 3m 4s`, `3.5s` or `1.2ms`."""
    amount = number(value)
    if not math.isfinite(amount):
        return four_digits(amount)
    if amount == 0:
        return "0s"
    if abs(amount) < 1:
        return _scaled_down(amount) + "s"
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    minutes, seconds = divmod(int(amount), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{four_digits(amount)}s"


def humanize_percentage(value: object) -> str:
    """0.125 is `12.5%`."""
    return f"{four_digits(number(value) * 100)}%"


def _scaled_up(amount: float, base: int, prefixes: tuple[str, ...]) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(amount) < base:
            break
        prefix = larger
        amount /= base
    return four_digits(amount) + prefix


def _scaled_down(amount: float) -> str:
    prefix = ""
    for smaller in _SMALL:
        if abs(amount) >= 1:
            break
        prefix = smaller
        amount *= 1000
    return four_digits(amount) + prefix


def title(text: str) -> str:
    """The first letter of every word in upper case; digits and `_` belong to words."""
    pieces: list[str] = []
    previous = " "
    for character in text:
        begins = not (previous.isalnum() or previous == "_") and (previous.isascii() or previous.isspace())
        pieces.append(character.title() if begins else character)
        previous = character
    return "".join(pieces)


def to_upper(text: str) -> str:
    """In upper case."""
    return text.upper()


def to_lower(text: str) -> str:
    """In lower case."""
    return text.lower()


def unchanged(text: str) -> str:
    """Text is never HTML here, so what is declared safe stays what it is."""
    return text


LIBRARY: Mapping[str, Callable[..., object]] = {
    "toUpper": to_upper,
    "toLower": to_lower,
    "match": match,
    "reReplaceAll": replace_all,
    "safeHtml": unchanged,
    "humanizeDuration": humanize_duration,
}
