"""The server's side of the bus: who is believed, when a message is done with, and that one that comes twice is stored once."""

import random
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from nunchi.admission.door import Door
from nunchi.intake.receive.bus import AGENT_MESSAGES_MAX, BusReceiver, BusTelemetry
from nunchi.intake.receive.bus_settings import BusReceiverSettings
from nunchi.intake.receive.pack_keys import BookKeys
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.durations import Duration
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError, load
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.storage.records import Records
from nunchi.testing.bus import MemoryBroker, MemoryBus
from nunchi.testing.clock import VirtualClock
from nunchi.wire.bus_message import BusAnswer, BusTopics, open_answer, seal_payload
from nunchi.wire.pack_seal import SALT_BYTES, PackMode, pack_key
from nunchi.wire.payload import Sender
from nunchi.wire.payload_encoder import Round, encode_payload

TOPICS = BusTopics("main")
SETTINGS = BusReceiverSettings(urls=["nats://127.0.0.1:4222"], settle_time=Duration(30_000))


class FailingDoor(Door):
    """A door whose store is not well for a while."""

    failures = 0

    def append(self, *arguments, **named):
        if self.failures:
            self.failures -= 1
            raise WorldError("no space left on device")
        return super().append(*arguments, **named)


@dataclass
class Installation:
    """A server's parts over one broker, and an agent that joined. `take` runs the receiver until nothing is left to take."""

    store: object
    clock: VirtualClock
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    chance: random.Random = field(default_factory=lambda: random.Random(3))

    def __post_init__(self) -> None:
        self.telemetry = Telemetry()
        records = Records(None, self.clock)
        records.open()
        self.book = AgentBook(records, self.clock, self.chance, self.telemetry, logger("test"))
        self.book.open()
        self.door = FailingDoor(self.store.appender, self.clock, self.telemetry)
        self.registry = AgentRegistry(self.door, self.clock, self.telemetry, logger("test"))
        push = PushReceiver(self.registry, self.telemetry, self.book)
        self.counts = BusTelemetry(self.telemetry)
        self.bus = MemoryBus(self.broker, self.clock)
        self.receiver = BusReceiver(
            self.bus, SETTINGS, push, BookKeys(self.book, {}), self.clock, self.chance, self.counts, logger("test")
        )
        self.heard: dict[str, list[bytes]] = {}

    def join(self, name: str) -> tuple[str, str]:
        """Id and key of another agent."""
        token, _ = self.book.issue_token(60)
        owner, key = self.book.join(token, "", name)
        return owner.agent_id, key

    def payload(self, first: int, samples: int, epoch: int = 1) -> bytes:
        layout = Layout.of(*(Labels.of("m", n=str(number)) for number in range(samples)))
        cells = array("i", range(samples)), array("d", [float(first + number) for number in range(samples)])
        one = Round(self.clock.now_ms() + first, layout, *cells)
        return encode_payload(Sender("claimed", "claimed", "0", epoch), first, 1000, [one])

    async def put(self, agent_id: str, key: str, payload: bytes, mode: PackMode = PackMode.HMAC) -> bytes:
        """Give a message to the bus; its salt."""
        if agent_id not in self.heard:
            self.heard[agent_id] = []
            await self.bus.listen(TOPICS.answers(agent_id), self.heard[agent_id].append)
        salt = self.chance.randbytes(SALT_BYTES)
        await self.bus.put(
            TOPICS.rounds(agent_id), seal_payload(payload, agent_id, "10.0.0.1", pack_key(key), salt, mode)
        )
        return salt

    def answers(self, agent_id: str, key: str, salt: bytes) -> list[tuple[BusAnswer, bool]]:
        found = [open_answer(one, agent_id, salt, pack_key(key)) for one in self.heard[agent_id]]
        return [one for one in found if one is not None]

    async def take(self) -> float:
        """One turn of the receiver, with what is there."""
        await self.receiver.start()
        messages = await self.receiver._consumer.take(64, 0.0)
        return await self.receiver._take(messages)

    def waiting(self) -> int:
        return len(self.broker.streams[TOPICS.stream].messages)

    def outcomes(self) -> dict[str, float]:
        return {labels[0][1]: value for _, labels, value in self.counts.messages.samples()}


@pytest.fixture
async def server(store, clock) -> AsyncIterator[Installation]:
    installation = Installation(store, clock)
    await installation.receiver.start()
    yield installation
    await installation.receiver.stop()


@pytest.mark.parametrize("mode", PackMode)
async def test_a_sealed_payload_is_stored_under_the_name_its_key_has_here_and_answered(server, store, mode) -> None:
    agent_id, key = server.join("web-1")
    salt = await server.put(agent_id, key, server.payload(0, 3), mode)
    await server.take()
    assert len(store.samples("m")) == 3
    assert all('instance="web-1"' in one for one in store.samples("m"))
    [(answer, is_sealed)] = server.answers(agent_id, key, salt)
    assert (answer.status, answer.body, is_sealed) == (200, '{"accepted":3,"duplicate":0,"rejected":{}}', True)
    assert server.waiting() == 0
    assert server.outcomes() == {"stored": 1.0}


async def test_a_message_that_comes_again_is_stored_once_and_called_a_duplicate(server, store, clock) -> None:
    agent_id, key = server.join("web-1")
    salt = await server.put(agent_id, key, server.payload(0, 3))
    [message] = await server.receiver._consumer.take(64, 0.0)
    server.receiver._answer(message)  # committed; then the server dies before it settles the message
    assert server.waiting() == 1
    await clock.advance(31.0)
    await server.take()
    [(answer, _)] = server.answers(agent_id, key, salt)
    assert answer.body == '{"accepted":0,"duplicate":3,"rejected":{}}'
    assert [len(one) for one in store.samples("m").values()] == [1, 1, 1]
    assert server.counts.redelivered.total() == 1
    assert server.waiting() == 0


async def test_what_no_key_opens_is_ended_and_leaves_nothing_but_a_count(server, store) -> None:
    agent_id, key = server.join("web-1")
    _, other_key = server.join("web-2")
    stranger = "f" * 32
    salts = [
        (agent_id, await server.put(agent_id, other_key, server.payload(0, 3))),
        (stranger, await server.put(stranger, key, server.payload(0, 3))),
    ]
    await server.take()
    assert store.samples("m") == {}
    assert server.registry.agents() == []
    assert server.waiting() == 0
    assert server.outcomes() == {"unauthenticated": 2.0}
    for told, salt in salts:
        [(answer, is_sealed)] = server.answers(told, key, salt)
        assert (answer.status, is_sealed) == (401, False)


async def test_a_revoked_key_opens_nothing_and_the_next_of_two_does(server, store) -> None:
    agent_id, key = server.join("web-1")
    following = server.book.rotate(agent_id)
    for number, one in enumerate((key, following)):
        await server.put(agent_id, one, server.payload(3 * number, 3))
    await server.take()
    assert server.outcomes() == {"stored": 2.0}
    server.book.revoke(agent_id)
    await server.put(agent_id, following, server.payload(6, 3))
    await server.take()
    assert server.outcomes() == {"stored": 2.0, "unauthenticated": 1.0}
    assert [len(one) for one in store.samples("m").values()] == [2, 2, 2]


async def test_poison_is_ended_and_what_comes_with_it_is_stored(server, store) -> None:
    agent_id, key = server.join("web-1")
    poison = await server.put(agent_id, key, server.payload(0, 3)[:-1])
    await server.bus.put(TOPICS.rounds("x" * 32), b"no message at all")
    good = await server.put(agent_id, key, server.payload(0, 3))
    await server.take()
    assert [one.status for one, _ in server.answers(agent_id, key, poison)] == [400]
    assert [one.status for one, _ in server.answers(agent_id, key, good)] == [200]
    assert server.outcomes() == {"refused": 2.0, "stored": 1.0}
    assert server.waiting() == 0


async def test_a_payload_on_which_the_server_fails_ends_neither_the_part_nor_comes_for_ever(
    server, monkeypatch
) -> None:
    agent_id, key = server.join("web-1")

    def fail(*_arguments: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(server.registry, "receive", fail)
    salt = await server.put(agent_id, key, server.payload(0, 3))
    await server.take()
    [(answer, is_sealed)] = server.answers(agent_id, key, salt)
    assert (answer.status, is_sealed) == (500, True)
    assert server.waiting() == 0


async def test_what_cannot_be_stored_now_stays_on_the_bus_until_it_can(server, store, clock) -> None:
    agent_id, key = server.join("web-1")
    server.door.failures = 1
    salt = await server.put(agent_id, key, server.payload(0, 3))
    assert await server.take() == 2.0  # seconds to leave the store alone
    assert server.waiting() == 1
    assert store.samples("m") == {}
    await clock.advance(2.1)
    assert await server.take() == 0.0
    assert [one.status for one, _ in server.answers(agent_id, key, salt)] == [503, 200]
    assert len(store.samples("m")) == 3
    assert server.waiting() == 0


async def test_a_disabled_agent_is_told_to_keep_what_it_has(server, store) -> None:
    agent_id, key = server.join("web-1")
    server.book.enable(agent_id, is_enabled=False)
    salt = await server.put(agent_id, key, server.payload(0, 3))
    await server.take()
    assert [one.status for one, _ in server.answers(agent_id, key, salt)] == [401]
    assert store.samples("m") == {}


async def test_the_part_waits_for_a_bus_that_is_away_and_goes_on_when_it_is_back(store, clock) -> None:
    import asyncio

    server = Installation(store, clock)
    server.broker.is_reachable = False
    await server.receiver.start()
    assert server.counts.connected.value() == 0
    running = asyncio.create_task(server.receiver.run())
    await clock.advance(60.0)
    server.broker.is_reachable = True
    await clock.advance(20.0)
    agent_id, key = server.join("web-1")
    for first in range(0, 3 * AGENT_MESSAGES_MAX, 3):
        await server.put(agent_id, key, server.payload(first, 3))
    await clock.advance(10.0)
    assert server.counts.connected.value() == 1
    assert server.counts.errors.total() > 1
    assert [len(one) for one in store.samples("m").values()] == [AGENT_MESSAGES_MAX] * 3
    assert server.counts.lag.value("waiting") == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await server.receiver.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("urls: []", "1 to 16 addresses"),
        ("urls: ['http://a:1']", "nats://host:port"),
        ("urls: ['nats://ann:secret@a:1']", "use username and password"),
        ("{urls: ['nats://a:1'], cluster: 'a.b'}", "letters, digits"),
        ("{urls: ['nats://a:1'], username: ann}", "belong together"),
        ("{urls: ['nats://a:1'], token: x, token_file: y}", "exclude each other"),
        ("{urls: ['nats://a:1'], replicas: 2}", "1, 3 or 5"),
        ("{urls: ['nats://a:1'], stream_bytes_max: 1KB}", "1MB"),
        ("{urls: ['nats://a:1'], consumer: 'a b'}", "letters, digits"),
        ("{urls: ['nats://a:1'], unsettled_max: 0}", "1 to 10000"),
    ],
)
def test_settings_that_cannot_be_say_where_and_why(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load(BusReceiverSettings, text, "bus.yml")
    assert "secret@" not in str(caught.value)
