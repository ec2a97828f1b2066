"""Times of the week, month and year in which notifications are muted or active: `time_intervals:`.

All fields of an interval must hold, of each field any range; of several intervals under one name any.
Invariant: judged in the interval's own zone; start included, end excluded for times of day, both included for days.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from nunchi.kit.settings import FieldError

_TIME = re.compile(r"([0-1]\d|2[0-4]):([0-5]\d)")
_SHORTEST_MONTH = 28
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = tuple(name.lower() for name in calendar.month_name[1:])


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """`HH:MM`, up to `24:00`."""

    minute: int

    @classmethod
    def parse(cls, text: str) -> "TimeOfDay":
        """Raises ValueError."""
        match = _TIME.fullmatch(text)
        minute = int(match[1]) * 60 + int(match[2]) if match else -1
        if not 0 <= minute <= 24 * 60:
            raise ValueError(f'"{text}" is no time of day: write HH:MM, 24:00 at most')
        return cls(minute)

    def __str__(self) -> str:
        return f"{self.minute // 60:02d}:{self.minute % 60:02d}"


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Two numbers, both included; keeps its text."""

    begin: int
    end: int
    text: str

    def __str__(self) -> str:
        return self.text


def _range(text: str, names: tuple[str, ...], first: int) -> NumberRange:
    """`a:b` or `a`; names count from `first`. Raises ValueError."""
    numbers: list[int] = []
    for word in text.lower().split(":"):
        if word.strip() in names:
            numbers.append(names.index(word.strip()) + first)
            continue
        try:
            numbers.append(int(word))
        except ValueError:
            known = f", one of {names[0]} … {names[-1]}," if names else ""
            raise ValueError(f'"{word}" is no number{known} in the range "{text}"') from None
    if len(numbers) > 2:
        raise ValueError(f'"{text}" is no range: write begin:end')
    if numbers[0] > numbers[-1] and not numbers[0] > 0 > numbers[-1]:
        raise ValueError(f'"{text}" ends before it begins: split it in two ranges')
    return NumberRange(numbers[0], numbers[-1], text)


class WeekdayRange(NumberRange):
    """Sunday is 0."""

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """Raises ValueError."""
        if any(part.strip().lower() not in _WEEKDAYS for part in text.split(":")):
            raise ValueError(f'"{text}" is no day of the week: write it in full, as in monday:friday')
        return _range(text, _WEEKDAYS, 0)


class DayOfMonthRange(NumberRange):
    """1 to 31, or counted from the month's end -1 to -31."""

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """Raises ValueError."""
        found = _range(text, (), 0)
        if not (0 < abs(found.begin) <= 31 and 0 < abs(found.end) <= 31):
            raise ValueError(f'"{text}": days of a month are 1 to 31, or -31 to -1')
        if found.begin < 0 < found.end:
            raise ValueError(f'"{text}": a range that begins at the end of the month must end there too')
        begin, end = (day if day > 0 else _SHORTEST_MONTH + day for day in (found.begin, found.end))
        if begin > end:
            raise ValueError(f'"{text}": in a short month this ends before it begins: choose days further apart')
        return found


class MonthRange(NumberRange):
    """By name or number."""

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """Raises ValueError."""
        found = _range(text, _MONTHS, 1)
        if not 1 <= found.begin <= found.end <= 12:
            raise ValueError(f'"{text}": months are 1 to 12 or their names')
        return found


class YearRange(NumberRange):
    """Years."""

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """Raises ValueError."""
        return _range(text, (), 0)


class TimeRangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `times`."""

    start_time: TimeOfDay
    end_time: TimeOfDay

    def __post_init__(self) -> None:
        if self.start_time.minute >= self.end_time.minute:
            raise FieldError("start_time must be before end_time: split a night in two ranges, at 24:00", "end_time")


class TimeIntervalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One interval; a field that is absent always holds."""

    times: tuple[TimeRangeSettings, ...] | None = None
    weekdays: tuple[WeekdayRange, ...] | None = None
    days_of_month: tuple[DayOfMonthRange, ...] | None = None
    months: tuple[MonthRange, ...] | None = None
    years: tuple[YearRange, ...] | None = None
    location: str = ""

    def __post_init__(self) -> None:
        if self.location not in ("", "Local", "UTC"):
            try:
                ZoneInfo(self.location)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise FieldError(
                    f'unknown time zone "{self.location}": name it as in Europe/Berlin', "location"
                ) from None

    def contains(self, moment: datetime) -> bool:
        """Whether an aware time lies within."""
        zone = None if self.location == "Local" else ZoneInfo(self.location or "UTC")
        local = moment.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if self.times is not None and not any(
            one.start_time.minute <= minute < one.end_time.minute for one in self.times
        ):
            return False
        if self.days_of_month is not None and not any(_has_day(one, local) for one in self.days_of_month):
            return False
        fields = ((self.weekdays, local.isoweekday() % 7), (self.months, local.month), (self.years, local.year))
        return all(ranges is None or any(one.begin <= number <= one.end for one in ranges) for ranges, number in fields)


def _has_day(days: NumberRange, local: datetime) -> bool:
    length = calendar.monthrange(local.year, local.month)[1]
    begin = length + days.begin + 1 if days.begin < 0 else days.begin
    end = length + days.end + 1 if days.end < 0 else days.end
    return begin <= length and max(begin, -length) <= local.day <= min(end, length)


class NamedIntervalsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `time_intervals:`."""

    name: str = ""
    time_intervals: tuple[TimeIntervalSettings, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise FieldError("the time interval has no name: give it one", "name")

    def contains(self, moment: datetime) -> bool:
        """Whether any of the intervals does."""
        return any(interval.contains(moment) for interval in self.time_intervals)
