"""The engine and the slow, obvious one agree on random expressions over random data."""

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.query import expressions

from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.query.engine import Engine
from nunchi.query.errors import QueryError
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.comparison import describe_points, is_close, is_same_histogram
from nunchi.testing.engine_setting import ALL_NOTICES, SETTINGS, answer_of, batch_of
from nunchi.testing.scalar_engine.engine import ScalarEngine
from nunchi.testing.scalar_engine.evaluation import ScalarSettings
from nunchi.testing.scalar_engine.store import ScalarStore
from nunchi.testing.scalar_engine.values import Point
from nunchi.testing.script_loading import LoadedSample

Data = dict[Labels, list[float | Histogram | None]]

# Sums of these differ in the last digits by the order of their terms.
TOLERANCE = 1e-9
ORDERED = ("topk", "bottomk", "sort")


def stores(data: Data) -> tuple[MemoryStore, ScalarStore]:
    store, scalar = MemoryStore(VirtualClock(10_000.0)), ScalarStore()
    appender = store.appender()
    for labels, values in data.items():
        cells = [(step * expressions.SCRAPE_MS, value) for step, value in enumerate(values) if value is not None]
        if cells:
            appender.append(batch_of(labels, [LoadedSample(at, value) for at, value in cells]))
            scalar.append(labels, [Point(at, value) for at, value in cells])
    appender.commit()
    return store, scalar


def shown(series: list) -> str:
    return describe_points(series)


def is_same(wanted: float | Histogram, given: float | Histogram) -> bool:
    if isinstance(wanted, Histogram) and isinstance(given, Histogram):
        return is_same_histogram(wanted, given, with_hint=True, tolerance=TOLERANCE)
    return not isinstance(wanted, Histogram) and not isinstance(given, Histogram) and is_close(wanted, given, TOLERANCE)


def without_places(remarks: list[str]) -> set[str]:
    """Remarks without their positions: the engines differ in whether brackets count as part of an argument."""
    return {remark.rpartition(" (")[0] for remark in remarks}


def compare(
    expression: str, data: Data, start_ms: int, end_ms: int, step_ms: int, *, delays: bool, rewrites: bool
) -> None:
    store, scalar_store = stores(data)
    engine = Engine(replace(SETTINGS, delays_names=delays, rewrites=rewrites))
    scalar = ScalarEngine(scalar_store, ScalarSettings(delayed_names=delays))
    wanted = given = None
    failures = []
    try:
        wanted = (
            scalar.range(expression, start_ms, end_ms, step_ms) if step_ms else scalar.instant(expression, start_ms)
        )
    except QueryError as error:
        failures.append(f"scalar: {error}")
    try:
        result = (
            engine.range(store.querier, expression, start_ms, end_ms, step_ms, ALL_NOTICES)
            if step_ms
            else engine.instant(store.querier, expression, start_ms, ALL_NOTICES)
        )
        given = answer_of(result)
    except QueryError as error:
        failures.append(f"engine: {error}")
    # The steps of a subquery are evaluated between its windows too, where only this engine finds errors and remarks.
    has_subquery = ":" in expression
    if given is None and (wanted is None or (has_subquery and step_ms)):
        return
    assert wanted is not None, f"{failures[0]}; engine: {shown(given.series)}"
    assert given is not None, f"{failures[0]}; scalar: {shown(wanted.series)}"
    note = f"wanted {shown(wanted.series)}, given {shown(given.series)}"
    found = dict(given.series)
    assert len(found) == len(given.series), note
    if step_ms:
        assert [labels for labels, _ in given.series] == sorted(found), note
    assert set(found) == {labels for labels, _ in wanted.series}, note
    for labels, points in wanted.series:
        assert [at for at, _ in points] == [at for at, _ in found[labels]], note
        assert all(is_same(x, y) for (_, x), (_, y) in zip(points, found[labels], strict=True)), note
    assert (wanted.scalar is None) == (given.scalar is None)
    if wanted.scalar is not None:
        assert is_close(wanted.scalar, given.scalar, TOLERANCE) or math.isnan(wanted.scalar)
    if not has_subquery:
        assert without_places(given.warnings) == without_places(wanted.warnings)
        assert without_places(given.infos) == without_places(wanted.infos)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    expressions.vectors(),
    expressions.series(),
    st.sampled_from(
        [(300_000, 300_000, 0), (0, 600_000, 60_000), (120_000, 330_000, 15_000), (299_999, 420_000, 7_000)]
    ),
    st.booleans(),
    st.booleans(),
)
def test_both_engines_agree(
    expression: str, data: Data, times: tuple[int, int, int], delays: bool, rewrites: bool
) -> None:
    compare(expression, data, *times, delays=delays, rewrites=rewrites)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    expressions.histogram_vectors(),
    expressions.mixed_series(),
    st.sampled_from([(300_000, 300_000, 0), (0, 600_000, 60_000), (120_000, 330_000, 15_000)]),
    st.booleans(),
    st.booleans(),
)
def test_both_engines_agree_on_histograms(
    expression: str, data: Data, times: tuple[int, int, int], delays: bool, rewrites: bool
) -> None:
    compare(expression, data, *times, delays=delays, rewrites=rewrites)


@pytest.mark.parametrize("delays", [False, True])
def test_engines_agree_where_names_would_collide(delays: bool) -> None:
    data = {Labels.of("a_total", x="1"): [1.0, None, 3.0], Labels.of("b", x="1"): [None, 2.0, None]}
    compare('-{__name__=~"a_total|b"}', data, 0, 30_000, 15_000, delays=delays, rewrites=True)
