"""What operators and functions of floats compute, over arrays: for whole vectors, for scalars per step, and for folding.

IEEE 754 throughout; `%` has the sign of the dividend, comparisons with NaN are false except `!=`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

Operation: TypeAlias = Callable[[Any, Any], Any]

ARITHMETIC: Final[dict[str, Operation]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}

COMPARISONS: Final[dict[str, Operation]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _max_of(left: Any, right: Any) -> Any:
    """The greater; NaN where either is."""
    return np.maximum(left, right)


def _min_of(left: Any, right: Any) -> Any:
    """The lesser; NaN where either is."""
    return np.minimum(left, right)


# Functions of scalars with two arguments.
SCALAR_FUNCTIONS: Final[dict[str, Operation]] = {"max_of": _max_of, "min_of": _min_of}


def scalar_operation(name: str) -> Operation:
    """The operation on scalars of that name; comparisons give 0 or 1."""
    if name in COMPARISONS:
        compare = COMPARISONS[name]
        return lambda left, right: np.asarray(compare(left, right), np.float64)
    return SCALAR_FUNCTIONS.get(name) or ARITHMETIC[name]
