"""The requests of a dashboard's data source for Prometheus, asked of nunchi beside a running Prometheus 2.53.

Status, media type and shape of every answer are the same: the keys of objects and the kinds of values, whatever the values.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

import pytest
from tests.end_to_end.systems import System, http_endpoint, nunchi_server, prometheus_server

pytestmark = pytest.mark.peer
WAIT_SECONDS_MAX = 45

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{site: here}}}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:1"]}}]}}]}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ["{address}", "gone:1"]}}]
  relabel_configs: [{{source_labels: [__address__], regex: "gone:1", action: drop}}]
"""
RULES = """
groups:
- name: shop
  rules:
  - {record: "shop:requests:rate", expr: "rate(requests_total[10s])"}
  - {alert: Up, expr: "up > 0", labels: {severity: note}, annotations: {summary: "{{ $labels.instance }} is up"}}
  - {alert: Never, expr: "up > 5", for: 5m}
"""
EXPOSITION = b"""# TYPE requests counter
# HELP requests Requests.
requests_total{code="200"} 17 # {trace_id="abc"} 1.5
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le="1.0"} 2
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_count 3
wait_seconds_sum 4.5
# EOF
"""


class Call(NamedTuple):
    """One request; `{now}` and `{past}` in values are times in seconds. The form of a POST is its parameters."""

    path: str
    parameters: tuple[tuple[str, str], ...] = ()
    method: str = "GET"


def call(path: str, method: str = "GET", **parameters: str) -> Call:
    return Call(path, tuple((name.replace("match", "match[]"), value) for name, value in parameters.items()), method)


SPAN = {"start": "{past}", "end": "{now}"}
CALLS = [
    call("api/v1/status/buildinfo"),
    call("api/v1/query", query="1+1", time="{now}"),
    call("api/v1/query", "POST", query="1+1", time="{now}"),
    call("api/v1/query", "POST", query="up", time="{now}"),
    call("api/v1/query_range", "POST", query="requests_total", step="1", **SPAN),
    call("api/v1/query_range", "POST", query="histogram_quantile(0.9, wait_seconds_bucket)", step="1", **SPAN),
    call("api/v1/query_range", query="nothing", step="1", **SPAN),
    call("api/v1/query_range", "POST", query="sum(", step="1", **SPAN),
    call("api/v1/query_exemplars", "POST", query="requests_total", **SPAN),
    call("api/v1/labels", **SPAN),
    call("api/v1/labels", "POST", match="up", **SPAN),
    call("api/v1/label/__name__/values", **SPAN),
    call("api/v1/label/instance/values", match='{job="shop"}', **SPAN),
    call("api/v1/series", "POST", match="up", **SPAN),
    call("api/v1/series", match='{__name__=~"wait.*"}', **SPAN),
    call("api/v1/metadata"),
    call("api/v1/metadata", metric="requests", limit="1"),
    call("api/v1/rules"),
    call("api/v1/rules", type="alert"),
    call("api/v1/alerts"),
    call("api/v1/alertmanagers"),
    call("api/v1/targets", state="active"),
    call("api/v1/targets", state="any"),
    call("api/v1/targets/metadata", metric="requests"),
    call("api/v1/scrape_pools"),
    call("api/v1/status/flags"),
    call("api/v1/status/config"),
    call("api/v1/status/runtimeinfo"),
    call("api/v1/status/tsdb"),
    call("api/v1/status/walreplay"),
    call("api/v1/format_query", query="sum(up)by(job)"),
    call("api/v1/nothing"),
    call("-/healthy"),
    call("-/ready"),
    call("-/reload"),
    call("-/reload", "POST"),
    call("-/quit", "POST"),
    call("federate", match="up"),
]
# Objects that are read as tables, whose keys are no shape.
TABLES = {"labels", "discoveredLabels", "annotations", "metric", "seriesLabels", "droppedTargetCounts", "target"}
# What nunchi says besides; dropped targets have their job here, as in Prometheus 3.
MORE = {
    "targets": {"droppedTargets"},
    "status/runtimeinfo": {"hostname", "serverTime", "threads", "memoryBytes"},
    "status/tsdb": {"numSamples"},
}
MORE |= {"rules": {"labels"}, "status/walreplay": {"state"}}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, System]]:
    folder = tmp_path_factory.mktemp("dashboard")

    def expose(_request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, str, bytes]:
        return 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", EXPOSITION

    with http_endpoint(expose) as address:
        configuration = CONFIGURATION.format(address=address)
        for name in ("nunchi", "prometheus"):
            (folder / name).mkdir()
            (folder / name / "rules.yml").write_text(RULES)
        with (
            nunchi_server(folder / "nunchi", configuration) as nunchi,
            prometheus_server(folder / "prometheus", configuration, "--enable-feature=exemplar-storage") as prometheus,
        ):
            wait_for_alerts(nunchi, prometheus)
            yield nunchi, prometheus


def wait_for_alerts(*systems: System) -> None:
    """Until each has scraped, judged and recorded."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not all(system.ask("query", query='ALERTS{alertstate="firing"}')["result"] for system in systems):
        assert time.monotonic() < deadline, "no alert fires"
        time.sleep(0.2)


def ask(system: System, asked: Call, now: float) -> tuple[int, str, Any]:
    """Status, media type, and the body where it is JSON."""
    values = {"now": f"{now:.3f}", "past": f"{now - 60:.3f}"}
    pairs = [
        (name, value.format(**values) if value in ("{now}", "{past}") else value) for name, value in asked.parameters
    ]
    form = urllib.parse.urlencode(pairs)
    is_post = asked.method == "POST"
    url = f"{system.url}/{asked.path}" + ("" if is_post or not form else f"?{form}")
    request = urllib.request.Request(url, data=form.encode() if is_post else None, method=asked.method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, kind, body = answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        status, kind, body = error.code, error.headers.get_content_type(), error.read()
    return status, kind, json.loads(body) if kind == "application/json" else None


def shape(value: Any, more: set[str], name: str = "") -> Any:
    """The kinds of values: of an object by key, of a list those that occur; tables are one thing."""
    if isinstance(value, dict):
        if name in TABLES:
            return "table"
        shapes = {key: shape(each, more, key) for key, each in value.items() if key not in more}
        return shapes if name != "flags" else "table"
    if isinstance(value, list):
        kinds = {json.dumps(shape(each, more), sort_keys=True) for each in value}
        return ["nothing"] if not kinds else sorted(kinds)
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(
    "asked", CALLS, ids=lambda one: f"{one.method} {one.path}?{urllib.parse.urlencode(one.parameters)}"
)
def test_an_answer_has_the_shape_of_prometheus(both: tuple[System, System], asked: Call):
    now = time.time()
    nunchi, prometheus = (ask(system, asked, now) for system in both)
    more = MORE.get(asked.path.removeprefix("api/v1/"), set())
    name = "metric" if asked.path in {"api/v1/status/flags", "api/v1/metadata"} else ""
    data = [None if body is None else shape(body.get("data"), more, name) for _, _, body in (nunchi, prometheus)]
    assert (*nunchi[:2], data[0]) == (*prometheus[:2], data[1])
    if nunchi[2] is not None:
        assert {*nunchi[2]} == {*prometheus[2]}
