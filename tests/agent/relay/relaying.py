"""An agent that relays for one source, and for agents where `agents` is set."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nunchi.agent.agent import Agent
from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.supervision import Supervisor
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry

TOKEN = "c0ffee" * 6
SETTINGS = """
name: relay-1
labels: {{site: north}}
interval: 1h
api: {{enabled: false}}
server: {{url: "{url}"}}
relay:
  address: "127.0.0.1:0"
  agents: true
  sources:
    billing: {{token: {token}, labels: {{team: money}}, series_max: {series_max}}}
{more}
"""


async def until(happened: Callable[[], bool], seconds_max: float = 30.0) -> None:
    """Wait for real programs, at their own pace."""
    async with asyncio.timeout(seconds_max):
        for _ in iter(happened, True):
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Relaying:
    """An agent that runs, and what it counts."""

    agent: Agent
    clock: SystemClock
    telemetry: Telemetry

    @property
    def url(self) -> str:
        assert self.agent.relay is not None
        return self.agent.relay.url

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        instruments = {one.name: one for one in self.telemetry.instruments()}
        return {tuple(value for _, value in labels): value for _, labels, value in instruments[name].samples()}


@asynccontextmanager
async def relaying(folder: Path, url: str, more: str = "", series_max: int = 3) -> AsyncIterator[Relaying]:
    folder.joinpath("nunchi-agent.yaml").write_text(
        SETTINGS.format(url=url, token=TOKEN, more=more, series_max=series_max)
    )
    source = ConfigurationFolder(folder, {}, state_folder=folder)
    clock, chance, log = SystemClock(), random.Random(3), logger("test")
    telemetry = Telemetry()
    world = World(clock, chance, SystemDisk(), telemetry, log, folder, {})
    agent = build_agent(source.load(), world, source=source)
    supervisor = Supervisor(clock, chance, log)
    for part in agent.parts:
        await supervisor.start(part)
    try:
        yield Relaying(agent, clock, telemetry)
    finally:
        await supervisor.stop()
