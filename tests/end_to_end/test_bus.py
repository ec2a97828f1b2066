"""Agents and servers at a real NATS: every sample stored once, whoever shares the work and whoever dies."""

import asyncio
import random
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nats import NatsServer

from nunchi.admission.door import Door
from nunchi.agent.bus_carrier import BusCarrier, BusTelemetry
from nunchi.agent.forwarder.spool import Lot, Shipment
from nunchi.agent.forwarder.verdict import Fate
from nunchi.agent.identity import Identity
from nunchi.intake.receive.bus import BusReceiver
from nunchi.intake.receive.bus import BusTelemetry as ReceiverTelemetry
from nunchi.intake.receive.bus_settings import BusReceiverSettings
from nunchi.intake.receive.pack_keys import BookKeys
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.buses.nats.bus import NatsBus
from nunchi.kit.clock import SystemClock
from nunchi.kit.durations import Duration
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.storage.memory import MemoryStore
from nunchi.storage.records import Records
from nunchi.wire.pack_seal import PackMode, pack_key
from nunchi.wire.payload import Sender
from nunchi.wire.payload_encoder import Round, encode_payload

pytestmark = pytest.mark.peer
CLOCK = SystemClock()
SERIES = 20
LAYOUT = Layout.of(*(Labels.of("m", n=str(number)) for number in range(SERIES)))


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


class Desk:
    """A server's parts with a store of its own; servers share the book of keys."""

    def __init__(self, nats: NatsServer, book: AgentBook) -> None:
        telemetry = Telemetry()
        self.store = MemoryStore(CLOCK)
        self.registry = AgentRegistry(Door(self.store.appender, CLOCK, telemetry), CLOCK, telemetry, logger("test"))
        self.counts = ReceiverTelemetry(telemetry)
        settings = BusReceiverSettings(urls=[nats.url], settle_time=Duration(1000))
        self.receiver = BusReceiver(
            NatsBus(settings, f"server-{id(self)}", Path(), logger("test")), settings,
            PushReceiver(self.registry, telemetry, book), BookKeys(book, {}), CLOCK, random.Random(4), self.counts,
            logger("test"),
        )  # fmt: skip
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.receiver.start()
        self.task = asyncio.create_task(self.receiver.run())

    async def die(self) -> None:
        """End at once: nothing is given back, as if the process were gone."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.receiver._bus.close()

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.receiver.stop()

    def stored(self) -> Counter[str]:
        """How many samples of every agent are there; the server's own `up` is not."""
        found: Counter[str] = Counter()
        selection = self.store.querier().select([], 0, 1 << 60)
        for tile in selection.read(0, len(selection.labels)):
            for position, series in enumerate(tile.series.tolist()):
                labels = selection.labels.labels(series)
                if labels.metric_name == "m":
                    found[labels["instance"]] += int(tile.offsets[position + 1] - tile.offsets[position])
        return found


class Agent:
    """One that joined, and its numbered rounds."""

    def __init__(self, nats: NatsServer, book: AgentBook, name: str, timeout_seconds: float = 10.0) -> None:
        token, _ = book.issue_token(600)
        self.owner, key = book.join(token, "", name)
        identity = Identity(self.owner.agent_id, name, ("10.0.0.1",), "0", 0, 1)
        settings = BusReceiverSettings(urls=[nats.url])
        self.key = key
        self.telemetry = Telemetry()
        self.carrier = BusCarrier(
            NatsBus(settings, identity.id, Path(), logger("test")), "main", PackMode.HMAC, lambda: pack_key(self.key),
            timeout_seconds, identity, CLOCK, random.Random(name), BusTelemetry(self.telemetry),
        )  # fmt: skip
        self.began_ms = CLOCK.now_ms() - 60_000
        self.sent = self.acknowledged = self.duplicates = 0

    async def deliver(self, rounds: int) -> None:
        """So many rounds, each sent until a server has it."""
        for _ in range(rounds):
            values = array("i", range(SERIES)), array("d", [float(self.sent)] * SERIES)
            one = Round(self.began_ms + self.sent, LAYOUT, *values)
            body = encode_payload(Sender(self.owner.agent_id, self.owner.name, "0", 1), self.sent, 60_000, [one])
            self.sent += SERIES
            while (verdict := await self.carrier.carry(Shipment(body, SERIES, Lot(())))).fate is not Fate.ACCEPTED:
                assert verdict.fate is Fate.KEPT
                await asyncio.sleep(0.1)
            self.acknowledged += SERIES
            self.duplicates += verdict.duplicate


@pytest.fixture
def book() -> AgentBook:
    records = Records(None, CLOCK)
    records.open()
    one = AgentBook(records, CLOCK, random.Random(1), Telemetry(), logger("test"))
    one.open()
    return one


async def test_two_hundred_agents_share_one_stream_and_every_sample_is_stored_once(nats, book) -> None:
    desk = Desk(nats, book)
    await desk.start()
    agents = [Agent(nats, book, f"web-{number}") for number in range(200)]
    await asyncio.gather(*(agent.deliver(5) for agent in agents))
    assert desk.stored() == {agent.owner.name: 5 * SERIES for agent in agents}
    assert desk.counts.messages.value("stored") == 1000 + desk.counts.redelivered.total()
    assert sum(agent.duplicates for agent in agents) == 0
    assert [one["state"]["messages"] for one in nats.streams().values()] == [0]
    await asyncio.gather(*(agent.carrier.close() for agent in agents))
    await desk.stop()


async def test_two_servers_share_the_work_and_one_goes_on_where_the_other_died(nats, book) -> None:
    first, second = Desk(nats, book), Desk(nats, book)
    await first.start()
    await second.start()
    agents = [Agent(nats, book, f"web-{number}", timeout_seconds=3.0) for number in range(20)]
    await asyncio.gather(*(agent.deliver(10) for agent in agents))
    assert first.stored().total() + second.stored().total() == 200 * SERIES
    assert min(first.stored().total(), second.stored().total()) > 0
    stored = first.stored().total()
    delivering = [asyncio.create_task(agent.deliver(10)) for agent in agents]
    async with asyncio.timeout(10):
        while first.stored().total() == stored:  # noqa: ASYNC110 (counters tell nobody)
            await asyncio.sleep(0.001)
    await first.die()
    await asyncio.gather(*delivering)
    before = second.stored().total()
    await asyncio.gather(*(agent.deliver(5) for agent in agents))
    assert second.stored().total() == before + 100 * SERIES
    assert first.stored().total() + second.stored().total() >= sum(agent.acknowledged for agent in agents)
    assert [one["state"]["messages"] for one in nats.streams().values()] == [0]
    await asyncio.gather(*(agent.carrier.close() for agent in agents))
    await second.stop()


async def test_a_server_that_dies_between_commit_and_acknowledgement_stores_once_and_counts_a_duplicate(
    nats, book, monkeypatch
) -> None:
    desk = Desk(nats, book)
    await desk.start()
    agent = Agent(nats, book, "web-1", timeout_seconds=5.0)
    await agent.deliver(1)
    settled = desk.receiver._settle

    async def die(*_arguments: object) -> None:
        monkeypatch.setattr(desk.receiver, "_settle", settled)
        raise asyncio.CancelledError

    monkeypatch.setattr(desk.receiver, "_settle", die)
    delivering = asyncio.create_task(agent.deliver(1))
    assert desk.task is not None
    await asyncio.gather(desk.task, return_exceptions=True)
    assert desk.stored() == {"web-1": 2 * SERIES}
    assert agent.acknowledged == SERIES
    desk.receiver._held = []
    await desk.start()
    await delivering
    assert (agent.acknowledged, agent.duplicates) == (2 * SERIES, SERIES)
    assert desk.stored() == {"web-1": 2 * SERIES}
    assert desk.counts.redelivered.total() == 1
    await agent.carrier.close()
    await desk.stop()


async def test_the_bus_is_killed_while_everybody_works_and_nothing_is_missing(nats, book) -> None:
    desk = Desk(nats, book)
    await desk.start()
    agents = [Agent(nats, book, f"web-{number}", timeout_seconds=2.0) for number in range(10)]
    delivering = [asyncio.create_task(agent.deliver(30)) for agent in agents]
    for _ in range(2):
        await asyncio.sleep(0.1)  # everybody delivers
        nats.kill()
        await asyncio.sleep(0.3)  # everybody finds the bus gone, and tries again
        await asyncio.to_thread(nats.start)
    await asyncio.gather(*delivering)
    assert desk.stored() == {agent.owner.name: 30 * SERIES for agent in agents}
    assert desk.counts.errors.total() >= 1
    await asyncio.gather(*(agent.carrier.close() for agent in agents))
    await desk.stop()


async def test_a_wrong_key_keeps_everything_at_the_agent_until_the_right_one_is_there(nats, book) -> None:
    desk = Desk(nats, book)
    await desk.start()
    agent, other = Agent(nats, book, "web-1"), Agent(nats, book, "web-2")
    right, agent.key = agent.key, other.key
    delivering = asyncio.create_task(agent.deliver(1))
    async with asyncio.timeout(10):
        while not desk.counts.messages.value("unauthenticated"):  # noqa: ASYNC110 (counters tell nobody)
            await asyncio.sleep(0.02)
    assert desk.registry.agents() == []
    assert desk.stored() == {}
    agent.key = right
    await delivering
    assert desk.stored() == {"web-1": SERIES}
    assert [one["state"]["messages"] for one in nats.streams().values()] == [0]
    for one in (agent, other):
        await one.carrier.close()
    await desk.stop()


async def test_without_a_server_a_backlog_waits_at_the_agents_and_arrives_when_one_is_there(nats, book) -> None:
    desk = Desk(nats, book)
    await desk.start()
    await desk.stop()
    agent = Agent(nats, book, "web-1", timeout_seconds=0.3)
    delivering = asyncio.create_task(agent.deliver(5))
    await asyncio.sleep(2.5)  # more attempts than the topic has room for
    assert agent.acknowledged == 0
    [stream] = nats.streams().values()
    assert stream["state"]["messages"] == 4
    await desk.start()
    await delivering
    assert desk.stored() == {"web-1": 5 * SERIES}
    await agent.carrier.close()
    await desk.stop()
