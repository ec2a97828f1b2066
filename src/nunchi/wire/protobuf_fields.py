"""Reading protobuf by hand: the fields of a message, and what their values mean. Writing: `prometheus_proto`.

Invariant: no value reaches beyond the message it stands in; what does is `Damaged`.
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Damaged(Exception):  # noqa: N818 (what was found)
    """A message that cannot be read; its words say why."""


Value = int | float | bytes


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An unsigned number, and where it ends; raises `Damaged`."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Damaged("a number has no end")


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an integer, a double, or bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = varint(data, at, end)
            yield number, value
        elif kind == _BYTES:
            length, at = varint(data, at, end)
            if length > end - at:
                raise Damaged(f"field {number} is longer than its message")
            yield number, data[at : at + length]
            at += length
        elif kind == _FIXED64 and end - at >= 8:
            yield number, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif kind == _FIXED32 and end - at >= 4:
            at += 4
        else:
            raise Damaged(f"field {number} has no value of wire type {kind}")


def zigzag(value: int) -> int:
    """What a number of type sint means."""
    return value >> 1 ^ -(value & 1)


def signed(value: int) -> int:
    """What a number of type int64 means."""
    return value - (1 << 64) if value >= 1 << 63 else value


def bytes_of(value: Value, what: str) -> bytes:
    """A value that has to be a text or a message; raises `Damaged`."""
    if not isinstance(value, bytes):
        raise Damaged(f"{what} is no message")
    return value


def number_of(value: Value, what: str) -> float:
    """A value that has to be a number; raises `Damaged`."""
    if isinstance(value, bytes):
        raise Damaged(f"{what} is no number")
    return float(value)


def integers(value: Value) -> list[int]:
    """One or, packed, several; raises `Damaged`."""
    if isinstance(value, int):
        return [value]
    data = bytes_of(value, "a list of integers")
    found, at = [], 0
    while at < len(data):
        one, at = varint(data, at, len(data))
        found.append(one)
    return found


def doubles(value: Value) -> list[float]:
    """One or, packed, several; raises `Damaged`."""
    if isinstance(value, float):
        return [value]
    data = bytes_of(value, "a list of doubles")
    if len(data) % 8:
        raise Damaged("a list of doubles is cut off")
    return list(struct.unpack(f"<{len(data) // 8}d", data))
