"""References in the agent's files: `${NAME}` is a variable of the environment, `${file:/path}` the text of a file.

`$${` is a `${` as it stands; every other dollar sign is one. Only files that nobody but root or the agent's user can write may
refer to anything, and only to files of which the same is true: who may write a configuration file must not read secrets by it.
Invariant: what a reference gives is never expanded again.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from nunchi.kit.settings import Place, SettingsError
from nunchi.kit.settings.yaml_nodes import Mapping as MappingNode
from nunchi.kit.settings.yaml_nodes import Node, Scalar, Sequence

REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
FILE_PREFIX = "file:"
FILE_BYTES_MAX = 64 << 10


class References:
    """Expands the scalars of one file in place; `files` are those that were read for it. Raises SettingsError."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.files: list[Path] = []
        self._path = path
        self._environment = environment
        self._is_trusted = False

    def expand(self, node: Node) -> None:
        """Expand a node and all below it."""
        if isinstance(node, Scalar):
            if "${" in node.text:
                node.text = REFERENCE.sub(lambda match: self._value(match, node.place), node.text)
        elif isinstance(node, Sequence):
            for item in node.items:
                self.expand(item)
        elif isinstance(node, MappingNode):
            for _, value in node.entries.values():
                self.expand(value)

    def _value(self, match: "re.Match[str]", place: Place) -> str:
        if match[0] == "$${":
            return "${"
        if not self._is_trusted:
            self._check(self._path, place)
            self._is_trusted = True
        name: str = match[1].removeprefix("env:")
        if name.startswith(FILE_PREFIX):
            return self._text(self._path.parent / name.removeprefix(FILE_PREFIX), place)
        value = self._environment.get(name)
        if value is None:
            cure = "set it where the agent is started, or write $${ for the characters themselves"
            raise SettingsError(str(self._path), place, f'the environment has no "{name}": {cure}')
        return value

    def _text(self, path: Path, place: Place) -> str:
        self._check(path, place)
        self.files.append(path)
        try:
            with path.open("rb") as file:
                return file.read(FILE_BYTES_MAX).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(str(self._path), place, f"{path} cannot be read: {reason}") from error

    def _check(self, path: Path, place: Place) -> None:
        danger = others_may_write(path)
        if danger:
            raise SettingsError(str(self._path), place, f"a reference is not followed: {danger}")


def others_may_write(path: Path) -> str:
    """Why somebody other than root and this user may change a file, and the cure; empty where nobody may."""
    try:
        status = path.stat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    if status.st_uid not in {0, os.geteuid()}:
        return f"{path} belongs to another user: chown it to root or to the agent's user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write {path}: chmod go-w {path}"
    return ""
