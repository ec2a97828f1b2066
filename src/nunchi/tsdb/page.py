"""Pages: columns of float64 coded together, checksummed, readable alone. docs/formats/page.md describes the bytes.

A page is what is decoded at once, so it holds a few thousand to some tens of thousands of values, best of one metric: alike
columns compress well together. Nothing here knows what a column means or when its values were measured.
"""

import struct
import zlib

import cramjam
import numpy as np
from numpy.typing import NDArray

from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.kernels import columns as kernel

VALUES_MAX = 1 << 20
COLUMNS_MAX = 1 << 18
COMPRESSION_LEVEL = 3

# crc32 of what follows, bytes of what follows, bytes of the body once decompressed
ENVELOPE = struct.Struct("<III")
# columns, values, exceptions, planes of decimal columns, planes of columns that keep their bits
HEADER = struct.Struct("<IIIBB")


def encode_page(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> bytes:
    """Bytes of the columns `values[offsets[c]:offsets[c + 1]]`."""
    columns = len(offsets) - 1
    assert columns <= COLUMNS_MAX
    assert len(values) <= VALUES_MAX
    kinds, digits, orders = (np.zeros(columns, np.uint8) for _ in range(3))
    words = np.empty(len(values), np.uint64)
    positions, exceptions = kernel.encode(values, offsets, kinds, digits, orders, words)
    keeps_bits = np.repeat(kinds, np.diff(offsets)).astype(bool)
    decimal, decimal_planes = _planes(words[~keeps_bits])
    bits, bits_planes = _planes(words[keeps_bits])
    body = b"".join(
        (
            HEADER.pack(columns, len(values), len(positions), decimal_planes, bits_planes),
            np.diff(offsets).astype("<u4").tobytes(),
            kinds.tobytes(),
            digits.tobytes(),
            orders.tobytes(),
            np.array(positions, "<u4").tobytes(),
            np.array(exceptions, "<u8").tobytes(),
            decimal,
            bits,
        )
    )
    packed = bytes(cramjam.zstd.compress(body, COMPRESSION_LEVEL))
    checked = struct.pack("<II", len(packed), len(body)) + packed
    return struct.pack("<I", zlib.crc32(checked)) + checked


def page_bytes(data: memoryview, at: int) -> int:
    """How long the page at `at` says it is; raises `CorruptionError` where it cannot be one."""
    if at < 0 or at + ENVELOPE.size > len(data):
        raise CorruptionError(f"no page at byte {at} of {len(data)}")
    _, packed, _ = ENVELOPE.unpack_from(data, at)
    if at + ENVELOPE.size + packed > len(data):
        raise CorruptionError(f"the page at byte {at} ends after the file's {len(data)} bytes")
    return ENVELOPE.size + int(packed)


def page_body(data: memoryview, at: int = 0) -> NDArray[np.uint8]:
    """The checked, decompressed body of the page at byte `at`; raises `CorruptionError`."""
    end = at + page_bytes(data, at)
    checksum, _, size = ENVELOPE.unpack_from(data, at)
    if zlib.crc32(data[at + 4 : end]) != checksum:
        raise CorruptionError(f"the page at byte {at} fails its checksum")
    if size > HEADER.size + 15 * COLUMNS_MAX + 20 * VALUES_MAX:
        raise CorruptionError(f"the page at byte {at} claims {size} bytes")
    body = np.empty(size, np.uint8)
    try:
        written = cramjam.zstd.decompress_into(data[at + ENVELOPE.size : end], body.data)
    except cramjam.DecompressionError as error:
        raise CorruptionError(f"the page at byte {at} cannot be decompressed: {error}") from None
    if written != size:
        raise CorruptionError(f"the page at byte {at} has {written} bytes, not the {size} that it claims")
    return body


def decode_page(data: memoryview, at: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values and offsets of the columns of the page at byte `at`; raises `CorruptionError`."""
    try:
        return _decode_body(page_body(data, at))
    except (ValueError, struct.error) as error:
        raise CorruptionError(f"the page at byte {at}: {error}") from None


class _Cursor:
    """Takes arrays off the front of a body."""

    def __init__(self, body: NDArray[np.uint8], at: int) -> None:
        self._body = body
        self._at = at

    def take(self, dtype: str, count: int) -> NDArray[np.generic]:
        end = self._at + count * np.dtype(dtype).itemsize
        if end > len(self._body):
            raise ValueError("its body is too short")
        taken = self._body[self._at : end]
        self._at = end
        return np.frombuffer(taken.tobytes(), dtype) if dtype != "u1" else taken


def _decode_body(body: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    columns, count, exceptions, decimal_planes, bits_planes = HEADER.unpack_from(body.data)
    if columns > COLUMNS_MAX or count > VALUES_MAX or exceptions > count:
        raise ValueError("its header is out of bounds")
    cursor = _Cursor(body, HEADER.size)
    counts = cursor.take("<u4", columns).astype(np.int64)
    offsets = np.zeros(columns + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    if offsets[-1] != count:
        raise ValueError("its columns do not add up")
    kinds, digits, orders = (cursor.take("u1", columns).astype(np.uint8) for _ in range(3))
    positions = cursor.take("<u4", exceptions).astype(np.int64)
    values_of_exceptions = cursor.take("<u8", exceptions).astype(np.uint64)
    keeps_bits = np.repeat(kinds, counts).astype(bool)
    words = np.empty(count, np.uint64)
    for mask, planes in ((~keeps_bits, decimal_planes), (keeps_bits, bits_planes)):
        part = np.empty(int(mask.sum()), np.uint64)
        kernel.unshuffle(cursor.take("u1", planes * len(part)), planes, part)  # type: ignore[arg-type]
        words[mask] = part
    values = np.empty(count, np.float64)
    kernel.decode(words, offsets, kinds, digits, orders, positions, values_of_exceptions, values)
    return values, offsets


def _planes(words: NDArray[np.uint64]) -> tuple[bytes, int]:
    out = np.empty(8 * len(words), np.uint8)
    planes = kernel.shuffle(np.ascontiguousarray(words), out)
    return out[: planes * len(words)].tobytes(), planes
