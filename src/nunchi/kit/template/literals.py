"""Constants as Go writes them: numbers, characters, quoted strings. Pure."""

import re

_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<hex>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<octal>[0-7]{3}))"
)
_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_NAMED = {character: letter for letter, character in _SIMPLE.items() if letter.isalpha()}


def unquote(body: str) -> str:
    r"""The text between quotes with escapes resolved; raises ValueError for an unknown escape.

    `\xNN` and octal escapes are bytes, as in Go; bytes that are not UTF-8 become U+FFFD.
    """
    if "\\" not in body:
        return body
    out = bytearray()
    position = 0
    while position < len(body):
        if body[position] != "\\":
            following = body.find("\\", position)
            following = len(body) if following < 0 else following
            out += body[position:following].encode()
            position = following
            continue
        match = _ESCAPE.match(body, position)
        if match is None:
            raise ValueError(f"unknown escape {body[position : position + 2]} in a string")
        out += _escaped(match)
        position = match.end()
    return out.decode("utf-8", "replace")


def quote(text: str, mark: str = '"', *, is_ascii: bool = False) -> str:
    """The text as a Go constant between two marks."""
    return mark + "".join(_quoted(character, mark, is_ascii) for character in text) + mark


def _quoted(character: str, mark: str, is_ascii: bool) -> str:
    if character in (mark, "\\"):
        return "\\" + character
    if character in _NAMED:
        return "\\" + _NAMED[character]
    point = ord(character)
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    if character.isprintable() and not (is_ascii and point > 0x7F):
        return character
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _escaped(match: re.Match[str]) -> bytes:
    if match["simple"]:
        return _SIMPLE[match["simple"]].encode()
    if match["hex"] or match["octal"]:
        number = int(match["hex"], 16) if match["hex"] else int(match["octal"], 8)
        if number > 255:
            raise ValueError(f"escape {match.group()} is no byte")
        return bytes([number])
    point = int(match["short"] or match["long"], 16)
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise ValueError(f"escape {match.group()} is no character")
    return chr(point).encode()


def parse_number(text: str) -> int | float:
    """A number constant; raises ValueError. Integers are decimal, 0x, 0b, 0o or 0-octal and fit 64 bits."""
    if text.endswith("_") or "__" in text:
        raise ValueError(f"bad number {text}")
    body = text.lstrip("+-")
    if re.fullmatch(r"0[0-7_]+", body):
        number = int(body.replace("_", ""), 8)
        return -number if text.startswith("-") else number
    try:
        number = int(text, 0)
    except ValueError:
        return float(text)
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError(f"integer {text} does not fit 64 bits")
    return number
