"""Which PromQL this server speaks: experimental parts by Prometheus's feature flags, and Python functions out of files."""

import runpy
from collections.abc import Iterable
from pathlib import Path

from nunchi.kit.errors import InputError
from nunchi.query.functions import PythonFunction, index_functions
from nunchi.query.syntax import ParserSettings
from nunchi.server.features import EXPERIMENTAL_FUNCTIONS, EXTENDED_SELECTORS, FILL_MODIFIERS


class LanguageError(InputError):
    """A file of functions that cannot be used."""


def parser_settings(features: frozenset[str]) -> ParserSettings:
    """What the parser accepts."""
    return ParserSettings(
        experimental_functions=EXPERIMENTAL_FUNCTIONS in features,
        extended_selectors=EXTENDED_SELECTORS in features,
        fill_modifiers=FILL_MODIFIERS in features,
    )


def load_functions(paths: Iterable[Path]) -> tuple[PythonFunction, ...]:
    """The functions that Python files define with `nunchi.function`, by running them; raises `LanguageError`."""
    functions: list[PythonFunction] = []
    for path in paths:
        try:
            names = runpy.run_path(str(path))
        except Exception as error:
            raise LanguageError(f"{path}: cannot be run: {type(error).__name__}: {error}") from error
        found = [value for value in names.values() if isinstance(value, PythonFunction)]
        if not found:
            raise LanguageError(f"{path}: has no function made by @nunchi.function")
        functions.extend(found)
    index_functions(functions)
    return tuple(functions)
