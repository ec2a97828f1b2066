"""Times and durations as templates see Go's: layouts written as the reference time, methods, text forms. Pure.

A layout shows how Mon Jan 2 15:04:05 MST 2006 (-0700) would look.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.values import Exposed, methods_of

NANOSECONDS_A_SECOND = 1_000_000_000
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_LAYOUT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07"
    r"|[.,](?:0+|9+)(?!\d)|__2|_2|002|01|02|03|04|05|06|15|PM|pm|1|2|3|4|5"
)


class NamedNumber(int):
    """A month or weekday: counts as a number, prints as its name."""

    name: str

    @classmethod
    def of(cls, number: int, name: str) -> "NamedNumber":
        """A number with a name."""
        made = cls(number)
        made.name = name
        return made

    def __str__(self) -> str:
        return self.name


def _offset(moment: datetime, sign: str, *, with_colon: bool, with_minutes: bool = True) -> str:
    offset = moment.utcoffset() or timedelta()
    if sign == "Z" and not offset:
        return "Z"
    minutes = abs(int(offset.total_seconds())) // 60
    text = f"{'-' if offset < timedelta() else '+'}{minutes // 60:02d}"
    return text if not with_minutes else f"{text}{':' if with_colon else ''}{minutes % 60:02d}"


def _fraction(moment: datetime, word: str) -> str:
    digits = f"{moment.microsecond:06d}000"[: len(word) - 1].ljust(len(word) - 1, "0")
    if word[1] == "9":
        digits = digits.rstrip("0")
        return word[0] + digits if digits else ""
    return word[0] + digits


_WORDS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda moment: _MONTHS[moment.month - 1],
    "Jan": lambda moment: _MONTHS[moment.month - 1][:3],
    "Monday": lambda moment: _WEEKDAYS[moment.weekday()],
    "Mon": lambda moment: _WEEKDAYS[moment.weekday()][:3],
    "MST": lambda moment: moment.tzname() or "UTC",
    "2006": lambda moment: f"{moment.year:04d}",
    "06": lambda moment: f"{moment.year % 100:02d}",
    "01": lambda moment: f"{moment.month:02d}",
    "1": lambda moment: str(moment.month),
    "02": lambda moment: f"{moment.day:02d}",
    "_2": lambda moment: f"{moment.day:2d}",
    "2": lambda moment: str(moment.day),
    "002": lambda moment: f"{moment.timetuple().tm_yday:03d}",
    "__2": lambda moment: f"{moment.timetuple().tm_yday:3d}",
    "15": lambda moment: f"{moment.hour:02d}",
    "03": lambda moment: f"{(moment.hour + 11) % 12 + 1:02d}",
    "3": lambda moment: str((moment.hour + 11) % 12 + 1),
    "04": lambda moment: f"{moment.minute:02d}",
    "4": lambda moment: str(moment.minute),
    "05": lambda moment: f"{moment.second:02d}",
    "5": lambda moment: str(moment.second),
    "PM": lambda moment: "AM" if moment.hour < 12 else "PM",
    "pm": lambda moment: "am" if moment.hour < 12 else "pm",
}


def format_moment(moment: datetime, layout: str) -> str:
    """A time by a Go layout."""

    def shown(match: re.Match[str]) -> str:
        word = match.group()
        if word[0] in ".,":
            return _fraction(moment, word)
        if word[0] in "Z-":
            return _offset(moment, word[0], with_colon=":" in word, with_minutes=len(word) > 3)
        return _WORDS[word](moment)

    return _LAYOUT.sub(shown, layout)


def format_rfc3339(moment: datetime) -> str:
    """As Go's JSON writes times: no trailing zeros in the fraction."""
    return format_moment(moment, "2006-01-02T15:04:05.999999999Z07:00")


@dataclass(frozen=True, slots=True)
class Duration(Exposed):
    """A Go `time.Duration`."""

    nanoseconds: int

    def __str__(self) -> str:
        return format_go_duration(self.nanoseconds)

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.nanoseconds / NANOSECONDS_A_SECOND

    methods: ClassVar = methods_of(
        Hours=lambda duration: duration.nanoseconds / (3600 * NANOSECONDS_A_SECOND),
        Minutes=lambda duration: duration.nanoseconds / (60 * NANOSECONDS_A_SECOND),
        Seconds=lambda duration: duration.nanoseconds / NANOSECONDS_A_SECOND,
        Milliseconds=lambda duration: duration.nanoseconds // 1_000_000,
        Nanoseconds=lambda duration: duration.nanoseconds,
        String=lambda duration: str(duration),  # noqa: PLW0108 (`str` itself has no signature to read)
    )


def format_go_duration(nanoseconds: int) -> str:
    """`1h2m3.5s`, `1.5ms`, `0s`."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < NANOSECONDS_A_SECOND:
        for unit, scale in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
            if rest >= scale:
                return f"{sign}{_decimal(rest, scale)}{unit}"
        return "0s"
    minutes, rest = divmod(rest, 60 * NANOSECONDS_A_SECOND)
    text = f"{_decimal(rest, NANOSECONDS_A_SECOND)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
    return sign + text


def _decimal(number: int, scale: int) -> str:
    whole, rest = divmod(number, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


@dataclass(frozen=True, slots=True, order=True)
class Moment(Exposed):
    """A Go `time.Time`."""

    time: datetime

    @classmethod
    def of_seconds(cls, seconds: float) -> "Moment":
        """Of seconds since the epoch, in UTC; raises `FunctionError` beyond the years 1 to 9999."""
        try:
            return cls(datetime.fromtimestamp(seconds, UTC))
        except (ValueError, OverflowError, OSError):
            raise FunctionError(f"{seconds} seconds since the epoch is no time that can be shown") from None

    def __str__(self) -> str:
        return format_moment(self.time, "2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        """By a layout."""
        return format_moment(self.time, layout)

    def in_zone(self, zone: str) -> "Moment":
        """The same time in an IANA zone."""
        if zone in ("", "UTC"):
            return Moment(self.time.astimezone(UTC))
        if zone == "Local":
            return Moment(self.time.astimezone())
        try:
            return Moment(self.time.astimezone(ZoneInfo(zone)))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise FunctionError(f"unknown time zone {zone}") from None

    def add(self, duration: Duration) -> "Moment":
        """Later by a duration."""
        return Moment(self.time + timedelta(microseconds=duration.nanoseconds // 1000))

    def since(self, other: "Moment") -> Duration:
        """How much later this is than another."""
        return Duration((self.time - other.time) // timedelta(microseconds=1) * 1000)

    def nanoseconds(self) -> int:
        """Since the epoch."""
        return (self.time - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000


# Set after the class, because the tables name it.
Moment.methods = methods_of(
    Format=Moment.format,
    String=lambda moment: str(moment),  # noqa: PLW0108 (`str` itself has no signature to read)
    Unix=lambda moment: moment.nanoseconds() // NANOSECONDS_A_SECOND,
    UnixMilli=lambda moment: moment.nanoseconds() // 1_000_000,
    UnixNano=Moment.nanoseconds,
    UTC=lambda moment: moment.in_zone("UTC"),
    Local=lambda moment: moment.in_zone("Local"),
    Year=lambda moment: moment.time.year,
    Month=lambda moment: NamedNumber.of(moment.time.month, _MONTHS[moment.time.month - 1]),
    Day=lambda moment: moment.time.day,
    Hour=lambda moment: moment.time.hour,
    Minute=lambda moment: moment.time.minute,
    Second=lambda moment: moment.time.second,
    Nanosecond=lambda moment: moment.time.microsecond * 1000,
    Weekday=lambda moment: NamedNumber.of((moment.time.weekday() + 1) % 7, _WEEKDAYS[moment.time.weekday()]),
    YearDay=lambda moment: moment.time.timetuple().tm_yday,
    IsZero=lambda moment: moment.time == ZERO_TIME,
    Add=Moment.add,
    Sub=Moment.since,
)
