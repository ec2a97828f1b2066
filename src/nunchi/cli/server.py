"""`nunchi server`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nunchi.cli.prometheus_flags import warn_without_effect, with_prometheus_flags
from nunchi.cli.server_flags import with_server_flags
from nunchi.kit import logs
from nunchi.kit.program import run_to_exit, run_until_signal
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import build_server
from nunchi.server.world import World

CONFIG_FILE = Path("prometheus.yml")


@click.command(name="server")
@with_server_flags
@with_prometheus_flags
def command(log_level: str, log_format: logs.LogFormat, **options: Any) -> None:
    """Take samples in, store, query, judge, notify, show."""
    logs.configure(log_level, log_format)
    warn_without_effect(logs.logger("server"))
    flags = ServerFlags(log_level=log_level, log_format=log_format, **options)
    if flags.config_file is None:
        flags = replace(flags, config_file=CONFIG_FILE)
    world = World()
    loader = ConfigurationLoader(flags.config_file, flags.alertmanager_config_file, world.environment)
    run_to_exit(_serve(flags, loader, world))


async def _serve(flags: ServerFlags, loader: ConfigurationLoader, world: World) -> None:
    log = logs.logger("server")
    server = build_server(flags, loader, world)
    await run_until_signal(server, log, announce=lambda: log.info("ready", address=server.url), reload=server.reload)
