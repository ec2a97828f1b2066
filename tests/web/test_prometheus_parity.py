"""The same samples in a real Prometheus and in a site: what the API answers, compared body by body.

Differences by intent: position and wording of parse errors, which Prometheus gives for an empty text or an unknown function
differently from version to version; which of the series that stand in each other's way an ambiguous match names.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.peers import find_peer, free_port, running
from tests.web.conftest import Asker
from tests.web.site import serving

from nunchi.kit.clock import SystemClock
from nunchi.model.labels import Labels
from nunchi.testing.contracts.store import append
from nunchi.wire.compression import encode
from nunchi.wire.remote_write import encode_write_request

pytestmark = pytest.mark.peer

STEP_MS = 15_000
STEPS = 80
QUERIES = [
    "requests_total",
    'requests_total{code=~"2.."}',
    "rate(requests_total[2m])",
    "sum by (code) (rate(requests_total[2m]))",
    "topk(1, requests_total)",
    "requests_total / 3",
    "odd_values",
    "-odd_values",
    "odd_values * 1e-9",
    "time()",
    "vector(1) / 0",
    "nobody",
    'count_values("v", odd_values)',
    "1e21 + 0",
    "0.1 + 0.2",
    '"text with \\"quotes\\" and é"',
    "absent(nobody)",
]
ERRORS = [
    ("query", {"query": "sum("}),
    ("query", {"query": "up{"}),
    ("query", {"query": "nofunction(up)"}),
    ("query", {}),
    ("query", {"query": "1", "time": "noon"}),
    ("query", {"query": "1", "timeout": "soon"}),
    ("query", {"query": "1", "lookback_delta": "x"}),
    ("query", {"query": "requests_total * on(job) requests_total"}),
    ("query_range", {"query": "1"}),
    ("query_range", {"query": "1", "start": "10", "end": "5", "step": "1"}),
    ("query_range", {"query": "1", "start": "0", "end": "5", "step": "-1"}),
    ("query_range", {"query": "1", "start": "0", "end": "5", "step": "1y1h1x"}),
    ("query_range", {"query": "1", "start": "0", "end": "11002", "step": "1"}),
    ("query_range", {"query": "up[5m]", "start": "0", "end": "10", "step": "1"}),
    ("query_range", {"query": '"text"', "start": "0", "end": "10", "step": "1"}),
    ("series", {}),
    ("series", {"match[]": "up[5m]"}),
    ("series", {"match[]": "up", "start": "x"}),
    ("labels", {"end": "x"}),
    ("labels", {"limit": "x"}),
    ("label/job/values", {"start": "x"}),
    ("metadata", {"limit": "x"}),
    ("rules", {"type": "x"}),
    ("format_query", {"query": "sum("}),
]


def samples_before(end_ms: int) -> dict[Labels, list[tuple[int, float]]]:
    """Counters with a reset, and the numbers whose printing is delicate."""
    times = [end_ms - STEP_MS * (STEPS - step) for step in range(STEPS)]
    odd = (0.1, 1e20, 1e21, 1.5e-6, 9.99e-7, -0.0, 123456789.123, 5e-324, 1.7976931348623157e308, float("inf"))
    odd_labels = {"plain": "x", "unicode": "é\u202e中", "quotes": "\"\\'", "lines": "a\nb"}
    series = {
        Labels.of("requests_total", job="api", code=code): [
            (t, float((7 + number) * (step % 50))) for step, t in enumerate(times)
        ]
        for number, code in enumerate(("200", "404", "500"))
    }
    for number, value in enumerate(odd):
        series[Labels.of("odd_values", number=str(number), **odd_labels)] = [(t, value) for t in times]
    return series


class Pair:
    """Prometheus and the site; every comparison asks both."""

    def __init__(self, prometheus: str, asker: Asker, end_ms: int) -> None:
        self.prometheus = prometheus
        self.asker = asker
        self.end = end_ms / 1000

    async def both(self, path: str, parameters: Any, method: str = "GET") -> tuple[Any, Any]:
        given = {"data" if method == "POST" else "params": parameters}
        async with self.asker.session.request(method, f"{self.prometheus}/api/v1/{path}", **given) as response:
            theirs = response.status, await response.json()
        return theirs, await self.asker.json(f"/api/v1/{path}", method, **given)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    prometheus = find_peer("prometheus")
    address = f"127.0.0.1:{free_port()}"
    settings = tmp_path / "prometheus.yml"
    settings.write_text("global: {external_labels: {job: outer, site: north}}\n")
    command = [
        prometheus,
        f"--config.file={settings}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    ]
    clock = SystemClock()
    end_ms = clock.now_ms() // STEP_MS * STEP_MS
    samples = samples_before(end_ms)
    with running(command, f"http://{address}/-/ready", tmp_path / "prometheus.log"):
        async with serving(filled=False, clock=clock) as site, aiohttp.ClientSession() as session:
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            body = encode("snappy", encode_write_request(samples.items()))
            async with session.post(f"http://{address}/api/v1/write", data=body, headers=headers) as response:
                assert response.status in (200, 204), await response.text()
            append(site.store, samples)
            yield Pair(f"http://{address}", Asker(site, session), end_ms)


def without_wording(answer: dict[str, Any]) -> dict[str, Any]:
    """An error, but not where a parse error was seen, nor its words, nor examples of series."""
    if "error" not in answer:
        return answer
    error = re.sub(r"(unknown position|\d+:\d+): parse error: .*", "parse error", answer["error"])
    return {**answer, "error": re.sub(r"(of the operation): [^;]*;", r"\1;", error)}


def ordered(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with the series of a vector in one order: Prometheus promises none."""
    if answer.get("data", {}).get("resultType") == "vector":
        answer["data"]["result"].sort(key=lambda row: sorted(row["metric"].items()))
    return answer


async def test_answers_agree_with_prometheus(pair: Pair):
    """One test for all, so that Prometheus starts once."""
    end = pair.end - 7  # no sample on the border of a window: 2.x includes it, 3.x does not
    for query in QUERIES:
        theirs, ours = await pair.both("query", {"query": query, "time": end})
        assert ordered(ours[1]) == ordered(theirs[1]), query
        assert ours[0] == theirs[0], query
        parameters = {"query": query, "start": end - 900, "end": end, "step": "30s"}
        theirs, ours = await pair.both("query_range", parameters, "POST")
        assert without_wording(ours[1]) == without_wording(theirs[1]), query
    theirs, ours = await pair.both("query", {"query": "requests_total[1m]", "time": end})
    assert ours == theirs
    for path, parameters in ERRORS:
        (their_status, their_answer), (our_status, our_answer) = await pair.both(path, parameters)
        assert our_status == their_status, (path, parameters, our_answer)
        assert without_wording(our_answer) == without_wording(their_answer), (path, parameters)
    everything = {"start": pair.end - 7200, "end": pair.end}
    for path, parameters in [
        ("series", [("match[]", "requests_total"), ("match[]", 'odd_values{number="1"}')]),
        ("series", {"match[]": "nobody"}),
        ("labels", {}),
        ("labels", {"match[]": "requests_total"}),
        ("label/code/values", {}),
        ("label/__name__/values", {"match[]": '{code="404"}'}),
        ("label/unicode/values", {}),
        ("label/nobody/values", {}),
        ("alerts", {}),
        ("rules", {}),
        ("alertmanagers", {}),
        ("format_query", {"query": "sum  by(code)(rate(requests_total[5m]))"}),
    ]:
        if path in ("alerts", "rules", "alertmanagers"):
            theirs, ours = await pair.both(path, {})
            assert ours[1]["data"].keys() == theirs[1]["data"].keys(), path
            continue
        given = [*parameters.items()] if isinstance(parameters, dict) else parameters
        theirs, ours = await pair.both(path, [*given, *((name, str(value)) for name, value in everything.items())])
        assert ours == theirs, path


async def test_value_texts_are_prometheus_own_bytes(pair: Pair):
    parameters = {"query": "odd_values", "time": str(pair.end)}
    async with pair.asker.session.get(f"{pair.prometheus}/api/v1/query", params=parameters) as response:
        theirs = await response.text()
    _, ours = await pair.asker.text("/api/v1/query", params=parameters)
    pattern = re.compile(r'"value":\[[^\]]*\]')
    assert pattern.findall(ours) == pattern.findall(theirs)
    assert json.loads(ours) == json.loads(theirs)
