"""Which PromQL this server speaks: experimental parts by Prometheus's feature flags, and Python functions out of files.

Of the flags, `st-storage` alone is not about the language: scrapes keep the created timestamps of what they read.
"""

import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nunchi.kit.errors import InputError
from nunchi.query.functions import PythonFunction, index_functions
from nunchi.query.syntax import ParserSettings

DELAYED_NAMES: Final = "promql-delayed-name-removal"
EXPERIMENTAL_FUNCTIONS: Final = "promql-experimental-functions"
EXTENDED_SELECTORS: Final = "promql-extended-range-selectors"
FILL_MODIFIERS: Final = "promql-binop-fill-modifiers"
START_STORAGE: Final = "st-storage"
KNOWN: Final = (EXPERIMENTAL_FUNCTIONS, EXTENDED_SELECTORS, FILL_MODIFIERS, DELAYED_NAMES, START_STORAGE)


class LanguageError(InputError):
    """A feature that is not known, or a file of functions that cannot be used."""


def split_features(texts: Iterable[str]) -> frozenset[str]:
    """The features of flags, each with several names between commas; raises `LanguageError`."""
    named = frozenset(name.strip() for text in texts for name in text.split(",") if name.strip())
    for name in sorted(named - set(KNOWN)):
        raise LanguageError(f'--enable-feature: "{name}" is not known; there are {", ".join(KNOWN)}')
    return named


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
