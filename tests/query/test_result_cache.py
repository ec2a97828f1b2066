"""Kept results are what evaluating again would give, whatever happens to the store in between."""

import numpy as np
import pytest

from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.model.batch import Conflict
from nunchi.model.labels import Labels
from nunchi.query.engine import DEFAULT_OPTIONS, Engine
from nunchi.query.plan.reach import Reach, reach_of
from nunchi.query.result_cache import PIECES_MAX, ResultCache
from nunchi.query.values import QueryResult
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.comparison import is_close
from nunchi.testing.contracts.store import append
from nunchi.testing.engine_setting import SETTINGS, answer_of

START_MS = 1_000_000_000
STEP_MS = 30_000
LATE_SECONDS = 3600.0
A, B = Labels.of("a_total", x="1"), Labels.of("a_total", x="2")


class World:
    """A store, an engine and a cache before it, at a time that moves."""

    def __init__(self, retention_ms: int = 10**9, bytes_max: int = 1 << 20) -> None:
        self.clock = VirtualClock(START_MS / 1000)
        self.store = MemoryStore(self.clock, retention_ms=retention_ms)
        self.engine = Engine(SETTINGS)
        self.telemetry = Telemetry()
        self.cache = ResultCache(self.store, self.clock.now_ms, bytes_max, self.telemetry)

    def put(self, labels: Labels, at_ms: int, value: float, conflict: Conflict = Conflict.REJECT) -> None:
        append(self.store, {labels: [(at_ms, value)]}, conflict, LATE_SECONDS)

    def ask(self, expression: str, start_ms: int, end_ms: int, step_ms: int = STEP_MS) -> QueryResult:
        return self.cache.range(self.engine, self.store.querier, expression, start_ms, end_ms, step_ms, DEFAULT_OPTIONS)

    def evaluate(self, expression: str, start_ms: int, end_ms: int, step_ms: int = STEP_MS) -> QueryResult:
        return self.engine.range(self.store.querier, expression, start_ms, end_ms, step_ms, DEFAULT_OPTIONS)

    def kept(self) -> float:
        """How many steps were not evaluated so far."""
        counter = self.telemetry.find("nunchi_query_cache_steps_total")
        assert isinstance(counter, Counter)
        return counter.value("kept")


def assert_same(given: QueryResult, wanted: QueryResult) -> None:
    ours, theirs = answer_of(given), answer_of(wanted)
    assert [labels for labels, _ in ours.series] == [labels for labels, _ in theirs.series]
    for (_, mine), (_, other) in zip(ours.series, theirs.series, strict=True):
        assert [at for at, _ in mine] == [at for at, _ in other]
        assert all(is_close(x, y, 1e-9) for (_, x), (_, y) in zip(other, mine, strict=True)), (mine, other)
    assert (given.warnings, given.infos) == (wanted.warnings, wanted.infos)
    assert np.array_equal(given.value.times, wanted.value.times)


HOUR_MS = 3_600_000
END_MS = START_MS + HOUR_MS


@pytest.fixture
def world() -> World:
    """Two series over an hour; it is five minutes later now."""
    made = World()
    for row in range(240):
        made.clock.jump(15)
        for labels, factor in ((A, 1.0), (B, 3.0)):
            made.put(labels, START_MS + row * 15_000, row * factor)
    made.clock.jump(300)
    return made


def test_a_moving_end_evaluates_only_the_tail(world: World):
    expression = "sum by (x) (rate(a_total[2m]))"
    for minutes in range(5):
        span = (START_MS + minutes * 60_000, END_MS - 600_000 + minutes * 60_000)
        before = world.kept()
        assert_same(world.ask(expression, *span), world.evaluate(expression, *span))
        steps = (span[1] - span[0]) // STEP_MS + 1
        assert world.kept() - before == (0 if minutes == 0 else steps - 2)


def test_an_earlier_begin_evaluates_only_the_head(world: World):
    assert_same(world.ask("a_total", START_MS + 600_000, END_MS), world.evaluate("a_total", START_MS + 600_000, END_MS))
    assert_same(world.ask("a_total", START_MS, END_MS), world.evaluate("a_total", START_MS, END_MS))
    assert world.kept() == (HOUR_MS - 600_000) // STEP_MS + 1 - 0


def test_steps_younger_than_the_lookback_are_not_kept(world: World):
    now_ms = world.clock.now_ms()
    world.ask("a_total", now_ms - 600_000, now_ms)
    world.ask("a_total", now_ms - 600_000, now_ms)
    assert world.kept() == 300_000 // STEP_MS + 1


STEPS = HOUR_MS // STEP_MS + 1
LOOKBACK_STEPS = 300_000 // STEP_MS


def test_a_late_sample_is_seen_and_what_came_before_and_long_after_it_stays_kept(world: World):
    world.ask("a_total * 2", START_MS, END_MS)
    world.put(A, START_MS + 1_800_001, -1000.0)
    assert_same(world.ask("a_total * 2", START_MS, END_MS), world.evaluate("a_total * 2", START_MS, END_MS))
    assert world.kept() == STEPS - LOOKBACK_STEPS
    world.ask("a_total * 2", START_MS, END_MS)
    assert world.kept() == STEPS - LOOKBACK_STEPS + STEPS


def test_late_samples_of_other_metrics_drop_nothing(world: World):
    for expression, drops in (("a_total", 0), ("a_total + on () group_left () sum(other)", 1), ('{x="1"}', 1)):
        world.ask(expression, START_MS, END_MS)
        world.put(Labels.of("other", x=expression), START_MS + 1_800_001, 1.0)
        before = world.kept()
        assert_same(world.ask(expression, START_MS, END_MS), world.evaluate(expression, START_MS, END_MS))
        assert world.kept() - before == STEPS - drops * LOOKBACK_STEPS


def test_many_late_samples_cost_a_bounded_number_of_queries(world: World, monkeypatch: pytest.MonkeyPatch):
    world.ask("a_total", START_MS, END_MS)
    for minute in range(3, 60, 6):
        world.put(A, START_MS + minute * 60_000 + 1, 5.0)
    asked = []
    range_ = world.engine.range
    monkeypatch.setattr(world.engine, "range", lambda *question: asked.append(question) or range_(*question))
    assert_same(world.ask("a_total", START_MS, END_MS), world.evaluate("a_total", START_MS, END_MS))
    assert 1 < len(asked) - 1 <= PIECES_MAX + 1


def test_a_late_sample_under_a_pin_drops_everything(world: World):
    expression = f"a_total - a_total @ {START_MS / 1000 + 600}"
    world.ask(expression, START_MS, END_MS)
    world.put(A, START_MS + 599_999, 5.0)
    assert_same(world.ask(expression, START_MS, END_MS), world.evaluate(expression, START_MS, END_MS))
    assert world.kept() == 0


def test_a_replaced_sample_is_seen(world: World):
    world.ask("a_total", START_MS, END_MS)
    world.put(A, START_MS, 77.0, Conflict.REPLACE)
    assert_same(world.ask("a_total", START_MS, END_MS), world.evaluate("a_total", START_MS, END_MS))
    assert world.kept() == STEPS - LOOKBACK_STEPS - 1  # its own step too


def test_a_sample_that_says_nothing_new_changes_nothing(world: World):
    world.ask("a_total", START_MS, END_MS - 600_000)
    world.put(A, START_MS, 0.0)
    world.ask("a_total", START_MS, END_MS - 600_000)
    assert world.kept() > 0


def test_samples_removed_by_their_age_are_not_shown():
    world = World(retention_ms=HOUR_MS)
    for row in range(200):
        world.clock.jump(15)
        world.put(A, START_MS + row * 15_000, float(row))
    world.ask("max_over_time(a_total[10m])", START_MS, START_MS + 1_800_000)
    world.clock.jump(1800)
    world.put(B, world.clock.now_ms(), 1.0)
    span = (START_MS, START_MS + 1_800_000)
    wanted = world.evaluate("max_over_time(a_total[10m])", *span)
    assert not wanted.value.present[:, :10].any()
    assert_same(world.ask("max_over_time(a_total[10m])", *span), wanted)


@pytest.mark.parametrize(
    "expression",
    [
        "a_total @ end()",
        "a_total - start()",
        "sum_over_time(a_total[range()])",
        "rate(gauge[1m])",
        f"a_total @ {END_MS / 1000 + 290}",
    ],
)
def test_what_depends_on_the_whole_query_or_has_remarks_or_reads_the_present_is_not_kept(world: World, expression: str):
    for row in range(240):
        world.put(Labels.of("gauge"), START_MS + row * 15_000, 1.0)
    for _ in range(2):
        assert_same(world.ask(expression, START_MS, END_MS), world.evaluate(expression, START_MS, END_MS))
    assert world.kept() == 0


def test_series_that_come_and_go_between_kept_and_new_steps_are_one_result(world: World):
    world.ask("a_total > 100", START_MS, END_MS - 600_000)
    world.put(Labels.of("a_total", a="first"), END_MS - 20_000, 500.0)
    assert_same(world.ask("a_total > 100", START_MS, END_MS), world.evaluate("a_total > 100", START_MS, END_MS))
    assert world.kept() > 0


def test_memory_is_bounded(world: World):
    cache = world.cache = ResultCache(world.store, world.clock.now_ms, bytes_max=20_000, telemetry=Telemetry())
    for number in range(40):
        cache.range(
            world.engine, world.store.querier, f"a_total + {number}", START_MS, END_MS, STEP_MS, DEFAULT_OPTIONS
        )
        assert cache.bytes <= 20_000
    assert cache.bytes > 5_000


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("x", Reach(300, 0, False)),
        ("x offset 10s", Reach(10_300, -10_000, False)),
        ("rate(x[1m]) / rate(y[5m] offset -1m)", Reach(240_000, 60_000, False)),
        ("max_over_time(rate(x[1m])[1h:] offset 1h)", Reach(7_260_000, -3_600_000, False)),
        ("x @ 100", Reach(pinned=((99_700, 100_000),))),
        ("sum_over_time((x @ 100 + y)[1m:])", Reach(60_300, 0, False, ((99_700, 100_000),))),
        ("max_over_time(x[1m:] @ 100)", Reach(pinned=((39_700, 100_000),))),
        ("time() + 1", Reach()),
        ("x + start()", None),
        ("x @ start()", None),
    ],
)
def test_the_reach_of_a_plan(expression: str, wanted: Reach | None):
    planned = Engine(SETTINGS).plan(expression)
    assert reach_of(planned, 300) == wanted


def test_what_was_kept_under_another_step_of_subqueries_is_not_used(world: World) -> None:
    expression = "count_over_time(a_total[10m:])"
    for step_ms in (60_000, 20_000):
        world.engine.subquery_step_ms = step_ms
        assert_same(world.ask(expression, START_MS, END_MS), world.evaluate(expression, START_MS, END_MS))
