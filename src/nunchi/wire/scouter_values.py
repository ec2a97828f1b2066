"""The primitives of Scouter packs: fixed and variable integers, texts, typed values. Big-endian.

Invariant: reading checks every length against what is there; nesting and counts are bounded.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from nunchi.wire.byte_reader import ByteReader
from nunchi.wire.errors import WireError

NESTING_MAX = 16
ITEMS_MAX = 100_000
DECIMAL_LENGTHS = frozenset({0, 1, 2, 3, 4, 5, 8})
DECIMAL_WRITTEN = (0, 1, 2, 4, 8)
NULL, BOOLEAN, DECIMAL, FLOAT, DOUBLE, DOUBLE_SUMMARY, LONG_SUMMARY = 0, 10, 20, 30, 40, 45, 46
TEXT, TEXT_HASH, BLOB, IP4, LIST, INT_ARRAY, FLOAT_ARRAY, TEXT_ARRAY, LONG_ARRAY, MAP = (
    50,
    51,
    60,
    61,
    70,
    71,
    72,
    73,
    74,
    80,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Sum, count, least and most of some observations."""

    sum: float
    count: int
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class TextHash:
    """A text that the sender told by its hash."""

    hash: int


@dataclass(frozen=True, slots=True)
class Float32:
    """A number that is written in four bytes."""

    value: float


Scalar = None | bool | int | float | str | bytes | Summary | TextHash | Float32
Value = Scalar | list["Value"] | dict[str, "Value"]


class ScouterReader(ByteReader):
    """Numbers are big-endian."""

    what = "scouter pack"

    def integer(self, size: int) -> int:
        """A fixed integer of so many bytes."""
        return int.from_bytes(self.take(size), "big", signed=True)

    def float32(self) -> float:
        """Four bytes."""
        (value,) = struct.unpack(">f", self.take(4))
        return float(value)

    def float64(self) -> float:
        """Eight bytes."""
        (value,) = struct.unpack(">d", self.take(8))
        return float(value)

    def boolean(self) -> bool:
        """One byte."""
        return self.take(1) != b"\x00"

    def decimal(self) -> int:
        """A length and an integer of so many bytes."""
        length = self.take(1)[0]
        if length not in DECIMAL_LENGTHS:
            raise WireError(f"scouter pack: no decimal has {length} bytes")
        return self.integer(length) if length else 0

    def blob(self) -> bytes:
        """Bytes with their length before them."""
        length = self.take(1)[0]
        if length == 255:
            length = int.from_bytes(self.take(2), "big")
        elif length == 254:
            length = self.integer(4)
        return self.take(length)

    def text(self) -> str:
        """See `blob`; UTF-8, and what is none is replaced."""
        return self.blob().decode(errors="replace")

    def count(self, size: int = 0) -> int:
        """How many items follow: a decimal, or a fixed integer of `size` bytes."""
        count = self.integer(size) if size else self.decimal()
        if not 0 <= count <= min(ITEMS_MAX, self.left):
            raise WireError(f"scouter pack: {count} items are not there")
        return count

    def map(self, depth: int = 0) -> dict[str, Value]:
        """A map that is a value or a field: its type byte, then text and value pairs."""
        value = self.value(depth)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise WireError("scouter pack: a map is expected")
        return value

    def value(self, depth: int = 0) -> Value:
        """A type byte and what it says."""
        if depth > NESTING_MAX:
            raise WireError(f"scouter pack: values nest deeper than {NESTING_MAX}")
        match self.take(1)[0]:
            case 0:
                return None
            case 10:
                return self.boolean()
            case 20:
                return self.decimal()
            case 30:
                return Float32(self.float32())
            case 40:
                return self.float64()
            case 45:
                return Summary(self.float64(), self.integer(4), self.float64(), self.float64())
            case 46:
                return Summary(self.integer(8), self.integer(4), self.integer(8), self.integer(8))
            case 50:
                return self.text()
            case 51:
                return TextHash(self.integer(4))
            case 60:
                return self.blob()
            case 61:
                return ".".join(map(str, self.take(4)))
            case 70:
                return [self.value(depth + 1) for _ in range(self.count())]
            case 71:
                return [self.integer(4) for _ in range(self.count(2))]
            case 72:
                return [self.float32() for _ in range(self.count(2))]
            case 73:
                return [self.text() for _ in range(self.count(2))]
            case 74:
                return [self.integer(8) for _ in range(self.count(2))]
            case 80:
                return {self.text(): self.value(depth + 1) for _ in range(self.count())}
            case kind:
                raise WireError(f"scouter pack: no value is of type {kind}")


def put_decimal(number: int) -> bytes:
    """The shortest of 0, 1, 2, 4 and 8 bytes, as the library of the senders writes them."""
    if number == 0:
        return b"\x00"
    for length in DECIMAL_WRITTEN[1:]:
        if -(1 << (8 * length - 1)) <= number < 1 << (8 * length - 1):
            return bytes([length]) + number.to_bytes(length, "big", signed=True)
    raise WireError(f"scouter pack: {number} has no place in 8 bytes")


def put_blob(data: bytes) -> bytes:
    """See `ScouterReader.blob`."""
    if len(data) <= 253:
        return bytes([len(data)]) + data
    if len(data) <= 0xFFFF:
        return b"\xff" + len(data).to_bytes(2, "big") + data
    return b"\xfe" + len(data).to_bytes(4, "big") + data


def put_text(text: str) -> bytes:
    """See `ScouterReader.text`."""
    return put_blob(text.encode(errors="replace"))


def put_map(values: Mapping[str, Value]) -> bytes:
    """A map with its type byte; keys in the order given, so that equal maps are equal bytes."""
    return (
        bytes([MAP])
        + put_decimal(len(values))
        + b"".join(put_text(key) + put_value(one) for key, one in values.items())
    )


def put_value(value: Value) -> bytes:
    """A value with its type byte. Whole numbers are decimals, other numbers doubles: nothing loses a digit."""
    match value:
        case None:
            return bytes([NULL])
        case bool():
            return bytes([BOOLEAN, value])
        case int():
            return bytes([DECIMAL]) + put_decimal(value)
        case float():
            return bytes([DOUBLE]) + struct.pack(">d", value)
        case Float32(number):
            return bytes([FLOAT]) + struct.pack(">f", number)
        case str():
            return bytes([TEXT]) + put_text(value)
        case bytes():
            return bytes([BLOB]) + put_blob(value)
        case TextHash(number):
            return bytes([TEXT_HASH]) + number.to_bytes(4, "big", signed=True)
        case Summary(total, count, least, most):
            return bytes([DOUBLE_SUMMARY]) + struct.pack(">didd", total, count, least, most)
        case list():
            return bytes([LIST]) + put_decimal(len(value)) + b"".join(map(put_value, value))
        case dict():
            return put_map(value)
