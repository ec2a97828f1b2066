"""Which numbers occur among many: by marking them where they are small, which needs no order and little memory.

Invariant: the answer is that of `np.unique` with the inverse, however it was found.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKS_PER_NUMBER_MAX = 4


def distinct(numbers: NDArray[Any], bound: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct ones of some numbers from 0 and below a bound, ascending, and the place of each number among them."""
    if bound > MARKS_PER_NUMBER_MAX * len(numbers):
        used, places = np.unique(numbers, return_inverse=True)
        return used.astype(np.int64), places
    is_used = np.zeros(bound, np.bool_)
    is_used[numbers] = True
    return np.flatnonzero(is_used), (np.cumsum(is_used) - 1)[numbers]
