"""Selectors that stand in an expression several times are read once: `errors / requests` with the same `requests` twice.

Only within the same steps: what a subquery selects is another reading than what stands outside of it.
"""

from collections import Counter

from nunchi.query.plan.nodes import (
    InstantSelect,
    Invariant,
    PlanNode,
    Shared,
    Subquery,
    children,
    with_children,
)


def share_common_selectors(node: PlanNode) -> PlanNode:
    """Every instant selector that appears twice within the same steps is wrapped in `Shared`."""
    counts: Counter[InstantSelect] = Counter()
    _count(node, counts)
    repeated = {selector for selector, times in counts.items() if times > 1}
    return _share(node, repeated)


def _begins_other_steps(node: PlanNode) -> bool:
    return isinstance(node, Subquery | Invariant)


def _count(node: PlanNode, counts: Counter[InstantSelect]) -> None:
    if isinstance(node, InstantSelect):
        counts[node] += 1
    for child in children(node):
        if not _begins_other_steps(child):
            _count(child, counts)


def _share(node: PlanNode, repeated: set[InstantSelect]) -> PlanNode:
    if isinstance(node, InstantSelect):
        return Shared(node, node.position) if node in repeated else node

    def change(child: PlanNode) -> PlanNode:
        if not _begins_other_steps(child):
            return _share(child, repeated)
        return with_children(child, share_common_selectors)

    return with_children(node, change)
