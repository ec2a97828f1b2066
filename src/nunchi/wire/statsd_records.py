"""What DogStatsD sends besides samples: events (`_e{…}:`) and service checks (`_sc|…`).

Invariant: lengths count bytes and are checked against what is there; unknown fields are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nunchi.wire.errors import WireError

TITLE_BYTES_MAX = 1024
TEXT_BYTES_MAX = 8192
TIMESTAMP_SECONDS_MAX = 1 << 40
PRIORITIES = frozenset({"normal", "low"})
ALERT_TYPES = frozenset({"error", "warning", "info", "success"})
STATES = ("ok", "warning", "critical", "unknown")

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `timestamp_s` is 0 where the sender left it to us."""

    title: str
    text: str
    timestamp_s: int = 0
    host: str = ""
    aggregation_key: str = ""
    priority: str = "normal"
    source: str = ""
    alert_type: str = "info"
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """How a service fares: `state` 0 ok, 1 warning, 2 critical, 3 unknown."""

    name: str
    state: int
    timestamp_s: int = 0
    host: str = ""
    message: str = ""
    tags: Tags = ()


def parse_event(line: bytes) -> Event:
    """A line that begins with `_e{`. Raises WireError."""
    head, closing, rest = line[3:].partition(b"}")
    title_length, comma, text_length = head.partition(b",")
    if not (closing and comma and rest.startswith(b":")):
        raise WireError("event: write _e{title bytes,text bytes}:title|text")
    title_bytes, text_bytes = _length(title_length, TITLE_BYTES_MAX), _length(text_length, TEXT_BYTES_MAX)
    body = rest[1:]
    title, text = body[:title_bytes], body[title_bytes + 1 : title_bytes + 1 + text_bytes]
    tail = body[title_bytes + 1 + text_bytes :]
    if len(text) < text_bytes or body[title_bytes : title_bytes + 1] != b"|" or (tail and not tail.startswith(b"|")):
        raise WireError("event: its lengths are not those of title and text")
    if not title:
        raise WireError("event: its title is empty")
    fields = tail[1:]
    values = _fields(fields.split(b"|") if fields else [])
    return Event(
        title=_text(title).replace("\\n", "\n"),
        text=_text(text).replace("\\n", "\n"),
        timestamp_s=_timestamp(values.get("d", "")),
        host=values.get("h", ""),
        aggregation_key=values.get("k", ""),
        priority=_one_of(values.get("p", "normal"), PRIORITIES, "normal"),
        source=values.get("s", ""),
        alert_type=_one_of(values.get("t", "info"), ALERT_TYPES, "info"),
        tags=parse_tags(values.get("#", "")),
    )


def parse_service_check(line: bytes) -> ServiceCheck:
    """A line that begins with `_sc|`. Raises WireError. The message stands last and may hold bars."""
    line, has_message, message = line.partition(b"|m:")
    _, name, *rest = line.split(b"|")
    if not name or not rest or rest[0] not in {b"0", b"1", b"2", b"3"}:
        raise WireError("service check: write _sc|name|0, 1, 2 or 3")
    values = _fields(rest[1:])
    return ServiceCheck(
        name=_text(name),
        state=int(rest[0]),
        timestamp_s=_timestamp(values.get("d", "")),
        host=values.get("h", ""),
        message=_text(message).replace("m\\:", "m:").replace("\\n", "\n") if has_message else "",
        tags=parse_tags(values.get("#", "")),
    )


def parse_tags(text: str) -> Tags:
    """`a:b,c` as pairs; a tag without a value has the value `true`."""
    pairs = (part.partition(":") for part in text.split(",") if part)
    return tuple((key, value if colon else "true") for key, colon, value in pairs if key and (value or not colon))


def _fields(parts: Sequence[bytes]) -> dict[str, str]:
    values = {}
    for part in parts:
        text = _text(part)
        if text.startswith("#"):
            values["#"] = text[1:]
        elif text[1:2] == ":":
            values[text[0]] = text[2:]
    return values


def _length(digits: bytes, most: int) -> int:
    if not digits.isdigit() or len(digits) > 6 or int(digits) > most:
        raise WireError(f"event: a length is no number up to {most}")
    return int(digits)


def _timestamp(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 13 or int(text) > TIMESTAMP_SECONDS_MAX:
        raise WireError("its time is no number of seconds")
    return int(text)


def _one_of(text: str, known: frozenset[str], fallback: str) -> str:
    return text if text in known else fallback


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
