"""What can be wrong with a settings file.

InputError
└── SettingsError   a file, or a place in it: `file:line:column: what, and what to do`
ValueError
└── FieldError      raised by a struct's `__post_init__` to name the field at fault; becomes a SettingsError at that field
"""

from typing import NamedTuple

from nunchi.kit.errors import InputError


class Place(NamedTuple):
    """Where a node begins; both count from 1."""

    line: int
    column: int


class SettingsError(InputError):
    """A settings file that must be changed; `place` is None where the whole file is meant."""

    def __init__(self, path: str, place: Place | None, message: str) -> None:
        where = path if place is None else f"{path}:{place.line}:{place.column}"
        super().__init__(f"{where}: {message}")
        self.path = path
        self.place = place
        self.message = message


class FieldError(ValueError):
    """A struct's fields do not fit together; `steps` lead from the struct to the node: keys of the file, and list indexes."""

    def __init__(self, message: str, *steps: str | int) -> None:
        super().__init__(message)
        self.steps = steps
