"""The samples of each step, counted where somebody asks."""

import pytest

from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, QueryOptions
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

COUNTED = QueryOptions(counts_steps=True)


@pytest.fixture
def store() -> MemoryStore:
    """Two series, a sample of each every ten seconds from 0 to 60 s, the second from 30 s on."""
    made = MemoryStore(VirtualClock(10_000.0))
    layout = Layout.of(Labels.of("m", n="0"), Labels.of("m", n="1"))
    appender = made.appender()
    for second in range(0, 70, 10):
        columns = [0, 1] if second >= 30 else [0]
        appender.append(Batch.row(layout, second * 1000, columns, [float(second)] * len(columns)))
    appender.commit()
    return made


def counted(store: MemoryStore, expression: str) -> list[tuple[int, int]]:
    """Seconds and samples of the steps at 0, 30 and 60 s."""
    result = Engine().range(store.querier, expression, 0, 60_000, 30_000, COUNTED)
    return [(at_ms // 1000, samples) for at_ms, samples in result.statistics.steps]


@pytest.mark.parametrize(
    ("expression", "samples"),
    [
        ("m", (1, 2, 2)),
        ("sum(m) + sum(m)", (1, 2, 2)),  # read once
        ("m + m offset 30s", (1, 3, 4)),
        ("rate(m[30s])", (1, 4, 6)),
        ("max_over_time(m[20s] offset 30s)", (0, 1, 3)),
        ("sum_over_time(m[30s:10s])", (1, 4, 6)),
        ("m @ 60", (2, 2, 2)),
        ("sum(rate(m[30s] @ 60))", (6, 6, 6)),
        ("1 + time()", (0, 0, 0)),
    ],
)
def test_every_step_has_the_samples_of_its_windows_and_look_backs(
    store: MemoryStore, expression: str, samples: tuple[int, ...]
):
    assert counted(store, expression) == list(zip((0, 30, 60), samples, strict=True))


def test_an_instant_query_is_one_step(store: MemoryStore):
    for expression, samples in (("m", 2), ("m[30s]", 6)):
        result = Engine().instant(store.querier, expression, 60_000, COUNTED)
        assert result.statistics.steps == ((60_000, samples),)
        assert result.statistics.samples == samples


def test_nobody_who_did_not_ask_is_told(store: MemoryStore):
    assert Engine().instant(store.querier, "m", 60_000).statistics.steps == ()
