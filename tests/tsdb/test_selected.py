"""What was selected once is kept, and is what would be selected now."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.tsdb.database import Database
from nunchi.tsdb.index import Index
from nunchi.tsdb.selected import SelectionMemory
from nunchi.tsdb.series_table import SeriesTable
from nunchi.tsdb.telemetry import DatabaseTelemetry

NOW_MS = 1_000_000_000
UP = Matcher("__name__", MatchOperator.EQUAL, "up")
ANY = Matcher("instance", MatchOperator.REGEX, ".*[0-9]$")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(
        tmp_path / "data", SystemDisk(), VirtualClock(NOW_MS / 1000), DatabaseTelemetry(Telemetry()), logger("tsdb")
    )
    made.open()
    yield made
    made.abandon()


def put(database: Database, *instances: str, name: str = "up") -> None:
    append(database, {Labels.of(name, instance=instance): [(NOW_MS, 1.0)] for instance in instances})


def selected(database: Database, *matchers: Matcher) -> list[Labels]:
    querier = database.querier()
    labels = querier.select(matchers, 0, 2 * NOW_MS).labels
    querier.close()
    return [labels.labels(series) for series in range(len(labels))]


def test_series_that_came_after_a_selection_are_in_the_next(database: Database):
    put(database, "b2", "a1")
    assert [labels["instance"] for labels in selected(database, UP, ANY)] == ["a1", "b2"]
    put(database, "a9", "c")
    for _ in range(2):
        assert [labels["instance"] for labels in selected(database, UP, ANY)] == ["a1", "a9", "b2"]
    database.seal()
    put(database, "a0")
    assert [labels["instance"] for labels in selected(database, UP, ANY)] == ["a0", "a1", "a9", "b2"]


def test_selections_of_one_reader_share_its_symbols(database: Database):
    put(database, "a1", "b2")
    put(database, "b2", "a1", "up", name="down")
    down = Matcher("__name__", MatchOperator.EQUAL, "down")
    wanted = [selected(database, down), selected(database, UP)]
    querier = database.querier()
    tables = [querier.select((matcher,), 0, 2 * NOW_MS).labels for matcher in (down, UP)]
    assert [[table.labels(series) for series in range(len(table))] for table in tables] == wanted
    assert tables[0].symbols is tables[1].symbols
    assert set(tables[1].values.tolist()) <= set(tables[0].values.tolist())
    querier.close()


def test_series_without_samples_in_the_range_are_left_out_of_what_is_kept(database: Database):
    put(database, "a1")
    assert len(selected(database, UP)) == 1
    querier = database.querier()
    assert len(querier.select((UP,), 0, NOW_MS - 1).labels) == 0
    querier.close()
    assert len(selected(database, UP)) == 1


def index_of(*instances: str) -> Index:
    table = SeriesTable()
    for instance in instances:
        key = Labels.of("up", instance=instance).key()
        table.intern(np.frombuffer(key, np.uint8), np.array([0, len(key)], np.int64))
    return table.snapshot()


def test_what_is_kept_is_bounded():
    index = index_of(*(f"i{number}" for number in range(100)))
    roomy, tight = SelectionMemory(), SelectionMemory(bytes_max=100)
    assert roomy.select([index], [UP]) is roomy.select([index], [UP])
    assert tight.select([index], [UP]) is not tight.select([index], [UP])
    some = [Matcher("instance", MatchOperator.EQUAL, f"i{number}") for number in range(100)]
    small = SelectionMemory(bytes_max=20 * roomy.select([index], some[:1]).bytes)
    first = small.select([index], some[:1])
    for matcher in some[1:]:
        small.select([index], [matcher])
    assert small.select([index], some[:1]) is not first
