"""The agent's side of the bus: a payload leaves the spool by a sealed word of a server, and by nothing else."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.agent.forwarding import Sender, Server

from nunchi.agent.bus_carrier import BusCarrier, BusTelemetry
from nunchi.agent.bus_settings import AgentBusSettings
from nunchi.agent.forwarder.verdict import Fate
from nunchi.agent.identity import Identity
from nunchi.agent.settings import parse_agent_settings
from nunchi.kit.bus import Consumption, Delivered, Stream
from nunchi.kit.clock import SystemClock
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.bus import MESSAGE_BYTES_MAX, MemoryBroker, MemoryBus
from nunchi.wire.bus_message import NONCE_BYTES, BusAnswer, BusTopics, agent_of, seal_answer, split_payload
from nunchi.wire.pack_seal import PackMode

AGENT = "a" * 32
KEY, OTHER_KEY = bytes(32), bytes(31) + b"\x01"
TOPICS = BusTopics("main")
STREAM = Stream(TOPICS.stream, TOPICS.rounds(), 4 << 20, 4)
CONSUMPTION = Consumption("servers", 100, 0.3)


@dataclass
class Desk:
    """A server at a bus: stores as `forwarding.Server` does. `faults` say what goes wrong with the next messages."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    faults: list[str] = field(default_factory=list)
    key: bytes = KEY

    def __post_init__(self) -> None:
        self.store = Server()
        self.bus = MemoryBus(self.broker, SystemClock())

    async def run(self) -> None:
        consumer = await self.bus.consume(STREAM, CONSUMPTION)
        while True:
            for message in await consumer.take(10, 5.0):
                await self.take(message)

    async def take(self, message: Delivered) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        sealed, agent_id = split_payload(message.body), agent_of(message.topic)
        body, _ = sealed.open(agent_id, [self.key])
        answer = BusAnswer(200)
        payload = self.store.reader.read(body)
        if fault == "503":
            answer = BusAnswer(503, "not now", 0.01)
        elif any(value in self.store.poison_values for one in payload.rounds for value in one.values.tolist()):
            answer = BusAnswer(400, "cannot read this")
        else:
            answer = BusAnswer(200, json.dumps({"duplicate": self.store.store(payload)}))
        if fault == "died":
            return
        await message.accept()
        if fault == "lost answer":
            return
        key = OTHER_KEY if fault == "forged" else None if fault == "unsealed" else self.key
        told = seal_answer(answer, agent_id, sealed.salt, random.randbytes(NONCE_BYTES), key, sealed.mode)
        await self.bus.tell(TOPICS.answers(agent_id), told)


def sender_to(broker: MemoryBroker, key: Callable[[], bytes] = lambda: KEY, mode: PackMode = PackMode.HMAC) -> Sender:
    telemetry = Telemetry()
    carrier = BusCarrier(
        MemoryBus(broker, SystemClock()), "main", mode, key, 0.2, Identity(AGENT, "web-1", ("10.0.0.1",), "0", 0, 1),
        SystemClock(), random.Random(5), BusTelemetry(telemetry),
    )  # fmt: skip
    sender = Sender("http://127.0.0.1:1", carrier=carrier)
    sender.bus_telemetry = telemetry
    return sender


def outcomes(sender: Sender) -> set[str]:
    counter = sender.bus_telemetry.find("agent_bus_messages_total")
    return {labels[0][1] for _, labels, _ in counter.samples()}


@pytest.fixture
async def desk():
    one = Desk()
    task = asyncio.create_task(one.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("mode", PackMode)
async def test_every_round_arrives_once(desk: Desk, mode: PackMode) -> None:
    sender = sender_to(desk.broker, mode=mode)
    for _ in range(20):
        sender.collect(10)
    await sender.run_until_idle()
    assert sorted(desk.store.stored) == list(range(200))
    assert (desk.store.duplicates, sender.accounting.acknowledged.total()) == (0, 200)
    assert outcomes(sender) == {"accepted"}


@pytest.mark.parametrize("fault", ["503", "died", "lost answer", "forged", "unsealed"])
async def test_one_fault_loses_nothing_and_stores_nothing_twice(desk: Desk, fault: str) -> None:
    desk.faults = [fault]
    sender = sender_to(desk.broker)
    sender.collect(10)
    sender.collect(10)
    await sender.run_until_idle()
    assert sorted(desk.store.stored) == list(range(20))
    assert sender.accounting.collected.total() == sender.accounting.acknowledged.total() == 20
    assert sender.accounting.duplicates.total() <= desk.store.duplicates
    if fault == "503":
        assert desk.store.duplicates == 0


async def test_many_faults_lose_nothing(desk: Desk) -> None:
    chance = random.Random(11)
    desk.faults = chance.choices(["", "503", "died", "lost answer", "forged"], weights=[4, 2, 1, 1, 1], k=20)
    sender = sender_to(desk.broker)
    task = asyncio.create_task(sender.forwarder.run())
    while desk.faults:
        sender.collect(chance.randint(1, 20))
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sender.run_until_idle()
    assert len(desk.store.stored) == sender.accounting.collected.total() == sender.accounting.acknowledged.total()
    assert sorted(desk.store.stored) == list(range(len(desk.store.stored)))


async def test_while_no_server_takes_messages_the_bus_holds_a_few_and_the_spool_the_rest() -> None:
    desk = Desk()
    await desk.bus.consume(STREAM, CONSUMPTION)
    sender = sender_to(desk.broker)
    task = asyncio.create_task(sender.forwarder.run())
    for _ in range(12):
        sender.collect(10)
        await asyncio.sleep(0.15)
    assert len(desk.broker.streams[STREAM.name].messages) == STREAM.topic_messages_max
    assert sender.accounting.queued == 120
    assert "no server takes what is there" in sender.forwarder.last_error
    serving = asyncio.create_task(desk.run())
    async with asyncio.timeout(20):
        while sender.accounting.queued:  # noqa: ASYNC110 (what is waited for happens in other tasks)
            await asyncio.sleep(0.01)
    for one in (task, serving):
        one.cancel()
    await asyncio.gather(task, serving, return_exceptions=True)
    assert sorted(desk.store.stored) == list(range(120))
    assert sender.accounting.acknowledged.total() == 120
    assert outcomes(sender) == {"accepted", "unanswered", "full"}


async def test_a_bus_that_is_away_keeps_everything_and_says_why(desk: Desk) -> None:
    desk.broker.is_reachable = False
    sender = sender_to(desk.broker)
    sender.collect(10)
    task = asyncio.create_task(sender.forwarder.run())
    await asyncio.sleep(0.05)
    assert sender.accounting.queued == 10
    assert sender.forwarder.last_error == "the bus is away"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    desk.broker.is_reachable = True
    restarted = asyncio.create_task(desk.run())
    await sender.run_until_idle()
    restarted.cancel()
    await asyncio.gather(restarted, return_exceptions=True)
    assert sorted(desk.store.stored) == list(range(10))


async def test_poison_is_found_by_halving_and_the_rest_arrives(desk: Desk) -> None:
    desk.store.poison_values = {37.0}
    sender = sender_to(desk.broker)
    sender.collect(60)
    sender.collect(20)
    await sender.run_until_idle()
    assert sender.accounting.dropped.value("refused") == 1
    assert set(range(80)) - set(desk.store.stored) == {37}


async def test_what_is_too_large_for_the_bus_is_halved(desk: Desk) -> None:
    sender = sender_to(desk.broker)
    carrier, shipment = sender.delivery._carrier, sender.spool
    sender.collect(2)
    taken = shipment.take()
    large = type(taken)(bytes(MESSAGE_BYTES_MAX), taken.samples, taken.lot)
    assert (await carrier.carry(large)).fate is Fate.REFUSED
    shipment.keep(taken)


async def test_without_a_key_nothing_is_sent_and_the_cure_is_named(desk: Desk) -> None:
    sender = sender_to(desk.broker, key=lambda: b"")
    sender.collect(5)
    task = asyncio.create_task(sender.forwarder.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "let this agent join" in sender.forwarder.last_error
    assert sender.accounting.queued == 5
    assert desk.store.stored == []


async def test_a_changed_key_seals_the_next_payload(desk: Desk) -> None:
    keys = [KEY]
    sender = sender_to(desk.broker, key=lambda: keys[0])
    sender.collect(5)
    taken, carrier = sender.spool.take(), sender.delivery._carrier
    assert (await carrier.carry(taken)).fate is Fate.ACCEPTED
    keys[0] = desk.key = OTHER_KEY
    verdict = await carrier.carry(taken)
    assert verdict.fate is Fate.ACCEPTED
    assert verdict.duplicate == taken.samples
    sender.spool.accept(taken)


def test_the_bus_is_a_setting_of_the_server() -> None:
    text = "server: {bus: {urls: ['tls://bus:4222'], cluster: berlin, username: ann, password: one, mode: aead}}"
    bus = parse_agent_settings(text, "agent.yaml").server.bus
    assert isinstance(bus, AgentBusSettings)
    assert (bus.cluster, bus.mode, bus.is_encrypted, str(bus.password)) == ("berlin", "aead", True, "<secret>")
