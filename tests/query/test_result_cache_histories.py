"""Whatever is appended, comes late, is replaced or deleted between two questions: kept equals evaluated, on every store."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.query import expressions
from tests.query.test_result_cache import START_MS, A, B, World, assert_same

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Conflict
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.query.engine import Engine
from nunchi.query.errors import QueryError
from nunchi.query.result_cache import ResultCache
from nunchi.testing.engine_setting import SETTINGS
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

SERIES = (A, B, Labels.of("b", x="1", y="2"), Labels.of("b", x="2"), Labels.of("h"))
NAMED = [[Matcher("__name__", MatchOperator.EQUAL, name)] for name in ("a_total", "b")]
ANY = [Matcher("x", MatchOperator.EQUAL, "1")]
Act = tuple[str, int, int, int, float]


@contextmanager
def memory() -> Iterator[World]:
    yield World()


@contextmanager
def database() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        world = World()
        store = Database(
            Path(folder) / "data", SystemDisk(), world.clock, DatabaseTelemetry(Telemetry()), logger("tsdb")
        )
        store.open()
        world.store = store
        world.telemetry = Telemetry()
        world.cache = ResultCache(store, world.clock.now_ms, 1 << 20, world.telemetry)
        try:
            yield world
        finally:
            store.abandon()


@st.composite
def histories(draw: st.DrawFn, kinds: tuple[str, ...]) -> list[Act]:
    """Changes, some of them to the past, and questions with moving ends, in any order."""
    acts: list[Act] = []
    now = 0
    for _ in range(draw(st.integers(4, 16))):
        now += draw(st.sampled_from([0, 15, 60, 200]))
        kind = draw(st.sampled_from(kinds))
        back = 0 if kind in ("ask", "put") else draw(st.sampled_from([0, 20, 100, 400, 900]))
        which, value = draw(st.integers(0, len(SERIES) - 1)), draw(st.sampled_from([0.0, 1.0, 2.5, -3.0]))
        acts.append((kind, now, now - back, which, value))
    return acts


def live(world: World, expression: str, acts: list[Act], width: int, step: int) -> None:
    world.engine = Engine(replace(SETTINGS, lookback_ms=60_000))
    for row in range(60):
        at_ms = START_MS - 900_000 + row * 15_000
        world.put(A, at_ms, float(row % 7))
        world.put(SERIES[2], at_ms, float(row))
    for kind, now, at, which, value in acts:
        world.clock.jump(START_MS / 1000 + now - world.clock.now())
        if kind == "ask":
            end_ms = START_MS + now * 1000 // (step * 1000) * (step * 1000)
            span = (end_ms - width * 1000, end_ms, step * 1000)
            try:
                wanted = world.evaluate(expression, *span)
            except QueryError:
                continue
            assert_same(world.ask(expression, *span), wanted)
        elif kind == "delete":
            matchers = [*NAMED, ANY][which % 3]
            world.store.delete_series(
                matchers, START_MS + at * 1000, START_MS + at * 1000 + int(value) * 30_000 + 90_000
            )
        else:
            conflict = Conflict.REPLACE if kind == "replace" else Conflict.REJECT
            world.put(SERIES[which], START_MS + at * 1000, value, conflict)


QUESTIONS = (st.sampled_from([300, 600, 1500]), st.sampled_from([10, 30]))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(expressions.vectors(), histories(("ask", "ask", "put", "put", "late", "late", "replace")), *QUESTIONS)
def test_kept_equals_evaluated_over_random_histories(expression: str, acts: list[Act], width: int, step: int):
    with memory() as world:
        live(world, expression, acts, width, step)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(expressions.vectors(), histories(("ask", "ask", "put", "late", "replace", "delete")), *QUESTIONS)
def test_kept_equals_evaluated_over_a_database_that_forgets(expression: str, acts: list[Act], width: int, step: int):
    with database() as world:
        live(world, expression, acts, width, step)


@pytest.mark.parametrize("matchers", [NAMED[0], ANY])
def test_deletions_drop_what_they_touch_alone(matchers: list[Matcher]):
    with database() as world:
        for row in range(120):
            world.clock.jump(15)
            world.put(A, START_MS + row * 15_000, float(row))
            world.put(SERIES[3], START_MS + row * 15_000, 1.0)
        world.clock.jump(600)
        span = (START_MS, START_MS + 1_770_000)
        for expression in ("a_total", "b"):
            world.ask(expression, *span)
        world.store.delete_series(matchers, START_MS + 600_000, START_MS + 660_000)
        for expression, changed in (("a_total", True), ("b", matchers is ANY)):
            before = world.kept()
            assert_same(world.ask(expression, *span), world.evaluate(expression, *span))
            assert (world.kept() - before < 60) == changed
