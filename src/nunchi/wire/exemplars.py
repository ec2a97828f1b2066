"""Exemplars as they are sent: messages of remote write, and what stands behind `#` on a line of OpenMetrics.

Both are few beside samples, so they are read here one by one. Invariant: one that cannot be read raises nothing: it is None.
"""

import math
import struct
from collections.abc import Iterator

from nunchi.model.exemplar import Exemplar
from nunchi.model.labels import Labels
from nunchi.wire.go_floats import parse_float
from nunchi.wire.prometheus_proto import bytes_field, double_field, integer_field, text_field

TIMESTAMP_MS_MAX = 1 << 62


def encode_exemplar(exemplar: Exemplar) -> bytes:
    """An `Exemplar` message."""
    labels = (bytes_field(1, text_field(1, name) + text_field(2, value)) for name, value in exemplar.labels.pairs)
    return b"".join(labels) + double_field(2, exemplar.value) + integer_field(3, exemplar.timestamp_ms)


def decode_exemplar(message: bytes) -> Exemplar | None:
    """An `Exemplar` message of remote write."""
    pairs: list[tuple[str, str]] = []
    value, timestamp_ms = 0.0, 0
    try:
        for number, content in _fields(message):
            if number == 1 and isinstance(content, bytes):
                pairs.append(_pair(content))
            elif number == 2 and isinstance(content, bytes):
                (value,) = struct.unpack("<d", content)
            elif number == 3 and isinstance(content, int):
                timestamp_ms = content - (1 << 64) if content >= 1 << 63 else content
        return Exemplar(Labels(pairs), value, timestamp_ms)
    except (ValueError, struct.error, IndexError):
        return None


def decode_family_exemplar(message: bytes, timestamp_ms: int) -> Exemplar | None:
    """An `io.prometheus.client.Exemplar`; without a time of its own it has the sample's."""
    pairs: list[tuple[str, str]] = []
    value = 0.0
    own: dict[int, int] | None = None
    try:
        for number, content in _fields(message):
            if number == 1 and isinstance(content, bytes):
                pairs.append(_pair(content))
            elif number == 2 and isinstance(content, bytes):
                (value,) = struct.unpack("<d", content)
            elif number == 3 and isinstance(content, bytes):
                own = {part: whole for part, whole in _fields(content) if isinstance(whole, int)}
    except (ValueError, struct.error, IndexError):
        return None
    if own is None:
        return Exemplar(Labels(pairs), value, timestamp_ms, has_timestamp=False)
    own_ms = own.get(1, 0) * 1000 + own.get(2, 0) // 1_000_000
    return Exemplar(Labels(pairs), value, own_ms) if own_ms < TIMESTAMP_MS_MAX else None


def _pair(message: bytes) -> tuple[str, str]:
    """A label: its name and value, in both formats the first and the second field."""
    words = {part: text for part, text in _fields(message) if isinstance(text, bytes)}
    return words.get(1, b"").decode(), words.get(2, b"").decode()


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and contents of fields: varints as numbers, all else as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            content, at = _varint(message, at)
            yield key >> 3, content
            continue
        if kind == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
        if size < 0 or at + size > len(message):
            raise ValueError("a field is cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("a number is too long")


def read_exemplar(labels: Labels, rest: bytes, timestamp_ms: int) -> Exemplar | None:
    """An exemplar of OpenMetrics out of its labels and what follows them; without a time of its own it has the sample's."""
    try:
        words = rest.decode().split()
        value = parse_float(words[0])
        if len(words) == 1:
            return Exemplar(labels, value, timestamp_ms, has_timestamp=False)
        own_ms = parse_float(words[1]) * 1000
        if not math.isfinite(own_ms) or abs(own_ms) > TIMESTAMP_MS_MAX:
            return None
        return Exemplar(labels, value, round(own_ms))
    except (ValueError, IndexError):
        return None
