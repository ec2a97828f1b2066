"""The bytes of packs' bodies: taken from the front, and small things written (docs/formats/pack.md).

Invariant: nothing is taken that is not there; what is not as it claims raises `WireError`.
"""

from nunchi.wire.byte_reader import ByteReader
from nunchi.wire.errors import WireError


class Source(ByteReader):
    """The body of a pack."""

    what = "pack"

    def varint(self) -> int:
        """A number in sevens of bits, the low ones first; at most 32 bits."""
        number = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise WireError("pack: a number is too long")

    def short(self) -> str:
        """A text of up to 255 bytes."""
        try:
            return self.take(self.take(1)[0]).decode()
        except UnicodeDecodeError:
            raise WireError("pack: a text is not valid UTF-8") from None


def put_short(text: str) -> bytes:
    """A text of at most 255 bytes, its length before it."""
    encoded = text.encode(errors="replace")[:255].decode(errors="ignore").encode()
    return bytes([len(encoded)]) + encoded


def put_varint(number: int) -> bytes:
    """See `Source.varint`."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def shared_prefix(one: bytes, other: bytes) -> int:
    """How many bytes two keys begin with alike."""
    length = min(len(one), len(other))
    difference = int.from_bytes(one[:length], "big") ^ int.from_bytes(other[:length], "big")
    return length - (difference.bit_length() + 7) // 8
