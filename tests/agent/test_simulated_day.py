"""A wire that breaks and a whole day on virtual time, agent and server real, only the connection between them is ours.

What the connection may do: not be there, be slow, be cut before the request arrives, or after the server has stored it and
before its answer arrives; the server may be down, or answer that it cannot store now. Whatever happens:
collected = stored + dropped{reason}, on both sides, sample by sample.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from tests.kit.faulty_disk import FaultyDisk

from nunchi.admission.door import Door
from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import Emission
from nunchi.agent.forwarder.delivery import PUSH_PATH, Delivery, HttpCarrier
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Outcome
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.sequence_memory import StoredSequences
from nunchi.kit.http_client import Response
from nunchi.kit.http_errors import HttpConnectError, HttpTimeoutError
from nunchi.kit.logs import logger
from nunchi.kit.spool import Spool, SpoolLimits
from nunchi.kit.telemetry import Telemetry
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.staleness import ABSENT_BITS, STALE_BITS
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

TIMEOUT_SECONDS = 10.0
INTERVAL_SECONDS = 10.0
SAMPLES = 20
ID = "a" * 32


@dataclass
class World:
    """What outlives agents and servers: the clock, the agent's disk, the server's store, chance, and counts."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    disk: FaultyDisk = field(default_factory=FaultyDisk)
    chance: Random = field(default_factory=lambda: Random(7))
    telemetry: Telemetry = field(default_factory=Telemetry)
    epoch: int = 0
    collected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock, 1 << 50)
        self.door = Door(self.store.appender, self.clock, self.telemetry)
        self.start_server()

    def start_server(self) -> None:
        """A server that knows what its store says; the one before ended or was killed."""
        memory = StoredSequences(self.store, self.clock, logger("test"))
        self.registry = AgentRegistry(self.door, self.clock, Telemetry(), logger("test"), memory)
        self.push = PushReceiver(self.registry, Telemetry())


class Wire:
    """Implements `ServerLink`. `weather` is what happens to the next request."""

    url = "http://server"

    def __init__(self, world: World) -> None:
        self.world = world
        self.weather = "fair"

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", *, body_bytes_max: int,
        wait_seconds: float = 0.0,
    ) -> Response:  # fmt: skip
        assert path == PUSH_PATH
        clock, weather = self.world.clock, self.weather
        if weather == "storm":
            weather = self.world.chance.choice(["fair", "refused", "cut", "half", "slow", "partition", "not now"])
        if weather == "refused":
            raise HttpConnectError(method, self.url, "connection refused")
        if weather == "partition":
            await clock.sleep(TIMEOUT_SECONDS)
            raise HttpTimeoutError(method, self.url, "no answer")
        if weather == "cut":
            await clock.sleep(0.1)
            raise HttpConnectError(method, self.url, "connection reset")
        if weather == "not now":
            return Response(503, CIMultiDictProxy(CIMultiDict({"Retry-After": "5"})), b"", self.url)
        if weather == "slow":
            await clock.sleep(TIMEOUT_SECONDS * 0.9)
        answer = self.world.push.answer("10.0.0.1", body)
        if weather == "half":
            raise HttpConnectError(method, self.url, "the connection broke within the answer")
        assert isinstance(answer.body, bytes)
        return Response(answer.status, CIMultiDictProxy(CIMultiDict(answer.headers)), answer.body, self.url)

    async def close(self) -> None:
        pass


class SimulatedAgent:
    """A forwarder over the world's disk, with rounds put in every interval by hand."""

    def __init__(self, world: World, bytes_max: int = 8 << 20) -> None:
        world.epoch += 1
        self.world, self.wire = world, Wire(world)
        telemetry = Telemetry()
        self.accounting = Accounting(telemetry)
        limits = SpoolLimits(bytes_max, 24 * 3600)
        spool = Spool(Path("/spool"), limits, world.disk, world.clock, logger("test"), on_drop=self.accounting.drop)
        encoder = PushEncoder(Identity(ID, "web-1", (), "0", 0, world.epoch), round(INTERVAL_SECONDS * 1000))
        self.encoder = encoder
        self.aggregation = Aggregation({}, self.accounting)
        self.rounds = RoundSpool(spool, encoder, self.accounting, world.clock)
        delivery = Delivery(HttpCarrier(self.wire), self.accounting, world.clock, telemetry)
        self.forwarder = Forwarder(
            self.aggregation, self.rounds, delivery, self.accounting, Telemetry(), world.clock,
            world.chance, logger("test"),
        )  # fmt: skip
        self.rounds.open()
        self.task = asyncio.create_task(self.forwarder.run())

    def collect(self) -> None:
        emission = Emission()
        for number in range(SAMPLES):
            emission.gauge("m", self.world.chance.random(), n=str(number))
        self.forwarder.put(self.world.clock.now_ms(), [Outcome("test", "test", emission, 0.0, is_success=True)])

    def reload(self) -> None:
        """What other settings change while an agent runs: labels, how often it says that it comes, room in the spool."""
        chance = self.world.chance
        self.aggregation.apply({"site": chance.choice(["north", "south"])} if chance.random() < 0.7 else {})
        self.encoder.interval_ms = round(INTERVAL_SECONDS * 1000) * chance.choice([1, 2])
        self.rounds.spool.limits = SpoolLimits(chance.choice([1 << 19, 1 << 20, 1 << 22]), 24 * 3600)

    async def live(self, seconds: float, weather: str = "fair") -> None:
        self.wire.weather = weather
        for _ in range(round(seconds / INTERVAL_SECONDS)):
            self.collect()
            await self.world.clock.advance(INTERVAL_SECONDS * 0.4, settle_rounds=6)
            self.world.registry.look()  # never at the very millisecond of a round, which a marker would then take
            await self.world.clock.advance(INTERVAL_SECONDS * 0.6, settle_rounds=6)
            assert self.accounting.is_balanced()

    async def end(self, *, is_killed: bool) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        if is_killed:
            self.world.disk.kill()
        else:
            await self.forwarder.stop()
        self.world.collected += int(self.accounting.collected.total())
        for _, labels, value in self.accounting.dropped.samples():
            reason = dict(labels)["reason"]
            self.world.dropped[reason] = self.world.dropped.get(reason, 0) + int(value)
        assert self.accounting.rejected.total() == 0


def stored(world: World) -> int:
    """Samples of `m` in the store; staleness markers are the server's own and none of them."""
    querier = world.store.querier()
    selection = querier.select([Matcher("__name__", MatchOperator.EQUAL, "m")], 0, 1 << 60)
    total = 0
    for tile in selection.read(0, len(selection.labels)):
        total += int((~np.isin(tile.values.view(np.uint64), (ABSENT_BITS, STALE_BITS))).sum())
    selection.close()
    querier.close()
    return total


@pytest.mark.parametrize("weather", ["refused", "partition", "cut", "half", "slow", "not now", "storm"])
async def test_after_the_wire_has_healed_everything_is_stored_once(weather: str) -> None:
    world = World()
    agent = SimulatedAgent(world)
    await agent.live(60)
    await agent.live(600, weather)
    await agent.live(300)
    await agent.end(is_killed=False)
    assert agent.accounting.queued == 0
    assert world.collected == 96 * SAMPLES == stored(world)
    assert world.dropped == {}
    assert agent.accounting.acknowledged.total() == world.collected
    [known] = world.registry.agents()
    assert known.duplicates >= agent.accounting.duplicates.total()


async def test_a_day_of_outages_restarts_and_clock_jumps_loses_nothing_unsaid() -> None:
    world = World()
    chance = Random(11)
    agent = SimulatedAgent(world, bytes_max=1 << 20)
    hours, events = 0.0, set[str]()
    while hours < 24:
        minutes = chance.choice([5, 10, 20, 40])
        weather = chance.choice(["fair", "fair", "storm", "refused", "partition", "half", "cut"])
        await agent.live(minutes * 60, weather)
        hours += minutes / 60
        event = chance.choice(["none", "stop", "kill", "server restart", "reload", "jump"])
        events.add(event)
        if event in {"stop", "kill"}:
            await agent.end(is_killed=event == "kill")
            agent = SimulatedAgent(world, bytes_max=1 << 20)
        elif event == "server restart":
            world.start_server()
        elif event == "reload":
            agent.reload()
        elif event == "jump":
            world.clock.jump(chance.choice([1.0, 30.0, 300.0, -31.737, -601.113]))
    await agent.live(3600)
    await agent.end(is_killed=False)
    assert agent.accounting.queued == 0
    assert world.epoch > 5
    assert len(events) == 6, "everything that may happen in a day has happened"
    assert world.collected > 24 * 360 * SAMPLES
    assert world.collected == stored(world) + sum(world.dropped.values())
    assert set(world.dropped) <= {"spool_full", "too_old"}


async def test_an_outage_longer_than_the_spool_drops_the_oldest_and_says_how_many() -> None:
    world = World()
    agent = SimulatedAgent(world, bytes_max=100_000)
    await agent.live(3 * 3600, "refused")
    await agent.live(900)
    await agent.end(is_killed=False)
    assert world.dropped.keys() == {"spool_full"}
    assert world.collected == stored(world) + world.dropped["spool_full"]
    assert stored(world) > 100 * SAMPLES
