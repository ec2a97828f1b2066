"""Packs from an agent to a server over a wire that loses, repeats, reorders, damages and parts, on virtual time.

Faults: a datagram vanishes, comes twice, comes late, has a bit changed; the wire is cut for a while; the server or the agent
starts anew. Whatever happens: nothing wrong is stored, nothing twice, losses are numbers.
"""

import asyncio
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.agent.identity import Identity
from nunchi.agent.udp_sender import UdpSender, UdpTelemetry
from nunchi.intake.receive.pack_server import PackKey, PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.intake.registry.errors import NotStoredError
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock
from nunchi.wire.pack_seal import PackMode
from nunchi.wire.payload import Payload
from nunchi.wire.payload_encoder import Round, Sender
from nunchi.wire.payload_rounds import WrittenPayload

AGENT, KEY = "a" * 32, b"k" * 32
SOURCE = b"\x02\x00source-of-agent"


@dataclass
class Faults:
    """Shares of datagrams."""

    lost: float = 0.0
    repeated: float = 0.0
    delayed: float = 0.0
    damaged: float = 0.0
    is_cut: bool = False


@dataclass
class Store:
    """Takes payloads as the registry does: each number of an epoch once."""

    cells: dict[tuple[int, int], tuple[int, bytes, float]] = field(default_factory=dict)
    metadata: dict[str, Metadata] = field(default_factory=dict)
    replacing: set[tuple[int, int]] = field(default_factory=set)
    is_full: bool = False

    def take(self, payload: Payload, _: str) -> Acknowledgement:
        if self.is_full:
            raise NotStoredError("full")
        self.metadata.update(payload.metadata)
        number, duplicate = payload.first_sequence, 0
        for one in payload.rounds:
            for column, value in zip(one.columns.tolist(), one.values.tolist(), strict=True):
                cell = one.timestamp_ms, one.layout.keys[column], value
                duplicate += self.put(payload.sender.epoch, number, cell)
                if one.replaces:
                    self.replacing.add((payload.sender.epoch, number))
                number += 1
        assert number == payload.first_sequence + payload.samples
        return Acknowledgement(payload.samples - duplicate, duplicate, {})

    def put(self, epoch: int, number: int, cell: tuple[int, bytes, float]) -> bool:
        known = self.cells.setdefault((epoch, number), cell)
        assert known == cell
        return known is not cell


class Keys:
    def keys_of(self, agent_id: str) -> list[PackKey]:
        return [PackKey(b"older" * 8), PackKey(KEY)] if agent_id == AGENT else []


class House:
    """An agent, a server, and what is between them."""

    def __init__(self, seed: int, mode: PackMode = PackMode.HMAC) -> None:
        self.random, self.clock, self.store, self.faults = random.Random(seed), VirtualClock(), Store(), Faults()
        self.mode = mode
        self.telemetry = Telemetry()
        self.server_telemetry = PackTelemetry(self.telemetry)
        self.tasks: set[asyncio.Task[None]] = set()
        self.truth: dict[tuple[int, int], tuple[int, bytes, float]] = {}
        self.values: dict[bytes, float] = {}
        self.next_number = 0
        self.by_http = 0
        self.recorded: list[bytes] = []
        self.replacing: set[tuple[int, int]] = set()
        self.delivered: list[bytes] = []
        self.answers: list[tuple[int, int]] = []
        self.layout = Layout()
        self.start_server()
        self.start_agent()

    # Both sides.

    def start_server(self) -> None:
        self.server_telemetry = PackTelemetry(Telemetry())
        self.server = PackServer(Keys(), self.store.take, self.clock, self.random, self.server_telemetry)

    def start_agent(self) -> None:
        self.next_number, epoch = 0, self.clock.now_ms()
        self.identity = Identity(AGENT, "web-1", (), "0.1", epoch, epoch)
        self.sender = UdpSender(
            self, lambda: KEY, self.mode, 600, 1.0, self.identity, self.clock, self.random,
            UdpTelemetry(Telemetry()), logger("test"),
        )  # fmt: skip

    async def push_correction(self, rounds: int) -> None:
        """Rounds over another layout, as a cloud corrects what it said, in one payload."""
        layout, made, first = Layout.of(Labels.of("c", n="0"), Labels.of("c", n=str(rounds))), [], self.next_number
        for number in range(rounds):
            timestamp_ms, value = self.clock.now_ms() - 60_000 * number, self.random.random()
            made.append(Round(timestamp_ms, layout, array("i", [0, 1]), array("d", [value, 1.0]), replaces=True))
            for column, one in enumerate((value, 1.0)):
                self.truth[self.identity.epoch, self.next_number] = timestamp_ms, layout.key(column), one
                self.replacing.add((self.identity.epoch, self.next_number))
                self.next_number += 1
        await self.deliver(first, tuple(made))

    async def push(self, series: int, changed: float = 0.5) -> None:
        """One round by packs, and by HTTP where they did not bring it."""
        while len(self.layout) < series:
            self.layout.append(Labels.of("m_total", n=str(len(self.layout)), job="test").key())
        columns = [column for column in range(len(self.layout)) if self.random.random() < 0.97]
        values, now_ms = array("d"), self.clock.now_ms()
        first = self.next_number
        for column in columns:
            key = self.layout.key(column)
            value = self.values.get(key, 0.0)
            if self.random.random() < changed:
                value = value + self.random.choice([1, 17.25, 1e9, -0.01, self.random.random()])
            self.values[key] = value
            values.append(value)
            self.truth[self.identity.epoch, self.next_number] = now_ms, key, value
            self.next_number += 1
        await self.deliver(first, (Round(now_ms, self.layout, array("i", columns), values),))

    async def deliver(self, first: int, rounds: tuple[Round, ...]) -> None:
        sender = Sender(AGENT, "web-1", "0.1", self.identity.epoch)
        metadata = {"m_total": Metadata(MetricType.COUNTER)}
        task = asyncio.ensure_future(self.sender.push(WrittenPayload(sender, first, 10_000, rounds, metadata)))
        for _ in range(400 * len(rounds)):
            if task.done():
                break
            await self.clock.advance(0.05)
            for source, answer in self.server.look():
                assert source == SOURCE
                self.to_agent(answer)
        assert task.done()
        verdict = task.result()
        if verdict is None:
            self.by_http += 1
            for number in range(first, self.next_number):
                self.store.put(self.identity.epoch, number, self.truth[self.identity.epoch, number])
        for number in range(first, self.next_number):
            assert (self.identity.epoch, number) in self.store.cells

    # The wire.

    def listen(self, take: Callable[[bytes], None]) -> None:
        self.take = take

    def close(self) -> None:
        pass

    async def send(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            assert len(datagram) <= 600
            self.recorded.append(datagram)
            self.carry(datagram, self.to_server)

    def to_server(self, datagram: bytes) -> None:
        self.delivered.append(datagram)
        answers = self.server.receive(datagram, SOURCE, "10.0.0.1")
        for answer in answers:
            self.answers.append((len(answer), len(datagram)))
            self.to_agent(answer)

    def to_agent(self, answer: bytes) -> None:
        self.carry(answer, lambda datagram: self.take(datagram))  # noqa: PLW0108 (whoever listens when it arrives)

    def carry(self, datagram: bytes, arrive: Callable[[bytes], None]) -> None:
        faults, source = self.faults, self.random
        if faults.is_cut or source.random() < faults.lost:
            return
        copies = 2 if source.random() < faults.repeated else 1
        for _ in range(copies):
            one = datagram
            if source.random() < faults.damaged:
                at = source.randrange(len(one))
                one = one[:at] + bytes([one[at] ^ (1 << source.randrange(8))]) + one[at + 1 :]
            delay = source.random() * 0.4 if source.random() < faults.delayed else 0.001
            task = asyncio.ensure_future(self.arrive_later(one, delay, arrive))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def arrive_later(self, datagram: bytes, delay: float, arrive: Callable[[bytes], None]) -> None:
        await self.clock.sleep(delay)
        arrive(datagram)

    def counted(self) -> dict[str, float]:
        counters: dict[str, Counter] = {
            name: getattr(self.server_telemetry, name)
            for name in ("received", "lost", "duplicates", "late", "reordered")
        }
        return {name: counter.total() for name, counter in counters.items()}

    def refused(self) -> dict[str, float]:
        return {labels[0][1]: value for _, labels, value in self.server_telemetry.refused.samples()}


@pytest.mark.parametrize("mode", list(PackMode))
async def test_rounds_arrive_as_packs_and_nothing_goes_the_other_way(mode: PackMode) -> None:
    house = House(1, mode)
    for series in (5, 5, 40, 300, 300, 300):
        await house.push(series)
    assert house.by_http == 0
    assert house.store.cells == house.truth
    assert house.store.metadata == {"m_total": Metadata(MetricType.COUNTER)}
    assert house.counted() == {
        "received": len([one for one in house.delivered if one[3] >= 3]), "lost": 0, "duplicates": 0, "late": 0, "reordered": 0,
    }  # fmt: skip
    assert house.refused() == {}


async def test_corrections_go_as_packs_beside_the_rounds_and_replace() -> None:
    house = House(1)
    for _ in range(6):
        await house.push(50)
        await house.push_correction(3)
    assert house.by_http == 0
    assert house.store.cells == house.truth
    assert house.store.replacing == house.replacing
    house.recorded.clear()
    await house.push(50, 0.0)
    assert sum(map(len, house.recorded)) < 400, "the rounds' dictionary is still known"


async def test_a_dictionary_of_which_nothing_arrived_is_begun_anew() -> None:
    house = House(1)
    await house.push(20)
    house.faults = Faults(lost=1.0)
    await house.push_correction(1)
    house.faults = Faults()
    other = Layout.of(Labels.of("later"))
    one = Round(1, other, array("i", [0]), array("d", [1.0]))
    house.truth[house.identity.epoch, house.next_number] = 1, other.key(0), 1.0
    house.next_number += 1
    await house.deliver(house.next_number - 1, (one,))
    await house.push_correction(1)
    by_http = house.by_http
    for _ in range(3):
        await house.push_correction(1)
        await house.push(20)
    assert house.by_http == by_http
    assert house.store.cells == house.truth


async def test_what_did_not_change_costs_next_to_nothing() -> None:
    house = House(1)
    await house.push(300, 1.0)
    await house.push(300, 1.0)
    house.recorded.clear()
    await house.push(300, 0.0)
    assert house.by_http == 0
    assert sum(map(len, house.recorded)) < 400


FAULTS = st.builds(
    Faults,
    lost=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    repeated=st.sampled_from([0.0, 0.1]),
    delayed=st.sampled_from([0.0, 0.3]),
    damaged=st.sampled_from([0.0, 0.05]),
    is_cut=st.sampled_from([False, False, False, True]),
)
STEPS = st.lists(
    st.tuples(FAULTS, st.sampled_from(["", "", "", "server", "agent", "full", "correction"]), st.integers(1, 120)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), STEPS)
async def test_whatever_the_wire_does_every_sample_is_stored_once_and_right(
    seed: int, steps: list[tuple[Faults, str, int]]
) -> None:
    house = House(seed)
    for faults, event, series in steps:
        house.faults = faults
        if event == "server":
            house.start_server()
        if event == "agent":
            house.start_agent()
        house.store.is_full = event == "full"
        if event == "correction":
            await house.push_correction(1 + series % 6)
        await house.push(series)
        await house.clock.advance(9)
    assert house.store.cells == house.truth
    assert all(answer <= asked for answer, asked in house.answers)
    house.faults, house.store.is_full = Faults(), False
    await house.clock.advance(60)
    for _ in range(4):
        by_http = house.by_http
        await house.push(20)
        await house.clock.advance(9)
    assert house.by_http == by_http
    assert house.store.cells == house.truth


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.3]), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.3]))
async def test_losses_are_exact(seed: int, lost: float, repeated: float, delayed: float) -> None:
    house = House(seed)
    await house.push(30)
    first = house.sender._session
    assert first is not None
    for _ in range(15):
        house.faults = Faults(lost, repeated, delayed)
        if house.sender._session is not first:
            break
        await house.push(60)
        await house.clock.advance(1)
    house.faults = Faults()
    for _ in range(4):
        if house.sender._session is first:
            await house.push(60)
            await house.clock.advance(1)
    if house.sender._session is not first:
        return  # a session that was given up is told by its last stats; the next case has one that was not
    house.server.look()
    session, _ = house.server._sessions[first.id]
    distinct = {one for one in house.delivered if one[3] >= 3 and (one[3] == 3 or one[4:12] == first.id)}
    sent = first.packs + 1
    found = house.counted()
    assert session.window.expected == sent
    assert found["received"] + found["lost"] + session.window.open_packs == sent
    assert session.window.open_packs == 0
    assert sent - len(distinct) <= found["lost"] <= sent - len(distinct) + found["late"]


async def test_a_recorded_session_cannot_be_played_again() -> None:
    house = House(3)
    for _ in range(3):
        await house.push(20)
    recorded, stored = list(house.recorded), dict(house.store.cells)
    answers = [answer for one in recorded for answer in house.server.receive(one, b"", "10.6.6.6")]
    assert house.counted()["received"] == len([one for one in recorded if one[3] >= 3])
    assert house.store.cells == stored
    assert len(answers) == 2  # hello and confirm, as they were answered before; neither keeps anything
    house.start_server()
    answers = [answer for one in recorded for answer in house.server.receive(one, b"", "10.6.6.6")]
    assert [one[3] for one in answers] == [2]
    assert (house.refused()["session_unknown"], house.refused()["seal"]) == (len(recorded) - 2, 1)
    assert house.store.cells == stored
    assert not house.server._sessions


async def test_a_session_older_than_the_present_one_is_refused() -> None:
    house = House(3)
    await house.push(5)
    confirm = next(one for one in house.recorded if one[3] == 3)
    house.sender._session = None
    await house.push(5)
    assert house.server.receive(confirm, b"", "10.6.6.6") == []
    assert house.refused() == {"replayed": 1}


async def test_who_has_no_key_gets_no_answer_and_leaves_nothing() -> None:
    house = House(3)
    await house.push(5)
    other = House(4)
    other.server = house.server
    other.identity = Identity("b" * 32, "evil", (), "0.1", 1, 1)
    other.sender = UdpSender(
        other, lambda: b"x" * 32, PackMode.HMAC, 600, 1.0, other.identity, other.clock, other.random,
        UdpTelemetry(Telemetry()), logger("t"),
    )  # fmt: skip
    await other.push(5)
    assert other.by_http == 1
    assert other.answers == []
    assert len(house.server._sessions) == 1
    wrong = House(5)
    wrong.server = house.server
    wrong.sender._key = lambda: b"w" * 32
    await wrong.push(5)
    assert wrong.by_http == 1
    assert wrong.answers == []
    assert set(house.refused()) == {"agent_unknown", "seal"}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 255))
def test_datagrams_of_any_bytes_are_counted_and_answered_by_nothing(data: bytes, kind: int) -> None:
    telemetry = PackTelemetry(Telemetry())
    server = PackServer(Keys(), Store().take, VirtualClock(), random.Random(1), telemetry)
    for one in (data, b"NP\x01" + bytes([kind]) + data, b"NP\x81" + bytes([kind]) + data):
        assert server.receive(one, b"", "") == []
    assert telemetry.refused.total() == 3
    assert not server._sessions
