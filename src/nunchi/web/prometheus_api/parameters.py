"""Request parameters as Prometheus reads them: URL query and form body, times, durations, limits, selectors.

Invariant: a value that does not parse is an `ApiError` that names the parameter; parameters nobody asked for are ignored.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from aiohttp import web

from nunchi.kit.durations import parse_duration
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter

TIME_MS_MIN = -(10**15)
TIME_MS_MAX = 10**15
PARAMETERS_MAX = 10_000
FORM = "application/x-www-form-urlencoded"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
# What Prometheus's own clients send for "from the beginning" and "to the end".
_OPEN_ENDS = {"-292273086-05-16T16:47:06Z": TIME_MS_MIN, "292277025-08-18T07:12:54.999999999Z": TIME_MS_MAX}


class Parameters:
    """Name/value pairs of one request; the body's come before the URL's, the first of a name wins. `path` is the path's,
    `accept` the request's Accept header.
    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]] = (), path: Mapping[str, str] | None = None, accept: str = ""
    ) -> None:
        self._pairs = pairs
        self.path = path or {}
        self.accept = accept

    def text(self, name: str, default: str = "") -> str:
        """The first value of a name."""
        return next((value for key, value in self._pairs if key == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        return [value for key, value in self._pairs if key == name]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """A time as milliseconds; without a default the parameter must be given."""
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        try:
            return parse_time(text)
        except ValueError as error:
            if default_ms is None:
                raise invalid_parameter(name, str(error)) from None
            raise invalid_parameter(name, f"Invalid time value for '{name}': {error}") from None

    def span_ms(self, name: str) -> int | None:
        """A duration as milliseconds, None where it is not given."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_span(text)
        except ValueError as error:
            raise invalid_parameter(name, str(error)) from None

    def step_ms(self, name: str) -> int:
        """A resolution as milliseconds: must be given, and positive."""
        try:
            step_ms = parse_span(self.text(name))
        except ValueError as error:
            raise invalid_parameter(name, str(error)) from None
        if step_ms <= 0:
            reason = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            raise invalid_parameter(name, reason)
        return step_ms

    def count(self, name: str, default: int = 0) -> int:
        """A number of things; Prometheus reads 0 as no limit."""
        text = self.text(name)
        if not text:
            return default
        number = int(text) if _INTEGER.fullmatch(text) else None
        if number is None:
            raise invalid_parameter(name, f'strconv.Atoi: parsing "{text}": invalid syntax')
        if number < 0:
            raise invalid_parameter(name, "limit must be non-negative")
        return number

    def optional_count(self, name: str) -> int | None:
        """A number of things, None where it is not given; said in the words of Prometheus's `metadata`."""
        text = self.text(name)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise ApiError.bad_data(f"{name} must be a number")
        return int(text)


async def read_parameters(request: web.Request) -> Parameters:
    """The parameters of a request; a form body counts on POST and PUT. Its size is bounded by the HTTP server."""
    pairs: list[tuple[str, str]] = []
    try:
        if request.method in ("POST", "PUT") and request.content_type == FORM:
            pairs = parse_pairs((await request.read()).decode("utf-8", "replace"))
        pairs += parse_pairs(request.rel_url.raw_query_string)
    except ValueError as error:
        raise ApiError.bad_data(f"error parsing form values: {error}") from None
    return Parameters(pairs, request.match_info, ", ".join(request.headers.getall("Accept", ())))


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a query or a form, as Go reads them: one with a bad escape or a semicolon is left out. Raises ValueError."""
    parts = text.split("&")
    if len(parts) > PARAMETERS_MAX:
        raise ValueError(f"more than {PARAMETERS_MAX} parameters")
    good = [part for part in parts if ";" not in part and not _BAD_ESCAPE.search(part)]
    return parse_qsl("&".join(good), keep_blank_values=True)


def _number(text: str) -> float | None:
    return float(text) if _FLOAT.fullmatch(text) else None


def parse_time(text: str) -> int:
    """Milliseconds of float seconds or an RFC 3339 time. Raises ValueError."""
    refusal = f'cannot parse "{text}" to a valid timestamp'
    if (seconds := _number(text)) is not None:
        milliseconds = _milliseconds(seconds) if abs(seconds) < TIME_MS_MAX else TIME_MS_MAX + 1
    elif text in _OPEN_ENDS:
        milliseconds = _OPEN_ENDS[text]
    elif match := _RFC3339.fullmatch(text):
        day, clock, fraction, zone = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        except ValueError:
            raise ValueError(refusal) from None
        milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])
    else:
        raise ValueError(refusal)
    if not TIME_MS_MIN <= milliseconds <= TIME_MS_MAX:
        raise ValueError(refusal)
    return milliseconds


def _milliseconds(seconds: float) -> int:
    """As Prometheus rounds: the fraction alone, to whole milliseconds, halves away from zero."""
    fraction, whole = math.modf(seconds)
    return int(whole) * 1000 + int(math.copysign(math.floor(abs(fraction) * 1000 + 0.5), fraction))


def parse_span(text: str) -> int:
    """Milliseconds of float seconds or a Prometheus duration. Raises ValueError."""
    seconds = math.inf if _INFINITE.fullmatch(text) else _number(text)
    if seconds is not None:
        if abs(seconds) >= 2**63 / 1e9:
            raise ValueError(f'cannot parse "{text}" to a valid duration. It overflows int64')
        return int(seconds * 1000)
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f'cannot parse "{text}" to a valid duration') from None
