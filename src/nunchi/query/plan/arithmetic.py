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


def greater_of(left: Any, right: Any) -> Any:
    """The greater of two numbers: +Inf if either is that, else NaN if either is that."""
    result = np.where(np.isposinf(left) | np.isposinf(right), np.inf, np.maximum(left, right))
    return np.where((result == 0) & ~(np.signbit(left) & np.signbit(right)), 0.0, result)


def lesser_of(left: Any, right: Any) -> Any:
    """The lesser of two numbers: -Inf if either is that, else NaN if either is that."""
    return np.negative(greater_of(np.negative(left), np.negative(right)))


# Functions of scalars with two arguments.
SCALAR_FUNCTIONS: Final[dict[str, Operation]] = {"max_of": greater_of, "min_of": lesser_of}


def scalar_operation(name: str) -> Operation:
    """The operation on scalars of that name; comparisons give 0 or 1."""
    if name in COMPARISONS:
        compare = COMPARISONS[name]
        return lambda left, right: np.asarray(compare(left, right), np.float64)
    return SCALAR_FUNCTIONS.get(name) or ARITHMETIC[name]
