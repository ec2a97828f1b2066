"""`/federate`: the newest samples as an exposition, the same as a real Prometheus gives."""

import re

import aiohttp
import pytest
from tests.web.conftest import Asker
from tests.web.test_prometheus_parity import Pair, pair

from nunchi.model.labels import Labels
from nunchi.model.staleness import STALE
from nunchi.testing.contracts.store import append

__all__ = ["pair"]

NOW_MS = 1_700_000_000_000
STORED = {
    Labels.of("up", job="api", instance="a"): [(NOW_MS - 15_000, 1.0), (NOW_MS - 1, 0.0)],
    Labels.of("up", instance="b"): [(NOW_MS - 299_000, 1.0)],
    Labels.of("up", instance="gone"): [(NOW_MS - 300_000, 1.0)],
    Labels.of("up", instance="stale"): [(NOW_MS - 20_000, 1.0), (NOW_MS - 10_000, STALE)],
    Labels.of("ratio:sum"): [(NOW_MS, 0.5)],
    Labels({"__name__": "naïve.name", "odd.label": 'a"b\n'}): [(NOW_MS, 1.5)],
}


async def federated(asker: Asker, *selectors: str) -> tuple[int, str]:
    return await asker.text("/federate", params=[("match[]", selector) for selector in selectors])


async def test_the_newest_sample_of_each_series_within_the_look_back_with_external_labels(asker: Asker):
    append(asker.site.store, STORED)
    status, text = await federated(asker, "up", "ratio:sum", '{instance="a"}')
    assert (status, text.splitlines()) == (
        200,
        [
            "# TYPE ratio:sum untyped",
            f'ratio:sum{{instance="",job="outer",site="north"}} 0.5 {NOW_MS}',
            "# TYPE up untyped",
            f'up{{instance="a",job="api",site="north"}} 0 {NOW_MS - 1}',
            f'up{{instance="b",job="outer",site="north"}} 1 {NOW_MS - 299_000}',
        ],
    )


async def test_names_beyond_the_classic_ones_are_quoted(asker: Asker):
    append(asker.site.store, STORED)
    _, text = await federated(asker, '{"naïve.name"}')
    assert text.splitlines()[1] == (
        f'{{"naïve.name",instance="",job="outer","odd.label"="a\\"b\\n",site="north"}} 1.5 {NOW_MS}'
    )


async def test_nothing_asked_for_is_nothing(asker: Asker):
    assert await federated(asker) == (200, "")
    assert await federated(asker, "nobody") == (200, "")


async def test_a_selector_that_is_none_is_named(asker: Asker):
    status, text = await federated(asker, "up{")
    assert (status, '"errorType":"bad_data"' in text) == (400, True)


async def test_the_content_type_is_that_of_an_exposition(asker: Asker):
    async with asker.session.get(asker.site.url + "/federate?match[]=up") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.peer
async def test_federation_agrees_with_prometheus(pair: Pair):
    selectors = [("match[]", "requests_total"), ("match[]", '{__name__=~"odd.*|requests.*"}')]

    async def ask(session: aiohttp.ClientSession, base: str) -> list[str]:
        async with session.get(f"{base}/federate", params=selectors) as response:
            assert response.status == 200
            text = (await response.text()).replace("} -0 ", "} 0 ")  # the sign that Go leaves out
            return sorted(re.sub(r"\{(.*)\}", _sorted_labels, line) for line in text.splitlines())

    theirs = await ask(pair.asker.session, pair.prometheus)
    assert await ask(pair.asker.session, pair.asker.site.url) == theirs
    assert len(theirs) == 15


def _sorted_labels(found: re.Match[str]) -> str:
    return ",".join(sorted(re.findall(r'\w+="(?:\\.|[^"\\])*"', found[1])))
