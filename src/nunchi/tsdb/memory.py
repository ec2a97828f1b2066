"""Memory in bulk: arrays that grow at their end, and giving back what was freed.

The C library keeps freed memory for later, between what still lives, and the more of it the larger what is freed. So what
lives long is allocated apart, and after work that needed much for a while the rest is given back.
Invariant: readers keep the array that they hold; what grows is another one, with the same beginning.
"""

import contextlib
import ctypes
import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

CAPACITY_MIN = 1024
OWN_PAGES_BYTES_MIN = 256 << 10
HUGE_PAGES_BYTES_MIN = 4 << 20


def roomy_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros. Where they are many they take memory only once they are touched, and it goes back as soon as nobody has them."""
    count = math.prod((shape,) if isinstance(shape, int) else shape)
    size = count * np.dtype(dtype).itemsize
    if size < OWN_PAGES_BYTES_MIN:
        return np.zeros(shape, dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= HUGE_PAGES_BYTES_MIN:
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, dtype, count).reshape(shape)


def grown(array: NDArray[Any], needed: int, fill: int = 0) -> NDArray[Any]:
    """The array, or a longer copy of it with `fill` behind what there was."""
    if needed <= len(array):
        return array
    longer = roomy_zeros((max(CAPACITY_MIN, len(array) * 3 // 2, needed), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    if fill:
        longer[len(array) :] = fill
    return longer


def give_back() -> None:
    """Give the operating system what was freed, where the C library can: some milliseconds' work."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
