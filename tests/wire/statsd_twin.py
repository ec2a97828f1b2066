"""StatsD lines read the slow and obvious way: what the kernel is compared with."""

import math
import re
from dataclasses import dataclass, field

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
KINDS = {b"c": 0, b"g": 1, b"ms": 2, b"h": 3, b"d": 4, b"s": 5}


class MalformedError(Exception):
    pass


@dataclass
class Twin:
    """(kind, name, tags, container), then (value or member, rate, timestamp, is signed) of every sample."""

    samples: list[tuple[tuple[int, bytes, bytes], tuple[object, float, int, bool]]] = field(default_factory=list)
    malformed: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    apart: int = 0


def number(text: bytes) -> float | None:
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def read(text: bytes) -> Twin:
    twin = Twin()
    for raw in text.split(b"\n"):
        line = raw[:-1] if raw.endswith(b"\r") else raw
        if not line:
            continue
        twin.lines += 1
        if len(line) > 3 and line.startswith((b"_e{", b"_sc|")):
            twin.apart += 1
            continue
        try:
            twin.samples += read_line(line)
        except MalformedError as error:
            reason = str(error)
            twin.malformed[reason] = twin.malformed.get(reason, 0) + 1
    return twin


def read_line(line: bytes) -> list[tuple[tuple[int, bytes, bytes], tuple[object, float, int, bool]]]:
    name, colon, rest = line.partition(b":")
    if not colon or not name or b"|" in name:
        raise MalformedError("name")
    tags = b""
    found = []
    while True:
        values, bar, rest = rest.partition(b"|")
        if not bar:
            raise MalformedError("type")
        match = re.match(rb"[^|:]*", rest)
        assert match
        kind, rest = KINDS.get(match[0]), rest[match.end() :]
        if kind is None:
            raise MalformedError("type")
        rate, timestamp = 1.0, 0
        while rest.startswith(b"|"):
            rest = rest[1:]
            if rest.startswith((b"#", b"c:")):
                option, bar, after = rest.partition(b"|")
                tags = option[1:] if option.startswith(b"#") else tags
                rest = bar + after
            elif rest.startswith(b"@"):
                match = re.match(rb"[^|:]*", rest[1:])
                assert match
                found_rate = number(match[0])
                if found_rate is None or not 1e-9 <= found_rate <= 1:
                    raise MalformedError("rate")
                rate, rest = found_rate, rest[1 + match.end() :]
            elif rest.startswith(b"T"):
                match = re.match(rb"[^|:]*", rest[1:])
                assert match
                if not match[0].isdigit() or int(match[0]) == 0 or len(match[0]) > 12:
                    raise MalformedError("timestamp")
                timestamp, rest = int(match[0]), rest[1 + match.end() :]
            else:
                _, bar, after = rest.partition(b"|")
                rest = bar + after
        has_more = rest.startswith(b":")
        if has_more and rest == b":":
            raise MalformedError("value")
        found += [(kind, one, rate, timestamp) for one in split_values(kind, values)]
        if not has_more:
            break
        rest = rest[1:]
    return [
        ((kind, name, tags), (value, rate, timestamp, kind != 5 and written[:1] in {b"+", b"-"}))
        for kind, (value, written), rate, timestamp in found
    ]


def split_values(kind: int, values: bytes) -> list[tuple[object, bytes]]:
    if kind == 5:
        if not values:
            raise MalformedError("value")
        return [(values, values)]
    found: list[tuple[object, bytes]] = []
    for written in values.split(b":"):
        if not written:
            continue
        value = number(written)
        if value is None or (kind == 2 and value < 0):
            raise MalformedError("value")
        found.append((value, written))
    if not found:
        raise MalformedError("value")
    return found
