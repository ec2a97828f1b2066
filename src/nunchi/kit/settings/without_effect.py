"""Settings that are accepted and change nothing: said where the field is declared, told where a file is taken up.

A field is marked in its type: `Annotated[str, WithoutEffect("no query log is written")]`. What it holds is not looked into.
Invariant: whoever sets a marked field to anything but its default hears of it by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_args, get_origin

import msgspec


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """A note on the type of a field: why it does nothing."""

    reason: str


def remarks(settings: msgspec.Struct, name: str = "") -> list[str]:
    """A sentence for each marked field that is set, once where many have it; `name` is whose settings these are."""
    places: dict[tuple[str, str], list[str]] = {}
    for place, key, reason in _found(settings, name):
        places.setdefault((key, reason), []).append(place)
    return [
        f"{where[0]}{f' and {len(where) - 1} more of its kind' if len(where) > 1 else ''} has no effect here: {reason}"
        for (_, reason), where in places.items()
    ]


def reason_of(info: msgspec.structs.FieldInfo) -> str:
    """Why a field does nothing; empty where it does something."""
    if get_origin(info.type) is not Annotated:
        return ""
    return next((note.reason for note in get_args(info.type)[1:] if isinstance(note, WithoutEffect)), "")


def _found(value: object, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, msgspec.Struct):
        for info in msgspec.structs.fields(type(value)):
            item = getattr(value, info.name)
            if item == _default(info):
                continue
            inside = f"{place}.{info.encode_name}" if place else info.encode_name
            if reason := reason_of(info):
                yield inside, info.encode_name, reason
            else:
                yield from _found(item, inside)
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from _found(item, f"{place}[{position}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _found(item, f"{place}.{key}")


def _default(info: msgspec.structs.FieldInfo) -> object:
    return info.default_factory() if info.default is msgspec.NODEFAULT and not info.required else info.default
