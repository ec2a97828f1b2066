"""`nunchi query`: PromQL asked of a server, or of a data folder; answers as tables, graphs, JSON or CSV."""

import shutil
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from nunchi.cli.answers import align, as_csv, as_json, as_samples, as_table, series_text
from nunchi.cli.asking import URL, Asker, ServerAsker
from nunchi.cli.bucket_usage import bucket_usage
from nunchi.cli.graph import draw
from nunchi.cli.server_flags import FILE
from nunchi.kit.clock import SystemClock
from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError

STEPS = 250  # of a range whose step is not given
STEP_SECONDS_MIN = 1
GRAPH_HEIGHT = 16
GRAPH_WIDTH_MAX = 140
FOLDER = click.Path(file_okay=False, path_type=Path)
SAMPLES_MATCH = "analyze needs --match, as in --match 'http_request_duration_seconds_bucket'"


EPILOG = """
\b
Examples:
  nunchi query instant 'sum by (mode) (rate(node_cpu_seconds_total[1m]))'
  nunchi query range node_load1 --last 6h
  nunchi query labels job --path data
"""


@click.group(name="query", epilog=EPILOG)
def command() -> None:
    """Ask a server, or a data folder, in PromQL."""


def with_asker(*formats: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags that say whom to ask and how to print, and its first arguments: an `Asker` and the format."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--url", default=URL, show_default=True, envvar="NUNCHI_URL", show_envvar=True, help="Server to ask."
        )
        @click.option(
            "--http.config.file",
            "http_config_file",
            type=FILE,
            envvar="NUNCHI_HTTP_CONFIG_FILE",
            show_envvar=True,
            help="User, token and certificates for the server, as Prometheus's http_config.",
        )
        @click.option(
            "--path", type=FOLDER, help="Data folder to read instead of asking a server; one may be running on it."
        )
        @click.option(
            "--enable-feature", "features", multiple=True, help="Experimental part of PromQL, with --path; repeatable."
        )
        @click.option("--json", "is_json", is_flag=True, help="The same as --format json.")
        @click.option(
            "-f",
            "--format",
            "form",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How to print.",
        )
        @wraps(function)
        def ask(
            url: str,
            http_config_file: Path | None,
            path: Path | None,
            features: tuple[str, ...],
            is_json: bool,
            form: str,
            **options: Any,
        ) -> None:
            names_url = click.get_current_context().get_parameter_source("url") is ParameterSource.COMMANDLINE
            asker = _asker(url, http_config_file, path, features, names_url=names_url)
            function(asker, "json" if is_json else form, **options)

        return ask

    return decorate


def _asker(
    url: str, http_config_file: Path | None, path: Path | None, features: tuple[str, ...], *, names_url: bool
) -> Asker:
    """Whom to ask. Only a folder needs the engine: it is loaded for that alone."""
    if path is None:
        if features:
            raise InputError("--enable-feature needs --path: a server has its own")
        return ServerAsker(url, http_config_file)
    if names_url:
        raise InputError("--path reads a folder, --url asks a server: give one of them")
    from nunchi.cli.folder_asking import FolderAsker

    return FolderAsker(path, features)


@command.command()
@click.argument("expression")
@click.option("--time", help="Moment of evaluation, Unix seconds or RFC 3339; now by default.")
@with_asker("table", "json", "csv")
def instant(asker: Asker, form: str, expression: str, time: str | None) -> None:
    """Evaluate at one moment."""
    data = asker.ask("query", {"query": expression, "time": time})
    is_matrix = data["resultType"] == "matrix"
    printers = {"table": as_samples if is_matrix else as_table, "json": as_json, "csv": as_csv}
    click.echo(printers[form](data))


@command.command(name="range")
@click.argument("expression")
@click.option("--start", help="First moment, Unix seconds or RFC 3339.")
@click.option("--end", help="Last moment; now by default.")
@click.option("--last", default="1h", show_default=True, help="How far before now to begin, without --start.")
@click.option("--step", help=f"Time between two moments; by default a {STEPS}th of --last, or 60s.")
@with_asker("graph", "table", "json", "csv")
def range_(
    asker: Asker, form: str, expression: str, start: str | None, end: str | None, last: str, step: str | None
) -> None:
    """Evaluate at many moments."""
    span = _span(start, end, last, step)
    data = asker.ask("query_range", {"query": expression, **span})
    printers: dict[str, Callable[[Any], str]] = {"table": as_table, "json": as_json, "csv": as_csv, "graph": _graph}
    click.echo(printers[form](data))


@command.command()
@click.argument("selectors", nargs=-1, required=True)
@click.option("--start", help="Only series with samples since then.")
@click.option("--end", help="Only series with samples until then.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@with_asker("table", "json")
def series(
    asker: Asker, form: str, selectors: tuple[str, ...], start: str | None, end: str | None, limit: int | None
) -> None:
    """List the series that match any of the selectors."""
    data = asker.ask("series", {"match[]": selectors, "start": start, "end": end, "limit": limit})
    click.echo(as_json(data) if form == "json" else "\n".join(map(series_text, data)) or "no series")


@command.command()
@click.argument("label", required=False)
@click.option("--match", "selectors", multiple=True, help="Only of series that match.")
@click.option("--start", help="Only of series with samples since then.")
@click.option("--end", help="Only of series with samples until then.")
@with_asker("table", "json")
def labels(
    asker: Asker, form: str, label: str | None, selectors: tuple[str, ...], start: str | None, end: str | None
) -> None:
    """List the values of a label, or the names of all labels."""
    path = f"label/{quote(label, safe='')}/values" if label else "labels"
    data = asker.ask(path, {"match[]": selectors, "start": start, "end": end}, "GET")
    click.echo(as_json(data) if form == "json" else "\n".join(data) or "nothing")


@command.command()
@click.option("--match", "selectors", multiple=True, help="Selectors of histogram series, as x_bucket{job='y'}.")
@click.option("--duration", default="1h", show_default=True, help="How far back to look.")
@click.option("--time", help="Up to when, Unix seconds or RFC 3339; now by default.")
@with_asker("table", "json")
def analyze(asker: Asker, form: str, selectors: tuple[str, ...], duration: str, time: str | None) -> None:
    """Tell how many buckets of classic histograms gain observations."""
    if not selectors:
        raise InputError(SAMPLES_MATCH)
    result = [
        found
        for selector in selectors
        for found in asker.ask("query", {"query": f"{selector}[{duration}]", "time": time})["result"]
    ]
    usages = bucket_usage(result)
    if form == "json":
        shown = ("metric", "labels", "scrapes", "buckets", "least", "mean", "most")
        click.echo(as_json([{name: getattr(usage, name) for name in shown} for usage in usages]))
        return
    rows = [
        (
            series_text({"__name__": usage.metric, **usage.labels}),
            *map(str, (usage.scrapes, usage.buckets, usage.least)),
            f"{usage.mean:.1f}",
            str(usage.most),
        )
        for usage in usages
    ]
    heads = ("histogram", "scrapes", "buckets", "least used", "mean", "most")
    click.echo(align([heads, *rows], numbers=range(1, 6)) if rows else "no histograms with two scrapes")


def _span(start: str | None, end: str | None, last: str, step: str | None) -> dict[str, Any]:
    """`start`, `end` and `step` of a range query."""
    if start is not None:
        return {"start": start, "end": end or SystemClock().now(), "step": step or "60s"}
    if end is not None:
        raise InputError("--end needs --start; --last counts back from now")
    try:
        seconds = parse_duration(last) / 1000
    except ValueError as error:
        raise InputError(f"--last: {error}") from None
    chosen = max(STEP_SECONDS_MIN, round(seconds / STEPS))
    now = SystemClock().now()
    return {"start": now - seconds, "end": now, "step": step or chosen}


def _graph(data: dict[str, Any]) -> str:
    lines = {
        series_text(series["metric"]): [(at, float(value)) for at, value in series.get("values", ())]
        for series in data["result"]
    }
    times = [at for points in lines.values() for at, _ in points]
    if not times:
        return "no series"
    width = min(GRAPH_WIDTH_MAX, shutil.get_terminal_size().columns)
    is_coloured = sys.stdout.isatty()
    return draw(lines, min(times), max(times), width, GRAPH_HEIGHT, is_coloured=is_coloured)
