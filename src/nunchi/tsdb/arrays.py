"""Arrays that grow at their end. Readers keep the array that they hold: what grows is another one, with the same beginning."""

from typing import Any

from numpy.typing import NDArray

from nunchi.kit.memory import roomy_zeros

CAPACITY_MIN = 1024


def grown(array: NDArray[Any], needed: int, fill: int = 0) -> NDArray[Any]:
    """The array, or a longer copy of it, `fill` behind what there was."""
    if needed <= len(array):
        return array
    longer = roomy_zeros((max(CAPACITY_MIN, len(array) * 3 // 2, needed), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    if fill:
        longer[len(array) :] = fill
    return longer
