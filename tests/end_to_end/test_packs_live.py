"""A whole agent, a whole listener, real sockets between them: what the store has at the end is what the host showed."""

import asyncio
import random
from pathlib import Path

from nunchi.admission.door import Door
from nunchi.agent.configuration import configuration_of
from nunchi.agent.settings import parse_agent_settings
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.intake.receive.pack import PackReceiver
from nunchi.intake.receive.pack_keys import BookKeys
from nunchi.intake.receive.pack_server import PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.clock import SystemClock
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.supervision import Supervisor
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.memory import MemoryStore

KEY = "0123456789abcdef0123456789abcdef"


async def test_an_agent_delivers_over_udp_alone_while_it_works_and_by_http_when_its_key_goes(tmp_path: Path) -> None:
    clock, source, log, telemetry = SystemClock(), random.Random(3), logger("test"), Telemetry()
    store = MemoryStore(clock)
    door = Door(store.appender, clock, telemetry)
    registry = AgentRegistry(door, clock, telemetry, log)
    listed: dict[str, Secret] = {}
    keys = BookKeys(None, listed)
    pack_telemetry = PackTelemetry(telemetry)
    server = PackServer(keys, registry.receive, clock, source, pack_telemetry)
    receiver = PackReceiver(ListenAddress("127.0.0.1", 0), server, clock, pack_telemetry, log)
    supervisor = Supervisor(clock, source, log)
    await supervisor.start(receiver)
    settings = parse_agent_settings(
        f"""
name: web-1
interval: 200ms
state_folder: state
api: {{enabled: false}}
server: {{url: "http://127.0.0.1:9"}}
udp: {{address: "127.0.0.1:{receiver.port}", key: {KEY}}}
""",
        "agent.yaml",
    )
    world = World(clock, source, SystemDisk(), Telemetry(), log, tmp_path, {})
    agent = build_agent(configuration_of(settings), world)
    keys._listed.update(BookKeys(None, {agent.identity.id: Secret(KEY)})._listed)
    agents = Supervisor(clock, source, log)
    for part in agent.parts:
        await agents.start(part)
    try:
        async with asyncio.timeout(20):
            while agent.accounting.acknowledged.total() < 2000:  # noqa: ASYNC110 (the agent tells nobody)
                await asyncio.sleep(0.02)
        keys._listed.clear()
        before = pack_telemetry.samples.total()
        async with asyncio.timeout(20):
            while agent.accounting.queued < 1000:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.02)
        assert pack_telemetry.samples.total() <= before + 2000
    finally:
        await agents.stop()
        await supervisor.stop()
    assert agent.accounting.is_balanced()
    assert pack_telemetry.samples.total() == agent.accounting.acknowledged.total()
    assert pack_telemetry.lost.total() == 0
    names = store.querier().label_values("__name__", [], 0, 1 << 60)
    assert {"up", "node_load1", "agent_packs_sent_total"} <= set(names)
