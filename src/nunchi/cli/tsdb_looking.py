"""The commands of `nunchi tsdb` that read: list, analyze, verify, dump, export. They work beside a running server."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from nunchi.cli.answers import align
from nunchi.cli.progress import showing
from nunchi.kit.errors import InputError
from nunchi.kit.sizes import Size
from nunchi.server.data_folder import dumping
from nunchi.server.data_folder.analysis import Analysis
from nunchi.server.data_folder.analysis import analyze as analyze_folder
from nunchi.server.data_folder.errors import DamageFound
from nunchi.server.data_folder.folder import look
from nunchi.server.data_folder.listing import list_files
from nunchi.server.data_folder.series import TIME_MS_MAX, TIME_MS_MIN, parse_selectors
from nunchi.server.data_folder.verifying import Verification, verify_path
from nunchi.server.world import World
from nunchi.web.prometheus_api.parameters import parse_time

PATH = click.argument("path", type=click.Path(path_type=Path))
MATCH = click.option("--match", "selectors", multiple=True, help="Only series that match; may be repeated.")
JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
ROWS = 20
CHURN_ROWS = 24
NOTHING_CHANGED = "nothing was changed"


class MomentType(click.ParamType[int]):
    """Unix seconds or RFC 3339, in milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds of a text."""
        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(f"{error}: write Unix seconds, or as in 2026-01-31T12:00:00Z", param, ctx)


def with_times(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the bounds of time."""
    command = click.option("--max-time", "end_ms", type=MomentType(), help="Only samples until then.")(command)
    return click.option("--min-time", "start_ms", type=MomentType(), help="Only samples since then.")(command)


@click.command(name="list", short_help="List blocks and runs: sealed samples.")
@PATH
@JSON
def list_(path: Path, is_json: bool) -> None:
    """List blocks and runs: sealed samples, without those of the write-ahead log."""
    files = list_files(path, World())
    if is_json:
        click.echo(json.dumps([asdict(file) for file in files], indent=1))
        return
    rows = [
        (
            file.name,
            _moment(file.min_time_ms),
            _moment(file.max_time_ms),
            str(file.series),
            str(file.samples),
            str(file.bytes),
        )
        for file in files
        if not file.damage
    ]
    click.echo(
        align([("file", "from", "to", "series", "samples", "bytes"), *rows], numbers=(3, 4, 5))
        if rows
        else "nothing sealed"
    )
    for file in files:
        if file.damage:
            click.echo(f"{file.name}: {file.damage}", err=True)


@click.command(short_help="Tell what series and room are spent on.")
@PATH
@MATCH
@click.option("--limit", type=click.IntRange(1), default=ROWS, show_default=True, help="Rows of a table.")
@JSON
def analyze(path: Path, selectors: tuple[str, ...], limit: int, is_json: bool) -> None:
    """Tell what series and room are spent on: the largest metrics, labels and pairs, churn, bytes a sample."""
    matchers, world = parse_selectors(selectors), World()
    with showing(NOTHING_CHANGED) as progress:
        progress.begin("analyzing", 0)
        found = analyze_folder(look(path, world), world.disk, matchers, limit)
    click.echo(json.dumps(asdict(found), indent=1) if is_json else _analysis_text(found))


def _analysis_text(found: Analysis) -> str:
    parts = [f"{found.labels.series} series, {found.samples} samples, {found.labels.pairs} label pairs"]
    tables = (
        ("metric", "series", found.labels.metrics),
        ("label", "values", found.labels.label_values),
        ("label pair", "series", found.labels.label_pairs),
        ("label", "bytes of values", found.labels.label_bytes),
    )
    parts += [align([heads, *((name, str(n)) for name, n in rows)], numbers=(1,)) for *heads, rows in tables if rows]
    if found.usage:
        rows = [
            (u.name, str(u.series), str(u.samples), f"{u.bytes:.0f}", f"{u.bytes / max(u.samples, 1):.2f}")
            for u in found.usage
        ]
        parts.append(
            align([("metric", "series a file", "samples", "bytes", "bytes a sample"), *rows], numbers=range(1, 5))
        )
    if found.churn:
        churn = [
            (c.name, _moment(c.min_time_ms), _moment(c.max_time_ms), str(c.series), str(c.fresh))
            for c in found.churn[-CHURN_ROWS:]
        ]
        parts.append(align([("file", "from", "to", "series", "not in the one before"), *churn], numbers=(3, 4)))
    return "\n\n".join(parts)


@click.command(short_help="Check every checksum of every file.")
@PATH
@JSON
def verify(path: Path, is_json: bool) -> None:
    """Check every checksum of every file; exit code 1 where one is wrong, naming file, place, and what is lost."""
    with showing(NOTHING_CHANGED) as progress:
        found = verify_path(path, World(), progress)
    if is_json:
        damages = [{**asdict(damage), "path": str(damage.path)} for damage in found.damages]
        rest = {name: getattr(found, name) for name in ("files", "bytes", "notes", "strangers", "leftovers")}
        click.echo(json.dumps({"damages": damages, **rest}, indent=1))
    else:
        _print_verification(found)
    if found.damages:
        raise DamageFound(
            f"{path} is damaged in {len(found.damages)} places: `nunchi tsdb repair {path}` tells what can be done, "
            "or restore a snapshot"
        )
    if not is_json:
        click.echo(f"{path}: {found.files} files, {Size(found.bytes).rounded()}, every checksum holds")


def _print_verification(found: Verification) -> None:
    for damage in found.damages:
        click.echo(f"{damage.text}: lost: {damage.lost}", err=True)
    for note in found.notes:
        click.echo(note, err=True)
    if found.leftovers:
        click.echo(f"left by interrupted work, removed at the next start: {', '.join(found.leftovers)}", err=True)
    if found.strangers:
        click.echo(f"not nunchi's, left alone: {', '.join(found.strangers)}", err=True)


@click.command(short_help="Print every sample as a line.")
@PATH
@MATCH
@with_times
def dump(path: Path, selectors: tuple[str, ...], start_ms: int | None, end_ms: int | None) -> None:
    """Print every sample as a line: series, value, seconds; `naN` is a staleness marker."""
    _write(path, selectors, start_ms, end_ms, None, dumping.dump)


@click.command(short_help="Write OpenMetrics text.")
@PATH
@MATCH
@with_times
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; standard output by default.")
@click.option("--staleness/--no-staleness", default=True, show_default=True, help="Write staleness markers, as naN.")
def export(
    path: Path,
    selectors: tuple[str, ...],
    start_ms: int | None,
    end_ms: int | None,
    output: Path | None,
    staleness: bool,
) -> None:
    """Write OpenMetrics text, which `nunchi tsdb import openmetrics` and promtool read."""
    _write(path, selectors, start_ms, end_ms, output, dumping.export, keeps_staleness=staleness)


def _write(
    path: Path, selectors: tuple[str, ...], start_ms: int | None, end_ms: int | None, output: Path | None,
    work: Callable[..., int], *, keeps_staleness: bool = True,
) -> None:  # fmt: skip
    start_ms = TIME_MS_MIN if start_ms is None else start_ms
    end_ms = TIME_MS_MAX if end_ms is None else end_ms
    if start_ms > end_ms:
        raise InputError("--min-time is after --max-time: no sample lies between them")
    request = dumping.Request(parse_selectors(selectors), start_ms, end_ms, keeps_staleness)
    store = look(path, World())
    after = "what was printed is whole lines" if output is None else f"{output} was not written"
    with showing(after) as progress:
        if output is None:
            _write_standard_output(lambda file: work(store, request, file.write, progress))
            return
        unfinished = output.with_name(f"{output.name}.unfinished")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                written = work(store, request, file.write, progress)
            unfinished.replace(output)
        except OSError as error:
            raise DamageFound(
                f"{output} cannot be written: {error.strerror}: name another file, or make room"
            ) from None
        finally:
            unfinished.unlink(missing_ok=True)
        progress.say(f"{output}: {written} samples")


def _write_standard_output(work: Callable[[TextIO], int]) -> None:
    try:
        work(sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # `… | head` has seen enough
        sys.stderr.close()


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
