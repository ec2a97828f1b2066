"""Which rounds of agents were taken is known after a crash at any instant, as exactly as the samples are."""

from array import array
from pathlib import Path
from random import Random

import pytest

from nunchi.admission.door import Door
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.errors import NotStoredError
from nunchi.intake.registry.sequence_memory import RETENTION_MS, StoredSequences
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import is_equal, select
from nunchi.testing.disk import Crash, FaultyDisk
from nunchi.tsdb.database import Database
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.wire.payload import Sender, decode_payload
from nunchi.wire.payload_encoder import Round, encode_payload

LAYOUT = Layout.of(Labels.of("load"))
SENDER = Sender("agent", "web-1", "0.1", 1)


class Machine:
    """A server's registry over a database on a disk that fails."""

    def __init__(self, seed: int) -> None:
        self.disk = FaultyDisk(Random(seed))
        self.clock = VirtualClock()
        self.make()
        self.database.open()

    def make(self) -> None:
        keeping = DatabaseSettings(wal_sync_always=True)
        counts = DatabaseTelemetry(Telemetry())
        self.database = Database(Path("/data"), self.disk, self.clock, counts, logger("tsdb"), keeping)
        memory = StoredSequences(self.database, self.clock, logger("test"))
        door = Door(self.database.appender, self.clock, Telemetry())
        self.registry = AgentRegistry(door, self.clock, Telemetry(), logger("test"), memory)

    def restart(self) -> None:
        self.disk.restart(power_lost=True)
        self.make()
        self.database.open()

    def push(self, number: int, at_ms: int) -> tuple[int, int]:
        """A round of one sample; how many were new, how many known."""
        row = Round(at_ms, LAYOUT, array("i", [0]), array("d", [float(number)]))
        done = self.registry.receive(decode_payload(encode_payload(SENDER, number, 10_000, [row])), "127.0.0.1")
        return done.accepted, done.duplicate

    def stored(self) -> list[float]:
        samples = select(self.database, is_equal("__name__", "load")).values()
        return [value for own in samples for _, value in own]


@pytest.mark.parametrize("seed", range(40))
def test_a_round_is_known_as_a_duplicate_exactly_where_it_is_stored(seed: int) -> None:
    machine, chance = Machine(seed), Random(seed)
    number, start_ms = 0, machine.clock.now_ms()
    for _ in range(6):
        machine.disk.crash_in = chance.randint(0, 25)
        try:
            while True:
                machine.clock.jump(10)
                machine.push(number, start_ms + 10_000 * number)
                number += 1
                if chance.random() < 0.2:
                    machine.database.seal()
        except Crash:
            pass
        machine.restart()
        was_stored = number in machine.stored()
        assert machine.push(number, start_ms + 10_000 * number) == ((0, 1) if was_stored else (1, 0))
        number += 1
        if number > 1:
            assert machine.push(0, start_ms) == (0, 1)
    assert machine.stored() == [float(one) for one in range(number)]


def test_rounds_taken_while_loading_are_known_together_with_those_of_before() -> None:
    machine = Machine(0)
    start_ms = machine.clock.now_ms()
    assert machine.push(0, start_ms) == (1, 0)
    for number in (1, 2):
        machine.disk.restart(power_lost=True)
        machine.make()
        machine.database.take()
        machine.clock.jump(10)
        with pytest.raises(NotStoredError):
            machine.push(number, start_ms + 10_000 * number)
        machine.database.load()
        assert machine.push(number, start_ms + 10_000 * number) == (1, 0)
        with pytest.raises(NotStoredError):
            machine.push(0, start_ms)
        if number == 2:
            machine.database.finish()
    assert [machine.push(number, start_ms + 10_000 * number) for number in range(3)] == [(0, 1)] * 3
    machine.restart()
    assert [machine.push(number, start_ms + 10_000 * number) for number in range(4)] == [(0, 1)] * 3 + [(1, 0)]


def test_marks_of_agents_that_are_gone_for_long_are_forgotten() -> None:
    machine = Machine(0)
    machine.push(0, machine.clock.now_ms())
    StoredSequences(machine.database, machine.clock, logger("test")).tend()
    assert len(machine.database.marks()) == 1
    machine.clock.jump(RETENTION_MS / 1000 + 1)
    StoredSequences(machine.database, machine.clock, logger("test")).tend()
    assert machine.database.marks() == {}
