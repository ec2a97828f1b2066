"""Constant folding: operators and functions of known scalars become numbers."""

import numpy as np

from nunchi.query.plan.arithmetic import scalar_operation
from nunchi.query.plan.nodes import Constant, PlanNode, ScalarFunction, with_children


def fold_constants(node: PlanNode) -> PlanNode:
    """Every `ScalarFunction` of constants is computed now."""
    node = with_children(node, fold_constants)
    if not isinstance(node, ScalarFunction):
        return node
    values = [argument.value for argument in node.arguments if isinstance(argument, Constant)]
    if len(values) < len(node.arguments):
        return node
    if node.name == "negate":
        return Constant(-values[0], node.position)
    with np.errstate(all="ignore"):
        result = scalar_operation(node.name)(np.float64(values[0]), np.float64(values[1]))
    return Constant(float(result), node.position)
