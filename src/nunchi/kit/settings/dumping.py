"""Structs to YAML text, as `/api/v1/status/config` shows it: names as in the file, secrets redacted, nothing idle.

Invariant: every leaf that YAML does not know is written by `str()`, and `str()` of a secret shows none; what is left out is the
default, so that the text is read as the same struct.
"""

import enum
from inspect import get_annotations
from typing import Any

import msgspec
import yaml
from msgspec.structs import FieldInfo, fields

_DUMPER: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LINE_WIDTH = 1 << 30  # long expressions stay on one line


def dump(struct: msgspec.Struct) -> str:
    """The YAML text of a struct."""
    text: str = yaml.dump(
        plain(struct),
        Dumper=_DUMPER,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=_LINE_WIDTH,
    )
    return text


def plain(value: object) -> Any:
    """The value in terms of dict, list and scalars, secrets redacted."""
    if isinstance(value, msgspec.Struct):
        items = ((field, getattr(value, field.name)) for field in _fields(type(value)))
        return {field.encode_name: plain(item) for field, item in items if not _says_nothing(field, item)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _fields(kind: type[msgspec.Struct]) -> list[FieldInfo]:
    """What a struct declares itself first, what it inherits afterwards: a job begins with its name."""
    owners = reversed([*enumerate(kind.__mro__)])
    depths = {name: depth for depth, owner in owners for name in get_annotations(owner)}
    return sorted(fields(kind), key=lambda field: depths[field.name])


def _says_nothing(field: FieldInfo, value: object) -> bool:
    """Nothing at all; or nought, off, or a whole section, where that is the default anyway."""
    if value is None or (isinstance(value, (str, dict, list, tuple)) and not value):
        return True
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return value == default and (isinstance(value, msgspec.Struct) or not value)
