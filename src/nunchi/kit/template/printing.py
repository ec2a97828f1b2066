"""Values to text as Go's fmt does it: `print`, `println`, `printf` with its verbs, flags, widths and complaints.

Invariant: what a format makes is bounded by `TEXT_CHARACTERS_MAX` while it is made, not afterwards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.literals import quote
from nunchi.kit.template.numbers import shortest, special
from nunchi.kit.template.values import NO_VALUE, Exposed, type_name

TEXT_CHARACTERS_MAX = 1 << 20
WIDTH_MAX = 10_000
NESTING_MAX = 32

_DIRECTIVE = re.compile(
    r"%(?P<flags>[+\-# 0]*)(?P<width_index>\[\d+\])?(?P<width>\*|\d+)?"
    r"(?:(?P<dot>\.)(?P<precision_index>\[\d+\])?(?P<precision>\*|\d+)?)?(?P<index>\[\d+\])?(?P<verb>.)?",
    re.DOTALL,
)
_INTEGER_FORMS = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_FLOAT_PRECISION = 6


def plain(value: object, nesting: int = 0) -> str:
    """A value as `{{ . }}` and `%v` print it."""
    if isinstance(value, str) and not isinstance(value, Exposed):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value, "g")
    if value is None:
        return "<nil>"
    if isinstance(value, (int, Exposed)) or value is NO_VALUE:
        return str(value)
    if nesting > NESTING_MAX:
        raise FunctionError(f"a value nested deeper than {NESTING_MAX} levels cannot be printed")
    if isinstance(value, Mapping):
        pairs = (f"{plain(key, nesting + 1)}:{plain(item, nesting + 1)}" for key, item in sorted(value.items()))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(plain(item, nesting + 1) for item in value)}]"
    raise FunctionError(f"cannot print a {type_name(value)}")


def sprint(values: Sequence[object]) -> str:
    """Go's `Sprint`: blanks only between operands of which neither is a string."""
    pieces: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            pieces.append(" ")
        pieces.append(plain(value))
    return bounded("".join(pieces))


def sprintln(values: Sequence[object]) -> str:
    """Go's `Sprintln`: blanks between all operands, a newline at the end."""
    return bounded(" ".join(plain(value) for value in values) + "\n")


def bounded(text: str) -> str:
    """The text; raises where it is longer than any text of a template may be."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise FunctionError(f"text longer than {TEXT_CHARACTERS_MAX} characters")
    return text


@dataclass(frozen=True, slots=True)
class _Directive:
    verb: str
    flags: str
    width: int | None
    precision: int | None

    def pad(self, text: str, *, zeros: bool = False) -> str:
        width = self.width or 0
        if len(text) >= width:
            return text
        if "-" in self.flags:
            return text.ljust(width)
        if zeros and "0" in self.flags:
            sign = text[:1] if text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(width - len(sign), "0")
        return text.rjust(width)


def sprintf(template: str, values: Sequence[object]) -> str:
    """Go's `Sprintf`; what does not fit is complained about in the text, as Go does: `%!d(string=x)`."""
    return _Formatter(values).format(template)


class _Formatter:
    def __init__(self, values: Sequence[object]) -> None:
        self._values = values
        self._next = 0
        self._is_reordered = False
        self._pieces: list[str] = []
        self._characters = 0

    def format(self, template: str) -> str:
        position = 0
        while (percent := template.find("%", position)) >= 0:
            self._put(template[position:percent])
            match = _DIRECTIVE.match(template, percent)
            assert match is not None
            self._put(self._directive(match))
            position = match.end()
        self._put(template[position:])
        if not self._is_reordered and self._next < len(self._values):
            extra = ", ".join(f"{type_name(value)}={plain(value)}" for value in self._values[self._next :])
            self._put(f"%!(EXTRA {extra})")
        return "".join(self._pieces)

    def _put(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > TEXT_CHARACTERS_MAX:
            raise FunctionError(f"printf makes more than {TEXT_CHARACTERS_MAX} characters")
        self._pieces.append(text)

    def _directive(self, match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb is None:
            return "%!(NOVERB)"
        width, flags = self._number(match["width_index"], match["width"]), match["flags"]
        if width is not None and width < 0:
            width, flags = -width, flags + "-"
        precision = self._number(match["precision_index"], match["precision"]) if match["dot"] else None
        if match["dot"] and precision is None:
            precision = 0
        if verb == "%":
            return "%"
        if match["index"]:
            self._jump(match["index"])
        if self._next < 0 or (self._is_reordered and self._next >= len(self._values)):
            return f"%!{verb}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{verb}(MISSING)"
        value = self._values[self._next]
        self._next += 1
        return _formatted(_Directive(verb, flags, width, precision), value, 0)

    def _number(self, index: str | None, text: str | None) -> int | None:
        if index:
            self._jump(index)
        if text == "*":
            value = self._values[self._next] if 0 <= self._next < len(self._values) else None
            self._next += 1
            number = value if isinstance(value, int) and not isinstance(value, bool) else None
        else:
            number = int(text[:9]) if text else None
        if number is not None and abs(number) > WIDTH_MAX:
            raise FunctionError(f"printf: a width or precision of more than {WIDTH_MAX}")
        return number

    def _jump(self, index: str) -> None:
        self._is_reordered = True
        place = int(index[1:-1][:9]) - 1
        self._next = place if 0 <= place < len(self._values) else len(self._values)


def _formatted(directive: _Directive, value: object, nesting: int) -> str:
    if nesting > NESTING_MAX:
        raise FunctionError(f"a value nested deeper than {NESTING_MAX} levels cannot be printed")
    if directive.verb == "T":
        return directive.pad(type_name(value))
    if value is None or value is NO_VALUE:
        return directive.pad("<nil>") if directive.verb == "v" else f"%!{directive.verb}(<nil>)"
    text: str | None
    if isinstance(value, bool):
        text = directive.pad("true" if value else "false") if directive.verb in "tv" else None
    elif isinstance(value, Exposed):
        text = _formatted_text(directive, str(value))
    elif isinstance(value, str):
        text = _formatted_text(directive, value)
    elif isinstance(value, int):
        text = _formatted_integer(directive, value)
    elif isinstance(value, float):
        text = _formatted_float(directive, value)
    elif isinstance(value, Mapping):
        pairs = (
            f"{_formatted(directive, key, nesting + 1)}:{_formatted(directive, item, nesting + 1)}"
            for key, item in sorted(value.items())
        )
        return f"map[{' '.join(pairs)}]"
    elif isinstance(value, (list, tuple)):
        return f"[{' '.join(_formatted(directive, item, nesting + 1) for item in value)}]"
    else:
        text = None
    return text if text is not None else f"%!{directive.verb}({type_name(value)}={plain(value)})"


def _formatted_text(directive: _Directive, text: str) -> str | None:
    if directive.precision is not None and directive.verb in "svq":
        text = text[: directive.precision]
    if directive.verb in "sv":
        return directive.pad(text, zeros=True)
    if directive.verb == "q":
        if "#" in directive.flags and "`" not in text and text.isprintable():
            return directive.pad(f"`{text}`")
        return directive.pad(quote(text, is_ascii="+" in directive.flags))
    if directive.verb in "xX":
        octets = text.encode()[: directive.precision]
        digits = octets.hex(" ") if " " in directive.flags else octets.hex()
        return directive.pad(digits.upper() if directive.verb == "X" else digits)
    return None


def _formatted_integer(directive: _Directive, value: int) -> str | None:
    verb = directive.verb
    if verb == "c":
        return directive.pad(_character(value))
    if verb == "q":
        return directive.pad(quote(_character(value), "'", is_ascii="+" in directive.flags))
    if verb == "U":
        shown = f" '{_character(value)}'" if "#" in directive.flags else ""
        return directive.pad(f"U+{value:04X}{shown}")
    form = _INTEGER_FORMS.get(verb)
    if form is None:
        return None
    digits = format(abs(value), form)
    if directive.precision is not None:
        digits = digits.rjust(directive.precision, "0")
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in directive.flags else ""
    if verb == "O":
        prefix = "0o"
    return directive.pad(_sign(directive, value < 0) + prefix + digits, zeros=directive.precision is None)


def _formatted_float(directive: _Directive, value: float) -> str | None:
    verb = directive.verb
    if verb not in "eEfFgGv":
        return None
    found = special(value)
    if found is not None:
        text = found if "+" in directive.flags else found.removeprefix("+") if found != "+Inf" else found
        return directive.pad(text)
    if directive.precision is None and verb in "gGv":
        text = shortest(abs(value), "g")
    else:
        precision = _FLOAT_PRECISION if directive.precision is None else directive.precision
        text = format(abs(value), f".{precision}{'g' if verb == 'v' else verb}")
    if verb == "G":
        text = text.upper()
    negative = value < 0 or (value == 0 and str(value).startswith("-"))
    return directive.pad(_sign(directive, negative) + text, zeros=True)


def _sign(directive: _Directive, negative: bool) -> str:
    if negative:
        return "-"
    if "+" in directive.flags:
        return "+"
    return " " if " " in directive.flags else ""


def _character(point: int) -> str:
    return chr(point) if 0 <= point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF else "\ufffd"
