"""`nunchi tsdb`: what lies in a data folder, beside a running server or without one. Changes nothing there."""

from datetime import UTC, datetime
from pathlib import Path

import click

from nunchi.cli.answers import align
from nunchi.kit.errors import WorldError
from nunchi.server.opening import FileView, list_files
from nunchi.server.world import World

FOLDER = click.argument("path", type=click.Path(file_okay=False, path_type=Path))


class DamageFound(WorldError):  # noqa: N818 (what was found)
    """Some file of a data folder cannot be read."""


@click.group(name="tsdb")
def command() -> None:
    """Look into a data folder."""


@command.command(name="list")
@FOLDER
def list_(path: Path) -> None:
    """List blocks and runs: sealed samples, without those of the write-ahead log."""
    rows = [
        (file.name, _moment(file.min_time_ms), _moment(file.max_time_ms), str(file.samples), str(file.bytes))
        for file in _readable(list_files(path, World(), is_verified=False))
    ]
    click.echo(align([("file", "from", "to", "samples", "bytes"), *rows], numbers=(3, 4)) if rows else "nothing sealed")


@command.command()
@FOLDER
def verify(path: Path) -> None:
    """Check every checksum of blocks and runs; exit code 1 where one is wrong."""
    files = list_files(path, World(), is_verified=True)
    _readable(files)
    if any(file.damage for file in files):
        raise DamageFound(f"{path} is damaged: start the server, which goes on without it, or restore a snapshot")
    click.echo(f"{path}: {len(files)} files, every checksum holds")


def _readable(files: list[FileView]) -> list[FileView]:
    """Those without damage; the others are named on standard error."""
    for file in files:
        if file.damage:
            click.echo(f"{file.name}: {file.damage}", err=True)
    return [file for file in files if not file.damage]


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
