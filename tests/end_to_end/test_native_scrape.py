"""Native histograms by scrape: nunchi and Prometheus scrape the protobuf of one Prometheus, and answer the same of it."""

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.systems import System, nunchi_server, prometheus_server

pytestmark = pytest.mark.peer

HANDLER = "/api/v1/label/:name/values"
REQUESTS = 30
SECONDS_MAX = 60
SELECTOR = f'prometheus_http_request_duration_seconds{{handler="{HANDLER}"}}'
# Nothing that interpolates: Prometheus 2.53 does so linearly, 3.x and nunchi exponentially.
QUERIES = (
    SELECTOR,
    f"histogram_count({SELECTOR})",
    f"histogram_avg(sum({SELECTOR}))",
)
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s{extra}}}
scrape_configs:
- job_name: watched
  {limits}
  static_configs: [{{targets: ["{target}"]}}]
"""


def answers(system: System) -> list[Any]:
    """Each query's labels and values, times left out."""
    now = time.time()
    found = []
    for query in QUERIES:
        rows = system.instant(query, now)
        found.append([(row["metric"], (row.get("histogram") or row["value"])[1]) for row in rows])
    return found


@pytest.mark.parametrize(
    "limits",
    ["honor_labels: false", "native_histogram_min_bucket_factor: 4", "native_histogram_bucket_limit: 3"],
)
def test_scraped_native_histograms_are_those_that_prometheus_scrapes(tmp_path: Path, limits: str):
    with prometheus_server(tmp_path / "watched", "global: {}\n") as watched:
        for number in range(REQUESTS):
            urllib.request.urlopen(f"{watched.url}/api/v1/label/x{number}/values", timeout=5).close()
        target = watched.url.removeprefix("http://")
        native = CONFIGURATION.format(target=target, limits=limits, extra=", scrape_native_histograms: true")
        theirs_config = CONFIGURATION.format(target=target, limits=limits, extra="")
        with (
            nunchi_server(tmp_path / "nunchi", native) as ours,
            prometheus_server(tmp_path / "p", theirs_config, "--enable-feature=native-histograms") as theirs,
        ):
            deadline = time.monotonic() + SECONDS_MAX
            while time.monotonic() < deadline:
                given, wanted = answers(ours), answers(theirs)
                if wanted[0] and given[0]:
                    break
                time.sleep(0.3)
            assert given == wanted
            assert wanted[0][0][1]["count"] == str(REQUESTS)
            assert ours.instant(f"{SELECTOR.replace('seconds{', 'seconds_bucket{')}", time.time()) == []
            assert ours.instant("up", time.time())[0]["value"][1] == "1"
