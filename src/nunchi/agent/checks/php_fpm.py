"""A PHP-FPM pool's status, over FastCGI or HTTP, under php-fpm_exporter's names."""

import json
from typing import Any

from nunchi.agent.check import Context
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.clients import fastcgi
from nunchi.agent.clients.address import parse_address
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.http import HttpAsker, HttpCheckSettings
from nunchi.agent.errors import ServiceError
from nunchi.kit.secrets import redact_url
from nunchi.model.metadata import MetricType

DEFAULT_PORT = 9000
PROCESSES_MAX = 500
POOL = {
    "accepted conn": ("accepted_connections", MetricType.COUNTER),
    "active processes": ("active_processes", MetricType.GAUGE),
    "idle processes": ("idle_processes", MetricType.GAUGE),
    "listen queue": ("listen_queue", MetricType.GAUGE),
    "listen queue len": ("listen_queue_length", MetricType.GAUGE),
    "max active processes": ("max_active_processes", MetricType.COUNTER),
    "max children reached": ("max_children_reached", MetricType.COUNTER),
    "max listen queue": ("max_listen_queue", MetricType.COUNTER),
    "slow requests": ("slow_requests", MetricType.COUNTER),
    "start since": ("start_since", MetricType.COUNTER),
    "total processes": ("total_processes", MetricType.GAUGE),
}
PROCESS = {
    "last request cpu": ("process_last_request_cpu", MetricType.GAUGE),
    "last request memory": ("process_last_request_memory", MetricType.GAUGE),
    "request duration": ("process_request_duration", MetricType.GAUGE),
    "requests": ("process_requests", MetricType.COUNTER),
}


class PhpFpmSettings(HttpCheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`address` of the pool and `status_path` as `pm.status_path` says; or a whole http `url` of the same page."""

    address: str = "127.0.0.1:9000"
    status_path: str = "/status"
    url: str = ""
    processes: bool = False

    def __post_init__(self) -> None:
        parse_address(self.address, DEFAULT_PORT)


class PhpFpmCheck(ServiceCheck):
    """`phpfpm_*`."""

    name = "php_fpm"
    job = "php_fpm"
    up_metric = "phpfpm_up"
    settings_type = PhpFpmSettings

    def __init__(self, settings: PhpFpmSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._address = parse_address(settings.address, DEFAULT_PORT)
        self._asker = HttpAsker(settings)

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return redact_url(self._own.url) if self._own.url else f"{self._address}{self._own.status_path}"

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        body = self._ask(deadline)
        try:
            status: dict[str, Any] = json.loads(body)
            pool = str(status["pool"])
        except (ValueError, LookupError, TypeError) as error:
            raise ServiceError(f"{self.target}: not the status of a pool: it begins {body[:60]!r}") from error
        labels = {"pool": pool, "scrape_uri": self.target}
        for field, (metric, kind) in POOL.items():
            if field in status:
                context.emit.add(kind, f"phpfpm_{metric}", float(status[field]), labels)
        if self._own.processes:
            for child, process in enumerate(status.get("processes", [])[:PROCESSES_MAX]):
                self._emit_process(context, process, {**labels, "child": str(child)})

    def _emit_process(self, context: Context, process: dict[str, Any], labels: dict[str, str]) -> None:
        context.emit.gauge("phpfpm_process_state", 1, **labels, state=str(process.get("state", "")))
        for field, (metric, kind) in PROCESS.items():
            if field in process:
                context.emit.add(kind, f"phpfpm_{metric}", float(process[field]), labels)

    def _ask(self, deadline: Deadline) -> bytes:
        query = "json&full" if self._own.processes else "json"
        if self._own.url:
            return self._asker.ask_for_body(f"{self._own.url}?{query}", deadline)
        path = self._own.status_path
        parameters = {
            "SCRIPT_NAME": path,
            "SCRIPT_FILENAME": path,
            "REQUEST_URI": f"{path}?{query}",
            "QUERY_STRING": query,
            "REQUEST_METHOD": "GET",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "GATEWAY_INTERFACE": "CGI/1.1",
        }
        status, body = fastcgi.ask(self._address, parameters, deadline)
        if not status.startswith("200"):
            raise ServiceError(f"{self.target}: answers {status}: is pm.status_path = {path}?")
        return body
