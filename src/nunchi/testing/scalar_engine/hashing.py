"""The hash of a label set that `limit_ratio` divides series by: xxHash64 over the sorted pairs, each text behind its length."""

from typing import Final

from nunchi.model.labels import Labels

_MASK: Final = (1 << 64) - 1
_PRIMES: Final = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(state: int, lane: int) -> int:
    return _rotate((state + lane * _PRIMES[1]) & _MASK, 31) * _PRIMES[0] & _MASK


def xxhash64(data: bytes) -> int:
    """xxHash64 with seed 0."""
    at, size = 0, len(data)
    if size >= 32:
        lanes = [(_PRIMES[0] + _PRIMES[1]) & _MASK, _PRIMES[1], 0, -_PRIMES[0] & _MASK]
        while at + 32 <= size:
            for i in range(4):
                lanes[i] = _round(lanes[i], int.from_bytes(data[at + 8 * i : at + 8 * i + 8], "little"))
            at += 32
        state = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            state = ((state ^ _round(0, lane)) * _PRIMES[0] + _PRIMES[3]) & _MASK
    else:
        state = _PRIMES[4]
    state = (state + size) & _MASK
    while at + 8 <= size:
        state ^= _round(0, int.from_bytes(data[at : at + 8], "little"))
        state = (_rotate(state, 27) * _PRIMES[0] + _PRIMES[3]) & _MASK
        at += 8
    if at + 4 <= size:
        state ^= int.from_bytes(data[at : at + 4], "little") * _PRIMES[0] & _MASK
        state = (_rotate(state, 23) * _PRIMES[1] + _PRIMES[2]) & _MASK
        at += 4
    for byte in data[at:]:
        state ^= byte * _PRIMES[4] & _MASK
        state = _rotate(state, 11) * _PRIMES[0] & _MASK
    state = (state ^ (state >> 33)) * _PRIMES[1] & _MASK
    state = (state ^ (state >> 29)) * _PRIMES[2] & _MASK
    return state ^ (state >> 32)


def _sized(text: str) -> bytes:
    encoded = text.encode()
    size = len(encoded)
    return (bytes((size,)) if size < 255 else b"\xff" + size.to_bytes(3, "little")) + encoded


def label_hash(labels: Labels) -> int:
    """The hash of a label set."""
    return xxhash64(b"".join(_sized(name) + _sized(value) for name, value in labels.pairs))
