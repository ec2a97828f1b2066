"""A plan node in a few words of PromQL, for people who read plans: what this node adds, without what stands below it."""

import re
from typing import Final

from nunchi.model.matchers import MatchOperator
from nunchi.query.plan import nodes as plan
from nunchi.query.syntax.literals import format_number, quote_text
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    MatrixSelector,
    NumberLiteral,
    StringLiteral,
    Subquery,
    VectorSelector,
    is_name_matcher,
)
from nunchi.query.syntax.printer import aggregation_head, binary_head, print_node, subquery_tail

METRIC_NAME_TEXT: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_NUMBER: Final = NumberLiteral(0.0)


def describe(node: plan.PlanNode) -> str:
    """What a node does, on one line."""
    match node:
        case plan.Constant(value):
            return format_number(value)
        case plan.QueryTime(name):
            return f"{name}()"
        case plan.ScalarFunction(name):
            return f"scalar {name}"
        case plan.ScalarOf():
            return "scalar()"
        case plan.InstantSelect():
            text = print_node(_selector(node))
            return f"times of {text}" if node.wants_times else text
        case plan.RangeSelect():
            return print_node(MatrixSelector(_selector(node), node.range_ms))
        case plan.Subquery():
            tail = Subquery(_NUMBER, node.range_ms, node.step_ms, offset_ms=node.offset_ms, at=node.at)
            return f"steps {subquery_tail(tail)}"
        case plan.VectorScalar():
            place = "number first" if node.is_swapped else "number second"
            return f"{node.operator}{' bool' if node.returns_bool else ''} ({place})"
        case plan.Join() | plan.SetOperation():
            returns_bool = isinstance(node, plan.Join) and node.returns_bool
            return binary_head(Binary(node.operator, _NUMBER, _NUMBER, returns_bool, node.matching)).strip()
        case plan.Aggregate():
            parameter = StringLiteral(node.label) if node.label else None
            head = aggregation_head(Aggregation(node.operator, _NUMBER, parameter, node.grouping, node.without))
            return f"{head.strip()} {quote_text(node.label)}" if node.label else head.strip()
        case _:
            return _function(node)


def _selector(node: plan.InstantSelect | plan.RangeSelect) -> VectorSelector:
    """The selector as it is written, its name before the braces."""
    named = [
        matcher for matcher in node.matchers if is_name_matcher(matcher) and matcher.operator is MatchOperator.EQUAL
    ]
    name = named[0].value if len(named) == 1 and METRIC_NAME_TEXT.fullmatch(named[0].value) else ""
    matchers = (*(matcher for matcher in node.matchers if matcher not in named), *named) if name else node.matchers
    return VectorSelector(name, matchers, node.offset_ms, None, node.at, node.extension)


def _function(node: plan.PlanNode) -> str:
    match node:
        case plan.RangeFunction(name) | plan.Elementwise(name) | plan.BucketFunction(name) | plan.PythonCall(name):
            return f"{name}()"
        case plan.LabelReplace() | plan.LabelJoin():
            name = "label_replace" if isinstance(node, plan.LabelReplace) else "label_join"
            return f"{name}() to {quote_text(node.destination)}"
        case plan.Sort():
            order = "descending" if node.descending else "ascending"
            return f"sort {order}{' by ' + ', '.join(node.labels) if node.labels else ''}"
        case plan.Invariant():
            return "once for all steps"
        case plan.Shared():
            return "kept for several places"
        case _:
            return f"{type(node).__name__.lower()}()"
