"""Python functions in PromQL: what they get, what becomes of what they return, and how they fail."""

import math
import subprocess
import sys

import numpy as np
import pytest
from tests.query.samples import END_MS, SCRAPE_MS, store

import nunchi
from nunchi.query.engine import DEFAULT_OPTIONS, Engine, EngineSettings
from nunchi.query.errors import ExecutionError, ParseError
from nunchi.query.functions import FunctionError, PythonFunction
from nunchi.query.result_cache import ResultCache
from nunchi.query.syntax.signatures import FUNCTIONS
from nunchi.testing.engine_setting import answer_of


@nunchi.function
def smooth(values, times, weight=0.5):
    """An exponential average along the steps."""
    result = values.copy()
    for step in range(1, values.shape[1]):
        result[:, step] = weight[step] * values[:, step] + (1 - weight[step]) * result[:, step - 1]
    return result


@nunchi.function(name="halved", labels="keep", is_stepwise=True)
def half(values, times):
    return values / 2


@nunchi.function(needs_all_series=True)
def share(values, times):
    return values / np.nansum(values, axis=0)


def engine(*functions: PythonFunction) -> Engine:
    return Engine(EngineSettings(functions=functions))


def ask(made: Engine, expression: str, end_ms: int = 60_000) -> list:
    return answer_of(made.range(store().querier, expression, 0, end_ms, SCRAPE_MS)).series


@pytest.mark.parametrize(("call", "last"), [("smooth(x_total)", 3.0625), ("smooth(x_total, 1)", 4.0)])
def test_a_function_gets_series_by_steps_and_numbers(call: str, last: float):
    labels, points = ask(engine(smooth), call)[1]
    assert str(labels) == '{instance="i1", job="j1"}'
    assert points[-1] == (60_000, last)


def test_label_rules_keep_or_drop_the_name():
    kept = ask(engine(half), "halved(x_total)")
    dropped = ask(engine(smooth), "smooth(x_total)")
    assert all(labels.metric_name == "x_total" for labels, _ in kept)
    assert not any(labels.metric_name for labels, _ in dropped)
    assert kept[3][1][-1] == (60_000, 6.0)


def test_a_function_may_see_all_series_at_once():
    totals = ask(engine(share), "sum(share(x_total > 0))")
    assert [value for _, value in totals[0][1]] == pytest.approx([1.0] * 4)


def test_what_is_absent_is_nan_for_the_function_and_stays_absent():
    seen = []

    @nunchi.function
    def peek(values, times):
        seen.append((values.copy(), times.copy()))
        return np.ones(values.shape)

    series = ask(engine(peek), "peek(x_total > 2)")
    (values, times), *_ = seen
    assert times.tolist() == [0.0, 15.0, 30.0, 45.0, 60.0]
    assert [math.isnan(value) for value in values[0]] == [True] * len(times)
    assert sum(len(points) for _, points in series) == np.isfinite(values).sum()


def test_numbers_of_a_call_are_expressions():
    series = ask(engine(smooth), 'smooth(x_total{instance="i2"}, scalar(vector(1)))')
    assert series[0][1][-1] == (60_000, 8.0)


def test_functions_live_in_subqueries_and_under_pinned_times():
    series = ask(engine(half), "max_over_time(halved(x_total @ 30)[1m:15s])")
    assert [points[-1][1] for _, points in series] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("smooth()", "expected at least 1 argument"),
        ("smooth(x_total, 1, 2)", "expected at most 2 argument"),
        ("smooth(x_total, x_total)", "expected type scalar"),
        ("smooth(1)", "expected type instant vector"),
        ("unknown(x_total)", 'unknown function with name "unknown"'),
    ],
)
def test_calls_are_judged_like_those_of_promql(expression: str, message: str):
    with pytest.raises(ParseError, match=message):
        ask(engine(smooth), expression)


def test_an_engine_knows_only_the_functions_of_its_settings():
    with pytest.raises(ParseError, match="unknown function"):
        ask(engine(), "smooth(x_total)")


def test_a_function_that_fails_fails_its_query_with_its_name():
    @nunchi.function
    def broken(values, times):
        return values[10_000]

    with pytest.raises(ExecutionError, match="the Python function broken failed: IndexError"):
        ask(engine(broken), "broken(x_total)")


@pytest.mark.parametrize("result", [1.0, [1.0, 2.0], np.zeros((1, 1)), "text", None, np.zeros((4, 5), complex)])
def test_a_result_of_another_shape_is_refused(result: object):
    @nunchi.function
    def shapeless(values, times):
        return result

    with pytest.raises(
        ExecutionError, match=r"shapeless returned .* it has to return one number for each of float64\[4, 5\]"
    ):
        ask(engine(shapeless), "shapeless(x_total)")


def test_a_function_cannot_change_what_others_read():
    @nunchi.function
    def vandal(values, times):
        values[:] = -1
        times[:] = -1
        return values

    made = engine(vandal)
    series = ask(made, "x_total + ignoring (none) vandal(x_total)")
    assert series[3][1][-1] == (60_000, 11.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "rate"}, "PromQL has a rate of its own"),
        ({"name": "sum"}, "PromQL has a sum of its own"),
        ({"name": "Upper"}, "cannot name a function"),
        ({"labels": "all"}, "use"),
    ],
)
def test_names_and_rules_are_judged_when_the_function_is_made(options: dict[str, str], message: str):
    with pytest.raises(FunctionError, match=message):
        nunchi.function(**options)(lambda values, times: values)


@pytest.mark.parametrize("callee", [lambda: 0, lambda values: values, lambda values, times, *more: values])
def test_a_function_has_to_take_values_and_times(callee: object):
    with pytest.raises(FunctionError, match="has to take values, times"):
        nunchi.function(name="odd")(callee)


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(FunctionError, match="two Python functions are called halved"):
        engine(half, half)


def test_a_function_is_still_a_python_function_with_its_documentation():
    assert half(np.array([[2.0]]), np.array([0.0])).tolist() == [[1.0]]
    assert smooth.documentation == "An exponential average along the steps."
    assert "halved" not in FUNCTIONS


def test_only_results_of_stepwise_functions_are_kept():
    for function, kept in ((half, True), (smooth, False)):
        made, data = engine(function), store()
        cache = ResultCache(data, lambda: 10_000_000)
        for _ in range(2):
            cache.range(made, data.querier, f"{function.name}(x_total)", 0, END_MS, SCRAPE_MS, DEFAULT_OPTIONS)
        assert (cache.bytes > 0) is kept


def test_importing_nunchi_loads_nothing():
    program = (
        "import sys, nunchi; print([m for m in sys.modules if m.startswith(('nunchi.', 'numpy'))]); nunchi.function"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'functoin'"):
        _ = nunchi.functoin
