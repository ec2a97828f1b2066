"""Writing protobuf by hand: the few shapes that Prometheus's messages are made of. Reading is the kernels' work.

Invariant: defaults (0, empty) are left out and numbers take their shortest form, as every protobuf library writes them.
"""

import struct

from nunchi.model.metadata import MetricType

# MetricMetadata.MetricType, in the order of its numbers
METRIC_TYPES = (
    MetricType.UNKNOWN,
    MetricType.COUNTER,
    MetricType.GAUGE,
    MetricType.HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM,
    MetricType.SUMMARY,
    MetricType.INFO,
    MetricType.STATESET,
)

_VARINT, _FIXED64, _BYTES = 0, 1, 2


def encode_varint(value: int) -> bytes:
    """An unsigned number, or the 64-bit two's complement of a negative one."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number: int, value: int) -> bytes:
    """An int64, uint64 or enum field."""
    return encode_varint(number << 3 | _VARINT) + encode_varint(value) if value else b""


def double_field(number: int, value: float) -> bytes:
    """A double field; minus zero is not the default."""
    bits = struct.pack("<d", value)
    return encode_varint(number << 3 | _FIXED64) + bits if any(bits) else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A string, bytes or message field, written even when empty: elements of a list count."""
    return encode_varint(number << 3 | _BYTES) + encode_varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """A string field."""
    return bytes_field(number, value.encode()) if value else b""
