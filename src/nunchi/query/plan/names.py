"""Which metrics a plan reads, as far as its selectors say so."""

from nunchi.model.matchers import equal_names
from nunchi.query.plan import nodes as plan


def metric_names_of(planned: plan.PlanNode) -> frozenset[str] | None:
    """The metric names that all selectors of a plan demand; None where one leaves its name open."""
    found: frozenset[str] = frozenset()
    for node in plan.walk(planned):
        if isinstance(node, plan.InstantSelect | plan.RangeSelect):
            names = equal_names(node.matchers)
            if names is None:
                return None
            found |= names
    return found
