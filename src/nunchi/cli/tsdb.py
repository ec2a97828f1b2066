"""`nunchi tsdb`: what lies in a data folder, and work on one. Decides nothing: see `server.data_folder`."""

import click

from nunchi.cli.tsdb_changing import bench, import_, repair, snapshot
from nunchi.cli.tsdb_looking import analyze, dump, export, list_, verify


@click.group(name="tsdb")
def command() -> None:
    """Look into a data folder, beside a running server or without one; bring samples in and take them out."""


for _each in (list_, analyze, verify, dump, export, import_, snapshot, repair, bench):
    command.add_command(_each)
