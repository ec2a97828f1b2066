"""What would exceed its budget is refused by what the index tells; no sample is read for it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.query import expressions

from nunchi.model.labels import Labels
from nunchi.query.engine import Engine, EngineSettings, QueryOptions
from nunchi.query.errors import LimitError, QueryError
from nunchi.query.limits import Budget, Limits
from nunchi.storage.memory import MemorySelection, MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.testing.engine_setting import SETTINGS

STEP_MS = 15_000
END_MS = 600_000
SMALL, LARGE = 2, 40


@pytest.fixture
def store() -> MemoryStore:
    """Two series of `small`, forty of `large`, forty-one samples each."""
    store = MemoryStore(VirtualClock(1000.0))
    times = range(0, END_MS + 1, STEP_MS)
    for name, count in (("small", SMALL), ("large", LARGE)):
        append(
            store, {Labels.of(name, x=str(x), g=str(x % 2)): [(at, float(at)) for at in times] for x in range(count)}
        )
    return store


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many series were read."""
    read, counts = MemorySelection.read, []

    def counting(self: MemorySelection, begin: int, end: int, *rest: int) -> object:
        counts.append(end - begin)
        return read(self, begin, end, *rest)

    monkeypatch.setattr(MemorySelection, "read", counting)
    return counts


REFUSED = [
    "large",
    "-large",
    "rate(large[1m])",
    "small + on () group_left () large",
    "small + on (x) large",
    "topk(1, small) or topk(1, large)",
    "topk(scalar(sum(small)), large)",
    "sum(small) + sum(topk(3, large))",
    "sum(small) / sum(quantile by (g) (0.5, large))",
    "sort(large)",
    "max_over_time(topk(2, large)[1m:15s])",
    "label_replace(large, 'y', '$1', 'x', '(.*)')",
    "absent(small) or large @ 300",
    "clamp_min(large, scalar(small))",
]


@pytest.mark.parametrize("expression", REFUSED)
def test_a_query_beyond_its_samples_reads_none(store: MemoryStore, reads: list[int], expression: str):
    engine = Engine(EngineSettings(limits=Limits(samples_max=41 * 10), parser=SETTINGS.parser))
    with pytest.raises(LimitError, match=r"samples at once \(limit samples: 410\); narrow.*--query\.max-samples"):
        engine.range(store.querier, expression, 0, END_MS, STEP_MS)
    assert reads == []


def test_a_range_of_samples_is_counted_by_the_index(store: MemoryStore, reads: list[int]):
    engine = Engine(EngineSettings(limits=Limits(samples_max=400)))
    with pytest.raises(LimitError, match=r"1600 samples at once \(limit samples: 400\)"):
        engine.instant(store.querier, "large[10m]", END_MS)
    assert reads == []
    assert len(engine.instant(store.querier, "small[10m]", END_MS).value) == SMALL


def test_bytes_are_told_ahead_too(store: MemoryStore, reads: list[int]):
    engine = Engine(EngineSettings(limits=Limits(samples_max=0, bytes_max=9 * 400)))
    with pytest.raises(LimitError, match=r"needs 14760 bytes of memory \(limit bytes: 3600\).*--query\.max-bytes"):
        engine.range(store.querier, "sum(topk(1, large))", 0, END_MS, STEP_MS)
    assert reads == []


def test_a_selector_of_too_many_series_is_refused_before_another_is_read(store: MemoryStore, reads: list[int]):
    engine = Engine(EngineSettings(limits=Limits(series_max=20)))
    with pytest.raises(LimitError, match=r"selector matches 40 series \(limit series: 20\).*--query\.max-series"):
        engine.range(store.querier, "sum(topk(1, small)) / sum(large)", 0, END_MS, STEP_MS)
    assert reads == []


def test_what_folds_is_not_refused(store: MemoryStore):
    engine = Engine(EngineSettings(limits=Limits(samples_max=41 * 10)))
    value = engine.range(store.querier, "sum by (g) (rate(large[1m])) / sum by (g) (small)", 0, END_MS, STEP_MS).value
    assert len(value) == 2


def test_each_selection_is_opened_once(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    opened = []
    querier = store.querier()
    select = querier.select
    monkeypatch.setattr(querier, "select", lambda *question: opened.append(question) or select(*question))
    expression = "sum(rate(small[1m])) + sum(rate(large[1m])) + sum(max_over_time(large[2m:30s])) + sum(large @ 100)"
    Engine(EngineSettings()).range(lambda: querier, expression, 0, END_MS, STEP_MS)
    assert len(opened) == 4


class Foreseeing(Budget):
    """Remembers what was foreseen."""

    foreseen = 0

    def foresee(self, cells: int) -> None:
        self.foreseen = cells


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(expressions.vectors(), expressions.series(), st.booleans())
def test_a_forecast_is_never_more_than_what_comes(expression: str, data: dict, rewrites: bool):
    store = MemoryStore(VirtualClock(10_000.0))
    for labels, values in data.items():
        samples = [(at * expressions.SCRAPE_MS, value) for at, value in enumerate(values) if value is not None]
        append(store, {labels: samples})
    budget = Foreseeing(Limits(), lambda: 0.0)
    engine = Engine(replace(SETTINGS, rewrites=rewrites))
    try:
        engine.range(store.querier, expression, 0, END_MS, 60_000, QueryOptions(budget=budget))
    except QueryError:
        return
    assert budget.foreseen <= budget.peak_cells
