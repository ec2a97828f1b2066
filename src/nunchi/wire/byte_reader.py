"""Bytes of one message, taken from the front: what readers of binary formats that need no arrays have in common.

Invariant: nothing is taken that is not there.
"""

import struct
from typing import Any, ClassVar

from nunchi.wire.errors import WireError


class ByteReader:
    """`what` is the format's name, for messages."""

    what: ClassVar[str]

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are not taken yet."""
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if length < 0 or length > self.left:
            raise WireError(f"{self.what}: it ends before what it announces")
        self._at += length
        return self._data[self._at - length : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def unpack(self, shape: struct.Struct) -> tuple[Any, ...]:
        """The next numbers."""
        return shape.unpack(self.take(shape.size))

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise WireError(f"{self.what}: {self.left} bytes are left over")
