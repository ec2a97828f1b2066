"""What numbers and strings in an expression mean, and how they are written. Go's rules, oddities included."""

import math
import re
from typing import Final

_HEXADECIMAL = re.compile(r"0[xX]")
_OCTAL = re.compile(r"0[0-7_]+")
_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)", re.DOTALL
)
_STRAY_BYTE = re.compile("[\udc80-\udcff]")
_SIMPLE_ESCAPES: Final = {
    bytes((letter,)): bytes((meaning,)) for letter, meaning in zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True)
}
_WRITTEN_ESCAPES: Final = {sign: f"\\{letter}" for sign, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}


def parse_number(text: str) -> float:
    """The value of a number token. A leading zero means octal where all digits allow it; raises ValueError."""
    base = 16 if _HEXADECIMAL.match(text) else 8 if _OCTAL.fullmatch(text) else 10
    try:
        value = float(text) if base == 10 else float(int(text.replace("_", ""), base))
    except OverflowError:
        value = math.inf
    if value == math.inf and text.lower() != "inf":
        raise ValueError(f"error parsing number: {text[:32]} is out of range")
    return value


def unquote(token: str) -> str:
    """The text that a string token means; raises ValueError for escapes that do not exist.

    Bytes that are no UTF-8 stay lone surrogates, as `surrogateescape` decodes them: no name of a label, and see `readable`.
    """
    quote, inner = token[0], token[1:-1]
    if quote == "`" or "\\" not in inner:
        return inner

    def replace(match: "re.Match[bytes]") -> bytes:
        simple, octal, byte, short, long = match.groups()
        if simple is not None and simple in {b"'", b'"'} and simple != quote.encode():
            raise ValueError(f"unknown escape sequence {_named(simple.decode())}")
        if simple is not None:
            return _SIMPLE_ESCAPES[simple]
        if octal is not None and int(octal, 8) < 256:
            return bytes((int(octal, 8),))
        if byte is not None:
            return bytes((int(byte, 16),))
        if octal is None and short is None and long is None:
            raise ValueError(_misfit(match.string[match.end() :].decode(errors="replace") + quote))
        code = int(short or long or b"FFFFFFFF", 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError("escape sequence is an invalid Unicode code point")
        return chr(code).encode()

    return _ESCAPE.sub(replace, inner.encode()).decode(errors="surrogateescape")


def _misfit(rest: str) -> str:
    """What is wrong with the escape of which this follows the backslash; the closing quote is the last sign."""
    digits, base = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(rest[0], (3, 8) if rest[0] in "01234567" else (0, 0))
    if not digits:
        return f"unknown escape sequence {_named(rest[0])}"
    written = rest[:digits] if base == 8 else rest[1 : 1 + digits]
    odd = next(sign for sign in written if sign not in "0123456789abcdefABCDEF"[: 8 if base == 8 else None])
    return f"illegal character {_named(odd)} in escape sequence"


def _named(sign: str) -> str:
    return f"U+{ord(sign):04X} '{sign}'"


def readable(text: str) -> str:
    """A text with U+FFFD for each byte that is no UTF-8: so Prometheus shows them."""
    return _STRAY_BYTE.sub("\ufffd", text)


def quote_text(text: str) -> str:
    """A double-quoted string that `unquote` reads back."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return (
        '"'
        + "".join(_WRITTEN_ESCAPES.get(sign) or (sign if sign.isprintable() else _escape(sign)) for sign in text)
        + '"'
    )


def _escape(sign: str) -> str:
    code = ord(sign)
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_number(value: float) -> str:
    """The shortest decimal that reads back as the same number, never with an exponent; `+Inf`, `-Inf`, `NaN`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
        whole, _, fraction = digits.partition(".")
        point = len(whole) + int(exponent)
        figures = whole + fraction
        if point <= 0:
            return f"{sign}0.{'0' * -point}{figures}"
        return f"{sign}{figures.ljust(point, '0')}"
    return text.removesuffix(".0")
