"""A whole agent, put together from settings, delivering this host to a server that decodes what it gets."""

import asyncio
import random
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from tests.agent.frozen import parse_text, unpack

from nunchi.agent.agent import Agent
from nunchi.agent.configuration import configuration_of
from nunchi.agent.forwarder.delivery import PUSH_PATH
from nunchi.agent.settings import AgentSettings, parse_agent_settings
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.supervision import Supervisor
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.metadata import MetricType
from nunchi.wire.payload import Payload, PayloadReader


@asynccontextmanager
async def running_agent(settings: AgentSettings, folder: Path) -> AsyncIterator[Agent]:
    clock, source, log = SystemClock(), random.Random(3), logger("test")
    world = World(clock, source, SystemDisk(), Telemetry(), log, folder, {})
    agent = build_agent(configuration_of(settings), world)
    supervisor = Supervisor(clock, source, log)
    for part in agent.parts:
        await supervisor.start(part)
    try:
        yield agent
    finally:
        await supervisor.stop()


@asynccontextmanager
async def receiving(payloads: "asyncio.Queue[Payload]") -> AsyncIterator[str]:
    reader = PayloadReader()

    async def take(request: web.Request) -> web.Response:
        payloads.put_nowait(reader.read(await request.read()))
        return web.json_response({})

    application = web.Application()
    application.router.add_post(PUSH_PATH, take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def samples_of(payload: Payload) -> dict[Labels, float]:
    return {
        Labels.from_key(one.layout.keys[column]): value
        for one in payload.rounds
        for column, value in zip(one.columns.tolist(), one.values.tolist(), strict=True)
    }


async def test_agent_delivers_what_its_host_shows(tmp_path: Path) -> None:
    root = unpack("kernel_6_18", tmp_path)
    payloads: asyncio.Queue[Payload] = asyncio.Queue()
    async with receiving(payloads) as url:
        settings = parse_agent_settings(
            f"""
name: web-1
labels: {{site: north}}
burst: 10s
state_folder: state
api: {{enabled: false}}
server: {{url: "{url}"}}
paths: {{proc: "{root.proc}", sys: "{root.sys}", rootfs: "{root.rootfs}", udev: "{root.udev}"}}
""",
            "agent.yaml",
        )
        async with asyncio.timeout(20), running_agent(settings, tmp_path) as agent:
            first = await payloads.get()
            second = await payloads.get()
    assert (first.sender.agent_id, first.sender.name, first.sender.epoch) == (
        agent.identity.id,
        "web-1",
        agent.identity.epoch,
    )
    assert (first.first_sequence, second.first_sequence) == (0, first.samples)
    assert first.interval_ms == 10_000
    assert 800 <= second.rounds[0].timestamp_ms - first.rounds[0].timestamp_ms <= 3_000
    samples = samples_of(first)
    assert samples[Labels.of("node_load1", job="node", site="north")] > 0
    assert samples[Labels.of("node_scrape_collector_success", job="node", site="north", collector="cpu")] == 1
    assert first.metadata["node_load1"].type is MetricType.GAUGE
    assert first.metadata["node_forks_total"].type is MetricType.COUNTER
    assert second.metadata.keys() < first.metadata.keys()
    again = samples_of(second)
    assert again[Labels.of("agent_samples_acknowledged_total", job="agent", site="north")] == first.samples
    assert agent.accounting.is_balanced()
    assert agent.accounting.queued == 0


async def test_agent_without_a_server_only_exports(tmp_path: Path) -> None:
    settings = parse_agent_settings(
        "{server: {enabled: false}, state_folder: s, api: {enabled: false}, exporter: {address: '127.0.0.1:0'}}",
        "agent.yaml",
    )
    async with running_agent(settings, tmp_path) as agent:
        url = agent.exporter.url

        def ask() -> str:
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
                text: str = answer.read().decode()
                return text

        samples, _ = parse_text(await asyncio.to_thread(ask))
    assert samples["node_memory_MemTotal_bytes", ()] > 0
    assert samples["agent_check_runs_total", (("check", "cpu"),)] == 1
    assert [part.name for part in agent.parts] == ["agent.statsd", "agent.schedule", "agent.exporter", "agent.api"]


async def test_agent_survives_a_server_that_is_not_there_and_stops_at_once(tmp_path: Path) -> None:
    settings = parse_agent_settings(
        "{server: {url: 'http://127.0.0.1:9'}, state_folder: s, api: {enabled: false}, burst: 5s}", "agent.yaml"
    )
    async with running_agent(settings, tmp_path) as agent:
        async with asyncio.timeout(20):
            while agent.accounting.collected.total() == 0:  # noqa: ASYNC110 (the agent tells nobody)
                await asyncio.sleep(0.01)
        began = SystemClock().monotonic()
    assert SystemClock().monotonic() - began < 1.5
    assert agent.accounting.is_balanced()
    assert agent.accounting.acknowledged.total() == 0


async def test_agent_delivers_statsd_with_its_rounds(tmp_path: Path) -> None:
    payloads: asyncio.Queue[Payload] = asyncio.Queue()
    async with receiving(payloads) as url:
        settings = parse_agent_settings(
            f"""
interval: 200ms
state_folder: state
server: {{url: "{url}"}}
statsd: {{udp: [], unix_datagram: ["{tmp_path}/statsd"]}}
""",
            "agent.yaml",
        )
        wanted = Labels.of("hits", job="statsd", env="prod")
        async with asyncio.timeout(20), running_agent(settings, tmp_path):
            await payloads.get()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                while not (tmp_path / "statsd").exists():  # noqa: ASYNC110 (the file system tells nobody)
                    await asyncio.sleep(0.01)
                sender.sendto(b"hits:2|c|@0.5|#env:prod", f"{tmp_path}/statsd")
            while True:
                payload = await payloads.get()
                samples = samples_of(payload)
                if wanted in samples:
                    break
    assert samples[wanted] == 4
    assert samples[Labels.of("agent_statsd_lines_total", job="agent")] == 1
