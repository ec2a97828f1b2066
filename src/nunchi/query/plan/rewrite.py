"""Rewrites: each takes a plan and returns one that means the same. `REWRITES` is the order in which they run."""

from collections.abc import Callable
from typing import TypeAlias

from nunchi.query.plan.nodes import PlanNode
from nunchi.query.plan.rewrites.common_selectors import share_common_selectors
from nunchi.query.plan.rewrites.constants import fold_constants
from nunchi.query.plan.rewrites.step_invariant import compute_invariants_once

Rewrite: TypeAlias = Callable[[PlanNode], PlanNode]

REWRITES: tuple[Rewrite, ...] = (
    fold_constants,
    compute_invariants_once,
    share_common_selectors,
)


def rewrite(node: PlanNode, rewrites: tuple[Rewrite, ...] = REWRITES) -> PlanNode:
    """The plan after all rewrites."""
    for change in rewrites:
        node = change(node)
    return node
