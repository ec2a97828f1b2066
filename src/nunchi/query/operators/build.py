"""Plan to operators: one case a node. Nothing is read here; what a node's parameters forbid is said here."""

from nunchi.query.errors import ExecutionError, Unsupported
from nunchi.query.operators.absent import Absent
from nunchi.query.operators.aggregate import Fold
from nunchi.query.operators.classic_histograms import BucketFunction
from nunchi.query.operators.count_values import CountValues
from nunchi.query.operators.duplicates import Unique
from nunchi.query.operators.elementwise import Elementwise, VectorOf, VectorScalar
from nunchi.query.operators.histogram_fields import HISTOGRAM_FIELDS, HistogramField
from nunchi.query.operators.info import Info
from nunchi.query.operators.join import Join
from nunchi.query.operators.label_functions import LabelJoin, LabelReplace
from nunchi.query.operators.once import Invariant, Nothing, Shared
from nunchi.query.operators.operator import Scope, VectorOperator
from nunchi.query.operators.python_function import PythonCall
from nunchi.query.operators.ranges import (
    RangeFunction,
    StoredWindows,
    SubqueryWindows,
    WindowSource,
    subquery_references,
    subquery_times,
)
from nunchi.query.operators.ranking import LimitK, LimitRatio, Quantile, Rank
from nunchi.query.operators.scalars import evaluate_scalar
from nunchi.query.operators.select import InstantSelect
from nunchi.query.operators.set_operations import Intersection, Union
from nunchi.query.operators.sorting import Sort
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.translate import is_label_name
from nunchi.query.syntax.literals import quote_text
from nunchi.query.syntax.nodes import Cardinality

MUST_BE_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"
RANKINGS = {"topk": Rank, "bottomk": Rank, "limitk": LimitK, "limit_ratio": LimitRatio, "quantile": Quantile}


def build(node: plan.PlanNode, scope: Scope) -> VectorOperator:
    """The operator of a vector plan node, measured where the query is profiled."""
    operator = _operator(node, scope)
    measure = scope.context.measure
    return operator if measure is None else measure(node, operator)


def _operator(node: plan.PlanNode, scope: Scope) -> VectorOperator:
    match node:
        case plan.InstantSelect():
            return InstantSelect(scope, node)
        case plan.VectorOf():
            return VectorOf(scope, evaluate_scalar(node.child, scope, build))
        case plan.Elementwise():
            parameters = [evaluate_scalar(parameter, scope, build) for parameter in node.parameters]
            child = build(node.child, scope)
            if node.name in HISTOGRAM_FIELDS:
                return Unique(scope, HistogramField(scope, node.name, child))
            return Unique(scope, Elementwise(scope, node.name, child, parameters))
        case plan.PythonCall():
            parameters = [evaluate_scalar(parameter, scope, build) for parameter in node.parameters]
            function = scope.context.functions[node.name]
            return Unique(scope, PythonCall(scope, function, build(node.child, scope), parameters))
        case plan.VectorScalar():
            scalar = evaluate_scalar(node.scalar, scope, build)
            operator = VectorScalar(
                scope,
                node.operator,
                build(node.child, scope),
                scalar,
                is_swapped=node.is_swapped,
                returns_bool=node.returns_bool,
                position=node.position,
            )
            return Unique(scope, operator)
        case plan.RangeFunction():
            parameters = [evaluate_scalar(parameter, scope, build) for parameter in node.parameters]
            return Unique(scope, RangeFunction(scope, node, window_source(node, scope), parameters))
        case plan.Aggregate():
            return _aggregate(node, scope)
        case plan.Join():
            return _join(node, scope)
        case plan.SetOperation():
            left, right = build(node.left, scope), build(node.right, scope)
            if node.operator == "or":
                return Unique(scope, Union(scope, left, right, node.matching))
            return Intersection(scope, left, right, node.matching, is_negated=node.operator == "unless")
        case plan.LabelReplace():
            return Unique(scope, LabelReplace(scope, node, build(node.child, scope)))
        case plan.LabelJoin():
            return Unique(scope, LabelJoin(scope, node, build(node.child, scope)))
        case plan.Sort():
            return Sort(scope, node, build(node.child, scope))
        case plan.Absent():
            return Absent(scope, build(node.child, scope), node.labels)
        case plan.BucketFunction():
            parameters = [evaluate_scalar(parameter, scope, build) for parameter in node.parameters]
            return Unique(scope, BucketFunction(scope, node, build(node.child, scope), parameters))
        case plan.Info():
            return Unique(scope, Info(scope, node, build(node.child, scope), build(node.select, scope)))
        case plan.Invariant():
            if scope.steps == 1:
                return build(node.child, scope)
            return Invariant(scope, build(node.child, scope.once()))
        case plan.Shared():
            if node not in scope.shared:
                scope.shared[node] = Shared(scope, build(node.child, scope))
            return scope.shared[node]
    raise Unsupported(f"a vector of {type(node).__name__}")


def window_source(node: plan.RangeFunction, scope: Scope) -> WindowSource:
    """Where the samples of a range function come from."""
    window = node.window
    if isinstance(window, plan.RangeSelect):
        return StoredWindows(scope, window, node.name)
    references = subquery_references(scope, window)
    times = subquery_times(references, window.range_ms, window.step_ms or scope.context.subquery_step_ms)
    inner = scope.at(times)
    child = build(window.child, inner) if len(times) else Nothing(inner)
    return SubqueryWindows(window, references, times, child)


def _aggregate(node: plan.Aggregate, scope: Scope) -> VectorOperator:
    child = build(node.child, scope)
    if node.operator == "count_values":
        if not is_label_name(node.label):
            raise ExecutionError(f"invalid label name {quote_text(node.label)}")
        return CountValues(scope, node, child)
    if node.operator in RANKINGS:
        assert node.parameter is not None, node
        return RANKINGS[node.operator](scope, node, child, evaluate_scalar(node.parameter, scope, build))
    return Fold(scope, node, child)


def _join(node: plan.Join, scope: Scope) -> VectorOperator:
    join = Join(scope, node, build(node.left, scope), build(node.right, scope))
    is_one_to_one = node.matching.cardinality is Cardinality.ONE_TO_ONE
    return Unique(scope, join) if is_one_to_one else Unique(scope, join, MUST_BE_UNIQUE)
