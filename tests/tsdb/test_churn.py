"""A tenth of the series is replaced every quarter of an hour for two days: what ended costs nothing, reading stays right."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.values import Matrix
from nunchi.storage.contracts import Store
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import select
from nunchi.testing.disk import FaultyDisk
from nunchi.tsdb import dead_series
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.dead_series import drop_dead_series
from nunchi.tsdb.telemetry import DatabaseTelemetry

TARGETS, SERIES_PER_TARGET = 200, 10
QUARTER_MS = 900_000
QUARTERS = 192
ROWS_PER_QUARTER = 2
SERIES_MAX = 8_000
DEAD_BYTES_MAX = 150


class Target:
    """One pod: a layout of its own, gone with it."""

    def __init__(self, number: int) -> None:
        pod = f"web-{number:06}-{number * 7919 % 65521:04x}"
        self.layout = Layout.of(*(Labels.of(f"m{n}", job="web", pod=pod) for n in range(SERIES_PER_TARGET)))
        self.columns = np.arange(SERIES_PER_TARGET, dtype=np.int32)

    def write(self, stores: tuple[Store, ...], at_ms: int, value: float) -> None:
        batch = Batch.row(self.layout, at_ms, self.columns, np.full(SERIES_PER_TARGET, value))
        for store in stores:
            appender = store.appender()
            assert appender.append(batch).accepted == SERIES_PER_TARGET
            appender.commit()


def answers(
    engine: Engine, store: Store, expression: str, start_ms: int, end_ms: int, step_ms: int
) -> dict[str, object]:
    value = engine.range(store.querier, expression, start_ms, end_ms, step_ms).value
    assert isinstance(value, Matrix)
    return {
        str(value.labels.labels(row)): (value.values[row][value.present[row]].tolist(), value.present[row].tolist())
        for row in range(len(value.labels))
    }


@pytest.mark.timeout(300)
def test_two_days_of_churn_leave_memory_and_index_bounded_and_staleness_exact() -> None:
    clock, disk = VirtualClock(), FaultyDisk(Random(7))
    database = Database(Path("/data"), disk, clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    oracle = MemoryStore(clock)
    stores = (database, oracle)
    begin_ms = clock.now_ms()
    targets = [Target(number) for number in range(TARGETS)]
    made, series_max, places_max = TARGETS, 0, 0
    for quarter in range(QUARTERS):
        for row in range(ROWS_PER_QUARTER):
            for target in targets:
                target.write(stores, clock.now_ms(), float(quarter * 10 + row))
            clock.jump(QUARTER_MS / 1000 / ROWS_PER_QUARTER)
        ended, targets = targets[: TARGETS // 10], targets[TARGETS // 10 :]
        for target in ended:
            target.write(stores, clock.now_ms() - 1, STALE)
        targets += [Target(made + number) for number in range(TARGETS // 10)]
        made += TARGETS // 10
        database.maintain()
        table = database._state.head.table
        series_max, places_max = max(series_max, table.series), max(places_max, len(table))
    total = (made - TARGETS // 10) * SERIES_PER_TARGET
    assert total > 40_000
    assert series_max < SERIES_MAX
    assert places_max < SERIES_MAX
    assert len(database._state.head.newest.times) < 2 * SERIES_MAX
    blocks = database._state.sealed.blocks
    index_bytes = sum(len(disk.files[block.folder / "index"].content) for block in blocks)
    assert index_bytes / sum(block.meta.series for block in blocks) < DEAD_BYTES_MAX
    engine = Engine(EngineSettings(), Telemetry(), clock.monotonic)
    end_ms = clock.now_ms()
    for expression, step_ms in (
        ("count(m1)", QUARTER_MS // 3),
        ("sum(m3) + count({pod=~'web-0001.*'})", QUARTER_MS),
        ("count_over_time(m0{pod=~'web-000[123]..-.*'}[20m])", QUARTER_MS),
        ("m5{pod=~'web-00[01]..0-.*'}", QUARTER_MS // 3 + 1000),
    ):
        found = answers(engine, database, expression, begin_ms, end_ms, step_ms)
        assert found == answers(engine, oracle, expression, begin_ms, end_ms, step_ms)
        assert found
    disk.restart(power_lost=False)
    again = Database(Path("/data"), disk, clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    again.open()
    assert answers(engine, again, "count(m1)", begin_ms, end_ms, QUARTER_MS) == answers(
        engine, oracle, "count(m1)", begin_ms, end_ms, QUARTER_MS
    )
    assert again._state.head.table.series < SERIES_MAX


def test_a_series_that_left_the_head_and_came_back_by_another_sender_is_known_to_its_first_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_series, "DEAD_SERIES_MIN", 1)
    clock = VirtualClock()
    database = Database(Path("/data"), FaultyDisk(Random(1)), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    names = [Labels.of("m", n=str(n)) for n in range(3)]
    scraped, pushed = Layout.of(*names), Layout.of(*names)
    wanted = []
    for value, layout in enumerate((scraped, pushed, scraped)):
        if value == 1:
            clock.jump(6 * 3600)
            database.seal()
            compact_head(database._state, clock.now_ms() // BLOCK_MS * BLOCK_MS)
            drop_dead_series(database._state)
            assert database.statistics().series == 0
        clock.jump(1)
        appender = database.appender()
        result = appender.append(Batch.row(layout, clock.now_ms(), np.arange(3, dtype=np.int32), np.full(3, value)))
        appender.commit()
        assert result.accepted == 3
        wanted.append((clock.now_ms(), float(value)))
    assert select(database) == dict.fromkeys(names, wanted)
