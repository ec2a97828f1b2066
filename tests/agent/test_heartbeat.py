"""AgentInfo, the inventory of the host, and the health check of the server."""

import asyncio
import json
from pathlib import Path

from tests.agent.frozen import unpack
from tests.agent.links import FakeLink

from nunchi.agent.heartbeat import Heartbeat
from nunchi.agent.inventory import read_inventory
from nunchi.agent.remote_health import RemoteHealth
from nunchi.agent.root import Root
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock


def heartbeat(link: FakeLink, root: Root, clock: VirtualClock) -> Heartbeat:
    return Heartbeat(link, lambda: {"id": "a1"}, root, clock, Telemetry(), logger("test"))


async def test_the_server_is_told_every_ten_seconds_and_of_the_host_every_four_hours(tmp_path: Path) -> None:
    link, clock = FakeLink(lambda *_: (200, b"{}")), VirtualClock()
    part = heartbeat(link, unpack("kernel_6_18", tmp_path), clock)
    task = asyncio.create_task(part.run())
    await clock.advance(4 * 3600 + 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(link.asked) == 4 * 360 + 1
    bodies = [json.loads(body) for _, _, body in link.asked]
    assert all(body["id"] == "a1" for body in bodies)
    assert [number for number, body in enumerate(bodies) if "inventory" in body] == [0, 4 * 360]


async def test_who_is_not_known_yet_tells_again_soon_and_of_its_host_too() -> None:
    answers = [b'{"is_heard": false}', b'{"is_heard": false}', *[b"{}"] * 9]
    link, clock = FakeLink(lambda *_: (200, answers.pop(0))), VirtualClock()
    task = asyncio.create_task(heartbeat(link, Root("/nowhere", "/nowhere", "/nowhere"), clock).run())
    await clock.advance(3)
    assert len(link.asked) == 2
    await clock.advance(12)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ["inventory" in json.loads(body) for _, _, body in link.asked] == [True, True, True, False]


async def test_an_inventory_that_was_not_heard_is_told_again_and_one_asked_for_at_once() -> None:
    answers: list[tuple[int, bytes] | None] = [
        None,
        (503, b""),
        (200, b"{}"),
        (200, b'{"wants_inventory": true}'),
        (200, b"no"),
    ]
    link, clock = FakeLink(lambda *_: answers.pop(0)), VirtualClock()
    part = heartbeat(link, Root("/nowhere", "/nowhere", "/nowhere"), clock)
    errors = []
    for _ in range(5):
        await part.beat()
        errors.append(bool(part.last_error))
    assert ["inventory" in json.loads(body) for _, _, body in link.asked] == [True, True, True, False, True]
    assert errors == [True, True, False, False, False]


def test_the_inventory_names_what_this_host_is_made_of() -> None:
    found = read_inventory(Root())
    assert found["memory"]["bytes"] > 1 << 28  # type: ignore[call-overload]
    assert found["processor"]["processors"] >= 1  # type: ignore[call-overload]
    assert found["platform"]["system"] == "Linux"  # type: ignore[call-overload]
    assert all(disk["bytes"] > 0 for disk in found["disks"])  # type: ignore[index]


def test_what_cannot_be_read_is_left_out_of_the_inventory() -> None:
    assert set(read_inventory(Root("/nowhere", "/nowhere", "/nowhere"))) == {"disks", "network", "platform"}


async def test_the_server_is_asked_for_its_health_and_outages_are_measured() -> None:
    well: list[tuple[int, bytes] | None] = [(200, b"")]
    link, clock, telemetry = FakeLink(lambda *_: well[0]), VirtualClock(), Telemetry()
    part = RemoteHealth(link, clock, telemetry)
    task = asyncio.create_task(part.run())

    def value(name: str) -> float:
        instrument = telemetry.find(name)
        assert instrument is not None
        return sum(value for _, _, value in instrument.samples())

    await clock.advance(1)
    assert (value("agent_server_healthy"), value("agent_server_outage_seconds")) == (1, 0)
    well[0] = None
    await clock.advance(60)
    well[0] = (503, b"")
    await clock.advance(60)
    assert value("agent_server_healthy") == 0
    assert 90 <= value("agent_server_outage_seconds") <= 92
    assert "503" in part.last_error
    well[0] = (200, b"")
    await clock.advance(30)
    assert (value("agent_server_healthy"), value("agent_server_outage_seconds"), part.last_error) == (1, 0, "")
    assert value("agent_server_probes_total") == 6
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
