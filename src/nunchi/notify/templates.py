"""Templates of receivers: files of `templates:`, and Alertmanager's function table."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote_plus

from nunchi.kit.clock import Clock
from nunchi.kit.path_patterns import find_paths
from nunchi.kit.template import nodes
from nunchi.kit.template.builtins import function_table
from nunchi.kit.template.errors import FunctionError, TemplateError
from nunchi.kit.template.evaluator import render
from nunchi.kit.template.library import LIBRARY
from nunchi.kit.template.moment import NANOSECONDS_A_SECOND, Duration, Moment
from nunchi.kit.template.parser import parse
from nunchi.kit.template.values import Function
from nunchi.notify.errors import NotifySettingsError

FILES_MAX = 1000
FILE_BYTES_MAX = 4 << 20
TEXT_NAME = "text"


def _title(text: str) -> str:
    """The first letter of every word in upper case, the others as they are."""
    pieces: list[str] = []
    previous = " "
    for character in text:
        begins = not (previous.isalnum() or previous in "_'’")
        pieces.append(character.title() if begins else character.lower())
        previous = character
    return "".join(pieces)


def _trim_space(text: str) -> str:
    return text.strip()


def _join(separator: str, words: list) -> str:  # type: ignore[type-arg]  # a plain type is what Function.of reads
    if any(not isinstance(word, str) for word in words):
        raise FunctionError("join wants a list of strings")
    return separator.join(words)


def _string_slice(*words: str) -> list[str]:
    return list(words)


def _date(layout: str, moment: Moment) -> str:
    return moment.format(layout)


def _tz(zone: str, moment: Moment) -> Moment:
    return moment.in_zone(zone)


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _list(*values: object) -> list[object]:
    return list(values)


def _append(values: list, *others: object) -> list[object]:  # type: ignore[type-arg]  # see _join
    return [*values, *others]


def _dict(*pairs: object) -> dict[str, object]:
    if len(pairs) % 2 or any(not isinstance(name, str) for name in pairs[::2]):
        raise FunctionError("dict wants names and values by turns")
    return {str(name): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _url_unescape(text: str) -> str:
    return unquote_plus(text)


def _base64_encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _base64_decode(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        raise FunctionError(f"not base64: {error}") from None


def _safe_url(text: str) -> str:
    return text


def receiver_functions(clock: Clock) -> Mapping[str, Function]:
    """The function table of receivers' templates."""

    def now() -> Moment:
        return Moment.of_seconds(clock.now())

    def since(moment: Moment) -> Duration:
        return Duration(round(clock.now() * 1000) * (NANOSECONDS_A_SECOND // 1000) - moment.nanoseconds())

    return function_table(
        LIBRARY,
        {
            "title": _title,
            "trimSpace": _trim_space,
            "join": _join,
            "stringSlice": _string_slice,
            "date": _date,
            "tz": _tz,
            "toJson": _to_json,
            "list": _list,
            "append": _append,
            "dict": _dict,
            "safeUrl": _safe_url,
            "urlUnescape": _url_unescape,
            "base64encode": _base64_encode,
            "base64decode": _base64_decode,
            "now": now,
            "since": since,
        },
    )


class TemplateSet:
    """The templates of all files, and texts rendered with them."""

    def __init__(self, functions: Mapping[str, Function], defined: Mapping[str, nodes.Template]) -> None:
        self._functions = functions
        self._defined = defined

    def render(self, text: str, data: object) -> str:
        """The text with its actions carried out over `data`; raises `TemplateError`."""
        if "{{" not in text:
            return text
        return render({**self._defined, **parse(TEXT_NAME, text, self._functions)}, TEXT_NAME, data, self._functions)


def load_templates(patterns: Iterable[str], folder: Path, clock: Clock) -> TemplateSet:
    """The templates of all files that the patterns mean, later definitions over earlier ones; raises `NotifySettingsError`."""
    functions = receiver_functions(clock)
    defined: dict[str, nodes.Template] = {}
    paths = [path for pattern in patterns for path in find_paths(pattern, folder)]
    if len(paths) > FILES_MAX:
        raise NotifySettingsError(f"more than {FILES_MAX} template files: narrow the patterns of templates")
    for path in paths:
        try:
            with path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX).decode()
            defined.update(parse(str(path), text, functions))
        except (OSError, UnicodeDecodeError) as error:
            raise NotifySettingsError(f"{path}: cannot be read: {error}") from error
        except TemplateError as error:
            raise NotifySettingsError(f"{path}:{error.line}:{error.column}: {error.reason}") from error
    return TemplateSet(functions, defined)
