"""An nginx server's stub_status page, under nginx-prometheus-exporter's names."""

import re

from nunchi.agent.check import Context
from nunchi.agent.check_page import PageCheck, PageSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

PAGE = re.compile(
    r"Active connections:\s*(?P<active>\d+)\s+server accepts handled requests\s+(?P<accepted>\d+)\s+(?P<handled>\d+)"
    r"\s+(?P<requests>\d+)[^\n]*\s+Reading:\s*(?P<reading>\d+)\s+Writing:\s*(?P<writing>\d+)\s+Waiting:\s*(?P<waiting>\d+)"
)


class NginxSettings(PageSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`url`: the page that `stub_status` serves."""

    url: str = "http://127.0.0.1/stub_status"


class NginxCheck(PageCheck):
    """`nginx_connections_*`, `nginx_http_requests_total`, `nginx_up`."""

    name = "nginx"
    job = "nginx"
    up_metric = "nginx_up"
    settings_type = NginxSettings

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        text = self.read_page(deadline)
        page = PAGE.search(text)
        if page is None:
            raise ServiceError(f"{self.target}: this is not a stub_status page: it begins {text[:60]!r}")
        for word in ("accepted", "handled"):
            context.emit.counter(f"nginx_connections_{word}", float(page[word]))
        for word in ("active", "reading", "writing", "waiting"):
            context.emit.gauge(f"nginx_connections_{word}", float(page[word]))
        context.emit.counter("nginx_http_requests_total", float(page["requests"]))
