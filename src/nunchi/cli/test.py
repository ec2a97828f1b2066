"""`nunchi test`: runs users' test scripts and rule tests on the server's own engine."""

from pathlib import Path

import click
import re2

from nunchi.cli.server_flags import FILE
from nunchi.kit import logs
from nunchi.kit.errors import InputError
from nunchi.server.features import split_features
from nunchi.server.language import parser_settings
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import settings_over
from nunchi.testing.rule_tests import RuleTestOptions, run_rule_tests
from nunchi.testing.scripts import run_files

FAR_FUTURE_SECONDS = 10.0**9
FOREVER_MS = 2**61


@click.group(name="test")
def command() -> None:
    """Run PromQL test scripts and rule tests."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.pass_context
def promql(context: click.Context, files: tuple[Path, ...]) -> None:
    """Run scripts of `load`, `eval` and `expect`, as Prometheus's own."""
    make_setting = settings_over(lambda: MemoryStore(VirtualClock(FAR_FUTURE_SECONDS), retention_ms=FOREVER_MS))
    report = run_files(files, make_setting)
    click.echo(str(report))
    context.exit(1 if report.failures else 0)


@command.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--run", "patterns", multiple=True, help="Only tests whose name this regular expression finds; repeatable."
)
@click.option(
    "--enable-feature", "features", multiple=True, help="Experimental part of PromQL, as the server's; repeatable."
)
@click.option("--ignore-unknown-fields", is_flag=True, help="Pass over fields of rule files that are not known.")
@click.pass_context
def rules(
    context: click.Context,
    files: tuple[Path, ...],
    patterns: tuple[str, ...],
    features: tuple[str, ...],
    ignore_unknown_fields: bool,
) -> None:
    """Run unit tests of rules, files in promtool's form."""
    try:
        found = [re2.compile(pattern) for pattern in patterns]
    except re2.error as error:
        raise InputError(f"--run: {error}") from None
    options = RuleTestOptions(
        parser_settings(split_features(features)),
        lambda name: not found or any(pattern.search(name) for pattern in found),
        ignore_unknown_fields,
    )
    logs.configure("error", "logfmt")
    report = run_rule_tests(files, options)
    click.echo(str(report))
    context.exit(1 if report.failed else 0)
