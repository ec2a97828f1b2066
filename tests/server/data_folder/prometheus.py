"""A real Prometheus that has lived for some hours: blocks, a log, mapped chunks, late samples, deletions, native histograms."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers import find_peer, free_port, running

from nunchi.kit.clock import SystemClock
from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.model.labels import Labels
from nunchi.model.staleness import STALE
from nunchi.wire.compression import encode
from nunchi.wire.remote_write import encode_write_request

HOUR_MS = 3_600_000
STEP_MS = 30_000
HOURS = 9
ODD_VALUES = (0.1, 1e20, 1.5e-6, -0.0, 123456789.123, 5e-324, 1.7976931348623157e308, float("inf"), float("nan"), 3.0)

Series = dict[Labels, list[tuple[int, float | Histogram]]]


def plain_series(begin_ms: int, end_ms: int) -> Series:
    """Counters, gauges, odd numbers, one that ends, one with milliseconds of its own, names beyond ASCII."""
    times = list(range(begin_ms, end_ms, STEP_MS))
    hour = begin_ms // HOUR_MS
    found: Series = {
        Labels.of("requests_total", job="api", code=code): [(t, float((7 + n) * (t // STEP_MS % 5000))) for t in times]
        for n, code in enumerate(("200", "404", "500"))
    }
    for n in range(10):
        labels = Labels.of("odd", number=str(n), text='é中 "quoted" \\ \n line')
        found[labels] = [(t, ODD_VALUES[(t // STEP_MS + n) % len(ODD_VALUES)]) for t in times]
    jittered = [t + (t // STEP_MS * 7919) % 900 for t in times]
    found[Labels.of("jitter", instance="a")] = [(t, (t % 977) / 7) for t in jittered]
    found[Labels.of("ends", hour=str(hour))] = [(t, 1.0) for t in times[:50]] + [(times[50], STALE)]
    found[Labels.of("deleted", kind="some")] = [(t, 1.0) for t in times]
    return found


def histogram_series(begin_ms: int, end_ms: int, *, is_integer: bool) -> Series:
    """Histograms that grow, are reset, change their buckets, and end."""
    series: list[tuple[int, float | Histogram]] = []
    for t in range(begin_ms, end_ms, STEP_MS):
        n = t // STEP_MS
        growth = n % 200
        half = 0.0 if is_integer else 0.5
        spans = (BucketSpan(0, 2), BucketSpan(1, 1)) if n % 500 < 300 else (BucketSpan(-2, 3), BucketSpan(4, 2))
        positive = tuple(float(growth * (k + 1)) + half for k in range(sum(span.length for span in spans)))
        total = sum(positive) + growth + 2.0 * growth
        histogram = Histogram(
            schema=1, count=total, sum=0.3 * growth, zero_threshold=0.001 if n % 500 < 400 else 1e-5,
            zero_count=float(growth), positive_spans=spans, positive_buckets=positive,
            negative_spans=(BucketSpan(1, 1),), negative_buckets=(2.0 * growth,),
        )  # fmt: skip
        series.append((t, histogram))
    name = "latency_integer" if is_integer else "latency_float"
    return {Labels.of(name, job="api"): series}


@dataclass
class Prometheus:
    """A running one."""

    url: str
    folder: Path

    def ask(self, path: str, method: str = "GET", **parameters: object) -> Any:
        text = urllib.parse.urlencode(parameters, doseq=True)
        url = f"{self.url}/api/v1/{path}" + (f"?{text}" if method == "GET" else "")
        request = urllib.request.Request(url, text.encode() if method == "POST" else None, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body)["data"] if body else None

    def write(self, series: Series, *, integer_histograms: bool = False) -> None:
        body = encode_write_request(series.items(), integer_histograms=integer_histograms)
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        request = urllib.request.Request(f"{self.url}/api/v1/write", encode("snappy", body), headers, method="POST")
        urllib.request.urlopen(request, timeout=60).close()

    def everything(self, at_ms: int) -> dict[str, Any]:
        """All samples of all series, by the text of their labels, as the API gives them."""
        data = self.ask("query", "POST", query='{__name__=~".+"}[15h]', time=at_ms / 1000)
        return by_labels(data["result"])


def by_labels(result: list[dict[str, Any]]) -> dict[str, Any]:
    """The series of an answer by the text of their labels; bounds of buckets to twelve digits, as versions compute them
    differently.
    """
    for series in result:
        for _, histogram in series.get("histograms", ()):
            for bucket in histogram.get("buckets", ()):
                bucket[1:3] = [f"{float(bound):.12g}" for bound in bucket[1:3]]
    return {json.dumps(series.pop("metric"), sort_keys=True): series for series in result}


@contextmanager
def prometheus(root: Path) -> Iterator[Prometheus]:
    """A Prometheus with an empty folder, or with the one that another left there."""
    binary = find_peer("prometheus")
    root.mkdir(exist_ok=True)
    settings = root / "prometheus.yml"
    settings.write_text("storage: {tsdb: {out_of_order_time_window: 12h}}\n")
    address = f"127.0.0.1:{free_port()}"
    command = [
        binary, f"--config.file={settings}", f"--storage.tsdb.path={root / 'data'}", f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--enable-feature=native-histograms",
        "--log.level=warn",
    ]  # fmt: skip
    with running(command, f"http://{address}/-/ready", root / "log"):
        yield Prometheus(f"http://{address}", root / "data")


def live(root: Path) -> tuple[Path, dict[str, Any], int]:
    """Let one live for some hours and stop it: its folder, what its API said of all samples, and when it was asked."""
    now_ms = SystemClock().now_ms() // STEP_MS * STEP_MS
    begin_ms = now_ms - HOURS * HOUR_MS
    with prometheus(root) as peer:
        for start_ms in range(begin_ms, now_ms, HOUR_MS // 2):
            end_ms = min(start_ms + HOUR_MS // 2, now_ms)
            peer.write(plain_series(start_ms, end_ms))
            peer.write(histogram_series(start_ms, end_ms, is_integer=True), integer_histograms=True)
            peer.write(histogram_series(start_ms, end_ms, is_integer=False))
    with prometheus(root) as peer:  # late samples while it compacts make Prometheus 2.53 panic
        for begin, end, sign in ((1, 0, 1), (7, 2, -1)):
            times = range(now_ms - begin * HOUR_MS, now_ms - end * HOUR_MS, STEP_MS)
            peer.write({Labels.of("late", job="x"): [(t, float(sign * (t % 1009))) for t in times]})
        for hours in (8, 1):
            middle = now_ms - hours * HOUR_MS
            peer.ask("admin/tsdb/delete_series", "POST", **{
                "match[]": "deleted", "start": (middle - 600_000) / 1000, "end": (middle + 600_000) / 1000,
            })  # fmt: skip
        found = peer.everything(now_ms)
    return root / "data", found, now_ms
