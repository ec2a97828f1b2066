"""StatsD in its dialects: StatsD, DogStatsD up to 1.6, InfluxDB, Librato and SignalFx tags, several values a line.

Lines are read by a kernel that knows series by their bytes; what name and tags mean is read here, once a series. Events and
service checks are in `statsd_records.py`. Format: docs/formats/statsd.md.
Invariant: no bytes raise. What cannot be read is counted by reason and costs only its own line.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from nunchi.wire.errors import WireError
from nunchi.wire.kernels.statsd import StatsdScanner
from nunchi.wire.statsd_records import Event, ServiceCheck, parse_event, parse_service_check

SAMPLE = struct.Struct("=iIddq")  # series, flags, value, rate, timestamp in seconds or 0
IS_SIGNED = 1  # flag: a gauge's value was written with its sign
SERIES_MAX = 100_000
LINE_SHOWN_BYTES_MAX = 120


class StatsdKind(IntEnum):
    """Types of lines: `c`, `g`, `ms`, `h`, `d`, `s`. Numbers are the kernel's."""

    COUNTER = 0
    GAUGE = 1
    TIMER = 2
    HISTOGRAM = 3
    DISTRIBUTION = 4
    SET = 5


@dataclass(frozen=True, slots=True)
class StatsdSeries:
    """A series seen for the first time: its name without tags, and its tags in order, not yet made into labels."""

    series: int
    kind: StatsdKind
    name: str
    tags: tuple[tuple[str, str], ...]
    container: str = ""


@dataclass(slots=True)
class StatsdText:
    """What one text held. `samples` are `SAMPLE`s one after the other; `malformed` are lines by reason, first an example."""

    lines: int
    samples: bytes
    new_series: list[StatsdSeries]
    overflow: int
    malformed: dict[str, int]
    example: str = ""
    events: list[Event] = field(default_factory=list)
    service_checks: list[ServiceCheck] = field(default_factory=list)


class StatsdReader:
    """Reads the texts of all senders. At most `series_max` series are known at once; `forget` begins anew."""

    def __init__(self, seed: int, series_max: int = SERIES_MAX, *, with_container: bool = False) -> None:
        """`with_container` makes the container id that clients send part of who a series is."""
        self._scanner = StatsdScanner(seed, series_max, with_container)

    @property
    def series_count(self) -> int:
        """Series known."""
        return self._scanner.series_count

    def forget(self) -> None:
        """Every series is new again, ids from 0."""
        self._scanner.forget()

    def read(self, text: bytes) -> StatsdText:
        """Whatever the bytes are."""
        scanner = self._scanner
        scanner.scan(text)
        new_series = [
            StatsdSeries(number, StatsdKind(kind), *parse_name(name, tags), container.decode(errors="replace"))
            for number, kind, name, tags, container in scanner.new_series()
        ]
        found = StatsdText(scanner.lines, scanner.samples(), new_series, scanner.overflow, scanner.malformed())
        first = scanner.first_malformed()
        if first is not None:
            begin, end, reason = first
            found.example = f"{reason}: {_shown(text[begin:end])}"
        for begin, end in scanner.lines_apart():
            self._read_record(text[begin:end], found)
        return found

    def _read_record(self, line: bytes, found: StatsdText) -> None:
        try:
            if line.startswith(b"_e"):
                found.events.append(parse_event(line))
            else:
                found.service_checks.append(parse_service_check(line))
        except WireError as error:
            reason = "event" if line.startswith(b"_e") else "service_check"
            found.malformed[reason] = found.malformed.get(reason, 0) + 1
            found.example = found.example or f"{error}: {_shown(line)}"


def _shown(line: bytes) -> str:
    """The beginning of a line, for people: bytes that are no printable ASCII escaped."""
    return repr(line[:LINE_SHOWN_BYTES_MAX])[2:-1]


def parse_name(name: bytes, tags: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A name as sent, and the tags of its line, as name and (tag, value) pairs; tags within the name come first.

    `name,k=v` is InfluxDB's, `name#k=v` Librato's, `name[k=v]` SignalFx's. A tag without a value has the value `true`.
    """
    text = name.decode(errors="replace")
    inner = ""
    if "[" in text and "]" in text:
        before, _, rest = text.partition("[")
        inner, _, after = rest.partition("]")
        text = before + after
    else:
        for separator in ",#":
            if separator in text:
                text, _, inner = text.partition(separator)
                break
    pairs = [_pair(part, "=") for part in inner.split(",") if part]
    pairs += [_pair(part, ":") for part in tags.decode(errors="replace").split(",") if part]
    return text, tuple(pair for pair in pairs if pair[0] and pair[1])


def _pair(text: str, separator: str) -> tuple[str, str]:
    key, found, value = text.partition(separator)
    return key.strip(), value if found else "true"
