"""Scouter packs from an agent: read back, and received by the server's listener."""

import asyncio
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nunchi.admission.door import Door
from nunchi.agent.configuration import configuration_of
from nunchi.agent.emission import Emission
from nunchi.agent.identity import Identity
from nunchi.agent.schedule import Outcome
from nunchi.agent.scouter_sender import ROUNDS_WAITING_MAX, ScouterSender, object_hash
from nunchi.agent.scouter_settings import ScouterSettings
from nunchi.agent.settings import parse_agent_settings
from nunchi.agent.udp_wire import UdpWire
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.intake.receive.pack_scouter import ScouterReceiver
from nunchi.kit.clock import SystemClock
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError, load
from nunchi.kit.supervision import Supervisor
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.wire.scouter_pack import ScouterAssembler, ScouterPack, ScouterType

IDENTITY = Identity("a" * 32, "web-1", ("10.0.0.1",), "0.1", 1_700_000_000_000, 1)


class Wire:
    """Keeps what is sent, or fails."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.error: OSError | None = None

    def listen(self, take: Callable[[bytes], None]) -> None:
        pass

    async def send(self, datagrams: list[bytes]) -> None:
        if self.error is not None:
            raise self.error
        self.sent += datagrams

    def close(self) -> None:
        pass


class Sink:
    def __init__(self) -> None:
        self.rounds: list[int] = []

    def put(self, timestamp_ms: int, outcomes: object) -> None:
        self.rounds.append(timestamp_ms)


def sender_of(
    wire: Wire | UdpWire, telemetry: Telemetry, sink: Sink | None = None, bytes_max: int = 512
) -> ScouterSender:
    settings = ScouterSettings(address="127.0.0.1:6100", datagram_bytes=bytes_max)
    return ScouterSender(settings, wire, sink, IDENTITY, {"site": "north"}, telemetry, logger("test"))


def outcome(count: int) -> Outcome:
    emission = Emission()
    for number in range(count):
        emission.gauge("node_load1", number + 0.1, core=str(number), site="ü")
    emission.counter("node_forks_total", 2**53)
    return Outcome("cpu", "node", emission, 0.1, True)


def read(datagrams: list[bytes]) -> list[ScouterPack]:
    assembler = ScouterAssembler()
    return [one for datagram in datagrams for one in assembler.read(datagram, "10.0.0.1", 0.0)]


def test_a_round_is_a_heartbeat_and_counters_each_datagram_readable_alone() -> None:
    datagrams = sender_of(Wire(), Telemetry()).encode(1_700_000_010_000, [outcome(60)])
    assert all(len(one) <= 512 and one[:4] in {b"CAFE", b"CAFN"} for one in datagrams)
    heartbeat, *counters = read(datagrams)
    assert heartbeat == ScouterPack(
        ScouterType.OBJECT,
        {"objType": "linux", "objHash": object_hash("/web-1"), "objName": "/web-1", "address": "10.0.0.1", "version": "0.1",
         "alive": True, "wakeup": 1_700_000_000_000, "tags": {"site": "north"}},
    )  # fmt: skip
    assert {(one.type, one.fields["time"], one.fields["objName"]) for one in counters} == {
        (ScouterType.PERF_COUNTER, 1_700_000_010_000, "/web-1")
    }
    data = {key: value for one in counters for key, value in one.fields["data"].items()}  # type: ignore[union-attr]  # a map
    expected = {f"node_load1{{core={number},site=ü}}": number + 0.1 for number in range(60)}
    assert data == {**expected, "node_forks_total": 2.0**53}


async def test_rounds_go_to_the_next_sink_too_and_what_cannot_be_sent_is_counted() -> None:
    wire, telemetry, sink = Wire(), Telemetry(), Sink()
    sender = sender_of(wire, telemetry, sink)
    for number in range(ROUNDS_WAITING_MAX + 1):
        sender.put(number, [outcome(1)])
    dropped = telemetry.find("agent_scouter_dropped_total")
    assert isinstance(dropped, Counter)
    assert dropped.value("queue_full") == 1
    assert sink.rounds == [0, 1, 2]
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    wire.error = OSError(101, "network is unreachable")
    sender.put(3, [outcome(1)])
    for _ in range(5):
        await asyncio.sleep(0)
    assert dropped.value("unsent") == 1
    assert len(wire.sent) == ROUNDS_WAITING_MAX
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_servers_listener_takes_what_an_agent_sends() -> None:
    clock, telemetry = VirtualClock(), Telemetry()
    store = MemoryStore(clock)
    door = Door(store.appender, clock, telemetry)
    receiver = ScouterReceiver(ListenAddress("127.0.0.1", 0), ["127.0.0.1"], door, clock, telemetry, logger("test"))
    await receiver.start()
    wire = UdpWire(ListenAddress("127.0.0.1", receiver.port))
    sender = sender_of(wire, Telemetry(), bytes_max=1232)
    task = asyncio.create_task(sender.run())
    sender.put(clock.now_ms(), [outcome(0)])
    async with asyncio.timeout(10):
        while not store.querier().label_values("__name__", [], 0, 1 << 60):  # noqa: ASYNC110 (it comes by the kernel)
            await asyncio.sleep(0.01)
    assert store.querier().label_values("__name__", [], 0, 1 << 60) == [
        "scouter_node_forks_total",
        "scouter_object_alive",
    ]
    assert store.querier().label_values("instance", [], 0, 1 << 60) == ["/web-1"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sender.stop()
    await receiver.stop()


@pytest.mark.parametrize(
    "text",
    [
        "{address: ''}",
        "{address: 'host'}",
        "{address: 'h:1', object_type: ''}",
        "{address: 'h:1', datagram_bytes: 70000}",
    ],
)
def test_settings_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load(ScouterSettings, text, "test")


async def test_an_agent_without_a_server_sends_its_rounds_to_scouter(tmp_path: Path) -> None:
    clock = SystemClock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.setblocking(False)
        settings = parse_agent_settings(
            f"{{interval: 200ms, name: web-1, server: {{enabled: false}}, api: {{enabled: false}}, state_folder: state,"
            f" scouter: {{address: '127.0.0.1:{taken.getsockname()[1]}'}}}}",
            "agent.yaml",
        )
        world = World(clock, random.Random(1), SystemDisk(), Telemetry(), logger("test"), tmp_path, {})
        agent = build_agent(configuration_of(settings), world)
        supervisor = Supervisor(clock, random.Random(1), logger("test"))
        for part in agent.parts:
            await supervisor.start(part)
        try:
            async with asyncio.timeout(10):
                found = [await asyncio.get_running_loop().sock_recv(taken, 65_536) for _ in range(2)]
        finally:
            await supervisor.stop()
    types = {one.type for one in read(found)}
    assert types == {ScouterType.OBJECT, ScouterType.PERF_COUNTER}
