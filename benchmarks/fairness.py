"""What large queries take from everybody else: how late scrapes start and rules are judged meanwhile, and memory.

    python benchmarks/fairness.py [--series 100000] [--clients 20] [--seconds 20] [--hours 24]

Fairness: a server holds `series` series; targets are scraped and a rule group is judged every second. It is watched at rest,
then while `clients` clients ask for `sum by (x) (rate(m[5m]))` and `sum(m / m)` of all series over and over. A scrape's
lateness is the time at which its request arrives, against the target's own earliest place within the second at rest. A machine
with other work to do adds its own lateness: the figures at rest say how much.
Memory: one process evaluates `sum by (x) (rate(m[5m]))` over `series` series and `hours` hours of a sample a minute, a step a
minute; the peak of its anonymous memory is sampled. Results go to benchmarks/results/fairness.json.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import numpy as np
from programs.process import free_port

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.limits import Limits
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

RESULTS = Path(__file__).parent / "results" / "fairness.json"
TARGETS = 20
PER_GROUP = 1000
GROUPS = 100  # values of the label x
RANGE_SECONDS = 3600
STEP_MS = 60_000
EXPRESSIONS = ("sum by (x) (rate(m[5m]))", "sum(m / m)")
ROWS_AT_ONCE = 60
SETTLING_SECONDS = 5  # what a start brings with it is over, and every target has been scraped
WARMING_SECONDS = 3  # every client has asked before its answers are counted


def open_database(folder: Path) -> Database:
    made = Database(folder, SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    made.open()
    return made


def fill(folder: Path, series: int, seconds: int, end_ms: int) -> None:
    """A sample a minute of every series, in groups as scrapes bring them."""
    database = open_database(folder)
    layouts = [
        Layout.of(
            *(Labels.of("m", x=str(number % GROUPS), id=str(number)) for number in range(begin, begin + PER_GROUP))
        )
        for begin in range(0, series, PER_GROUP)
    ]
    rows = seconds * 1000 // STEP_MS
    columns = np.tile(np.arange(PER_GROUP, dtype=np.int32), ROWS_AT_ONCE)
    offsets = np.arange(ROWS_AT_ONCE + 1, dtype=np.int64) * PER_GROUP
    speeds = np.arange(PER_GROUP) % 17 + 1.0
    for first in range(0, rows, ROWS_AT_ONCE):
        numbers = np.arange(first, first + ROWS_AT_ONCE)
        times = end_ms - (rows - 1 - numbers) * STEP_MS
        values = (numbers[:, None] * speeds).reshape(-1)
        for layout in layouts:
            appender = database.appender()
            appender.append(Batch(layout, times, offsets, columns, values))
            appender.commit()
        database.maintain()
    database.close()


# The target: notes when each path is asked.


class Target(asyncio.Protocol):
    """Answers a small exposition; `/arrivals` gives and forgets when each path was asked."""

    arrivals: dict[str, list[float]] = {}  # noqa: RUF012 (one per process)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.pending = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, self.pending = self.pending.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            body = b"a 1\nb 2\n"
            if path == "/arrivals":
                body, Target.arrivals = json.dumps(Target.arrivals).encode(), {}
            else:
                Target.arrivals.setdefault(path, []).append(now)
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )


async def serve_target() -> None:
    server = await asyncio.get_running_loop().create_server(Target, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# The server and its clients.


def fetch(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
        return bytes(answer.read())


@contextlib.contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **options)  # type: ignore[call-overload]  # options as Popen has them
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def configure(folder: Path, target: int) -> Path:
    targets = "".join(
        f"  - targets: ['127.0.0.1:{target}']\n    labels: {{__metrics_path__: /t/{number}, instance: 't{number}'}}\n"
        for number in range(TARGETS)
    )
    (folder / "rules.yml").write_text(
        "groups:\n- name: every second\n  interval: 1s\n  rules:\n  - record: up:sum\n    expr: sum(up)\n"
    )
    path = folder / "prometheus.yml"
    path.write_text(
        "global: {scrape_interval: 1s}\nrule_files: [rules.yml]\n"
        f"scrape_configs:\n- job_name: replay\n  static_configs:\n{targets}"
    )
    return path


def missed(port: int) -> int:
    """Rule evaluations left out so far."""
    text = fetch(port, "/metrics").decode()
    return int(
        sum(map(float, re.findall(r"^prometheus_rule_group_iterations_missed_total{.*} (\S+)$", text, re.MULTILINE)))
    )


def watch(target: int, server: int, seconds: float) -> tuple[dict[str, list[float]], int]:
    """When scrapes arrived within some seconds, by target, and how many rule evaluations were left out."""
    before = missed(server)
    fetch(target, "/arrivals")
    time.sleep(seconds)
    return json.loads(fetch(target, "/arrivals")), missed(server) - before


def lateness_ms(arrivals: dict[str, list[float]], at_rest: dict[str, list[float]]) -> dict[str, float]:
    """Of all scrapes, against each target's own place within the second as it was at rest."""
    found: list[float] = []
    for path, times in arrivals.items():
        offsets = [(time - at_rest[path][0] + 0.5) % 1 for time in at_rest[path]]
        place = at_rest[path][0] - 0.5 + min(offsets)
        found += [((time - place + 0.05) % 1 - 0.05) * 1000 for time in times]
    cuts = statistics.quantiles(found, n=100)
    return {
        "scrapes": len(found),
        "median": round(cuts[49], 1),
        "p99": round(cuts[98], 1),
        "most": round(max(found), 1),
    }


class Clients:
    """Threads that ask one large query after the other."""

    def __init__(self, port: int, count: int, end_ms: int) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, number, end_ms)) for number in range(count)]

    def _ask(self, port: int, number: int, end_ms: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        given = {
            "query": EXPRESSIONS[number % len(EXPRESSIONS)], "start": end_ms / 1000 - RANGE_SECONDS, "end": end_ms / 1000,
            "step": 60, "nocache": 1, "timeout": "120s",
        }  # fmt: skip
        while not self._ended.is_set():
            connection.request("GET", f"/api/v1/query_range?{urlencode(given)}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                self.answers += 1
            else:
                self.failures.append(body[:300].decode())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def measure_fairness(folder: Path, series: int, clients: int, seconds: float) -> dict[str, object]:
    end_ms = int(time.time()) // 60 * 60_000
    fill(folder / "data", series, RANGE_SECONDS + 600, end_ms)
    port = free_port()
    own = [sys.executable, __file__, "--role", "target"]
    with running(own, stdout=subprocess.PIPE) as target_process:
        assert target_process.stdout is not None
        target = int(target_process.stdout.readline())
        server = [
            sys.executable, "-c", "from nunchi.cli import main; main()", "server",
            f"--config.file={configure(folder, target)}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        with running(server, stderr=subprocess.DEVNULL):
            while True:
                with contextlib.suppress(OSError):
                    fetch(port, "/-/ready")
                    break
                time.sleep(0.1)  # until it is asked again
            time.sleep(SETTLING_SECONDS)  # a start has work of its own, and rest is measured next
            at_rest, _ = watch(target, port, seconds)
            with Clients(port, clients, end_ms) as asking:
                time.sleep(WARMING_SECONDS)  # clients that begin are no steady load
                answered = asking.answers
                loaded, left_out = watch(target, port, seconds)
                answered = asking.answers - answered
    assert not asking.failures, asking.failures[0]
    return {
        "series": series,
        "clients": clients,
        "queries answered": answered,
        "lateness of scrapes at rest, ms": lateness_ms(at_rest, at_rest),
        "lateness of scrapes under queries, ms": lateness_ms(loaded, at_rest),
        "rule evaluations left out": left_out,
    }


# Memory.


def anonymous_mib(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]  # Linux always says


def evaluate_alone(folder: Path, hours: float, end_ms: int) -> None:
    """The query of the memory figure, in a process of its own."""
    database = open_database(folder)
    engine = Engine(EngineSettings(limits=Limits(samples_max=0, bytes_max=0)))
    start_ms = end_ms - int(hours * 3_600_000)
    begin = time.perf_counter()
    result = engine.range(database.querier, EXPRESSIONS[0], start_ms, end_ms, STEP_MS)
    print(
        json.dumps({"seconds": round(time.perf_counter() - begin, 1), "samples": result.statistics.samples}), flush=True
    )
    database.abandon()


def measure_memory(folder: Path, series: int, hours: float) -> dict[str, object]:
    end_ms = int(time.time()) // 60 * 60_000
    fill(folder / "day", series, int(hours * 3600), end_ms)
    command = [sys.executable, __file__, "--role", "query", "--folder", str(folder / "day")]
    with running([*command, "--hours", str(hours), "--end", str(end_ms)], stdout=subprocess.PIPE) as process:
        peak = 0.0
        while process.poll() is None:
            with contextlib.suppress(OSError, TypeError):
                peak = max(peak, anonymous_mib(process.pid))
            time.sleep(0.01)
        assert process.stdout is not None
        found = json.loads(process.stdout.read())
    return {"series": series, "hours": hours, "peak of anonymous memory, MiB": round(peak), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", default="measure", choices=["measure", "target", "query"])
    parser.add_argument("--only", default="", choices=["", "fairness", "memory"])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--end", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="write no results")
    chosen = parser.parse_args()
    if chosen.role == "target":
        asyncio.run(serve_target())
        return
    if chosen.role == "query":
        evaluate_alone(chosen.folder, chosen.hours, chosen.end)
        return
    found: dict[str, object] = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        if chosen.only in {"", "fairness"}:
            found["fairness"] = measure_fairness(Path(name), chosen.series, chosen.clients, chosen.seconds)
        if chosen.only in {"", "memory"}:
            found["memory"] = measure_memory(Path(name), chosen.series, chosen.hours)
    print(json.dumps(found, indent=1))
    if not chosen.dry:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
