"""A target that gives every client the same bodies in the same order, whenever each of them comes.

The k-th scrape of a client gets body k, whose samples carry explicit timestamps one interval apart. So two systems that
scrape at different moments store the same samples. Body by body: counters grow and reset once, a series appears late,
another disappears, histograms fill; after the last body the target answers 500 (it is lost).
"""

import math
import threading
from http.server import BaseHTTPRequestHandler

INTERVAL_MS = 500
BODIES = 24
RESET_AT, APPEARS_AT, DISAPPEARS_AT = 13, 6, 17


def body(k: int, begin_ms: int) -> bytes:
    """The k-th exposition."""
    stamp = begin_ms + k * INTERVAL_MS
    since = k if k < RESET_AT else k - RESET_AT
    lines = ["# HELP http_requests_total Requests.", "# TYPE http_requests_total counter"]
    for i, path in enumerate(("/", "/api", '/a"b\\c', "/ü")):
        escaped = path.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'http_requests_total{{path="{escaped}",code="200"}} {1000 * i + since * (i + 1.25)} {stamp}')
    lines += ["# TYPE temperature gauge", f"temperature {20 + 5 * math.sin(k / 3)!r} {stamp}"]
    lines += [
        f'odd{{kind="nan"}} NaN {stamp}',
        f'odd{{kind="inf"}} +Inf {stamp}',
        f'odd{{kind="small"}} 5e-324 {stamp}',
    ]
    if k >= APPEARS_AT:
        lines.append(f'late_comer{{instance="inner",job="clash"}} {k} {stamp}')
    if k < DISAPPEARS_AT:
        lines.append(f"early_leaver {k * 0.1} {stamp}")
    lines.append("# TYPE latency_seconds histogram")
    for zone in ("a", "b"):
        total = 0
        for j, le in enumerate(("0.1", "0.5", "1", "+Inf")):
            total += (j + 1) * since * (2 if zone == "b" else 1)
            lines.append(f'latency_seconds_bucket{{zone="{zone}",le="{le}"}} {total} {stamp}')
        lines.append(f'latency_seconds_sum{{zone="{zone}"}} {total * 0.3} {stamp}')
        lines.append(f'latency_seconds_count{{zone="{zone}"}} {total} {stamp}')
    return ("\n".join(lines) + "\n").encode()


class Replay:
    """Answers `http_endpoint`; counts each client's scrapes, told apart by their User-Agent's first word."""

    def __init__(self, begin_ms: int) -> None:
        self.begin_ms = begin_ms
        self.served: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, str, bytes]:
        client = request.headers.get("User-Agent", "").split("/")[0].lower()
        with self._lock:
            k = self.served.get(client, 0)
            self.served[client] = k + 1
        if k >= BODIES:
            return 500, "text/plain", b"lost"
        return 200, "text/plain; version=0.0.4; charset=utf-8", body(k, self.begin_ms)

    def is_done(self, *clients: str) -> bool:
        """Whether these clients have seen the target lost, twice."""
        return all(self.served.get(client, 0) >= BODIES + 2 for client in clients)


# Range windows and steps have borders that no sample lies on: 2.x windows are closed on the left, 3.x's are open.
QUERIES = [
    "temperature",
    'http_requests_total{path!="/"}',
    'http_requests_total{path=~"/.*[^i]"}',
    "odd",
    "rate(http_requests_total[3s])",
    "increase(http_requests_total[4s])",
    "irate(http_requests_total[3s])",
    "delta(temperature[5s])",
    "sum_over_time(temperature[4s]) / count_over_time(temperature[4s])",
    "max_over_time(temperature[4s]) - min_over_time(temperature[4s])",
    "count_over_time(early_leaver[6s])",
    "quantile_over_time(0.3, temperature[4s])",
    "sum by (code) (rate(http_requests_total[3s]))",
    "topk(2, http_requests_total)",
    "stddev(http_requests_total) + quantile(0.4, http_requests_total)",
    "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[4s])))",
    "latency_seconds_sum / on (zone) latency_seconds_count",
    "late_comer or temperature",
    "http_requests_total offset 2s > 5",
    'http_requests_total / ignoring (path) group_left () http_requests_total{path="/"}',
    "late_comer * 2 == bool 14",
    "latency_seconds_bucket unless on (zone) latency_seconds_count{zone='a'}",
]
