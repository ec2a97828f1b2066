"""An Apache httpd's `server-status?auto`, under apache_exporter's names."""

import re
from collections import Counter
from collections.abc import Mapping

from nunchi.agent.check import Context
from nunchi.agent.check_page import PageCheck, PageSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.model.metadata import MetricType

COUNTERS = {
    "Total Accesses": "accesses_total",
    "Total Duration": "duration_ms_total",
    "Total kBytes": "sent_kilobytes_total",
    "ServerUptimeSeconds": "uptime_seconds_total",
}
LABELLED = {
    "BusyWorkers": ("workers", "state", "busy"),
    "ConnsAsyncClosing": ("connections", "state", "closing"),
    "ConnsAsyncKeepAlive": ("connections", "state", "keepalive"),
    "ConnsAsyncWriting": ("connections", "state", "writing"),
    "ConnsTotal": ("connections", "state", "total"),
    "IdleWorkers": ("workers", "state", "idle"),
    "Load1": ("load", "interval", "1min"),
    "Load5": ("load", "interval", "5min"),
    "Load15": ("load", "interval", "15min"),
    "ParentServerConfigGeneration": ("generation", "type", "config"),
    "ParentServerMPMGeneration": ("generation", "type", "mpm"),
    "Processes": ("processes", "state", "all"),
    "Stopping": ("processes", "state", "stopping"),
}
SCOREBOARD = {
    "_": "idle",
    "S": "startup",
    "R": "read",
    "W": "reply",
    "K": "keepalive",
    "D": "dns",
    "C": "closing",
    "L": "logging",
    "G": "graceful_stop",
    "I": "idle_cleanup",
    ".": "open_slot",
}
VERSION = re.compile(r"Apache/(\d+)\.(\d+)\.(\d+)")


class ApacheSettings(PageSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`url`: the page of mod_status, with `?auto`."""

    url: str = "http://127.0.0.1/server-status?auto"


class ApacheCheck(PageCheck):
    """`apache_*`. `ExtendedStatus On` is needed for accesses, bytes and CPU."""

    name = "apache"
    job = "apache"
    up_metric = "apache_up"
    settings_type = ApacheSettings

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        text = self.read_page(deadline)
        page = {
            name: value.strip() for name, colon, value in (line.partition(": ") for line in text.splitlines()) if colon
        }
        if "Scoreboard" not in page and "IdleWorkers" not in page:
            raise ServiceError(f"{self.target}: not a page of mod_status: it begins {text[:60]!r}; is ?auto missing?")
        emit_page(context.emit, page)


def emit_page(emit: Emission, page: Mapping[str, str]) -> None:
    """What the page says."""
    for field, metric in COUNTERS.items():
        if field in page:
            emit.counter(f"apache_{metric}", float(page[field]))
    for field, (metric, label, value) in LABELLED.items():
        if field in page:
            emit.gauge(f"apache_{metric}", float(page[field]), **{label: value})
    if "CPULoad" in page:
        emit.gauge("apache_cpuload", float(page["CPULoad"]))
    for word in ("User", "System"):
        if f"CPU{word}" in page:
            seconds = float(page[f"CPU{word}"]) + float(page.get(f"CPUChildren{word}", 0))
            emit.add(MetricType.COUNTER, "apache_cpu_time_ms_total", 1000 * seconds, {"type": word.lower()})
    if "Scoreboard" in page:
        workers = Counter(page["Scoreboard"])
        for letter, state in SCOREBOARD.items():
            emit.gauge("apache_scoreboard", workers[letter], state=state)
    emit.gauge("apache_info", 1, version=page.get("ServerVersion", ""), mpm=page.get("ServerMPM", ""))
    version = VERSION.match(page.get("ServerVersion", ""))
    if version:
        major, minor, patch = version.groups()
        emit.gauge("apache_version", float(f"{major}.{minor:0>2}{patch:0>3}"))
