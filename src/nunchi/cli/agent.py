"""`nunchi agent`. Imports nothing of the server."""

import asyncio
import os
from pathlib import Path
from random import SystemRandom

import click
import msgspec

from nunchi.agent.program import AgentProgram
from nunchi.agent.settings import AgentSettings, load_agent_settings
from nunchi.agent.wiring import build_agent
from nunchi.kit import logs
from nunchi.kit.clock import SystemClock
from nunchi.kit.program import run_until_signal
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry

SETTINGS_FILE = "nunchi-agent.yaml"


@click.group(name="agent")
def command() -> None:
    """Watch this host and deliver to a server."""


@command.command()
@click.option(
    "--home",
    envvar="NUNCHI_AGENT_HOME",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of settings and state.  [default: /etc/nunchi-agent, state in /var/lib/nunchi-agent]",
)
@click.option("--log.level", "log_level", type=click.Choice(list(logs.LEVELS)), default="info", show_default=True)
@click.option("--log.format", "log_format", type=click.Choice(["logfmt", "json"]), default="logfmt", show_default=True)
def run(home: Path | None, log_level: str, log_format: logs.LogFormat) -> None:
    """Run in the foreground. Without settings: the host checks every 10 s, delivered to 127.0.0.1:9190."""
    logs.configure(log_level, log_format)
    asyncio.run(_run(home))


async def _run(home: Path | None) -> None:
    log = logs.logger("agent")
    clock, random = SystemClock(), SystemRandom()
    folder = (home or Path("/etc/nunchi-agent")).resolve()
    path = folder / SETTINGS_FILE
    settings = load_agent_settings(path) if path.exists() else AgentSettings()
    if home is not None and settings.state_folder == AgentSettings().state_folder:
        folder.mkdir(parents=True, exist_ok=True)
        settings = msgspec.structs.replace(settings, state_folder=str(folder))
    agent = build_agent(settings, clock, random, SystemDisk(), Telemetry(), log, folder, os.environ)
    target = settings.server.url if settings.server.enabled else "nobody"
    await run_until_signal(
        AgentProgram(agent, clock, random, log),
        log,
        announce=lambda: log.info("running", name=agent.identity.name, id=agent.identity.id, delivers_to=target),
    )
