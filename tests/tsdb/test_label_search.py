"""Names and values of labels are those of the series that have samples in the range, wherever these lie."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

NOW_MS = 1_000_000_000
MATCHERS = (
    (),
    (Matcher("a", MatchOperator.EQUAL, "1"),),
    (Matcher("b", MatchOperator.REGEX, "[1-3]"), Matcher("c", MatchOperator.EQUAL, "")),
    (Matcher("__name__", MatchOperator.NOT_EQUAL, "m0"),),
    (Matcher("a", MatchOperator.EQUAL, "nothing"),),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(
        tmp_path / "data", SystemDisk(), VirtualClock(NOW_MS / 1000), DatabaseTelemetry(Telemetry()), logger("tsdb")
    )
    made.open()
    yield made
    made.abandon()


def test_a_value_counts_whose_first_series_has_no_samples_in_the_range(database: Database):
    append(database, {Labels.of("m", job="x", instance="old"): [(NOW_MS - 9000, 1.0)]})
    append(database, {Labels.of("m", job="x", instance="new"): [(NOW_MS, 1.0)]})
    querier = database.querier()
    assert querier.label_values("job", (), NOW_MS - 100, NOW_MS) == ["x"]
    assert querier.label_values("instance", (), NOW_MS - 100, NOW_MS) == ["new"]
    assert querier.label_values("job", (), NOW_MS - 100, NOW_MS - 1) == []
    assert querier.label_names((), NOW_MS - 100, NOW_MS) == ["__name__", "instance", "job"]
    querier.close()


@pytest.mark.parametrize("seed", range(4))
def test_names_and_values_are_those_of_the_series_selected(database: Database, seed: int):
    chance = random.Random(seed)
    for begin_ms in range(NOW_MS - 40_000, NOW_MS, 10_000):
        for _ in range(30):
            labels = {name: str(chance.randrange(6)) for name in "abc" if chance.random() < 0.7}
            series = Labels.of(f"m{chance.randrange(3)}", **labels)
            append(database, {series: [(begin_ms + chance.randrange(10_000), 1.0)]})
        if chance.random() < 0.6:
            database.seal()
        if chance.random() < 0.4:
            database.delete_series(MATCHERS[chance.randrange(1, 4)], begin_ms, begin_ms + 4000)
    querier = database.querier()
    for matchers in MATCHERS:
        for _ in range(8):
            start_ms = NOW_MS - chance.randrange(45_000)
            end_ms = start_ms + chance.choice((10, 2000, 60_000))
            table = querier.select(matchers, start_ms, end_ms).labels
            shown = [table.labels(series) for series in range(len(table))]
            names = {name for labels in shown for name, _ in labels.pairs}
            assert querier.label_names(matchers, start_ms, end_ms) == sorted(names)
            for name in ("__name__", "a", "b", "missing"):
                values = {labels[name] for labels in shown if name in labels}
                assert querier.label_values(name, matchers, start_ms, end_ms) == sorted(values)
    querier.close()
