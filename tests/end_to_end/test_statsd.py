"""From a DogStatsD client through an agent and a server to the answer of a query, and over restarts of both."""

import json
import math
import random
import socket
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.delivery import AgentHome, Server, delivering, wait_until

pytestmark = pytest.mark.peer
BUCKET_FACTOR = 2 ** (1 / 8)


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def house(tmp_path: Path, port: int) -> Iterator[tuple[Server, AgentHome]]:
    server = Server(tmp_path / "server")
    home = AgentHome(
        tmp_path / "agent", f"server: {{url: '{server.url}', timeout: 1s}}\nstatsd: {{udp: ['127.0.0.1:{port}']}}"
    )
    with delivering(server, home):
        yield server, home


@pytest.fixture
def client(port: int) -> Iterator[Any]:
    dogstatsd = pytest.importorskip(
        "datadog.dogstatsd.base", reason="datadog is not installed: pip install nunchi[test]"
    )
    made = dogstatsd.DogStatsd(host="127.0.0.1", port=port, disable_telemetry=True)
    yield made
    made.stop()
    made.close_socket()


def instant(server: Server, query: str) -> list[float]:
    found = server.ask(f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")["data"]["result"]
    return [float(one["value"][1]) for one in found]


def test_quantiles_over_the_timers_of_a_client_are_right_within_a_bucket(
    house: tuple[Server, AgentHome], client: Any
) -> None:
    server, agent = house
    agent.start()
    source = random.Random(7)
    wait_until(lambda: "statsd" in agent.nunchi("status"), "the agent listens")
    client.timing("request", 1, tags=["kind:first"])
    client.flush()
    wait_until(lambda: instant(server, 'histogram_count(request{kind="first"})') == [1], "the first timer is stored")
    times_ms = [source.lognormvariate(3, 1) for _ in range(3000)]
    for number, milliseconds in enumerate(times_ms):
        client.timing("request", milliseconds, tags=["kind:rest", f"shard:{number % 3}"])
        if number % 100 == 0:
            client.flush()
            time.sleep(0.01)  # not faster than a socket of UDP is read
    for milliseconds in times_ms[:100]:
        client.histogram("size", milliseconds, sample_rate=1, tags=["kind:rest"])
    client.flush()
    wait_until(lambda: instant(server, 'sum(histogram_count(request{kind="rest"}))') == [3000], "all timers are stored")
    ordered = sorted(times_ms)
    for share in (0.1, 0.5, 0.9, 0.99):
        [found] = instant(server, f'histogram_quantile({share}, sum(request{{kind="rest"}}))')
        exact = ordered[math.ceil(share * len(ordered)) - 1] / 1000
        assert exact / BUCKET_FACTOR <= found <= exact * BUCKET_FACTOR, (share, found, exact)
    [total] = instant(server, 'sum(histogram_sum(request{kind="rest"}))')
    assert total == pytest.approx(sum(times_ms) / 1000)
    wait_until(lambda: instant(server, "histogram_count(size)") == [100], "the histogram is stored")
    server.stop()
    server.start()
    assert instant(server, 'sum(histogram_count(last_over_time(request{kind="rest"}[5m])))') == [3000]


def test_events_and_service_checks_outlive_the_server_and_the_agent(
    house: tuple[Server, AgentHome], client: Any
) -> None:
    server, agent = house
    agent.start()
    wait_until(lambda: "statsd" in agent.nunchi("status"), "the agent listens")

    def titles() -> list[str]:
        return [one["title"] for one in server.ask("/api/nunchi/v1/events")["events"]]

    client.event("deployed", "version 2\nis out", alert_type="success", tags=["env:prod"])
    client.service_check("db", client.WARNING, tags=["a:b"], message="slow")
    client.flush()
    wait_until(lambda: titles() == ["deployed"], "the event is there")
    server.kill()
    client.event("while the server is away", "")
    client.service_check("db", client.CRITICAL, tags=["a:b"], message="gone")
    client.flush()
    wait_until(lambda: any((agent.folder / "happenings").iterdir()), "what waits is on disk")
    time.sleep(1.5)  # the service check follows within the second in which what waits is gathered
    agent.kill()
    agent.start()
    server.start()
    wait_until(lambda: sorted(titles()) == ["deployed", "while the server is away"], "both events are there")
    [check] = server.ask("/api/nunchi/v1/service-checks")["service_checks"]
    assert (check["name"], check["state"], check["message"], check["tags"]) == ("db", "critical", "gone", [["a", "b"]])
    [event] = server.ask("/api/nunchi/v1/events?search=version")["events"]
    assert json.dumps(event["tags"]) == '[["env", "prod"]]'
    assert event["instance"] == "proof-1"
