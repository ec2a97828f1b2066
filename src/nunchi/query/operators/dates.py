"""Functions of dates in UTC: `year`, `month`, `hour`, … of seconds since 1970, over arrays.

A number that is no 64-bit integer (NaN, infinite, too large) is what x86-64 makes of it, the least one, and the calendar wraps
as Go's does: Prometheus prints the year 292277026596 there, and so do we. Invariant: no number is without a date.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

DAY_SECONDS: Final = 86400
SECONDS_LIMIT: Final = 2.0**63
ABSOLUTE_DAYS: Final = 106_751_991_073_094  # from the year -292277022399, where Go's unsigned calendar begins, to 1970


def split_seconds(values: Floats) -> tuple[Longs, Longs]:
    """Days since 1970, and seconds of the day, of numbers of seconds; fractions are cut off."""
    is_integer = (values >= -SECONDS_LIMIT) & (values < SECONDS_LIMIT)
    seconds = np.trunc(np.where(is_integer, values, 0.0)).astype(np.int64)
    seconds[~is_integer] = np.iinfo(np.int64).min
    absolute = seconds.view(np.uint64) + np.uint64(ABSOLUTE_DAYS * DAY_SECONDS)
    days, rest = np.divmod(absolute, np.uint64(DAY_SECONDS))
    return days.astype(np.int64) - ABSOLUTE_DAYS, rest.astype(np.int64)


def _months(days: Longs) -> Longs:
    """Months since January 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _first_day(months: Longs) -> Longs:
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _first_day_of_year(days: Longs) -> Longs:
    years = days.astype("datetime64[D]").astype("datetime64[Y]")
    return years.astype("datetime64[D]").astype(np.int64)


# Of days since 1970 and seconds of the day.
DATES: Final[dict[str, Callable[[Longs, Longs], Longs]]] = {
    "minute": lambda days, seconds: seconds // 60 % 60,
    "hour": lambda days, seconds: seconds // 3600,
    "day_of_week": lambda days, seconds: np.mod(days + 4, 7),
    "day_of_month": lambda days, seconds: days - _first_day(_months(days)) + 1,
    "day_of_year": lambda days, seconds: days - _first_day_of_year(days) + 1,
    "days_in_month": lambda days, seconds: _first_day(_months(days) + 1) - _first_day(_months(days)),
    "month": lambda days, seconds: np.mod(_months(days), 12) + 1,
    "year": lambda days, seconds: np.floor_divide(_months(days), 12) + 1970,
}


def date_part(name: str, values: Floats) -> Floats:
    """One part of the dates that numbers of seconds stand for."""
    return DATES[name](*split_seconds(values)).astype(np.float64)
