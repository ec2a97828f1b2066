"""A local exporter's `/metrics`, forwarded: whatever speaks Prometheus's text format and cannot be scraped from the server."""

import re

from nunchi.agent.check import Context
from nunchi.agent.check_page import PageCheck, PageSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.exposition import SAMPLES_MAX, forward_exposition
from nunchi.agent.patterns import compile_pattern

ACCEPT = {"Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}


class PrometheusSettings(PageSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`include` and `exclude`: metric names that are forwarded, and of those the ones that are not."""

    url: str = "http://127.0.0.1:9100/metrics"
    include: str = ""
    exclude: str = ""
    samples_max: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        compile_pattern("include", self.include)
        compile_pattern("exclude", self.exclude)


class PrometheusCheck(PageCheck):
    """The exporter's own names, and `prometheus_target_up`, `…_samples`, `…_duration_seconds`."""

    name = "prometheus"
    job = "prometheus"
    up_metric = "prometheus_target_up"
    settings_type = PrometheusSettings

    def __init__(self, settings: PrometheusSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._include = re.compile(settings.include)
        self._exclude = re.compile(settings.exclude) if settings.exclude else None

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        text = self.read_page(deadline, ACCEPT)
        samples_max = min(self._own.samples_max, SAMPLES_MAX)
        count = forward_exposition(context.emit, text, self._accepts, samples_max)
        context.emit.gauge("prometheus_target_samples", count)
        context.emit.gauge("prometheus_target_duration_seconds", deadline.elapsed_seconds())

    def _accepts(self, name: str) -> bool:
        return bool(self._include.search(name)) and not (self._exclude and self._exclude.search(name))
