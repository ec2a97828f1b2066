"""What a query will certainly hold in memory, told by the index before a sample is read: too much is refused at once.

The walk goes where `build` goes and at the same times, so that the selections it opens are those that the operators take.
Invariant: a forecast is never more than what the query comes to hold, but for samples of a range that are not there.
"""

from collections.abc import Iterable

from nunchi.query.operators.operator import Scope
from nunchi.query.operators.ranges import subquery_references, subquery_times
from nunchi.query.operators.select import request_of
from nunchi.query.plan import nodes as plan
from nunchi.query.syntax.nodes import Cardinality

# Reductions of groups whose input is needed at once.
_KEEPING = frozenset(("topk", "bottomk", "limitk", "limit_ratio", "quantile", "count_values"))
UNKNOWN = 0  # series of a result that only its samples decide; none is what it certainly has


def refuse_too_much(planned: plan.PlanNode, scope: Scope) -> None:
    """Raises `LimitError` where the plan cannot stay within the query's budget. Opens its selections; reads no sample."""
    forecast = _Forecast()
    if isinstance(planned, plan.RangeSelect):
        selection = scope.context.selections.open_ahead(request_of(scope, planned, "last_over_time"))
        forecast.cells += int(selection.sizes.sum())
    elif plan.is_scalar(planned) or isinstance(planned, plan.Subquery):
        forecast.visit(planned, scope)
    else:
        forecast.keep(planned, scope)
    scope.context.budget.foresee(forecast.cells)


class _Forecast:
    """Counts series x steps of what is kept."""

    def __init__(self) -> None:
        self.cells = 0
        self._shared: set[tuple[Scope, plan.Shared]] = set()

    def keep(self, node: plan.PlanNode, scope: Scope) -> None:
        """A node whose result is needed at once."""
        series = self.visit(node, scope)
        self.cells += series * scope.steps

    def visit(self, node: plan.PlanNode, scope: Scope) -> int:
        """How many series a node certainly yields."""
        if not scope.steps:
            return UNKNOWN
        match node:
            case plan.InstantSelect():
                return self._select(node, scope, "")
            case plan.RangeFunction(name, plan.RangeSelect() as window):
                self._visit_all(node.parameters, scope)
                return self._select(window, scope, name)
            case plan.Subquery():
                references = subquery_references(scope, node)
                step_ms = node.step_ms or scope.context.subquery_step_ms
                return self.visit(node.child, scope.at(subquery_times(references, node.range_ms, step_ms)))
            case plan.Invariant():
                return self.visit(node.child, scope if scope.steps == 1 else scope.at(scope.times[:1]))
            case plan.Shared():
                key = (scope, node)
                if key not in self._shared:
                    self._shared.add(key)
                    self.keep(node.child, scope)
                return UNKNOWN
            case plan.Aggregate() if node.operator in _KEEPING:
                self._visit_all([node.parameter] if node.parameter is not None else [], scope)
                self.keep(node.child, scope)
                return UNKNOWN
            case plan.Sort() | plan.BucketFunction():
                self._visit_all(getattr(node, "parameters", ()), scope)
                self.keep(node.child, scope)
                return UNKNOWN
            case plan.Info():
                self.keep(node.child, scope)
                self.keep(node.select, scope)
                return UNKNOWN
            case plan.Join():
                is_swapped = node.matching.cardinality is Cardinality.ONE_TO_MANY
                many, one = (node.right, node.left) if is_swapped else (node.left, node.right)
                self.visit(many, scope)
                self.keep(one, scope)
                return UNKNOWN
            case plan.Aggregate() | plan.SetOperation() | plan.Absent() | plan.ScalarOf() | plan.VectorOf():
                self._visit_all(plan.children(node), scope)
                return UNKNOWN
            case _:
                counts = self._visit_all(plan.children(node), scope)
                return max(counts, default=UNKNOWN)

    def _visit_all(self, nodes: Iterable[plan.PlanNode], scope: Scope) -> list[int]:
        return [self.visit(node, scope) for node in nodes]

    def _select(self, node: plan.InstantSelect | plan.RangeSelect, scope: Scope, function: str) -> int:
        return len(scope.context.selections.open_ahead(request_of(scope, node, function)).labels)
