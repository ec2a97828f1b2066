"""What `@` pins in time is computed once, however many steps a query has."""

from nunchi.query.plan.nodes import (
    Constant,
    Elementwise,
    InstantSelect,
    Invariant,
    PlanNode,
    PythonCall,
    QueryTime,
    RangeFunction,
    RangeSelect,
    Subquery,
    children,
    walk,
    with_children,
)

# Their result depends on the time of evaluation even where their argument does not.
TIME_DEPENDENT = frozenset(("predict_linear", "timestamp"))


def compute_invariants_once(node: PlanNode) -> PlanNode:
    """The greatest parts that are the same at every step are wrapped in `Invariant`."""
    is_window = isinstance(node, RangeSelect | Subquery)
    if not is_window and is_invariant(node):
        reads = any(isinstance(part, InstantSelect | RangeSelect | Subquery) for part in walk(node))
        return Invariant(node, node.position) if reads else node  # type: ignore[arg-type]  # no window
    return with_children(node, compute_invariants_once)


def is_invariant(node: PlanNode) -> bool:
    """Whether a node's value is the same at every step of its query."""
    match node:
        case Constant():
            return True
        case QueryTime() | PythonCall():
            return False
        case InstantSelect() | RangeSelect() | Subquery():
            return node.at is not None
        case RangeFunction() | Elementwise() if node.name in TIME_DEPENDENT:
            return False
        case _:
            return all(is_invariant(child) for child in children(node))
