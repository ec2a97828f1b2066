"""`count_values`, whose results are mostly empty: few cells are as good as a matrix."""

import json

import numpy as np
import pytest

from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, QueryOptions
from nunchi.query.errors import ExecutionError
from nunchi.query.operators import count_values
from nunchi.query.rendering import render_value, result_type
from nunchi.query.result_cache import ResultCache
from nunchi.query.values import Matrix, Samples
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

STEP_MS = 1000
STEPS = 60
SAMPLES = QueryOptions(takes_samples=True)
EXPRESSIONS = (
    'count_values("v", m)',
    'count_values by (job)("v", m)',
    'count_values without (n)("v", m)',
    'count_values("v", m > 10)',
    'count_values("v", missing)',
)


@pytest.fixture
def store() -> MemoryStore:
    """Twelve series of which some share values, each with gaps, NaN and both zeros."""
    made = MemoryStore(VirtualClock(10_000.0))
    chance = np.random.default_rng(7)
    layout = Layout.of(*(Labels.of("m", n=str(n), job=str(n % 2)) for n in range(12)))
    appender = made.appender()
    for step in range(STEPS):
        values = chance.integers(0, 40, 12) + step * 0.5
        values[chance.random(12) < 0.1] = np.nan
        values[chance.random(12) < 0.1] = -0.0
        columns = np.flatnonzero(chance.random(12) < 0.8).astype(np.int32)
        appender.append(Batch.row(layout, step * STEP_MS, columns, values[columns]))
    appender.commit()
    return made


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_values, "DENSE_CELLS_MAX", 0)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_cells_show_what_a_matrix_shows(store: MemoryStore, expression: str):
    times = (0, (STEPS - 1) * STEP_MS, STEP_MS)
    matrix = Engine().range(store.querier, expression, *times).value
    cells = Engine().range(store.querier, expression, *times, SAMPLES).value
    assert isinstance(matrix, Matrix)
    assert isinstance(cells, Samples) or "missing" in expression
    assert result_type(cells) == result_type(matrix)
    assert json.loads(render_value(cells)) == json.loads(render_value(matrix))


def test_series_that_become_one_are_counted_as_one_or_refused(store: MemoryStore):
    """The label of the value replaces one of the group, so that groups may meet."""
    with pytest.raises(ExecutionError, match="same labelset"):
        Engine().range(store.querier, 'count_values by (job)("job", m)', 0, 30_000, STEP_MS, SAMPLES)


def test_a_tail_behind_kept_steps_is_joined_to_them(store: MemoryStore):
    cache = ResultCache(store, lambda: 10_000_000, telemetry=Telemetry())
    engine, expression = Engine(), 'count_values("v", m)'
    cache.range(engine, store.querier, expression, 0, 20_000, STEP_MS, QueryOptions())
    joined = cache.range(engine, store.querier, expression, 0, 50_000, STEP_MS, SAMPLES)
    whole = engine.range(store.querier, expression, 0, 50_000, STEP_MS)
    assert json.loads(render_value(joined.value)) == json.loads(render_value(whole.value))
