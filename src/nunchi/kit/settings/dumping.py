"""Structs to YAML text, as `/api/v1/status/config` shows it: names as in the file, secrets redacted, what is empty left out.

Invariant: every leaf that YAML does not know is written by `str()`, and `str()` of a secret shows none.
"""

import enum
from typing import Any

import msgspec
import yaml

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
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        pairs = ((encoded, plain(getattr(value, name))) for encoded, name in names)
        return {name: item for name, item in pairs if not _is_empty(item)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _is_empty(item: object) -> bool:
    return item is None or (isinstance(item, (str, dict, list)) and not item)
