"""The three quiet NaNs that differ only in their bits: an ordinary one, the staleness marker, and *absent*.

Invariant: they are compared as bits (`values.view(np.uint64)`), never as floats, and no arithmetic may touch a marker.
Absent says that a row has no value in this cell; it is ours alone and never leaves the process or a data file's cells.
"""

import struct

NORMAL_NAN_BITS = 0x7FF8000000000001
STALE_BITS = 0x7FF0000000000002
ABSENT_BITS = 0x7FF80000AB5E2701


def _float_of(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


STALE = _float_of(STALE_BITS)
ABSENT = _float_of(ABSENT_BITS)


def bits_of(value: float) -> int:
    """The bits of a float64."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


def is_stale(value: float) -> bool:
    """Whether a value is the staleness marker."""
    return bits_of(value) == STALE_BITS
