"""PromQL beside a running Prometheus over the same samples: Prometheus's own benchmark expressions, and those of Thanos.

    python benchmarks/promql.py [--quick] [--samples N] [--only TEXT]      needs `prometheus` in NUNCHI_PEERS or PATH

Samples are remote-written into Prometheus and appended to a database of nunchi. A query of Prometheus is an HTTP request whose
answer is read; one of nunchi is evaluated over the database and rendered to the same JSON, in this process, nothing kept from
one run to the next. Each takes the best of several runs. Results go to benchmarks/results/promql.json and promql.md.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from programs.prometheus import prometheus, write_request

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.errors import QueryError
from nunchi.query.limits import Limits
from nunchi.query.rendering import render_value
from nunchi.query.syntax import EVERYTHING
from nunchi.tsdb.database import Database
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

RESULTS = Path(__file__).parent / "results"
STEP_SECONDS = 10
CHUNK_ROWS = 300
SLOW_SECONDS = 2.0  # what takes longer is run once
RUNS = 5
SIZES = {"one": 1, "ten": 10, "hundred": 100}
JOIN_INSTANCES = 1000
PODS, CONTAINERS = 1000, 3
SMALL_MS = 5.0  # where Prometheus needs less, the difference counts, not the ratio

# Of Prometheus's promql/bench_test.go; X stands for one and hundred, each at 1 and 1,000 steps.
EXPRESSIONS = (
    "a_X",
    "rate(a_X[1m])",
    "rate(sparse[1m])",
    "changes(a_X[1d])",
    "rate(a_X[1d])",
    "absent_over_time(a_X[1d])",
    "-a_X",
    "a_X - b_X",
    'a_X and b_X{l=~".*[0-4]$"}',
    'a_X or b_X{l=~".*[0-4]$"}',
    'a_X unless b_X{l=~".*[0-4]$"}',
    "a_X and b_X{l='notfound'}",
    "abs(a_X)",
    'label_replace(a_X, "l2", "$1", "l", "(.*)")',
    'label_join(a_X, "l2", "-", "l", "l")',
    "sum(a_X)",
    "avg(a_X)",
    "sum without (l)(h_X)",
    "sum without (le)(h_X)",
    "sum by (l)(h_X)",
    "sum by (le)(h_X)",
    'count_values("value", h_X)',
    "topk(1, a_X)",
    "topk(5, a_X)",
    "rate(a_X[1m]) + rate(b_X[1m])",
    "sum without (l)(rate(a_X[1m]))",
    "sum without (l)(rate(a_X[1m])) / sum without (l)(rate(b_X[1m]))",
    "histogram_quantile(0.9, rate(h_X[5m]))",
    "a_X + on (l) group_right a_one",
    'count({__name__!="",l=""})',
    "timestamp(a_X)",
)
JOINS = (
    "rpc_request_success_total + rpc_request_error_total",
    "rpc_request_success_total + on (job, instance) group_left rpc_request_error_total",
    "rate(rpc_request_success_total[1m]) / (rate(rpc_request_success_total[1m]) + rate(rpc_request_error_total[1m]))",
    "rpc_request_success_total * on (job, instance) group_left topk(10, rpc_request_error_total)",
)
# Of Thanos's engine: 3,000 series, two hours at a step of 30 s.
PODS_EXPRESSIONS = (
    "http_requests_total",
    "sum(http_requests_total)",
    "sum by (pod)(http_requests_total)",
    "topk(2, http_requests_total)",
    "rate(http_requests_total[1m])",
    "sum(rate(http_requests_total[1m]))",
    "sum by (pod)(rate(http_requests_total[1m]))",
    "quantile by (pod)(0.9, rate(http_requests_total[1m]))",
    'http_requests_total{container="c1"} / ignoring (container) http_responses_total',
    "http_requests_total * on (pod) group_left http_responses_total",
    "sum(http_requests_total) / sum(http_responses_total)",
    "round(http_requests_total)",
    "sort(http_requests_total)",
    "absent(http_requests_total)",
    "sum_over_time(http_requests_total[10m])",
    "max_over_time(rate(http_requests_total[1m])[10m:1m])",
)


@dataclass(frozen=True)
class Case:
    """One query: `steps` of `step_seconds` that end at the end of the samples; one step is an instant query."""

    name: str
    expression: str
    steps: int
    step_seconds: int = STEP_SECONDS


@dataclass
class Row:
    """What a case took, in milliseconds."""

    name: str
    steps: int
    prometheus_ms: float
    nunchi_ms: float

    @property
    def ratio(self) -> float:
        return self.prometheus_ms / self.nunchi_ms


def cases(quick: bool) -> Iterator[Case]:
    for expression in EXPRESSIONS:
        sizes = ("one", "hundred") if "X" in expression else ("",)
        for size in sizes:
            for steps in (1, 1000) if not quick or size == "hundred" else (1000,):
                yield Case("prometheus", expression.replace("X", size), steps)
    for expression in JOINS:
        yield Case("join", expression, 1000)
    for expression in PODS_EXPRESSIONS:
        yield Case("thanos", expression, 241, 30)


@dataclass
class Group:
    """Series that share timestamps, every `seconds`; `values(begin, end)` gives rows by series."""

    series: list[Labels]
    seconds: int
    rows: int
    values: Callable[[int, int], np.ndarray]


def groups(samples: int) -> list[Group]:
    def counters(count: int, speed: float) -> Callable[[int, int], np.ndarray]:
        factors = np.arange(1, count + 1) * speed
        return lambda begin, end: np.floor(np.arange(begin, end, dtype=np.float64)[:, None] * factors)

    simple, buckets = [], []
    for size, count in SIZES.items():
        for number in range(count):
            labels = {"l": str(number)} if count > 1 else {}
            simple += [Labels.of(f"a_{size}", **labels), Labels.of(f"b_{size}", **labels)]
            bounds = [*(str(bound) for bound in range(10)), "+Inf"]
            buckets += [Labels.of(f"h_{size}", le=bound, **labels) for bound in bounds]
    cumulated = np.tile(np.arange(1, 12, dtype=np.float64), len(buckets) // 11)
    joins = [
        Labels.of(name, job="rpc", instance=f"i{number}")
        for name in ("rpc_request_success_total", "rpc_request_error_total")
        for number in range(JOIN_INSTANCES)
    ]
    pods = [
        Labels.of("http_requests_total", pod=f"p{pod}", container=f"c{container}")
        for pod in range(PODS)
        for container in range(CONTAINERS)
    ]
    pods += [Labels.of("http_responses_total", pod=f"p{pod}") for pod in range(PODS)]
    return [
        Group(simple, STEP_SECONDS, samples, counters(len(simple), 0.7)),
        Group(buckets, STEP_SECONDS, samples, lambda b, e: np.arange(b, e, dtype=np.float64)[:, None] * cumulated),
        Group([Labels.of("sparse")], 900, samples * STEP_SECONDS // 900, counters(1, 1.0)),
        Group(joins, STEP_SECONDS, min(samples, 1100), counters(len(joins), 0.3)),
        Group(pods, 30, min(samples // 3, 720), counters(len(pods), 0.9)),
    ]


def chunks(all_groups: list[Group], end_ms: int) -> Iterator[tuple[Group, np.ndarray, np.ndarray]]:
    """Rows of all groups in the order of time, some minutes of each at a time: timestamps and values[rows, series]."""
    first_ms = min(end_ms - group.rows * group.seconds * 1000 for group in all_groups)
    span_ms = CHUNK_ROWS * STEP_SECONDS * 1000
    for begin_ms in range(first_ms, end_ms + 1, span_ms):
        for group in all_groups:
            step_ms = group.seconds * 1000
            times = end_ms - np.arange(group.rows - 1, -1, -1, dtype=np.int64) * step_ms
            rows = np.flatnonzero((times >= begin_ms) & (times < begin_ms + span_ms))
            if len(rows):
                yield group, times[rows], group.values(int(rows[0]), int(rows[-1]) + 1)


# nunchi's side.


class Nunchi:
    """An engine over a database."""

    def __init__(self, folder: Path) -> None:
        settings = DatabaseSettings(retention_ms=30 * 86_400_000)
        self.database = Database(
            folder / "nunchi", SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"), settings
        )
        self.database.open()
        self._layouts: dict[int, Layout] = {}
        self.engine = Engine(EngineSettings(parser=EVERYTHING, limits=Limits(samples_max=0, bytes_max=0)))

    def write(self, group: Group, times: np.ndarray, values: np.ndarray) -> None:
        layout = self._layouts.get(id(group))
        if layout is None:
            layout = self._layouts[id(group)] = Layout.of(*group.series)
        count = len(group.series)
        appender = self.database.appender()
        batch = Batch(
            layout,
            times,
            np.arange(len(times) + 1, dtype=np.int64) * count,
            np.tile(np.arange(count, dtype=np.int32), len(times)),
            np.ascontiguousarray(values).reshape(-1),
        )
        result = appender.append(batch)
        assert not result.rejected, result.rejected
        appender.commit()

    def query(self, case: Case, end: float) -> bytes:
        end_ms = int(end * 1000)
        if case.steps == 1:
            result = self.engine.instant(self.database.querier, case.expression, end_ms)
        else:
            step_ms = case.step_seconds * 1000
            start_ms = end_ms - (case.steps - 1) * step_ms
            result = self.engine.range(self.database.querier, case.expression, start_ms, end_ms, step_ms)
        return render_value(result.value, self.engine.cores)


def best_ms(work: Callable[[], object]) -> float:
    """The best of several runs; one where a run is slow."""
    best = math.inf
    for _ in range(RUNS):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
        if best > SLOW_SECONDS:
            break
    return best * 1000


def geometric_mean(numbers: list[float]) -> float:
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else math.nan


def report(rows: list[Row], facts: dict[str, object]) -> None:
    large = [row for row in rows if row.prometheus_ms >= SMALL_MS]
    small = [row for row in rows if row.prometheus_ms < SMALL_MS]
    summary = {
        **facts,
        "cases": len(rows),
        "geometric mean of the ratio, Prometheus >= 5 ms": round(geometric_mean([row.ratio for row in large]), 2),
        "cases there": len(large),
        "slower there": sum(row.ratio < 1 for row in large),
        "most milliseconds more, Prometheus < 5 ms": round(
            max((r.nunchi_ms - r.prometheus_ms for r in small), default=0), 2
        ),
        "2 ms more or worse there": sum(row.nunchi_ms - row.prometheus_ms > 2 for row in small),
    }
    RESULTS.mkdir(exist_ok=True)
    data = {"summary": summary, "rows": [asdict(row) for row in rows]}
    (RESULTS / "promql.json").write_text(json.dumps(data, indent=1) + "\n")
    lines = ["# PromQL beside Prometheus 2.53", "", *(f"* {name}: {value}" for name, value in summary.items()), ""]
    lines += ["| expression | steps | Prometheus ms | nunchi ms | ratio |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        text = row.name.replace("|", "\\|")
        lines.append(f"| `{text}` | {row.steps} | {row.prometheus_ms:.2f} | {row.nunchi_ms:.2f} | {row.ratio:.1f} |")
    (RESULTS / "promql.md").write_text("\n".join(lines) + "\n")
    print(json.dumps(summary, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer sizes")
    parser.add_argument("--samples", type=int, default=18_640, help="samples of a series")
    parser.add_argument("--only", default="", help="cases whose expression contains this")
    options = parser.parse_args()
    end_ms = int(time.time() - 120) // 30 * 30_000
    end = (end_ms + 1500) / 1000  # no sample on the border of a window
    all_groups = groups(options.samples)
    with tempfile.TemporaryDirectory() as name, prometheus(Path(name)) as peer:
        nunchi = Nunchi(Path(name))
        spent = {"prometheus": 0.0, "nunchi": 0.0}
        count = 0
        for group, times, values in chunks(all_groups, end_ms):
            body = write_request(group.series, times, values)
            begin = time.perf_counter()
            peer.write(body)
            middle = time.perf_counter()
            nunchi.write(group, times, values)
            spent["prometheus"] += middle - begin
            spent["nunchi"] += time.perf_counter() - middle
            count += values.size
        facts: dict[str, object] = {"samples written": count}
        facts |= {f"seconds to write, {system}": round(seconds, 1) for system, seconds in spent.items()}
        nunchi.database.maintain()
        print(facts, flush=True)
        rows = []
        for case in cases(options.quick):
            if options.only not in case.expression:
                continue
            try:
                theirs = best_ms(lambda case=case: peer.query(case.expression, end, case.steps, case.step_seconds))
                ours = best_ms(lambda case=case: nunchi.query(case, end))
            except (AssertionError, QueryError) as error:
                print(f"{case.expression}: {error}", flush=True)
                continue
            row = Row(case.expression, case.steps, round(theirs, 3), round(ours, 3))
            rows.append(row)
            print(f"{row.ratio:8.1f} {theirs:10.2f} {ours:10.2f} {case.steps:5} {case.expression}", flush=True)
        report(rows, facts)
        nunchi.database.abandon()


if __name__ == "__main__":
    main()
