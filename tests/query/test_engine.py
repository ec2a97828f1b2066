"""What an engine promises besides right numbers: order, kinds of values, limits, refusals, closed queriers."""

import numpy as np
import pytest
from tests.query import samples

from nunchi.model.labels import Labels
from nunchi.query.engine import Engine, EngineSettings, QueryOptions
from nunchi.query.errors import ExecutionError, LimitError, ParseError, QueryCanceled, QueryTimeout
from nunchi.query.limits import Budget, Limits
from nunchi.query.syntax import EVERYTHING
from nunchi.query.values import Matrix, Samples, Scalar, String, Vector
from nunchi.storage.memory import MemoryQuerier

ENGINE = Engine(EngineSettings(parser=EVERYTHING))


def instant(expression: str, engine: Engine = ENGINE, **options: object):
    return engine.instant(samples.store().querier, expression, samples.END_MS, QueryOptions(**options)).value


def test_instant_queries_return_any_kind_of_value() -> None:
    assert instant("1 + 2") == Scalar(3.0, samples.END_MS)
    assert instant("'text'") == String("text", samples.END_MS)
    assert isinstance(instant("x_total"), Vector)
    window = instant("x_total[1m]")
    assert isinstance(window, Samples)
    assert window.offsets.tolist() == [0, 4, 8, 12, 16]
    assert window.times[:4].tolist() == [samples.END_MS - 45_000 + 15_000 * i for i in range(4)]
    assert window.values[4:8].tolist() == [36.0, 37.0, 38.0, 39.0]


def test_a_subquery_is_a_range_with_the_steps_of_the_subquery() -> None:
    window = instant("x_total{instance='i1'}[1m:20s]")
    assert window.times.tolist() == [540_000, 560_000, 580_000]
    assert window.values.tolist() == [36.0, 37.0, 38.0]


def test_range_queries_return_a_matrix_sorted_by_labels() -> None:
    value = ENGINE.range(samples.store().querier, "sort_desc(x_total)", 0, 60_000, 30_000).value
    assert isinstance(value, Matrix)
    assert [value.labels.labels(row) for row in range(len(value))] == [samples.labels(n) for n in range(4)]
    assert value.times.tolist() == [0, 30_000, 60_000]
    assert value.values.tolist() == [[0, 0, 0], [0, 2, 4], [0, 4, 8], [0, 6, 12]]


def test_range_queries_of_scalars_are_one_series_without_labels() -> None:
    value = ENGINE.range(samples.store().querier, "time()", 0, 2_000, 1_000).value
    assert value.labels.labels(0) == Labels()
    assert value.values.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("expression", ["'text'", "x_total[1m]"])
def test_range_queries_refuse_what_is_no_scalar_or_vector(expression: str) -> None:
    with pytest.raises(ExecutionError, match="must be Scalar or instant Vector"):
        ENGINE.range(samples.store().querier, expression, 0, 60_000, 30_000)


def test_ordered_results_keep_their_order() -> None:
    value = instant("topk(2, x_total)")
    assert value.values.tolist() == [117.0, 78.0]
    value = instant("sort_desc(x_total)")
    assert value.values.tolist() == [117.0, 78.0, 39.0, 0.0]


def test_syntax_errors_have_a_place() -> None:
    with pytest.raises(ParseError, match=r"1:\d+: parse error: "):
        instant("sum(x_total")


def test_what_is_not_evaluated_is_refused_before_anything_is_read() -> None:
    def open_querier():
        raise AssertionError("a querier was opened")

    with pytest.raises(ExecutionError, match="anchored modifier cannot be used on an instant vector"):
        ENGINE.instant(open_querier, "x anchored", 0)


def test_equal_series_are_refused_where_they_meet() -> None:
    with pytest.raises(ExecutionError, match="vector cannot contain metrics with the same labelset"):
        instant('label_replace(x_total, "instance", "", "", "")')


def test_a_query_that_needs_too_many_cells_is_refused_before_a_sample_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(EngineSettings(limits=Limits(samples_max=10)))

    def read(*_: object) -> None:
        raise AssertionError("samples were read")

    monkeypatch.setattr("nunchi.storage.memory.MemorySelection.read", read)
    with pytest.raises(LimitError, match=r"too many samples.*limit samples: 10.*--query\.max-samples"):
        engine.range(samples.store().querier, "x_total", 0, 60_000, 15_000)


def test_an_aggregation_needs_memory_for_its_groups_only() -> None:
    engine = Engine(EngineSettings(limits=Limits(samples_max=20)))
    value = engine.range(samples.store().querier, "sum by (job) (rate(x_total[1m]))", 60_000, 120_000, 15_000)
    assert value.statistics.peak_cells == 2 * 2 * 5
    assert value.statistics.samples == 4 * 5 * 4


def test_a_selector_of_too_many_series_is_refused() -> None:
    engine = Engine(EngineSettings(limits=Limits(series_max=3)))
    with pytest.raises(LimitError, match=r"selector matches 4 series \(limit series: 3\)"):
        instant("sum(x_total)", engine)


def test_bytes_are_limited() -> None:
    with pytest.raises(LimitError, match="limit bytes"):
        instant("x_total", Engine(EngineSettings(limits=Limits(bytes_max=9 * 3))))


def test_a_deadline_ends_a_query() -> None:
    now = iter(range(0, 10_000, 100))
    with pytest.raises(QueryTimeout, match=r"limit timeout: 120s.*--query\.timeout"):
        instant("x_total", budget=Budget(Limits(), lambda: float(next(now))))


def test_a_canceled_query_ends() -> None:
    with pytest.raises(QueryCanceled):
        instant("x_total", budget=Budget(Limits(), lambda: 0.0, is_canceled=lambda: True))


def test_the_querier_is_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(MemoryQuerier, "close", lambda self: closed.append(True))
    instant("x_total")
    with pytest.raises(ExecutionError):
        instant("x_total + on(job) x_total")
    assert len(closed) == 2


def test_lookback_can_be_set_per_query() -> None:
    engine, store = ENGINE, samples.store()
    late = samples.END_MS + 60_000
    assert len(engine.instant(store.querier, "x_total", late).value) == 4
    assert len(engine.instant(store.querier, "x_total", late, QueryOptions(lookback_ms=60_000)).value) == 0
    assert len(engine.instant(store.querier, "x_total", late, QueryOptions(lookback_ms=60_001)).value) == 4


def test_plans_are_made_once_a_text() -> None:
    engine = Engine(EngineSettings(parser=EVERYTHING))
    assert engine.plan("sum(x_total)") is engine.plan("sum(x_total)", 1000, 5000)
    assert engine.plan("sum_over_time(x_total[step() + 1s])", 1000, 0) is not engine.plan(
        "sum_over_time(x_total[step() + 1s])", 2000, 0
    )


@pytest.mark.parametrize("cells", [1, 7, 10_000])
def test_batches_of_any_size_give_the_same_answer(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "sum by (job) (rate(x_total[1m])) / on (job) group_right () rate(x_total[2m] offset 15s)"
    wanted = ENGINE.range(samples.store().querier, query, 0, 300_000, 15_000).value
    monkeypatch.setattr(
        "nunchi.query.operators.operator.Scope.rows_per_batch", lambda self: max(1, cells // self.steps)
    )
    given = ENGINE.range(samples.store().querier, query, 0, 300_000, 15_000).value
    assert np.array_equal(wanted.present, given.present)
    assert np.array_equal(wanted.values[wanted.present], given.values[given.present], equal_nan=True)


def test_several_partners_on_the_one_side_are_both_named() -> None:
    two = 'label_replace(vector(1), "a", "x", "", "") or label_replace(vector(2), "a", "y", "", "")'
    rivals = r'for the match group {} on the right hand-side of the operation: \[{a="y"}, {a="x"}\];many-to-many'
    with pytest.raises(ExecutionError, match=rivals):
        instant(f"vector(0) + on () ({two})")


def test_the_step_of_subqueries_that_name_none_may_change() -> None:
    engine = Engine(EngineSettings(parser=EVERYTHING))
    for step_ms, count in ((60_000, 2.0), (30_000, 4.0)):
        engine.subquery_step_ms = step_ms
        assert instant("count_over_time(vector(1)[2m:])", engine).values.tolist() == [count]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (r'count_values("a\xc5z", x_total)', r'invalid label name "a\xc5z"'),
        ('count_values("", x_total)', 'invalid label name ""'),
        ('label_replace(x_total, "a", "b", "c", "(")', "invalid regular expression in label_replace(): ("),
        ("x_total anchored", "anchored modifier cannot be used on an instant vector"),
    ],
)
def test_parameters_that_cannot_be_are_named_as_they_were_written(expression: str, message: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        instant(expression)
    assert str(caught.value).startswith(message)
    assert type(caught.value) is ExecutionError


def test_what_kind_of_value_an_expression_has_is_known_without_evaluating() -> None:
    engine = Engine()
    for _ in range(2):
        kinds = [engine.value_type(text).title for text in ("1", "'a'", "x", "x[1m]")]
        assert kinds == ["scalar", "string", "instant vector", "range vector"]
        with pytest.raises(ParseError):
            engine.value_type("x[")
