"""What both readers of payloads do first: the envelope is checked and opened, and the body taken from its front.

Standard library and cramjam alone, for the agent reads back what it spools. Invariant: no length is believed before it is
compared with what is there, and no more is decompressed than the caller allows.
"""

import zlib

from nunchi.wire.byte_reader import ByteReader
from nunchi.wire.compression import Encoding, decode
from nunchi.wire.errors import BodyTooLarge, UnknownVersion, WireError
from nunchi.wire.payload_encoder import CHECKED_BYTES, ENVELOPE, TEXT_LENGTH, VERSION, VERSION_HISTOGRAMS

BODY_BYTES_MAX = 32 * 1024 * 1024


def has_histograms(payload: bytes) -> bool:
    """Whether a payload is of the version that carries them."""
    return payload[:1] == bytes([VERSION_HISTOGRAMS])


def open_envelope(payload: bytes, body_bytes_max: int) -> bytes:
    """The body of a payload, decompressed and checked."""
    if not payload:
        raise WireError("payload: it is empty")
    if payload[0] > VERSION_HISTOGRAMS:
        known = VERSION_HISTOGRAMS
        raise UnknownVersion(
            f"payload: its version is {payload[0]}, this program reads up to {known}; upgrade servers before agents"
        )
    if payload[0] < VERSION:
        raise WireError("payload: these bytes are not a payload")
    if len(payload) < ENVELOPE.size:
        raise WireError("payload: it is cut off in its envelope")
    _, length, checksum = ENVELOPE.unpack_from(payload)
    if payload[1:4] != bytes(3):
        raise WireError("payload: its reserved bytes are not zero")
    if length > body_bytes_max:
        raise BodyTooLarge(f"payload: {length} bytes are more than the {body_bytes_max} allowed; push less at a time")
    body = decode(Encoding.ZSTD, payload[ENVELOPE.size :], length)
    if len(body) != length:
        raise WireError(f"payload: it declares {length} bytes and holds {len(body)}")
    if zlib.crc32(body, zlib.crc32(payload[:CHECKED_BYTES])) != checksum:
        raise WireError("payload: its checksum is wrong; it was damaged on its way")
    return body


class Source(ByteReader):
    """The body of a payload, out of its envelope, or a part of it."""

    what = "payload"

    def text(self) -> str:
        """The next text, its length before it."""
        try:
            return self.take(*self.unpack(TEXT_LENGTH)).decode()
        except UnicodeDecodeError:
            raise WireError("payload: a text is not valid UTF-8") from None
