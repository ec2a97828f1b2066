"""`nunchi test`: runs users' test scripts on the server's own engine."""

from pathlib import Path

import click

from nunchi.cli.server_flags import FILE
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import settings_over
from nunchi.testing.scripts import run_files

FAR_FUTURE_SECONDS = 10.0**9
FOREVER_MS = 2**61


@click.group(name="test")
def command() -> None:
    """Run PromQL test scripts."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.pass_context
def promql(context: click.Context, files: tuple[Path, ...]) -> None:
    """Run scripts of `load`, `eval` and `expect`, as Prometheus's own."""
    make_setting = settings_over(lambda: MemoryStore(VirtualClock(FAR_FUTURE_SECONDS), retention_ms=FOREVER_MS))
    report = run_files(files, make_setting)
    click.echo(str(report))
    context.exit(1 if report.failures else 0)
