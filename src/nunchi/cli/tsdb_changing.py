"""The commands of `nunchi tsdb` that write: import, snapshot, repair, bench. They need a folder that no server writes."""

import json
import shutil
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from nunchi.cli.progress import showing
from nunchi.cli.tsdb_looking import PATH
from nunchi.kit.sizes import Size
from nunchi.server.data_folder.copying import snapshot_folder
from nunchi.server.data_folder.errors import DamageFound
from nunchi.server.data_folder.folder import check_target, open_to_write
from nunchi.server.data_folder.importing import ImportReport, Source, import_samples
from nunchi.server.data_folder.openmetrics_source import OpenMetricsSource
from nunchi.server.data_folder.prometheus_source import PrometheusSource
from nunchi.server.data_folder.verifying import cure_of, repair_path, verify_path
from nunchi.server.data_folder.write_benchmark import bench_write, check_new
from nunchi.server.world import World

DEFAULT_RETENTION_MS = 15 * 24 * 3600 * 1000
BENCH_FOLDER = Path("nunchi-bench")

INTO = click.option(
    "--into", "target", required=True, type=click.Path(path_type=Path),
    help="Data folder, new or of a server that is stopped.",
)  # fmt: skip


@click.group(name="import", short_help="Bring samples in from elsewhere.")
def import_() -> None:
    """Bring samples in from elsewhere; bringing in the same again changes nothing."""


@import_.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@INTO
def openmetrics(files: tuple[Path, ...], target: Path) -> None:
    """Bring OpenMetrics files in, every sample with its timestamp."""
    _import(OpenMetricsSource(list(files)), target)


@import_.command(short_help="Bring in what Prometheus stored.")
@click.argument("path", type=click.Path(path_type=Path))
@INTO
def prometheus(path: Path, target: Path) -> None:
    """Bring in what Prometheus stored: a block, a folder of blocks, or its whole data folder, log included.

    Stop that Prometheus first, or take a snapshot of it: of a running one, what it compacts meanwhile may be missed.
    """
    _import(PrometheusSource(World().disk, path), target)


def _import(source: Source, target: Path) -> None:
    check_target(target)
    report = ImportReport()
    has_begun = False
    try:
        after = "what came in stays, run it again to bring in the rest"
        with showing(after) as progress, open_to_write(target, World()) as database:
            has_begun = True
            import_samples(database, source, progress, report)
    finally:
        if has_begun:
            _print_report(report, target)
    if report.remarks:
        raise DamageFound(f"not everything could be read: {len(report.remarks)} remarks stand above; all else came in")


def _print_report(report: ImportReport, target: Path) -> None:
    for remark in report.remarks:
        click.echo(remark, err=True)
    for reason, count in report.rejected.items():
        example = next((one for one in report.examples if one.reason is reason), None)
        shown = f", as {example.labels} at {_moment(example.timestamp_ms)}" if example else ""
        click.echo(f"rejected: {count} samples, {reason.value}{shown}", err=True)
    span = ""
    if report.min_time_ms is not None and report.max_time_ms is not None:
        span = f", from {_moment(report.min_time_ms)} to {_moment(report.max_time_ms)}"
    click.echo(f"{target}: {report.accepted} samples came in{span}")
    if report.min_time_ms is not None and World().clock.now_ms() - report.min_time_ms > DEFAULT_RETENTION_MS:
        click.echo(
            "older than 15 days: start the server with --storage.tsdb.retention.time, or it drops them", err=True
        )


@click.command(short_help="Copy a data folder as it is now.")
@PATH
@click.argument("target", type=click.Path(path_type=Path))
def snapshot(path: Path, target: Path) -> None:
    """Copy a data folder as it is now; works beside a running server, and the copy is a data folder itself."""
    with showing(f"{target} was not made") as progress:
        copied = snapshot_folder(path, target, World(), progress)
    click.echo(f"{target}: {Size(copied).rounded()} copied")


@click.command(short_help="Make a damaged folder whole.")
@PATH
@click.option("--yes", "is_meant", is_flag=True, help="Do it; without, only tell what would be done.")
def repair(path: Path, is_meant: bool) -> None:
    """Make a damaged folder whole: what is readable stays, what is not is set aside in its folder `damaged`."""
    world = World()
    with showing("run it again, it goes on where it stopped") as progress:
        found = verify_path(path, world, progress)
        if not found.damages:
            click.echo(f"{path}: nothing is damaged")
            return
        for damage in found.damages:
            click.echo(f"{damage.text}\n  lost: {damage.lost}\n  cure: {cure_of(damage)}")
        if not is_meant:
            click.echo(f"{path}: nothing was changed; `nunchi tsdb repair --yes {path}` does all this")
            return
        for text in repair_path(path, world, progress, found):
            click.echo(text)
    click.echo(f"{path}: repaired; what was set aside is in {path / 'damaged'}, remove it when it is not needed")


@click.group()
def bench() -> None:
    """Measure this machine."""


@bench.command(short_help="Append samples to a new folder, tell the rate.")
@click.option("--series", type=click.IntRange(1), default=10_000, show_default=True, help="Active series.")
@click.option("--samples", type=click.IntRange(1), default=5_000_000, show_default=True, help="Samples of all of them.")
@click.option("--sync-always", is_flag=True, help="Acknowledge after the disk has it, as wal_sync: always.")
@click.option("--keep", is_flag=True, help="Leave the folder there.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.argument("path", type=click.Path(path_type=Path), default=BENCH_FOLDER)
def write(path: Path, series: int, samples: int, sync_always: bool, keep: bool, is_json: bool) -> None:
    """Append samples to a new folder, nunchi-bench unless named, and tell rate, size and memory."""
    check_new(path)
    try:
        with showing(f"{path} is removed") as progress:
            found = bench_write(path, series, samples, World(), progress, time.process_time, syncs_always=sync_always)
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
    if is_json:
        click.echo(json.dumps({**asdict(found), "samples_per_cpu_second": found.samples_per_cpu_second}, indent=1))
        return
    click.echo(
        f"{found.samples} samples of {found.series} series\n"
        f"{found.samples_per_cpu_second:,.0f} samples a CPU second, {found.samples / found.seconds:,.0f} a second\n"
        f"{found.bytes / found.samples:.2f} bytes a sample, {found.memory_bytes / found.series:,.0f} bytes of memory a series"
    )


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
