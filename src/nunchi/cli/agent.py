"""`nunchi agent`. Imports nothing of the server."""

import os
from pathlib import Path
from random import SystemRandom

import click

from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.program import AgentProgram
from nunchi.agent.wiring import build_agent
from nunchi.kit import logs
from nunchi.kit.clock import SystemClock
from nunchi.kit.program import run_to_exit, run_until_signal
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry


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
    run_to_exit(_run(home))


async def _run(home: Path | None) -> None:
    log = logs.logger("agent")
    clock, random = SystemClock(), SystemRandom()
    folder = (home or Path("/etc/nunchi-agent")).resolve()
    if home is not None:
        SystemDisk().make_folder(folder)
    source = ConfigurationFolder(folder, os.environ, state_folder=home and folder)
    configuration = source.load()
    settings = configuration.settings
    agent = build_agent(configuration, clock, random, SystemDisk(), Telemetry(), log, folder, os.environ, source=source)
    target = settings.server.url if settings.server.enabled else "nobody"
    await run_until_signal(
        AgentProgram(agent, clock, random, log),
        log,
        announce=lambda: log.info("running", name=agent.identity.name, id=agent.identity.id, delivers_to=target),
        reload=agent.reload,
    )
