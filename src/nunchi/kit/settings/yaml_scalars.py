"""What the text of a YAML scalar means, by the rules of Go-YAML, which are those that Prometheus's users write for.

Unquoted text is a number, boolean or null only where it looks like one to YAML 1.2 (with Go's octal and underscores); `17:00`,
`yes` and `2024-01-01` are text. `yes`, `no`, `on` and `off` are booleans only where a boolean is asked for.
Invariant: pure functions of the scalar; none looks at where it stands.
"""

import base64
import binascii
import re

from nunchi.kit.settings.yaml_nodes import Scalar

TAG = "tag:yaml.org,2002:"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_TRUE_IF_ASKED = _TRUE | {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
_FALSE_IF_ASKED = _FALSE | {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
_SPECIAL_FLOATS = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_DIGITS_MAX = 400
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def is_null(scalar: Scalar) -> bool:
    """Whether the scalar says that there is nothing."""
    return scalar.tag == f"{TAG}null" or (scalar.is_plain and scalar.tag is None and scalar.text in _NULLS)


def number(scalar: Scalar) -> int | float | None:
    """The number the scalar is, None where it is something else."""
    if not (scalar.is_plain and scalar.tag is None) and scalar.tag not in {f"{TAG}int", f"{TAG}float"}:
        return None
    text = scalar.text
    if text in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[text]
    if not text or text[0] not in "+-.0123456789" or len(text) > _DIGITS_MAX:
        return None
    digits = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(digits):
            value = int(digits.replace("o", "").replace("O", ""), base) if base == 8 else int(digits, base)
            return value if _INT_MIN <= value <= _INT_MAX else float(value)
    return float(digits) if _FLOAT.fullmatch(digits) else None


def boolean(scalar: Scalar, *, is_asked: bool) -> bool | None:
    """The boolean the scalar is, None where it is something else; `is_asked` admits yes, no, on, off, y and n."""
    if not (scalar.is_plain and scalar.tag is None) and scalar.tag != f"{TAG}bool":
        return None
    if scalar.text in (_TRUE_IF_ASKED if is_asked else _TRUE):
        return True
    if scalar.text in (_FALSE_IF_ASKED if is_asked else _FALSE):
        return False
    return None


def text(scalar: Scalar) -> str:
    """The scalar as text: as written, whatever else it could mean; null is empty. Raises ValueError for bad `!!binary`."""
    if scalar.tag == f"{TAG}binary":
        try:
            return base64.b64decode("".join(scalar.text.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("!!binary must be base64 of UTF-8 text") from error
    return "" if is_null(scalar) else scalar.text


def value(scalar: Scalar) -> bool | int | float | str | None:
    """What the scalar means where no type is asked for."""
    if is_null(scalar):
        return None
    truth = boolean(scalar, is_asked=False)
    if truth is not None:
        return truth
    amount = number(scalar)
    return text(scalar) if amount is None else amount
