"""Lengths of time as Prometheus writes them: `1h30m`, `15s`, `250ms`. Text to milliseconds and back, and the type for settings.

Invariant: `parse_duration(format_duration(ms)) == ms` for every duration that can be written.
"""

import re
from dataclasses import dataclass

_UNITS_MS = {
    "y": 365 * 24 * 3_600_000,
    "w": 7 * 24 * 3_600_000,
    "d": 24 * 3_600_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PATTERN = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in _UNITS_MS))
DURATION_MS_MAX = (2**63 - 1) // 1_000_000  # what fits 64 bits of nanoseconds: 292 years, as everywhere in this world


def parse_duration(text: str) -> int:
    """Milliseconds of `text`: units y w d h m s ms, each at most once, from large to small; a bare `0` is allowed.

    Raises ValueError with a sentence fit for whoever wrote the text.
    """
    if text == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'"{text}" is not a duration: write a number and a unit, as in 15s, 5m or 1h30m')
    duration_ms = sum(
        int(digits) * unit_ms
        for digits, unit_ms in zip(match.groups(), _UNITS_MS.values(), strict=True)
        if digits and len(digits) <= 20
    )
    if duration_ms > DURATION_MS_MAX or any(digits and len(digits) > 20 for digits in match.groups()):
        raise ValueError(f'"{text}" is too long a duration: 292y is the most')
    return duration_ms


def format_duration(duration_ms: int) -> str:
    """The text of a duration; weeks and years only where nothing remains, because 90d reads better than 12w6d."""
    if duration_ms == 0:
        return "0s"
    text, remaining_ms = "", abs(duration_ms)
    for unit, unit_ms in _UNITS_MS.items():
        if unit in {"y", "w"} and remaining_ms % unit_ms:
            continue
        count, rest_ms = divmod(remaining_ms, unit_ms)
        if count:
            text += f"{count}{unit}"
            remaining_ms = rest_ms
    return f"-{text}" if duration_ms < 0 else text


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in settings; `str()` writes it as Prometheus does."""

    ms: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """See `parse_duration`."""
        return cls(parse_duration(text))

    @property
    def seconds(self) -> float:
        """The same length in seconds."""
        return self.ms / 1000

    def __bool__(self) -> bool:
        return self.ms != 0

    def __str__(self) -> str:
        return format_duration(self.ms)
