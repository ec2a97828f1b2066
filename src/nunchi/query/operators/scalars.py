"""Scalars: one number per step, float64[steps]."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nunchi.query.operators.operator import Scope, VectorOperator
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.arithmetic import scalar_operation

BuildVector = Callable[[plan.PlanNode, Scope], VectorOperator]


def evaluate_scalar(node: plan.PlanNode, scope: Scope, build: BuildVector) -> NDArray[np.float64]:
    """The values of a scalar plan node at every step of a scope."""
    match node:
        case plan.Constant(value):
            return np.full(scope.steps, value, np.float64)
        case plan.QueryTime(name):
            return _query_time(name, scope)
        case plan.ScalarFunction("negate", (argument,)):
            return -evaluate_scalar(argument, scope, build)
        case plan.ScalarFunction(name, (left, right)):
            result: NDArray[np.float64] = scalar_operation(name)(
                evaluate_scalar(left, scope, build), evaluate_scalar(right, scope, build)
            )
            return result
        case plan.Invariant(child):
            once = evaluate_scalar(child, scope.once(), build)
            return np.full(scope.steps, once[0], np.float64)
        case plan.ScalarOf(child):
            return only_value(build(child, scope), scope)
    raise AssertionError(node)


def _query_time(name: str, scope: Scope) -> NDArray[np.float64]:
    context = scope.context
    if name == "time":
        return scope.times / 1000
    milliseconds = {
        "start": context.start_ms,
        "end": context.end_ms,
        "range": context.end_ms - context.start_ms,
        "step": context.step_ms,
    }[name]
    return np.full(scope.steps, milliseconds / 1000)


def only_value(operator: VectorOperator, scope: Scope) -> NDArray[np.float64]:
    """The value of the only number at each step, NaN where there is none or more than one."""
    count = np.zeros(scope.steps, np.int64)
    value = np.full(scope.steps, np.nan)
    for batch in operator.batches():
        floats = batch.floats
        count += floats.sum(axis=0)
        rows = floats.argmax(axis=0)
        found = floats.any(axis=0)
        value[found] = batch.values[rows, np.arange(scope.steps)][found]
    value[count != 1] = np.nan
    return value
