"""Functions of windows of native histograms: many rows at once give what window by window gives."""

import numpy as np
import pytest

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.labels import Labels
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.operators import ranges, stacked_rows
from nunchi.query.syntax import EVERYTHING
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import answer_of, batch_of
from nunchi.testing.scripts import LoadedSample

STEP_MS = 10_000
ROWS = 60


def histogram(chance: np.random.Generator, row: int, schema: int, hint: ResetHint) -> Histogram:
    length = int(chance.integers(1, 5))
    counts = tuple(float(count) for count in chance.integers(0, 4, length) * (0.1 + row))
    return Histogram(
        schema=schema, count=sum(counts) + 0.3, sum=float(chance.normal()), zero_threshold=0.001, zero_count=0.3,
        positive_spans=(BucketSpan(int(chance.integers(-2, 3)), length),), positive_buckets=counts, reset_hint=hint,
    )  # fmt: skip


def rising(chance: np.random.Generator, row: int) -> Histogram:
    """A counter that mostly rises, in buckets that come and stay."""
    since = row if row < 40 else row - 39
    counts = tuple(0.7 * since * (1 + place) for place in range(3 + row // 20))
    return Histogram(
        schema=1, count=sum(counts) + since, sum=since * 1.1 + float(chance.random()), zero_threshold=0.001,
        zero_count=float(since), positive_spans=(BucketSpan(-1, len(counts)),), positive_buckets=counts,
    )  # fmt: skip


@pytest.fixture
def store() -> MemoryStore:
    """Counters that restart, gauges, mixed schemas, numbers between histograms, sums that overflow."""
    made = MemoryStore(VirtualClock(10_000.0))
    chance = np.random.default_rng(11)
    appender = made.appender()
    for name in ("counter", "gauge", "schemas", "mixed", "huge", "rising", "rising too"):
        samples = []
        for row in range(ROWS):
            if chance.random() < 0.2:
                continue
            hint = ResetHint.GAUGE if name in {"gauge", "huge"} else ResetHint.UNKNOWN
            schema = int(chance.integers(0, 3)) if name == "schemas" else 1
            value: Histogram | float = histogram(chance, row, schema, hint)
            if name == "huge":
                value = Histogram(count=1e308, sum=1e308, zero_count=1e308, reset_hint=hint)
            if name.startswith("rising"):
                value = rising(chance, row)
            if name == "mixed" and chance.random() < 0.1:
                value = float(row)
            samples.append(LoadedSample(row * STEP_MS, value))
        appender.append(batch_of(Labels.of("h", kind=name), samples))
    appender.commit()
    return made


@pytest.mark.parametrize("name", ["sum_over_time", "avg_over_time", "rate", "increase", "delta", "irate", "idelta"])
@pytest.mark.parametrize("kind", ["counter", "rising", "gauge", "schemas", "mixed", "huge", ".*"])
@pytest.mark.parametrize("cells_max", [1, stacked_rows.CELLS_MAX])
def test_rows_at_once_are_as_their_windows(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, cells_max: int
) -> None:
    engine = Engine(EngineSettings(parser=EVERYTHING))

    def ask() -> object:
        result = engine.range(store.querier, f'{name}(h{{kind=~"{kind}"}}[1m])', 0, ROWS * STEP_MS, 7_000)
        answer = answer_of(result)
        return answer.series, answer.warnings, answer.infos

    monkeypatch.setattr(stacked_rows, "CELLS_MAX", cells_max)
    at_once = ask()
    monkeypatch.setattr(ranges, "evaluate_stacked", lambda _, tile, rows, *__: (None, every_window(rows)))
    assert str(at_once) == str(ask())


def every_window(rows: np.ndarray) -> np.ndarray:
    return np.ones((len(rows), ROWS * STEP_MS // 7_000 + 1), np.bool_)
