"""The database alone: memory a series, cost of a sample, index queries, restart, at a number of active series.

    python benchmarks/tsdb.py [--series 1000000] [--rows 24] [--json FILE]
    python benchmarks/tsdb.py --shapes        what arrivals of other shapes cost, all figures in one run
    python benchmarks/tsdb.py --churn 100000  two days in which a tenth of the series is replaced every quarter of an hour

Series are those of hosts: 100 metrics each, with labels instance, job, region. Every arrival is one host's row.
Times are CPU time of the process, so that other processes on the machine disturb the figures little.
"""

import argparse
import gc
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE
from nunchi.testing.clock import VirtualClock
from nunchi.tsdb.block import Block
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

METRICS = 100
STEP_MS = 15_000
SIZES = (10_000, 100_000, 1_000_000)
CHURN_QUARTERS = 2 * 24 * 4


def anonymous_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def open_database(folder: Path) -> Database:
    database = Database(folder, SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    return database


def layout_of(host: int) -> Layout:
    extra = {"instance": f"host-{host}:9100", "job": "node", "region": ("kr", "us", "eu")[host % 3]}
    return Layout.of(*(Labels({METRIC_NAME: f"node_metric_{m}_total", **extra}) for m in range(METRICS)))


def queries(hosts: int) -> dict[str, list[Matcher]]:
    some = "|".join(f"host-{n}:9100" for n in range(0, hosts, max(1, hosts // 20)))
    name = Matcher(METRIC_NAME, MatchOperator.EQUAL, "node_metric_7_total")
    return {
        "one series": [name, Matcher("instance", MatchOperator.EQUAL, "host-5:9100")],
        "one metric": [name],
        "a|b|c": [name, Matcher("instance", MatchOperator.REGEX, some)],
        "prefix": [name, Matcher("instance", MatchOperator.REGEX, "host-1.*")],
        "regular expression": [name, Matcher("instance", MatchOperator.REGEX, "host-.[05]+:9100")],
        ".+": [name, Matcher("instance", MatchOperator.REGEX, ".+")],
        "!=": [name, Matcher("region", MatchOperator.NOT_EQUAL, "kr")],
        "nothing": [Matcher(METRIC_NAME, MatchOperator.EQUAL, "none")],
    }


def measure_queries(database: Database, hosts: int, start_ms: int, end_ms: int) -> dict[str, float]:
    found = {}
    for name, matchers in queries(hosts).items():
        times = []
        for _ in range(10):
            began = time.perf_counter()
            querier = database.querier()
            querier.select(matchers, start_ms, end_ms)
            querier.close()
            times.append((time.perf_counter() - began) * 1000)
        found[f"select {name}, ms, worst of ten"] = round(max(times), 2)
    for name, label in (("values of instance", "instance"), ("values of __name__", METRIC_NAME)):
        began = time.perf_counter()
        querier = database.querier()
        querier.label_values(label, queries(hosts)["one metric"], start_ms, end_ms)
        querier.close()
        found[f"{name} with match, ms"] = round((time.perf_counter() - began) * 1000, 2)
    return found


def run(series: int, rows: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp())
    hosts = series // METRICS
    columns = np.arange(METRICS, dtype=np.int32)
    chance = np.random.default_rng(7)
    layouts = [layout_of(host) for host in range(hosts)]
    gc.collect()
    before = anonymous_mib()
    database = open_database(folder)
    start_ms = SystemClock().now_ms() - rows * STEP_MS
    values = np.round(chance.random((hosts, METRICS)) * 1e6, 2)
    first, spent, maintained = 0.0, 0.0, 0.0
    for row in range(rows):
        values += chance.integers(0, 50, METRICS)
        began = time.process_time()
        for host in range(hosts):
            appender = database.appender()
            appender.append(Batch.row(layouts[host], start_ms + row * STEP_MS + host % 14_000, columns, values[host]))
            appender.commit()
        took = time.process_time() - began
        first, spent = (took, spent) if row == 0 else (first, spent + took)
        began = time.process_time()
        database.maintain()
        maintained += time.process_time() - began
    samples = hosts * METRICS * rows
    report = {
        "series": hosts * METRICS,
        "samples": samples,
        "first row, µs of CPU a series": round(first / series * 1e6, 3),
        "append, ns of CPU a sample": round(spent / max(1, samples - series) * 1e9, 1),
        "sealing, ns of CPU a sample": round(maintained / samples * 1e9, 1),
        "anonymous memory, bytes a series": round((anonymous_mib() - before) * 2**20 / series),
    }
    report |= measure_queries(database, hosts, start_ms, start_ms + rows * STEP_MS + 14_000)
    database.abandon()
    database, report["restart after kill -9, s of CPU"] = restarted(folder)
    database.close()
    files = [file for file in folder.rglob("*") if file.is_file() and "wal" not in file.parts]
    report["bytes a sample"] = round(sum(file.stat().st_size for file in files) / samples, 3)
    database, report["restart after a stop, s of CPU"] = restarted(folder)
    database.abandon()
    shutil.rmtree(folder)
    return report


def restarted(folder: Path) -> tuple[Database, float]:
    """The database opened again, and the CPU seconds that took."""
    began = time.process_time()
    database = open_database(folder)
    return database, round(time.process_time() - began, 2)


def append_rows(targets: int, columns: int, rows: int) -> float:
    """ns of CPU a sample, the first row apart: every target is a layout and a commit a row."""
    folder = Path(tempfile.mkdtemp())
    database = open_database(folder)
    layouts = [
        Layout.of(*(Labels.of(f"m{c}", instance=f"host-{t}:9100", job="node") for c in range(columns)))
        for t in range(targets)
    ]
    start_ms, spent = SystemClock().now_ms() - rows * STEP_MS, 0.0
    own, values = np.arange(columns, dtype=np.int32), np.random.default_rng(7).random(columns)
    for row in range(rows):
        began = time.process_time()
        for layout in layouts:
            appender = database.appender()
            appender.append(Batch.row(layout, start_ms + row * STEP_MS, own, values))
            appender.commit()
        spent += (time.process_time() - began) * (row > 0)
    database.abandon()
    shutil.rmtree(folder)
    return spent / (targets * columns * (rows - 1)) * 1e9


def append_requests(groups: int, columns: int, rows: int) -> float:
    """ns of CPU a sample, the first row apart: one request has a row of each of many groups, all with times of their own."""
    folder = Path(tempfile.mkdtemp())
    database = open_database(folder)
    cells = groups * columns
    layout = Layout.of(*(Labels.of(f"m{c}", instance=f"host-{g}") for g in range(groups) for c in range(columns)))
    start_ms, spent = SystemClock().now_ms() - rows * STEP_MS, 0.0
    own, values = np.arange(cells, dtype=np.int32), np.random.default_rng(7).random(cells)
    offsets = np.repeat(np.arange(groups), columns) % 14_000
    for row in range(rows):
        began = time.process_time()
        appender = database.appender()
        appender.append(Batch.cells(layout, start_ms + row * STEP_MS + offsets, own, values))
        appender.commit()
        spent += (time.process_time() - began) * (row > 0)
    began = time.process_time()
    database.seal()
    spent += time.process_time() - began
    database.abandon()
    shutil.rmtree(folder)
    return spent / (cells * (rows - 1)) * 1e9


def append_wide(width: int, changes: int, rows: int) -> float:
    """What a row of a wide group costs of which a few columns are replaced each time, as a share of an unchanged one's cost."""
    spent = []
    for replaced in (0, changes):
        folder = Path(tempfile.mkdtemp())
        database, layout = open_database(folder), Layout()
        for number in range(width):
            layout.append(Labels.of("wide", n=str(number)).key())
        present = np.arange(width, dtype=np.int32)
        start_ms, total = SystemClock().now_ms() - rows * STEP_MS, 0.0
        for row in range(rows):
            for number in range(replaced):
                layout.append(Labels.of("wide", n=f"{row}-{number}").key())
            added = np.arange(len(layout) - replaced, len(layout), dtype=np.int32)
            present = np.concatenate([present[replaced:], added])
            began = time.process_time()
            appender = database.appender()
            appender.append(Batch.row(layout, start_ms + row * STEP_MS, present, np.full(width, float(row))))
            appender.commit()
            total += (time.process_time() - began) * (row > 0)
        spent.append(total / (rows - 1) * 1e6)
        database.abandon()
        shutil.rmtree(folder)
    return spent[1] / spent[0]


def shapes() -> dict[str, float]:
    """What arrivals of several shapes cost."""
    report = {f"{series:,} series in rows of 100, ns": append_rows(series // 100, 100, 6) for series in SIZES}
    report["100,000 targets of 5 series, ns"] = append_rows(100_000, 5, 4)
    report["requests of 100 groups of 100 columns, with sealing, ns"] = append_requests(100, 100, 40)
    report["requests of 10,000 groups of 1 column, with sealing, ns"] = append_requests(10_000, 1, 40)
    report["200,000 columns, 10 of them other ones each row, of an unchanged row"] = append_wide(200_000, 10, 40)
    return {name: round(value, 2) for name, value in report.items()}


def churn(series: int) -> dict[str, float]:
    """Two days on a virtual clock: a tenth of the targets, 100 series each, is replaced every quarter of an hour."""
    folder, clock = Path(tempfile.mkdtemp()), VirtualClock()
    database = Database(folder, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    hosts, made, before = [layout_of(host) for host in range(series // METRICS)], series // METRICS, anonymous_mib()
    columns, values = np.arange(METRICS, dtype=np.int32), np.random.default_rng(7).random(METRICS)
    memory, table_max, longest, replaced = 0.0, 0, 0.0, max(1, len(hosts) // 10)
    for quarter in range(CHURN_QUARTERS):
        ended = hosts[:replaced] if quarter else []
        for value, layouts in ((np.full(METRICS, STALE), ended), (values, hosts)):
            for layout in layouts:
                appender = database.appender()
                appender.append(Batch.row(layout, clock.now_ms(), columns, value))
                appender.commit()
        if ended:
            hosts = [*hosts[replaced:], *(layout_of(made + number) for number in range(replaced))]
            made += replaced
        clock.jump(900)
        memory = max(memory, anonymous_mib() - before)
        began = time.process_time()
        database.maintain()
        longest = max(longest, time.process_time() - began)
        memory, table_max = max(memory, anonymous_mib() - before), max(table_max, database.head_index().created.size)
    blocks = [file for file in database.sealed_files() if isinstance(file, Block)]
    report = {
        "active series": len(hosts) * METRICS,
        "series ever": made * METRICS,
        "series in the head at most": table_max,
        "anonymous memory at most, bytes an active series": round(memory * 2**20 / series),
        "index on disk, bytes a series": round(
            sum((block.folder / "index").stat().st_size for block in blocks)
            / sum(block.meta.series for block in blocks),
            1,
        ),
        "longest maintenance, s of CPU": round(longest, 2),
    }
    database.abandon()
    shutil.rmtree(folder)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--shapes", action="store_true")
    parser.add_argument("--churn", type=int, metavar="SERIES")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.shapes:
        report = shapes()
    else:
        report = churn(arguments.churn) if arguments.churn else run(arguments.series, arguments.rows)
    print("\n".join(f"{name:65}{value:>14,}" for name, value in report.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
