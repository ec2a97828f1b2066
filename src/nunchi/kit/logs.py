"""Log lines as logfmt or JSON: a message and named values. One line an event, to one stream, by the standard library's logging.

What libraries have to say (asyncio, aiohttp) comes in the same form, from warnings on, under the library's name.
Invariant: a value never breaks the line; secrets are `kit.secrets.Secret` objects and print as `<secret>`.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from nunchi.kit.errors import words_of

LogFormat = Literal["logfmt", "json"]
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
ROOT = "nunchi"
_BARE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")


class Logger:
    """A named source of log lines; keyword arguments become the line's named values."""

    def __init__(self, area: str) -> None:
        self.area = area
        self._logger = logging.getLogger(f"{ROOT}.{area}")

    def debug(self, message: str, **values: object) -> None:
        """Of use to who looks for a fault."""
        self._write(logging.DEBUG, message, values)

    def info(self, message: str, **values: object) -> None:
        """Something began, ended or changed."""
        self._write(logging.INFO, message, values)

    def warning(self, message: str, **values: object) -> None:
        """Something went wrong and was mended or waited out."""
        self._write(logging.WARNING, message, values)

    def error(self, message: str, **values: object) -> None:
        """Something was lost or does not work until somebody acts."""
        self._write(logging.ERROR, message, values)

    def exception(self, message: str, **values: object) -> None:
        """An error with the traceback of what is being handled now."""
        self._write(logging.ERROR, message, values, traceback=True)

    def part(self, name: str) -> "Logger":
        """The logger of an area below this one."""
        return Logger(f"{self.area}.{name}")

    def _write(self, level: int, message: str, values: dict[str, object], *, traceback: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={"values": values}, exc_info=traceback)


class LineHandler(logging.StreamHandler[TextIO]):
    """Ours among whatever handlers there are."""


def logger(area: str) -> Logger:
    """The logger of an area, named as its package path: `intake.scrape`."""
    return Logger(area)


def configure(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Write all lines of `level` and above to `stream` (standard error by default). Replaces an earlier configuration."""
    handler = LineHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LogfmtFormatter())
    own, others = logging.getLogger(ROOT), logging.getLogger()
    own.handlers = [handler]
    own.propagate = False
    own.setLevel(LEVELS[level])
    others.handlers = [*(other for other in others.handlers if not isinstance(other, LineHandler)), handler]


def set_area_level(area: str, level: str) -> None:
    """Write lines of `level` and above for an area and those below it; empty: as the area above. Raises ValueError."""
    if level and level not in LEVELS:
        raise ValueError(f'"{level}" is not a level: use one of {", ".join(LEVELS)}')
    logging.getLogger(f"{ROOT}.{area}" if area else ROOT).setLevel(LEVELS.get(level, logging.NOTSET))


def areas() -> list[str]:
    """Every area that writes lines, and those above them."""
    return sorted(
        name.removeprefix(f"{ROOT}.") for name in logging.root.manager.loggerDict if name.startswith(f"{ROOT}.")
    )


def area_levels() -> dict[str, str]:
    """The areas that have a level of their own; the one named with nothing is for all others."""
    names = {number: name for name, number in LEVELS.items()}
    known = logging.root.manager.loggerDict
    areas = {name.removeprefix(f"{ROOT}."): known[name] for name in known if name.startswith(f"{ROOT}.")}
    own = {
        area: names[one.level] for area, one in areas.items() if isinstance(one, logging.Logger) and one.level in names
    }
    return {"": names.get(logging.getLogger(ROOT).level, ""), **own}


def _fields(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, object]:
    moment = datetime.fromtimestamp(record.created, UTC)
    fields: dict[str, object] = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": {"WARNING": "warn"}.get(record.levelname, record.levelname.lower()),
        "area": record.name.removeprefix(f"{ROOT}."),
        "msg": record.getMessage(),
    }
    values: dict[str, Any] = getattr(record, "values", {})
    fields.update(values)
    if record.exc_info and record.exc_info[0] is not None:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


def _text(value: object) -> str:
    if isinstance(value, BaseException):
        return words_of(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


class LogfmtFormatter(logging.Formatter):
    """`key=value` pairs; values with blanks or quotes are quoted and escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        pairs = []
        for key, value in _fields(record, self).items():
            text = _text(value)
            pairs.append(f"{key}={text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)}")
        return " ".join(pairs)


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what JSON does not know is written as text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(_fields(record, self), default=_text, ensure_ascii=False)
