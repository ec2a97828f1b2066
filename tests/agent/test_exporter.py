"""`/metrics`, asked over a real socket."""

import asyncio
import random
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.agent.frozen import CASES, measure_all, parse_text, unpack

from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.checks import CHECKS
from nunchi.agent.exporter import Exporter, classic_samples
from nunchi.agent.root import Root
from nunchi.agent.schedule import CheckInstance, Schedule
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.kit.clock import SystemClock
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.supervision import Supervisor
from nunchi.kit.telemetry import Telemetry
from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.wire.exposition import ExpositionFormat, ExpositionReader

VOLATILE = ("node_time_seconds", "node_timex", "node_filesystem")


@asynccontextmanager
async def exporting(root: Root) -> AsyncIterator[str]:
    clock, telemetry, log = SystemClock(), Telemetry(), logger("test")
    instances = [CheckInstance(check.name, check(check.settings_type()), 10.0, 5.0) for check in CHECKS]
    runner = ThreadRunner(DaemonThreads("check", clock, 8))
    schedule = Schedule(instances, None, runner, root, clock, CheckTelemetry(telemetry), log)
    server = HttpServer(
        "exporter", "127.0.0.1:0", Exporter(schedule, telemetry).routes(), HttpPolicy(), clock, telemetry, log
    )
    supervisor = Supervisor(clock, random.Random(1), log)
    for part in (schedule, server):
        await supervisor.start(part)
    try:
        yield server.url
    finally:
        await supervisor.stop()


async def fetch(url: str, accept: str = "*/*") -> tuple[str, str]:
    def ask() -> tuple[str, str]:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    return await asyncio.to_thread(ask)


async def test_scrape_shows_what_the_checks_find_and_how_they_fared(tmp_path: Path) -> None:
    root = unpack("kernel_6_18", tmp_path)
    async with exporting(root) as url:
        content_type, text = await fetch(f"{url}/metrics")
    assert content_type.startswith("text/plain; version=0.0.4")
    samples, types = parse_text(text)
    expected, expected_types = measure_all(root)
    still = {series: value for series, value in expected.items() if not series[0].startswith(VOLATILE)}
    assert still.items() <= samples.items()
    assert expected_types.items() <= types.items()
    assert samples["node_scrape_collector_success", (("collector", "cpu"),)] == 1
    assert samples["node_scrape_collector_success", (("collector", "schedstat"),)] == 0
    assert samples["agent_check_runs_total", (("check", "cpu"),)] == 1


async def test_open_metrics_is_answered_where_it_is_liked_best(tmp_path: Path) -> None:
    async with exporting(unpack("kernel_2_6_32", tmp_path)) as url:
        content_type, text = await fetch(
            f"{url}/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        )
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert "# TYPE node_context_switches counter\n" in text
    assert "# TYPE node_vmstat_pgfault unknown\n" in text


@pytest.mark.parametrize("exposition_format", list(ExpositionFormat))
@pytest.mark.parametrize("case", CASES)
async def test_server_reads_what_is_exported(case: str, exposition_format: ExpositionFormat, tmp_path: Path) -> None:
    root = unpack(case, tmp_path)
    async with exporting(root) as url:
        _, text = await fetch(f"{url}/metrics", exposition_format.value)
    exposition = ExpositionReader().read(text.encode(), exposition_format)
    shown = {
        (labels.metric_name, labels.drop("__name__").pairs): float(
            exposition.values[list(exposition.series).index(series)]
        )
        for series, labels in exposition.new_series
    }
    expected, _ = measure_all(root)
    still = {series: value for series, value in expected.items() if not series[0].startswith(VOLATILE)}
    assert still.items() <= shown.items()


async def test_scrapes_at_once_share_runs(tmp_path: Path) -> None:
    async with exporting(unpack("container", tmp_path)) as url:
        answers = await asyncio.gather(*(fetch(f"{url}/metrics") for _ in range(5)))
    for _, text in answers:
        samples, _ = parse_text(text)
        assert samples["node_load15", ()] == 0.05


def test_a_native_histogram_is_shown_as_text_with_buckets_up_to_powers_of_two() -> None:
    histogram = Histogram(
        1, 10.0, 12.5, 2.0**-128, 1.0, (BucketSpan(-1, 4), BucketSpan(2046, 1)), (1.0, 1.0, 2.0, 3.0, 1.0),
        (BucketSpan(0, 1),), (1.0,),
    )  # fmt: skip
    shown = [(name, dict(labels), value) for name, labels, value in classic_samples("t", (("a", "b"),), histogram)]
    assert shown == [
        ("t_bucket", {"a": "b", "le": "1"}, 4),
        ("t_bucket", {"a": "b", "le": "2"}, 9),
        ("t_bucket", {"a": "b", "le": "+Inf"}, 10),
        ("t_sum", {"a": "b"}, 12.5),
        ("t_count", {"a": "b"}, 10),
    ]
