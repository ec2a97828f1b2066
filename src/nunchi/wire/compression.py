"""Bodies of HTTP requests and responses: compressed and back, never larger than the reader said.

cramjam's one-shot calls have no bound, so every decoder here writes into a buffer of bounded size. A declared size is a
claim: it is checked against the bound before anything is allocated, and against what came out.
Invariant: whatever the bytes say, at most `bytes_max` bytes are returned and about three times that is ever allocated.
"""

from collections.abc import Callable
from enum import Enum
from types import ModuleType

import cramjam

from nunchi.wire.errors import BodyTooLarge, WireError

__all__ = ["BodyTooLarge", "Encoding", "WireError", "decode", "encode"]

FIRST_GUESS_BYTES = 64 * 1024
GROWTH_GUESS = 8  # text shrinks by about this much
ZSTD_LEVEL = 3
GZIP_LEVEL = 6
BUFFER_FULL = "failed to write whole buffer"  # how cramjam says that the output did not fit


class Encoding(Enum):
    """The content encodings that we read and write; `SNAPPY` is the block format, as remote write uses it."""

    IDENTITY = "identity"
    SNAPPY = "snappy"
    ZSTD = "zstd"
    GZIP = "gzip"
    DEFLATE = "deflate"

    @classmethod
    def of_header(cls, header: str | None) -> "Encoding":
        """The encoding that a `Content-Encoding` header names; raises `WireError`."""
        name = (header or "").strip().lower() or "identity"
        try:
            return cls("gzip" if name == "x-gzip" else name)
        except ValueError:
            known = ", ".join(encoding.value for encoding in cls)
            raise WireError(f"content encoding {name!r} is not known; send one of {known}") from None


def decode(encoding: Encoding | str, body: bytes, bytes_max: int) -> bytes:
    """The body without its compression; raises `BodyTooLarge` above `bytes_max`, else `WireError`."""
    chosen = Encoding.of_header(encoding) if isinstance(encoding, str) else encoding
    if chosen is Encoding.IDENTITY:
        if len(body) > bytes_max:
            raise _too_large(chosen, bytes_max)
        return body
    if not body:
        raise WireError(f"{chosen.value} body is empty")
    return _DECODERS[chosen](body, bytes_max)


def encode(encoding: Encoding | str, body: bytes) -> bytes:
    """The body compressed."""
    chosen = Encoding.of_header(encoding) if isinstance(encoding, str) else encoding
    match chosen:
        case Encoding.IDENTITY:
            return body
        case Encoding.SNAPPY:
            return bytes(cramjam.snappy.compress_raw(body))
        case Encoding.ZSTD:
            return bytes(cramjam.zstd.compress(body, level=ZSTD_LEVEL))
        case Encoding.GZIP:
            return bytes(cramjam.gzip.compress(body, level=GZIP_LEVEL))
        case Encoding.DEFLATE:
            return bytes(cramjam.zlib.compress(body, level=GZIP_LEVEL))


def _decode_snappy(body: bytes, bytes_max: int) -> bytes:
    """Snappy's block format begins with its decompressed size; the decoder fails where that is not what comes out."""
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > bytes_max:
            raise _too_large(Encoding.SNAPPY, bytes_max)
        buffer = bytearray(size)
        written = cramjam.snappy.decompress_raw_into(body, buffer)
    except cramjam.DecompressionError as error:
        raise WireError(f"body is not snappy: {error}") from None
    if written != size:
        raise WireError(f"snappy body declares {size} bytes and holds {written}")
    return bytes(buffer)


def _decode_stream(module: ModuleType, encoding: Encoding, body: bytes, bytes_max: int) -> bytes:
    """Formats whose size nothing trustworthy tells: a buffer that doubles until it fits or the bound is reached."""
    size = min(bytes_max, max(FIRST_GUESS_BYTES, GROWTH_GUESS * len(body)))
    while True:
        buffer = bytearray(size)
        try:
            written = module.decompress_into(body, buffer)
        except cramjam.DecompressionError as error:
            if BUFFER_FULL not in str(error):
                raise WireError(f"body is not {encoding.value}: {error}") from None
        else:
            return bytes(memoryview(buffer)[:written])
        if size >= bytes_max:
            raise _too_large(encoding, bytes_max)
        size = min(bytes_max, 2 * size)


def _too_large(encoding: Encoding, bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"{encoding.value} body is larger than the {bytes_max} bytes allowed; send less at a time")


_DECODERS: dict[Encoding, Callable[[bytes, int], bytes]] = {
    Encoding.SNAPPY: _decode_snappy,
    Encoding.ZSTD: lambda body, bytes_max: _decode_stream(cramjam.zstd, Encoding.ZSTD, body, bytes_max),
    Encoding.GZIP: lambda body, bytes_max: _decode_stream(cramjam.gzip, Encoding.GZIP, body, bytes_max),
    Encoding.DEFLATE: lambda body, bytes_max: _decode_stream(cramjam.zlib, Encoding.DEFLATE, body, bytes_max),
}
