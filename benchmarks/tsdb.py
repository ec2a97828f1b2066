"""The database alone: memory a series, cost of a sample, index queries, restart, at a number of active series.

    python benchmarks/tsdb.py [--series 1000000] [--rows 24] [--json FILE]

Series are those of hosts: 100 metrics each, with labels instance, job, region. Every arrival is one host's row.
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
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

METRICS = 100
STEP_MS = 15_000


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
    began = time.perf_counter()
    database = open_database(folder)
    report["restart after kill -9, s"] = round(time.perf_counter() - began, 2)
    database.close()
    files = [file for file in folder.rglob("*") if file.is_file() and "wal" not in file.parts]
    report["bytes a sample"] = round(sum(file.stat().st_size for file in files) / samples, 3)
    began = time.perf_counter()
    database = open_database(folder)
    report["restart after a stop, s"] = round(time.perf_counter() - began, 2)
    database.abandon()
    shutil.rmtree(folder)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = run(arguments.series, arguments.rows)
    print("\n".join(f"{name:45}{value:>14,}" for name, value in report.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
