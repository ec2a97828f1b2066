"""Native histograms sent by remote write, to us and to a real Prometheus: the same questions get the same answers.

Ours is the way of a write request through the wire's reader, the memory store, the engine and the API's JSON. What the
Prometheus of the tests, 2.53, does otherwise than 3 is not asked: quantiles within exponential buckets are linear there, signs,
`==`, `irate` and `changes` pass over histograms, and a rate is stretched beyond where a histogram's count would be zero.
"""

import json
import math
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.systems import System, ordered, prometheus_server

from nunchi.model.batch import Batch
from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE
from nunchi.query.engine import Engine
from nunchi.query.rendering import render_value
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.wire.compression import encode
from nunchi.wire.remote_write import RemoteWriteReader, encode_write_request

pytestmark = pytest.mark.peer

STEP_MS = 15_000
SAMPLES = 60
# Off the scrapes' grid: what lies on the border of a window, Prometheus 2 counts in, 3 does not.
OFF_GRID_MS = 1_700
SERIES = {
    "requests": Labels.of("latency_seconds", path="/"),
    "searches": Labels.of("latency_seconds", path="/search"),
    "sizes": Labels.of("size_bytes", job="a"),
    "depth": Labels.of("queue_depth", job="a"),
}

QUERIES = [
    "latency_seconds",
    "sum(latency_seconds)",
    "avg(latency_seconds)",
    "count(latency_seconds)",
    "rate(latency_seconds[2m])",
    "increase(latency_seconds[5m])",
    "sum(rate(latency_seconds[2m]))",
    "histogram_count(rate(latency_seconds[2m]))",
    "histogram_sum(increase(latency_seconds[5m]))",
    "histogram_avg(rate(latency_seconds[2m]))",
    "histogram_fraction(0.1, 2, rate(latency_seconds[2m]))",
    "sum_over_time(queue_depth[2m])",
    "avg_over_time(queue_depth[2m])",
    "last_over_time(queue_depth[2m])",
    "count_over_time(latency_seconds[2m])",
    "resets(latency_seconds[10m])",
    "delta(queue_depth[2m])",
    "latency_seconds * 2",
    "latency_seconds / 3",
    'latency_seconds{path="/"} + on () group_left () latency_seconds{path="/search"}',
    "latency_seconds unless latency_seconds{path='/'}",
    "label_replace(latency_seconds, 'p', '$1', 'path', '/(.*)')",
]
CUSTOM_QUERIES = ["size_bytes", "rate(size_bytes[2m])", "histogram_quantile(0.7, rate(size_bytes[2m]))"]


def latency(turn: int, scale: int) -> Histogram:
    """A counter that falls at turn 35; its layout widens at turn 20."""
    since = 100 + turn if turn < 35 else 5 + turn
    wide = (1,) if turn >= 20 else ()
    counts = [float(scale * since * weight) for weight in (1, 3, 2, *wide)]
    spans = (BucketSpan(-2, 2), BucketSpan(1, 1 + len(wide)))
    below = float(scale * since)
    zero = float(since)
    return Histogram(
        schema=1 if scale == 1 else 0,
        count=sum(counts) + below + zero,
        sum=since * 1.75 * scale,
        zero_threshold=0.001,
        zero_count=zero,
        positive_spans=spans,
        positive_buckets=tuple(counts),
        negative_spans=(BucketSpan(0, 1),),
        negative_buckets=(below,),
    )


def size(turn: int) -> Histogram:
    counts = (float(turn), float(2 * turn), 0.0, float(turn // 3))
    return Histogram(
        CUSTOM_SCHEMA, sum(counts), turn * 300.5, positive_spans=(BucketSpan(0, 4),), positive_buckets=counts,
        custom_values=(64.0, 256.0, 1024.0),
    )  # fmt: skip


def depth(turn: int) -> Histogram:
    held = (float(3 + turn % 5), 1.5)
    return Histogram(
        count=sum(held), sum=turn % 7 + 0.5, positive_spans=(BucketSpan(0, 2),), positive_buckets=held,
        reset_hint=ResetHint.GAUGE,
    )  # fmt: skip


def written(begin_ms: int, *, integers: bool, with_custom: bool) -> bytes:
    """A write request: counters as integers, gauges as floats."""
    times = [begin_ms + turn * STEP_MS for turn in range(SAMPLES)]
    if integers:
        ended = [(times[-1], Histogram(sum=STALE))]
        found = [
            (SERIES["requests"], [(at, latency(turn, 1)) for turn, at in enumerate(times)]),
            (SERIES["searches"], [(at, latency(turn, 2)) for turn, at in enumerate(times[:-1])] + ended),
        ]
        if with_custom:
            found.append((SERIES["sizes"], [(at, size(turn)) for turn, at in enumerate(times)]))
    else:
        found = [(SERIES["depth"], [(at, depth(turn)) for turn, at in enumerate(times)])]
    return encode_write_request(found, integer_histograms=integers)


class Ours:
    """The house's own parts, in this process."""

    def __init__(self) -> None:
        self.store = MemoryStore(VirtualClock(time.time()))
        self.engine = Engine()
        self.reader = RemoteWriteReader()
        self.layout = Layout()

    def write(self, body: bytes) -> None:
        request = self.reader.read(body)
        for _, key in request.new_series:
            self.layout.append(key)
        appender = self.store.appender()
        result = appender.append(
            Batch(
                self.layout, request.row_timestamps, request.row_offsets, request.series, request.values,
                histogram_of=request.histogram_of, histograms=request.histograms,
            )
        )  # fmt: skip
        assert not result.rejected
        assert not len(request.invalid_histograms)
        appender.commit()

    def instant(self, query: str, at_ms: int) -> Any:
        value = self.engine.instant(self.store.querier, query, at_ms).value
        return ordered({"resultType": "vector", "result": json.loads(render_value(value))})

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Any:
        value = self.engine.range(self.store.querier, query, start_ms, end_ms, step_ms).value
        return ordered({"resultType": "matrix", "result": json.loads(render_value(value))})


@pytest.fixture(scope="module")
def begin_ms() -> int:
    now_ms = int(time.time() * 1000)
    return now_ms - now_ms % STEP_MS - SAMPLES * STEP_MS


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, begin_ms: int) -> Iterator[System]:
    flags = ("--enable-feature=native-histograms", "--web.enable-remote-write-receiver")
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus_server(folder, "global: {scrape_interval: 1m}\n", *flags) as system:
        for integers in (True, False):
            send(system.url, written(begin_ms, integers=integers, with_custom=False))
        yield system


@pytest.fixture(scope="module")
def ours(begin_ms: int) -> Ours:
    made = Ours()
    for integers in (True, False):
        made.write(written(begin_ms, integers=integers, with_custom=True))
    return made


def send(url: str, body: bytes) -> None:
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", encode("snappy", body), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status in (200, 204)


def is_close(wanted: Any, given: Any) -> bool:
    """Equal, but that numbers in texts may differ in their last digits."""
    if isinstance(wanted, str) and isinstance(given, str) and wanted != given:
        try:
            return math.isclose(float(wanted), float(given), rel_tol=1e-9)
        except ValueError:
            return False
    if isinstance(wanted, list) and isinstance(given, list):
        return len(wanted) == len(given) and all(map(is_close, wanted, given))
    if isinstance(wanted, dict) and isinstance(given, dict):
        return wanted.keys() == given.keys() and all(is_close(wanted[key], given[key]) for key in wanted)
    return bool(wanted == given)


@pytest.mark.parametrize("query", QUERIES)
def test_questions_about_histograms_get_the_answers_of_prometheus(
    query: str, prometheus: System, ours: Ours, begin_ms: int
) -> None:
    for turn in (10, 34, 36, 50):
        at_ms = begin_ms + turn * STEP_MS + OFF_GRID_MS
        wanted, given = prometheus.instant(query, at_ms / 1000), ours.instant(query, at_ms)
        assert is_close(wanted, given), f"{query} at turn {turn}: wanted {wanted}, given {given}"
    start_ms, end_ms = begin_ms + OFF_GRID_MS, begin_ms + (SAMPLES - 1) * STEP_MS + OFF_GRID_MS
    wanted = prometheus.range(query, start_ms / 1000, end_ms / 1000, 60)
    given = ours.range(query, start_ms, end_ms, 60_000)
    assert is_close(wanted, given), f"{query}: wanted {wanted}, given {given}"


@pytest.mark.parametrize("query", CUSTOM_QUERIES)
def test_custom_buckets_are_answered_too(query: str, ours: Ours, begin_ms: int) -> None:
    (series,) = ours.instant(query, begin_ms + 30 * STEP_MS + OFF_GRID_MS)
    assert series["metric"]["job"] == "a"
    assert ("value" in series) == query.startswith("histogram_quantile")
