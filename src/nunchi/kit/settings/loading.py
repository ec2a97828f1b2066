"""A settings file to a struct: compose, then convert. The only place of the package that reads a file.

Invariant: whatever is wrong with the file is one SettingsError, and it begins with the path.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from nunchi.kit.settings.conversion import Conversion, place_of
from nunchi.kit.settings.errors import FieldError, Place, SettingsError
from nunchi.kit.settings.yaml_nodes import DOCUMENT_CHARACTERS_MAX, compose
from nunchi.kit.settings.yaml_nodes import Mapping as MappingNode

StructT = TypeVar("StructT", bound=msgspec.Struct)
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


def load(
    type_: type[StructT],
    text: str,
    path: str,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
    *,
    check: Callable[[StructT], None] | None = None,
    ignores_unknown: bool = False,
) -> StructT:
    """The struct that `text` says; an empty document is a struct of defaults. `path` is for messages. Raises SettingsError.

    environment      what fields of type `Expanded` may refer to
    check            what cannot be judged without knowing more than the file; raises `FieldError`, steps from the struct
    ignores_unknown  fields that no struct has are passed over
    """
    root = compose(text, path) or MappingNode(Place(1, 1))
    struct = Conversion(path, environment, ignores_unknown=ignores_unknown).struct(root, type_)
    if check is not None:
        try:
            check(struct)
        except FieldError as error:
            raise SettingsError(path, place_of(root, error.steps), str(error)) from error
    return struct


def load_file(type_: type[StructT], path: Path, environment: Mapping[str, str] = NO_ENVIRONMENT) -> StructT:
    """See `load`; a file that cannot be read is a SettingsError too."""
    return load(type_, read_text(path), str(path), environment)


def read_text(path: Path) -> str:
    """The text of a settings file, at most as large as one may be."""
    try:
        with path.open("rb") as file:
            content = file.read(4 * DOCUMENT_CHARACTERS_MAX + 1)
        return content.decode()
    except FileNotFoundError as error:
        raise SettingsError(str(path), None, "no such file: create it, or name another") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(str(path), Place(line, 1), "not UTF-8 text: save the file as UTF-8") from error
    except OSError as error:
        raise SettingsError(str(path), None, f"cannot be read: {error.strerror}") from error
