"""Sums and means of native histograms over windows: a whole row at once gives what window by window gives."""

import numpy as np
import pytest

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.labels import Labels
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.operators import ranges
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


@pytest.fixture
def store() -> MemoryStore:
    """Counters that restart, gauges, mixed schemas, numbers between histograms, sums that overflow."""
    made = MemoryStore(VirtualClock(10_000.0))
    chance = np.random.default_rng(11)
    appender = made.appender()
    for name in ("counter", "gauge", "schemas", "mixed", "huge"):
        samples = []
        for row in range(ROWS):
            if chance.random() < 0.2:
                continue
            hint = ResetHint.GAUGE if name in {"gauge", "huge"} else ResetHint.UNKNOWN
            schema = int(chance.integers(0, 3)) if name == "schemas" else 1
            value: Histogram | float = histogram(chance, row, schema, hint)
            if name == "huge":
                value = Histogram(count=1e308, sum=1e308, zero_count=1e308, reset_hint=hint)
            if name == "mixed" and chance.random() < 0.1:
                value = float(row)
            samples.append(LoadedSample(row * STEP_MS, value))
        appender.append(batch_of(Labels.of("h", kind=name), samples))
    appender.commit()
    return made


@pytest.mark.parametrize("name", ["sum_over_time", "avg_over_time"])
@pytest.mark.parametrize("kind", ["counter", "gauge", "schemas", "mixed", "huge"])
def test_rows_are_added_up_as_windows_are(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, name: str, kind: str):
    engine = Engine(EngineSettings(parser=EVERYTHING))

    def ask() -> object:
        result = engine.range(store.querier, f'{name}(h{{kind="{kind}"}}[1m])', 0, ROWS * STEP_MS, 7_000)
        answer = answer_of(result)
        return answer.series, answer.warnings, answer.infos

    at_once = ask()
    monkeypatch.setattr(ranges, "sums_of_row", lambda *_: None)
    assert str(at_once) == str(ask())
