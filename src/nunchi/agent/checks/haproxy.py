"""An HAProxy: the statistics page as CSV, under haproxy_exporter's names, or its built-in `/metrics` as it is."""

import csv
import re
from collections.abc import Mapping

from nunchi.agent.check import Context
from nunchi.agent.check_page import PageCheck, PageSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.agent.exposition import forward_exposition
from nunchi.agent.patterns import compile_pattern
from nunchi.model.metadata import MetricType

ROWS_MAX = 2000
KINDS = {"0": "frontend", "1": "backend", "2": "server"}
UP = re.compile(r"UP\b.*|OPEN|no check.*|DRAIN.*")
COMMON = {
    "scur": "current_sessions",
    "smax": "max_sessions",
    "slim": "limit_sessions",
    "stot": "sessions_total",
    "bin": "bytes_in_total",
    "bout": "bytes_out_total",
    "rate": "current_session_rate",
    "rate_max": "max_session_rate",
}
COMPRESSION = {
    "comp_in": "compressor_bytes_in_total",
    "comp_out": "compressor_bytes_out_total",
    "comp_byp": "compressor_bytes_bypassed_total",
    "comp_rsp": "http_responses_compressed_total",
}
BEHIND = {
    "qcur": "current_queue",
    "qmax": "max_queue",
    "econ": "connection_errors_total",
    "eresp": "response_errors_total",
    "wretr": "retry_warnings_total",
    "wredis": "redispatch_warnings_total",
    "weight": "weight",
    "lbtot": "server_selected_total",
    "cli_abrt": "client_aborts_total",
    "srv_abrt": "server_aborts_total",
    "qtime": "http_queue_time_average_seconds",
    "ctime": "http_connect_time_average_seconds",
    "rtime": "http_response_time_average_seconds",
    "ttime": "http_total_time_average_seconds",
}
COLUMNS: dict[str, dict[str, str]] = {
    "frontend": {
        **COMMON,
        **COMPRESSION,
        "dreq": "requests_denied_total",
        "ereq": "request_errors_total",
        "rate_lim": "limit_session_rate",
        "req_tot": "http_requests_total",
        "conn_tot": "connections_total",
    },
    "backend": {**COMMON, **COMPRESSION, **BEHIND, "act": "current_server"},
    "server": {
        **COMMON,
        **BEHIND,
        "chkfail": "check_failures_total",
        "downtime": "downtime_seconds_total",
        "check_duration": "check_duration_seconds",
    },
}
MILLISECONDS = frozenset({"check_duration", "qtime", "ctime", "rtime", "ttime"})
CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


class HaproxySettings(PageSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`url`: the statistics page with `;csv`, or the built-in exporter's; `exclude`: proxies that are passed over."""

    url: str = "http://127.0.0.1:8404/stats;csv"
    exclude: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        compile_pattern("exclude", self.exclude)


class HaproxyCheck(PageCheck):
    """`haproxy_*`."""

    name = "haproxy"
    job = "haproxy"
    up_metric = "haproxy_up"
    settings_type = HaproxySettings

    def __init__(self, settings: HaproxySettings) -> None:
        super().__init__(settings)
        self._exclude = re.compile(settings.exclude) if settings.exclude else None

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        text = self.read_page(deadline)
        if text.startswith("# pxname,"):
            self._emit_table(context.emit, text)
        elif text.startswith("#"):
            forward_exposition(context.emit, text)
        else:
            raise ServiceError(
                f"{self.target}: neither CSV nor an exposition: it begins {text[:60]!r}; is ;csv missing?"
            )

    def _emit_table(self, emit: Emission, text: str) -> None:
        lines = text.removeprefix("# ").splitlines()
        for row in list(csv.DictReader(lines))[:ROWS_MAX]:
            kind, proxy = KINDS.get(row.get("type") or ""), row["pxname"]
            if kind and not (self._exclude and self._exclude.search(proxy)):
                emit_row(emit, kind, proxy, row)


def emit_row(emit: Emission, kind: str, proxy: str, row: Mapping[str, str]) -> None:
    """One frontend, backend or server."""
    labels = {"frontend": proxy} if kind == "frontend" else {"backend": proxy}
    if kind == "server":
        labels["server"] = row["svname"]
    for column, metric in COLUMNS[kind].items():
        text = row.get(column) or ""
        if text:
            value = float(text) / 1000 if column in MILLISECONDS else float(text)
            type_ = MetricType.COUNTER if metric.endswith("_total") else MetricType.GAUGE
            emit.add(type_, f"haproxy_{kind}_{metric}", value, labels)
    for code in CODES:
        text = row.get(f"hrsp_{code}") or ""
        if text:
            emit.counter(f"haproxy_{kind}_http_responses_total", float(text), **labels, code=code)
    if kind != "frontend":
        emit.gauge(f"haproxy_{kind}_up", 1 if UP.fullmatch(row.get("status") or "") else 0, **labels)
