"""Duration expressions come to milliseconds once the query's step and range are known."""

import pytest

from nunchi.query.errors import ParseError
from nunchi.query.syntax import EVERYTHING, parse, print_node, resolve_durations
from nunchi.query.syntax.nodes import MatrixSelector, VectorSelector

STEP_MS, RANGE_MS = 10_000, 60_000

RANGES = {
    "step()": 10_000,
    "step() + 1": 11_000,
    "range() / 2": 30_000,
    "1m - step() * 2": 40_000,
    "-(step() - 1m)": 50_000,
    "2 ^ 3 ^ 0": 2_000,
    "7 % 4": 3_000,
    "max_of(step(), 15s)": 15_000,
    "min_of(step(), 15s)": 10_000,
    "1.0009 + 0": 1_000,
    "(((5)))": 5_000,
}


def resolved(text: str) -> object:
    return resolve_durations(parse(text, EVERYTHING), text, STEP_MS, RANGE_MS)


@pytest.mark.parametrize(("text", "range_ms"), RANGES.items())
def test_ranges_are_computed(text: str, range_ms: int) -> None:
    node = resolved(f"x[{text}]")
    assert isinstance(node, MatrixSelector)
    assert (node.range_ms, node.range_expression) == (range_ms, None)


def test_offsets_and_steps_are_computed_wherever_they_stand() -> None:
    text = (
        "sum(-(x offset -step())) by (a) + topk(1, last_over_time(y[range()])) + rate(z[5m:step()/2] offset (step()))"
    )
    node = resolve_durations(parse(text, EVERYTHING), text, STEP_MS, RANGE_MS)
    assert print_node(node) == (
        "sum by (a) (-(x offset -10s)) + topk(1, last_over_time(y[1m])) + rate(z[5m:5s] offset 10s)"
    )


def test_offsets_may_be_negative_and_nothing() -> None:
    node = resolved("x offset (step() - 20s)")
    assert isinstance(node, VectorSelector)
    assert node.offset_ms == -10_000
    node = resolved("x offset (step() * 0)")
    assert isinstance(node, VectorSelector)
    assert (node.offset_ms, node.offset_expression) == (0, None)


def test_trees_without_expressions_are_returned_as_they_are() -> None:
    node = parse("sum(rate(x[5m] offset 1m))")
    assert resolve_durations(node, "", STEP_MS, RANGE_MS) is node


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[step() - 10s]", "1:3: parse error: duration must be greater than 0"),
        ("x[-1s]", "1:3: parse error: duration must be greater than 0"),
        ("x[5m:step() * 0]", "1:6: parse error: duration must be greater than 0"),
        ("x[1m / (step() - 10s)]", "1:3: parse error: division by zero"),
        ("x[1m % (step() - 10s)]", "1:3: parse error: modulo by zero"),
        ("x[1y ^ 99]", "1:3: parse error: duration is out of range"),
        ("x[(0 - 1) ^ 0.5]", "1:3: parse error: duration is not a number"),
        ("x offset (1y * 1000)", "1:10: parse error: duration is out of range"),
    ],
)
def test_durations_without_a_meaning_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(ParseError) as raised:
        resolved(text)
    assert str(raised.value) == message
