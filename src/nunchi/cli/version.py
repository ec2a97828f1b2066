"""`nunchi version`."""

import platform

import click

from nunchi import __version__


@click.command(name="version")
def command() -> None:
    """Print version and platform."""
    click.echo(f"nunchi {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
