"""`nunchi check`: whether files would be taken, and why not, with the place."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from nunchi.cli.server_flags import FILE
from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError
from nunchi.kit.settings import remarks
from nunchi.notify.notifier import check_support
from nunchi.notify.settings import load_notify_settings
from nunchi.query.syntax import STABLE, ParserSettings
from nunchi.rules.duplicates import duplicates_of
from nunchi.rules.files import load_rule_file
from nunchi.server.features import split_features
from nunchi.server.language import parser_settings
from nunchi.server.named_files import faults_of
from nunchi.server.settings import load_configuration
from nunchi.wire.errors import LineError
from nunchi.wire.exposition import ExpositionReader
from nunchi.wire.openmetrics import Summary, validate

FILES = click.argument("files", nargs=-1, required=True, type=FILE)
FEATURES = click.option(
    "--enable-feature", "features", multiple=True, help="Experimental part of PromQL, as the server's; repeatable."
)


def _scraped(text: bytes) -> Summary:
    """What a scrape would take from a text of version 0.0.4; raises `ExpositionError`."""
    exposition = ExpositionReader().read(text)
    names = {labels.metric_name for _, labels in exposition.new_series}
    return Summary(families=len(exposition.metadata) or len(names), samples=len(exposition.values))


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


@dataclass(frozen=True, slots=True)
class Strictness:
    """What counts as good."""

    parser: ParserSettings = STABLE
    with_named_files: bool = True
    ignores_unknown: bool = False
    refuses_duplicates: bool = False


def _check_configuration(path: Path, strictness: Strictness) -> None:
    configuration = load_configuration(path, os.environ, strictness.parser)
    try:
        configuration.check_support()
    except InputError as error:
        raise InputError(f"{path}: well-formed, but nunchi would not start with it: {error}") from error
    faults = list(faults_of(configuration)) if strictness.with_named_files else []
    for fault in faults[:-1]:
        click.echo(f"nunchi: {path}: {fault}", err=True)
    if faults:
        raise InputError(f"{path}: {faults[-1]}")
    rules = sum(len(group.rules) for file in configuration.rule_files for group in file.groups)
    click.echo(f"{path}: good; {len(configuration.jobs)} scrape jobs, {rules} rules")
    for remark in configuration.remarks():
        click.echo(f"{path}: {remark}")


def _check_rules(path: Path, strictness: Strictness) -> None:
    groups = load_rule_file(path, strictness.parser, ignores_unknown=strictness.ignores_unknown).groups
    duplicates = duplicates_of(groups)
    said = [
        f"{path}: {name}{labels or ''} is written by several rules: make one of them" for name, labels in duplicates
    ]
    if duplicates and strictness.refuses_duplicates:
        raise InputError("; ".join(said))
    click.echo(f"{path}: good; {len(groups)} rule groups, {sum(len(group.rules) for group in groups)} rules")
    for line in said:
        click.echo(line)


def _check_routes(path: Path) -> None:
    settings = load_notify_settings(path)
    check_support(settings, path.resolve().parent, SystemClock())
    click.echo(f"{path}: good; {len(settings.receivers)} receivers")
    for remark in remarks(settings):
        click.echo(f"{path}: {remark}")


@command.command()
@FILES
@FEATURES
@click.option("--syntax-only", is_flag=True, help="Look at no file that the configuration names, rule files aside.")
def config(files: tuple[Path, ...], features: tuple[str, ...], syntax_only: bool) -> None:
    """Check Prometheus configuration and the files that it names.

    Rule files are read, other files must be there, and targets must be addresses.
    """
    strictness = Strictness(parser_settings(split_features(features)), with_named_files=not syntax_only)
    check_each(files, partial(_check_configuration, strictness=strictness))


@command.command()
@FILES
@FEATURES
@click.option("--ignore-unknown-fields", is_flag=True, help="Pass over fields that are not known.")
@click.option("--lint-fatal", is_flag=True, help="Refuse rules that write the same series, too.")
def rules(
    files: tuple[Path, ...],
    features: tuple[str, ...],
    ignore_unknown_fields: bool,
    lint_fatal: bool,
) -> None:
    """Check rule files."""
    parser = parser_settings(split_features(features))
    strictness = Strictness(parser, ignores_unknown=ignore_unknown_fields, refuses_duplicates=lint_fatal)
    check_each(files, partial(_check_rules, strictness=strictness))


@command.command()
@FILES
def routes(files: tuple[Path, ...]) -> None:
    """Check Alertmanager configuration files."""
    check_each(files, _check_routes)


@command.command()
@click.argument("file", type=FILE, required=False)
@click.option("--text", "is_text", is_flag=True, help="Read text of version 0.0.4, as leniently as a scrape does.")
def metrics(file: Path | None, is_text: bool) -> None:
    """Check an OpenMetrics exposition as its specification wants it.

    Standard input is read where no file is named. Asked from a target with: curl -H 'Accept: application/openmetrics-text'
    """
    name = str(file or "standard input")
    try:
        text = file.read_bytes() if file else sys.stdin.buffer.read()
        summary = _scraped(text) if is_text else validate(text)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    except LineError as error:
        cure = "; text of version 0.0.4 is read with --text" if not is_text and b"# EOF" not in text else ""
        raise InputError(f"{name}: {error}{cure}") from error
    click.echo(f"{name}: good; {summary.families} metric families, {summary.samples} samples")
