"""Plans: what rewrites make of them, and what is refused while they are made."""

import pytest

from nunchi.query.errors import ExecutionError, Unsupported
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.rewrite import rewrite
from nunchi.query.plan.rewrites.common_selectors import share_common_selectors
from nunchi.query.plan.rewrites.constants import fold_constants
from nunchi.query.plan.rewrites.step_invariant import compute_invariants_once
from nunchi.query.plan.translate import translate
from nunchi.query.syntax import EVERYTHING, parse


def planned(expression: str) -> plan.PlanNode:
    node = translate(parse(expression, EVERYTHING))
    assert isinstance(node, plan.NODES)
    return node


def test_constants_are_folded() -> None:
    assert fold_constants(planned("-(1 + 2 * 3) ^ 2")) == plan.Constant(-49.0)
    assert fold_constants(planned("1 / 0 > bool 3")) == plan.Constant(1.0)
    folded = fold_constants(planned("x * (2 - 1)"))
    assert isinstance(folded, plan.VectorScalar)
    assert folded.scalar == plan.Constant(1.0)
    assert fold_constants(planned("x + time()")) == planned("x + time()")


def test_the_greatest_pinned_part_is_computed_once() -> None:
    node = compute_invariants_once(planned("x + sum(y @ 5) / 2"))
    assert isinstance(node, plan.Join)
    assert isinstance(node.left, plan.InstantSelect)
    assert node.right == plan.Invariant(planned("sum(y @ 5) / 2"))


def test_what_depends_on_the_time_of_evaluation_is_not_pinned() -> None:
    for expression in ("predict_linear(x[5m] @ 5, 60)", "timestamp(abs(x @ 5))", "x @ 5 + time()", "hour()", "1 + 2"):
        node = planned(expression)
        assert not isinstance(compute_invariants_once(node), plan.Invariant), expression


def test_the_window_of_a_pinned_subquery_is_computed_once_with_its_function() -> None:
    node = compute_invariants_once(planned("max_over_time(x[5m:1m] @ end())"))
    assert isinstance(node, plan.Invariant)


def test_selectors_that_come_twice_are_shared_within_the_same_steps() -> None:
    node = share_common_selectors(planned("x / (x + y) + max_over_time(x[5m:])"))
    shared = [part for part in plan.walk(node) if isinstance(part, plan.Shared)]
    assert shared == [plan.Shared(planned("x"))] * 2
    assert planned("max_over_time(x[5m:])") in list(plan.walk(node))


def test_selectors_with_other_modifiers_are_not_shared() -> None:
    for expression in ("x - x offset 5m", "x - timestamp(x)", "x - x @ 5"):
        assert share_common_selectors(planned(expression)) == planned(expression)


def test_rewrites_keep_places_in_the_text() -> None:
    node = rewrite(planned("x +  sum(y @ 5)"))
    assert isinstance(node, plan.Join)
    assert node.right.position == 5


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('label_replace(x, "", "", "", "")', "invalid destination label name in label_replace"),
        ('label_replace(x, "a", "", "b", "(")', "invalid regular expression in label_replace"),
        ('label_join(x, "a", "", "")', "invalid source label name in label_join"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(expression: str, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        planned(expression)


def test_what_is_not_evaluated_is_named() -> None:
    with pytest.raises(Unsupported, match="anchored on a range without a function is not supported"):
        planned("x[5m] anchored")
