"""`nunchi check`: whether files would be taken, and why not, with the place."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from nunchi.cli.server_flags import FILE
from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError
from nunchi.kit.settings import remarks
from nunchi.notify.notifier import check_support
from nunchi.notify.settings import load_notify_settings
from nunchi.rules.files import load_rule_file
from nunchi.server.settings import load_configuration
from nunchi.wire.errors import LineError
from nunchi.wire.openmetrics import validate

FILES = click.argument("files", nargs=-1, required=True, type=FILE)


@click.group(name="check")
def command() -> None:
    """Check configuration, rule files and expositions: one line a file, what is wrong with its place and cure.

    Ends with 2 where a file would not be taken.
    """


def check_each(files: Sequence[Path], check: Callable[[Path], None]) -> None:
    """Check every file, those after a bad one too; raises the last refusal once all were looked at."""
    refusals = []
    for path in files:
        try:
            check(path)
        except InputError as error:
            refusals.append(error)
    for refusal in refusals[:-1]:
        click.echo(f"nunchi: {refusal}", err=True)
    if refusals:
        raise refusals[-1]


def _check_configuration(path: Path) -> None:
    configuration = load_configuration(path, os.environ)
    try:
        configuration.check_support()
    except InputError as error:
        raise InputError(f"{path}: well-formed, but nunchi would not start with it: {error}") from error
    rules = sum(len(group.rules) for file in configuration.rule_files for group in file.groups)
    click.echo(f"{path}: good; {len(configuration.jobs)} scrape jobs, {rules} rules")
    for remark in configuration.remarks():
        click.echo(f"{path}: {remark}")


def _check_rules(path: Path) -> None:
    groups = load_rule_file(path).groups
    click.echo(f"{path}: good; {len(groups)} rule groups, {sum(len(group.rules) for group in groups)} rules")


def _check_routes(path: Path) -> None:
    settings = load_notify_settings(path)
    check_support(settings, path.resolve().parent, SystemClock())
    click.echo(f"{path}: good; {len(settings.receivers)} receivers")
    for remark in remarks(settings):
        click.echo(f"{path}: {remark}")


@command.command()
@FILES
def config(files: tuple[Path, ...]) -> None:
    """Check Prometheus configuration and the rule files it names."""
    check_each(files, _check_configuration)


@command.command()
@FILES
def rules(files: tuple[Path, ...]) -> None:
    """Check rule files."""
    check_each(files, _check_rules)


@command.command()
@FILES
def routes(files: tuple[Path, ...]) -> None:
    """Check Alertmanager configuration files."""
    check_each(files, _check_routes)


@command.command()
@click.argument("file", type=FILE, required=False)
def metrics(file: Path | None) -> None:
    """Check an OpenMetrics exposition; standard input by default.

    Asked from a target with: curl -H 'Accept: application/openmetrics-text'
    """
    name = str(file or "standard input")
    try:
        text = file.read_bytes() if file else sys.stdin.buffer.read()
        summary = validate(text)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    except LineError as error:
        raise InputError(f"{name}: {error}") from error
    click.echo(f"{name}: good; {summary.families} metric families, {summary.samples} samples")
