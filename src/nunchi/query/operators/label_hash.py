"""The hash of a label set as Prometheus computes it: xxHash64 over its labels, each text behind its length."""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.symbols import LabelTable

_MASK = 2**64 - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def label_hashes(table: LabelTable) -> NDArray[np.uint64]:
    """uint64[series]. Costs Python work per series: only `limit_ratio` asks."""
    return np.array([xxhash64(_packed(table, series)) for series in range(len(table))], np.uint64)


def _packed(table: LabelTable, series: int) -> bytes:
    begin, end = table.offsets[series], table.offsets[series + 1]
    pairs = zip(table.names[begin:end].tolist(), table.values[begin:end].tolist(), strict=True)
    words = [table.symbols.text(symbol).encode() for pair in pairs for symbol in pair]
    return b"".join(_length(len(word)) + word for word in words)


def _length(size: int) -> bytes:
    return bytes((size,)) if size < 255 else b"\xff" + size.to_bytes(3, "little")


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


def _round(state: int, lane: int) -> int:
    return _rotate((state + lane * _P2) & _MASK, 31) * _P1 & _MASK


def xxhash64(data: bytes) -> int:
    """xxHash64 with seed 0."""
    size, at = len(data), 0
    if size >= 32:
        states = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while at + 32 <= size:
            for lane in range(4):
                word = int.from_bytes(data[at + 8 * lane : at + 8 * lane + 8], "little")
                states[lane] = _round(states[lane], word)
            at += 32
        result = sum(_rotate(state, bits) for state, bits in zip(states, (1, 7, 12, 18), strict=True)) & _MASK
        for state in states:
            result = ((result ^ _round(0, state)) * _P1 + _P4) & _MASK
    else:
        result = _P5
    result = (result + size) & _MASK
    while at + 8 <= size:
        word = int.from_bytes(data[at : at + 8], "little")
        result = (_rotate(result ^ _round(0, word), 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= size:
        word = int.from_bytes(data[at : at + 4], "little")
        result = (_rotate(result ^ (word * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in data[at:]:
        result = _rotate(result ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    result = (result ^ result >> 33) * _P2 & _MASK
    result = (result ^ result >> 29) * _P3 & _MASK
    return result ^ result >> 32
