"""The same target, the same configuration file, the same questions: nunchi beside a running Prometheus 2.53."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.replay import BODIES, DISAPPEARS_AT, INTERVAL_MS, QUERIES, Replay
from tests.end_to_end.systems import System, http_endpoint, nunchi_server, prometheus_server
from tests.peers import find_peer, free_port, running

pytestmark = pytest.mark.peer
WAIT_SECONDS_MAX = 45

SCRAPE = """
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms, external_labels: {{site: here}}}}
scrape_configs:
  - job_name: replay
    track_timestamps_staleness: true
    static_configs:
      - targets: ["{address}"]
        labels: {{rack: r1}}
"""


def canonical(labels: dict[str, str]) -> dict[str, str]:
    """Prometheus 3 stores `le` and `quantile` as floats are written, 2.53 as the exposition wrote them."""
    bounds = {name: repr(float(labels[name])) for name in ("le", "quantile") if labels.get(name, "+Inf") != "+Inf"}
    return {**labels, **bounds}


def wait_until_lost(replay: Replay, *clients: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not replay.is_done(*clients):
        assert time.monotonic() < deadline, replay.served
        time.sleep(0.1)
    time.sleep(2 * INTERVAL_MS / 1000)  # the scrape that finds nothing marks the series, and is stored


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, System, int]]:
    """nunchi and Prometheus, both of which have scraped all bodies and then lost the target; and when it began."""
    folder = tmp_path_factory.mktemp("scraped")
    begin_ms = int(time.time() * 1000) // 1000 * 1000 + 237
    replay = Replay(begin_ms)
    with http_endpoint(replay) as address:
        configuration = SCRAPE.format(address=address, interval=INTERVAL_MS)
        with (
            nunchi_server(folder / "nunchi", configuration) as nunchi,
            prometheus_server(folder / "prometheus", configuration) as prometheus,
        ):
            wait_until_lost(replay, "nunchi", "prometheus")
            yield nunchi, prometheus, begin_ms


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, System, int]]:
    """Prometheus has scraped all bodies and remote-written them into nunchi, in shards."""
    folder = tmp_path_factory.mktemp("written")
    # A sender passes on what is newer than its own start: so the samples' time begins after that.
    begin_ms = int(time.time() * 1000) // 1000 * 1000 + 5237
    replay = Replay(begin_ms)
    with http_endpoint(replay) as address, nunchi_server(folder / "nunchi", "global: {}\n") as nunchi:
        configuration = SCRAPE.format(address=address, interval=INTERVAL_MS) + (
            "remote_write:\n"
            f"  - url: {nunchi.url}/api/v1/write\n"
            "    queue_config: {min_shards: 4, max_shards: 4, max_samples_per_send: 7, batch_send_deadline: 200ms}\n"
        )
        with prometheus_server(folder / "prometheus", configuration) as prometheus:
            wait_until_lost(replay, "prometheus")
            time.sleep(3)  # what the queues of remote write still hold goes out at their deadline
            yield nunchi, prometheus, begin_ms


def ask_both(pair: tuple[System, System, int], query: str) -> list[tuple[object, object]]:
    """Instant answers through the life of the target and after it, and one range answer, of both systems."""
    nunchi, prometheus, begin_ms = pair
    begin = begin_ms / 1000
    moments = [begin + 0.113 + k * 1.7 for k in range(7)]
    answers: list[tuple[object, object]] = [(nunchi.instant(query, t), prometheus.instant(query, t)) for t in moments]
    end = begin + BODIES * INTERVAL_MS / 1000
    answers.append((nunchi.range(query, begin + 0.113, end, 0.7), prometheus.range(query, begin + 0.113, end, 0.7)))
    return answers


@pytest.mark.parametrize("query", QUERIES)
def test_scraped_samples_answer_as_prometheus_answers(scraped: tuple[System, System, int], query: str):
    answers = ask_both(scraped, query)
    for given, wanted in answers:
        assert given == as_prometheus_3(wanted)
    assert any(wanted for _, wanted in answers), "a comparison of nothing with nothing proves nothing"


def test_a_series_that_leaves_its_exposition_ends_in_both(scraped: tuple[System, System, int]):
    *systems, begin_ms = scraped
    for system in systems:
        while_there = system.instant("early_leaver", begin_ms / 1000 + DISAPPEARS_AT * INTERVAL_MS / 1000 - 0.3)
        assert [series["value"][1] for series in while_there] == ["1.6"]
        assert system.instant("early_leaver", time.time()) == []


def test_a_lost_target_ends_its_series_and_is_down_in_both(scraped: tuple[System, System, int]):
    for system in scraped[:2]:
        now = time.time()
        assert system.instant("temperature", now) == []
        up = system.instant("up", now)
        assert [(series["metric"], series["value"][1]) for series in up] == [
            ({"__name__": "up", "instance": up[0]["metric"]["instance"], "job": "replay", "rack": "r1"}, "0")
        ]
        target = system.ask("targets")["activeTargets"][0]
        assert (target["health"], target["labels"]["rack"]) == ("down", "r1")
        assert "500" in target["lastError"]


def test_series_labels_and_values_are_listed_as_prometheus_lists_them(scraped: tuple[System, System, int]):
    nunchi, prometheus, begin_ms = scraped
    span = {"start": begin_ms / 1000, "end": time.time()}

    def listed(system: System) -> list[object]:
        names = ["temperature", "odd", "late_comer", "latency_seconds_bucket", "up", "scrape_samples_scraped"]
        series = [canonical(labels) for labels in system.ask("series", **{"match[]": names}, **span)]
        return [
            sorted(map(str, series)),
            system.ask("labels", **span),
            system.ask("label/path/values", **span),
            system.ask("label/__name__/values", **{"match[]": '{job="replay"}'}, **span),
        ]

    assert listed(nunchi) == listed(prometheus)


@pytest.mark.parametrize("query", QUERIES)
def test_remote_written_samples_answer_as_their_sender_answers(written: tuple[System, System, int], query: str):
    nunchi, prometheus, begin_ms = written
    for given, wanted in ask_both((nunchi, prometheus, begin_ms), query):
        assert without_site(given) == wanted


def as_prometheus_3(result: object) -> object:
    """A result of Prometheus 2.53 with canonical bounds."""
    for series in result if isinstance(result, list) else []:
        if isinstance(series, dict):
            series["metric"] = canonical(series["metric"])
    return result


def without_site(result: object) -> object:
    """The sender adds its external labels to what it writes, not to what it answers."""
    for series in result if isinstance(result, list) else []:
        if isinstance(series, dict) and series["metric"].pop("site", None) is None:
            # Aggregations and joins have no labels of the target left.
            assert "instance" not in series["metric"] or "job" not in series["metric"], series
    return result


def test_a_live_node_exporter_gives_both_the_same_series_and_types(tmp_path: Path):
    address = f"127.0.0.1:{free_port()}"
    program = find_peer("prometheus-node-exporter", "node_exporter")
    configuration = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{address}"], labels: {{rack: r1}}}}]
"""
    command = [program, f"--web.listen-address={address}"]
    with (
        running(command, f"http://{address}/metrics", tmp_path / "exporter.log"),
        nunchi_server(tmp_path / "nunchi", configuration) as nunchi,
        prometheus_server(tmp_path / "prometheus", configuration) as prometheus,
    ):
        systems = (nunchi, prometheus)
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while any(not system.instant("count(scrape_samples_scraped > 0)", time.time()) for system in systems):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(2.5)  # two more scrapes of each, for what a first scrape does not have yet
        names, metadata = [], []
        for system in systems:
            series = system.ask("series", **{"match[]": '{job="node"}'}, start=time.time() - 60, end=time.time())
            names.append({tuple(sorted(canonical(labels).items())) for labels in series})
            metadata.append({name: entries[0] for name, entries in system.ask("metadata").items()})
        assert len(names[0]) > 300
        assert names[0] == names[1]
        assert metadata[0].items() >= {k: v for k, v in metadata[1].items() if not k.startswith("prometheus_")}.items()
