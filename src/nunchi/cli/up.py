"""`nunchi up`."""

import os
from typing import Any
from urllib.parse import urlsplit

import click

from nunchi.cli.prometheus_flags import warn_without_effect, with_prometheus_flags
from nunchi.cli.server_flags import with_server_flags
from nunchi.kit import logs
from nunchi.kit.listen_address import is_loopback
from nunchi.kit.program import run_to_exit, run_until_signal
from nunchi.server.flags import ServerFlags
from nunchi.server.world import World
from nunchi.up.program import UpProgram


@click.command(name="up")
@with_server_flags
@with_prometheus_flags
def command(log_level: str, log_format: logs.LogFormat, **options: Any) -> None:
    """Watch this machine: agent, server, rules, notifications and pages in one process."""
    logs.configure(log_level, log_format)
    warn_without_effect(logs.logger("up"))
    program = UpProgram(ServerFlags(log_level=log_level, log_format=log_format, **options), World())

    def announce() -> None:
        for line in greeting(program.server.url, os.environ.get("SSH_CONNECTION", ""), os.environ.get("USER", "")):
            click.echo(line)

    run_to_exit(run_until_signal(program, logs.logger("up"), announce=announce, reload=program.reload))


def greeting(url: str, ssh_connection: str, user: str) -> list[str]:
    """Where the pages are, and how to reach them from the machine that somebody sits at."""
    lines = [f"nunchi watches this machine: {url}/"]
    parts, words = urlsplit(url), ssh_connection.split()
    if len(words) == 4 and is_loopback(parts.hostname or ""):
        host = f"{user}@{words[2]}" if user else words[2]
        lines.append(f"from your own machine:       ssh -L {parts.port}:{parts.netloc} {host}")
    lines.append("Ctrl-C stops it.")
    return lines
