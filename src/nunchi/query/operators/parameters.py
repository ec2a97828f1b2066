"""What scalar parameters of functions and aggregations must be, and what is remarked where they are not."""

import numpy as np
from numpy.typing import NDArray

from nunchi.query.errors import ExecutionError
from nunchi.query.operators.go_format import format_shortest
from nunchi.query.operators.operator import Scope
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import BAD_QUANTILE

INT64_END = 2.0**63


def counts_of(parameter: NDArray[np.float64]) -> NDArray[np.int64]:
    """The `k` of each step, cut to whole numbers; raises `ExecutionError` where it has none."""
    if np.isnan(parameter).any():
        raise ExecutionError("Parameter value is NaN")
    for wrong, word in ((parameter >= INT64_END, "overflows"), (parameter < -INT64_END, "underflows")):
        if wrong.any():
            raise ExecutionError(f"Scalar value {format_shortest(float(parameter[wrong][0]))} {word} int64")
    return parameter.astype(np.int64)


def check_smoothing(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    """Refuse smoothing factors outside (0, 1)."""
    for values, what, symbol in ((first, "smoothing", "sf"), (second, "trend", "tf")):
        wrong = values[~((values > 0) & (values < 1))]
        if len(wrong):
            raise ExecutionError(f"invalid {what} factor. Expected: 0 < {symbol} < 1, got: {wrong[0]:f}")


def remark_quantiles(
    scope: Scope, node: plan.ScalarNode, quantiles: NDArray[np.float64], present: NDArray[np.bool_]
) -> None:
    """Warn of quantiles outside [0, 1] at the steps where any row of `present` has an element."""
    concerned = np.atleast_2d(present).any(axis=0)
    wrong = quantiles[concerned & ~((quantiles >= 0) & (quantiles <= 1))]
    for value in np.unique(wrong).tolist():
        scope.context.notices.warn(BAD_QUANTILE.format(format_shortest(value)), node.position)
