"""Arrivals of every shape: shards, gaps, wide groups that change a little, cells with times of their own."""

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
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append, select
from nunchi.testing.disk import FaultyDisk
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.open_cells import SLAB_ROWS
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

SENDERS = 8
TEN_MINUTES = 600.0


def make_database(clock: VirtualClock) -> Database:
    database = Database(Path("/data"), FaultyDisk(Random(1)), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    return database


def row(layout: Layout, at_ms: int, columns: np.ndarray, value: float) -> Batch:
    return Batch.row(layout, at_ms, columns.astype(np.int32), np.full(len(columns), value))


def commit(database: Database, batch: Batch) -> None:
    appender = database.appender()
    result = appender.append(batch)
    appender.commit()
    assert (result.accepted, result.rejected, result.kept) == (len(batch), {}, 0)


def allocated_cells(database: Database) -> int:
    return database._state.head.open.slabs * SLAB_ROWS


@pytest.mark.parametrize("seals", [False, True])
def test_shards_of_many_targets_one_ten_minutes_late_are_all_taken(seals: bool) -> None:
    """Each sender has an eighth of every target's series; the last one's rows come when the others' are sealed already."""
    clock = VirtualClock()
    database, begin_ms = make_database(clock), clock.now_ms()
    targets = [Layout.of(*(Labels.of(f"m{n}", instance=str(t)) for n in range(40))) for t in range(10)]
    sent: list[tuple[float, int, int]] = []
    for step in range(80):
        for sender in range(SENDERS):
            late = TEN_MINUTES if sender == SENDERS - 1 else 0.0
            sent.append((step * 15 + late, step, sender))
    for at, step, sender in sorted(sent):
        clock.jump(max(0.0, begin_ms / 1000 + at - clock.now()))
        for layout in targets:
            commit(database, row(layout, begin_ms + step * 15_000, np.arange(sender, 40, SENDERS), float(step)))
        if seals and (step, sender) in {(20, 0), (60, 3)}:
            database.seal()
    wanted = [(begin_ms + step * 15_000, float(step)) for step in range(80)]
    found = select(database)
    assert len(found) == 400
    assert all(samples == wanted for samples in found.values())


def test_sparse_arrivals_never_allocate_more_than_twice_their_cells_and_a_slab_a_series() -> None:
    clock, chance = VirtualClock(), np.random.default_rng(7)
    database = make_database(clock)
    layout = Layout.of(*(Labels.of("job_seconds", job=str(n)) for n in range(2000)))
    cells = 0
    for _ in range(200):
        columns = np.flatnonzero(chance.random(2000) < 0.02)
        commit(database, row(layout, clock.now_ms(), columns, 1.0))
        cells += len(columns)
        clock.jump(60)
        assert allocated_cells(database) <= 2 * cells + SLAB_ROWS * 2000
    database.seal()
    assert allocated_cells(database) == 0
    assert sum(map(len, select(database).values())) == cells


def test_a_wide_group_that_changes_a_little_costs_its_changes() -> None:
    clock, width = VirtualClock(), 5000
    database, layout = make_database(clock), Layout()
    for number in range(width):
        layout.append(Labels.of("wide", n=str(number)).key())
    present = np.arange(width)
    cells, gone = 0, np.zeros(0, np.int64)
    for step in range(40):
        for number in range(3):
            layout.append(Labels.of("wide", n=f"{step}-{number}").key())
        ended, present = present[:3], np.append(present[3:], np.arange(len(layout) - 3, len(layout)))
        commit(database, row(layout, clock.now_ms(), present, float(step)))
        commit(database, row(layout, clock.now_ms(), ended, STALE))
        cells += width + 3
        gone = np.append(gone, ended)
        clock.jump(15)
    assert database._state.head.table.series == width + 40 * 3
    assert allocated_cells(database) <= 2 * cells + SLAB_ROWS * (width + 40 * 3)
    database.seal()
    (file,) = database._state.sealed.runs
    assert file.samples == cells
    assert file.bytes < 0.5 * cells


def test_cells_with_timestamps_of_their_own_are_a_vector_each_and_come_back() -> None:
    clock = VirtualClock()
    database, now = make_database(clock), clock.now_ms()
    layout = Layout.of(*(Labels.of("container", n=str(n)) for n in range(300)))
    columns = np.tile(np.arange(300, dtype=np.int32), 20)
    times = now - 400_000 + np.repeat(np.arange(20), 300) * 15_000 + columns
    commit(database, Batch.cells(layout, times, columns, times.astype(np.float64)))
    for _ in range(2):
        found = select(database)
        assert len(found) == 300
        for labels, samples in found.items():
            own = int(labels["n"])
            assert samples == [
                (now - 400_000 + step * 15_000 + own, float(now - 400_000 + step * 15_000 + own)) for step in range(20)
            ]
        database.seal()


@pytest.mark.parametrize("seals", [False, True])
def test_a_series_that_begins_at_the_epoch_shares_no_timestamps_with_one_that_begins_later(seals: bool) -> None:
    database = make_database(VirtualClock(10.0))
    layout = Layout.of(Labels.of("early"), Labels.of("later"))
    for at_ms, columns in ((0, [0]), (1, [0, 1]), (2, [0, 1])):
        commit(database, row(layout, at_ms, np.array(columns), float(at_ms)))
    if seals:
        database.seal()
    assert select(database) == {
        layout.labels(0): [(0, 0.0), (1, 1.0), (2, 2.0)],
        layout.labels(1): [(1, 1.0), (2, 2.0)],
    }


def test_samples_that_lie_decades_apart_cost_no_more_than_others() -> None:
    clock = VirtualClock()
    settings = DatabaseSettings(retention_ms=10**13, late_max_ms=10**13)
    database = Database(
        Path("/data"), FaultyDisk(Random(1)), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"), settings
    )
    database.open()
    written = {Labels.of("old", n=str(n)): [(t * 3_600_000, 1.0) for t in (0, 1, 7)] for n in range(3)}
    new = clock.now_ms()
    append(database, {labels: [*samples, (new, 2.0)] for labels, samples in written.items()})
    database.seal()
    (run,) = database.sealed_files()
    assert run.stretches(BLOCK_MS).tolist() == [0, 3 * BLOCK_MS, new // BLOCK_MS * BLOCK_MS]
    compact_head(database._state, new // BLOCK_MS * BLOCK_MS)
    assert len(database.sealed_files()) == 3
    assert database._state.manifest.next_number < 10
    assert select(database) == {labels: [*samples, (new, 2.0)] for labels, samples in written.items()}
