"""How arrays stand in payloads: numbers low bytes first, then taken apart into planes. Standard library alone.

Invariant: `joined` gives back what `planes` was given.
"""

import sys
from array import array


def little(numbers: "array[int] | array[float]") -> bytes:
    """The bytes of numbers, low ones first."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def integers(data: bytes, typecode: str = "I") -> "array[int]":
    """32-bit numbers out of planes."""
    numbers: array[int] = array(typecode, joined(data, 4))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def floats(data: bytes) -> "array[float]":
    """Float64 out of planes."""
    numbers: array[float] = array("d", joined(data, 8))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def planes(data: bytes, width: int) -> bytes:
    """The first bytes of all numbers, then their second bytes, and so on: what changes little stands together."""
    return b"".join(data[plane::width] for plane in range(width))


def joined(data: bytes, width: int) -> bytes:
    """What `planes` has taken apart."""
    count = len(data) // width
    found = bytearray(count * width)
    for plane in range(width):
        found[plane::width] = data[plane * count : (plane + 1) * count]
    return bytes(found)
