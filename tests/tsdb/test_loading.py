"""While a database loads, samples come in and older ranges are answered; nothing is lost, and nothing answered wrong."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch, Conflict
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.storage.contracts import AppendResult, Store
from nunchi.storage.errors import NotLoadedError
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append, is_equal, select
from nunchi.testing.disk import FaultyDisk
from nunchi.tsdb import ahead, loading, sealing
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.errors import DatabaseError
from nunchi.tsdb.telemetry import DatabaseTelemetry

FOLDER = Path("/data")
SERIES = [Labels.of("m", n=str(n)) for n in range(12)]


class Machine:
    """A database on a disk in memory, beside the store that it is compared with."""

    def __init__(self, seed: int = 0) -> None:
        self.disk = FaultyDisk(Random(seed))
        self.clock = VirtualClock()
        self.oracle = MemoryStore(self.clock)
        self.make()
        self.database.open()

    def make(self) -> None:
        self.counts = DatabaseTelemetry(Telemetry())
        self.database = Database(FOLDER, self.disk, self.clock, self.counts, logger("tsdb"))

    def kill(self) -> None:
        """End the process; the next one has taken the folder and loaded nothing."""
        self.disk.restart(power_lost=False)
        self.make()
        self.database.take()

    def survey(self) -> None:
        """Go as far with loading as it takes to judge what is new."""
        arrival = self.database._arrival
        assert arrival is not None
        state = self.database._state
        stages: list[str] = []

        def enter(stage: str) -> None:
            stages.append(stage)
            if len(stages) == 2:
                raise InterruptedError

        arrival.loading.enter = enter  # type: ignore[method-assign]  # stops where a slow disk would
        with pytest.raises(InterruptedError):
            self.database.load()
        del arrival.loading.enter
        assert state.loading is not None

    def finish(self) -> None:
        self.database.load()
        self.database.finish()


def random_batch(chance: Random, clock: VirtualClock, late: bool) -> Batch:
    cells = chance.randint(1, 12)
    step = [chance.randint(-40, 40) if late else chance.randint(0, 5) for _ in range(cells)]
    return Batch.cells(
        Layout.of(*SERIES),
        np.array([clock.now_ms() + 1000 * one for one in step], np.int64),
        np.array([chance.randrange(len(SERIES)) for _ in range(cells)], np.int32),
        np.array([float(chance.randrange(3)) for _ in range(cells)]),
        on_conflict=chance.choice([Conflict.REJECT, Conflict.REJECT, Conflict.REPLACE]),
        late_max_seconds=chance.choice([None, 3600.0]),
    )


def commit(store: Store, batch: Batch) -> AppendResult:
    appender = store.appender()
    result = appender.append(batch)
    appender.commit()
    return result


@pytest.mark.parametrize("seed", range(60))
def test_what_comes_while_loading_is_judged_as_afterwards(seed: int) -> None:
    machine, chance = Machine(seed), Random(seed)
    for _ in range(4):
        for _ in range(chance.randint(0, 6)):
            batch = random_batch(chance, machine.clock, late=True)
            assert commit(machine.database, batch) == commit(machine.oracle, batch)
            machine.clock.jump(chance.choice([1, 60, 3600]))
        if chance.random() < 0.5:
            machine.database.seal()
            machine.database.maintain()
        for _ in range(chance.randint(1, 3)):
            machine.kill()
            if chance.random() < 0.8:
                machine.survey()
            for _ in range(chance.randint(0, 5)):
                machine.clock.jump(chance.choice([1, 10, 60]))
                batch = random_batch(chance, machine.clock, late=chance.random() < 0.7)
                known = machine.database._state.loading
                assert known is not None
                can = batch.cell_timestamps() > (2**62 if known.newest_ms is None else known.newest_ms)
                if known.ahead is not None:
                    can |= known.ahead.spares(batch)
                result = commit(machine.database, batch)
                assert result.kept == len(batch) - can.sum()
                result.kept = 0
                assert result == commit(machine.oracle, batch.keep(can))
            if chance.random() < 0.3:
                machine.database.maintain()
        machine.finish()
        assert select(machine.database) == select(machine.oracle)
        batch = random_batch(chance, machine.clock, late=True)
        assert commit(machine.database, batch) == commit(machine.oracle, batch)
    machine.kill()
    machine.finish()
    assert select(machine.database) == select(machine.oracle)


def test_ranges_older_than_all_that_is_not_loaded_are_answered() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    old = [(now - 3 * BLOCK_MS + step, float(step)) for step in range(3)]
    append(machine.database, {SERIES[0]: old})
    machine.database.seal()
    compact_head(machine.database._state, (now - BLOCK_MS) // BLOCK_MS * BLOCK_MS)
    append(machine.database, {SERIES[0]: [(now - 60_000, 7.0)], SERIES[1]: [(now, 8.0)]})
    machine.kill()
    with pytest.raises(NotLoadedError, match="0% done"):
        select(machine.database, start_ms=0, end_ms=old[-1][0])
    machine.database.load()
    assert select(machine.database, start_ms=0, end_ms=now - 60_001) == {SERIES[0]: old}
    querier = machine.database.querier()
    assert querier.label_values("n", [is_equal("__name__", "m")], 0, now - 60_001) == ["0"]
    for end_ms in (now - 60_000, 2**62):
        with pytest.raises(NotLoadedError):
            querier.label_values("n", [], 0, end_ms)
        with pytest.raises(NotLoadedError):
            select(machine.database, start_ms=0, end_ms=end_ms)
    for ask in (machine.database.metadata, machine.database.statistics, machine.database.marks):
        with pytest.raises(NotLoadedError):
            ask()
    machine.database.finish()
    assert machine.database.progress() == ""
    assert select(machine.database) == {SERIES[0]: [*old, (now - 60_000, 7.0)], SERIES[1]: [(now, 8.0)]}


def test_marks_of_before_and_of_while_loading_are_both_there() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    for key, value in (("sealed", b"1"), ("logged", b"2"), ("early", b"3")):
        if key == "early":
            machine.kill()
            machine.survey()
        appender = machine.database.appender()
        appender.append(Batch.row(Layout.of(SERIES[0]), now, np.array([0], np.int32), np.array([1.0])))
        appender.mark(key, value)
        appender.commit()
        if key == "sealed":
            machine.database.seal()
        now += 1
    machine.kill()
    machine.finish()
    assert machine.database.marks() == {"sealed": b"1", "logged": b"2", "early": b"3"}


def test_too_much_while_loading_is_to_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "EARLY_CELLS_MAX", 2)
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {SERIES[0]: [(now, 0.0)]})
    machine.kill()
    machine.survey()
    append(machine.database, {SERIES[0]: [(now + 1, 1.0), (now + 2, 2.0)]})
    with pytest.raises(NotLoadedError):
        append(machine.database, {SERIES[0]: [(now + 3, 3.0)]})
    machine.finish()
    append(machine.database, {SERIES[0]: [(now + 3, 3.0)]})
    assert select(machine.database) == {SERIES[0]: [(now + step, float(step)) for step in range(4)]}


def test_a_long_log_is_sealed_while_it_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nunchi.tsdb.wal.SEGMENT_BYTES_MAX", 1000)
    machine = Machine()
    now = machine.clock.now_ms()
    for step in range(100):
        append(machine.database, {series: [(now + step, float(step))] for series in SERIES})
    monkeypatch.setattr(sealing, "OPEN_SAMPLES_MIN", 100)
    monkeypatch.setattr(sealing, "OPEN_SAMPLES_PER_SERIES", 1)
    machine.kill()
    machine.survey()
    append(machine.database, {SERIES[0]: [(now + 100, 100.0)]})
    machine.finish()
    state = machine.database._state
    assert len(state.sealed.runs) > 3
    assert state.head.open.samples < 200
    wanted = {series: [(now + step, float(step)) for step in range(100)] for series in SERIES}
    wanted[SERIES[0]].append((now + 100, 100.0))
    assert select(machine.database) == wanted
    machine.kill()
    machine.finish()
    assert select(machine.database) == wanted


def test_a_database_that_is_closed_while_it_loads_loses_nothing() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {SERIES[0]: [(now, 0.0)]})
    machine.kill()
    machine.survey()
    append(machine.database, {SERIES[1]: [(now + 1, 1.0)]})
    machine.database.close()
    with pytest.raises(DatabaseError):
        machine.database.load()
    machine.make()
    machine.database.open()
    assert select(machine.database) == {SERIES[0]: [(now, 0.0)], SERIES[1]: [(now + 1, 1.0)]}


@pytest.mark.parametrize("where", ["log", "run", "both"])
def test_a_sender_whose_clock_is_ahead_makes_nobody_else_wait(where: str) -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    fast, good, new = SERIES[:3]
    append(machine.database, {fast: [(now + 500_000, 1.0)], good: [(now, 1.0)]})
    if where != "log":
        machine.database.seal()
    if where == "both":
        append(machine.database, {SERIES[3]: [(now + 500_000, 1.0)], good: [(now + 1000, 2.0)]})
    machine.clock.jump(15)
    machine.kill()
    machine.survey()
    at = now + 15_000
    early = append(machine.database, {good: [(at, 3.0)], new: [(at, 4.0)], fast: [(at, 5.0)], SERIES[3]: [(at, 6.0)]})
    assert (early.accepted, early.kept) == ((2, 2) if where == "both" else (3, 1))
    assert append(machine.database, {fast: [(now + 500_001, 7.0)]}).accepted == 1
    assert append(machine.database, {good: [(now - 1, 3.0)]}).kept == 1
    machine.finish()
    found = select(machine.database)
    assert found[good][-1] == (at, 3.0)
    assert found[new] == [(at, 4.0)]
    assert found[fast] == [(now + 500_000, 1.0), (now + 500_001, 7.0)]


@pytest.mark.parametrize("bound", ["blocks", "series"])
def test_where_it_cannot_be_told_who_is_ahead_all_wait(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append(machine.database, {SERIES[0]: [(now + 500_000, 1.0)]})
    if bound == "blocks":
        machine.database.seal()
        compact_head(machine.database._state, (now // BLOCK_MS + 2) * BLOCK_MS)
    else:
        monkeypatch.setattr(ahead, "AHEAD_SERIES_MAX", 0)
    machine.kill()
    machine.survey()
    assert append(machine.database, {SERIES[1]: [(now + 1, 1.0)]}).kept == 1
    machine.finish()
    assert append(machine.database, {SERIES[1]: [(now + 1, 1.0)]}).accepted == 1
