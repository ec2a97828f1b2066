"""`/api/v1/status/tsdb`: the numbers that a real Prometheus gives for the same samples, and the slow twin's for any."""

from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from tests.server.data_folder.prometheus import prometheus
from tests.server.test_admin_api import serving

from nunchi.kit.clock import SystemClock
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.testing.contracts.store import append
from nunchi.web.prometheus_api.cardinality import SelectedCardinality

PATH = "/api/v1/status/tsdb"
TABLES = (
    "seriesCountByMetricName",
    "labelValueCountByLabelName",
    "memoryInBytesByLabelName",
    "seriesCountByLabelValuePair",
)


def some_series() -> list[Labels]:
    """Metrics and labels of unlike numbers, and no two rows of a table alike."""
    chance = Random(5)
    found = []
    for metric in range(12):
        for number in range(3 * metric + 2):
            extra = {f"label{k}": f"value{number % (k + 2)}é" for k in range(metric % 4)}
            found.append(Labels.of(f"metric_{metric}", instance=f"host{number}:9100", **extra))
    chance.shuffle(found)
    return found


def rows(answer: Any, table: str) -> dict[str, int]:
    return {row["name"]: row["value"] for row in answer[table]}


@pytest.mark.peer
@pytest.mark.timeout(60)
async def test_the_numbers_are_those_of_prometheus(tmp_path: Path) -> None:
    now_ms = SystemClock().now_ms() // 1000 * 1000
    samples = {labels: [(now_ms - 1000, 1.0), (now_ms, 2.0)] for labels in some_series()}
    with prometheus(tmp_path / "prometheus") as peer:
        peer.write({labels: list(points) for labels, points in samples.items()})
        theirs = peer.ask("status/tsdb", limit=1000)
        few = peer.ask("status/tsdb", limit=3)
    async for house in serving(tmp_path / "data", is_enabled=False):
        append(house.database, samples)
        ours = await data(house.session, house.url + PATH, limit="1000")
        assert set(theirs["headStats"]) <= set(ours["headStats"])
        for name in ("numSeries", "numLabelPairs", "minTime", "maxTime"):
            assert ours["headStats"][name] == theirs["headStats"][name], name
        for table in TABLES:
            assert rows(ours, table) == rows(theirs, table), table
        own_few = await data(house.session, house.url + PATH, limit="3")
        for table in TABLES:
            assert [row["value"] for row in own_few[table]] == [row["value"] for row in few[table]], table


async def data(session: aiohttp.ClientSession, url: str, **parameters: Any) -> Any:
    async with session.get(url, params=parameters) as response:
        assert response.status == 200, await response.text()
        return (await response.json())["data"]


async def test_selectors_restrict_what_is_counted(tmp_path: Path) -> None:
    now_ms = SystemClock().now_ms() // 1000 * 1000
    async for house in serving(tmp_path / "data", is_enabled=False):
        append(house.database, {labels: [(now_ms, 1.0)] for labels in some_series()})
        found = await data(house.session, house.url + PATH, **{"match[]": 'metric_11{instance=~"host[0-3]:.*"}'})
        assert found["headStats"]["numSeries"] == 4
        assert rows(found, "seriesCountByMetricName") == {"metric_11": 4}
        nothing = await data(house.session, house.url + PATH, **{"match[]": "nobody"})
        assert (nothing["headStats"]["numSeries"], nothing["seriesCountByMetricName"]) == (0, [])
        async with house.session.get(house.url + PATH, params={"match[]": "up{"}) as response:
            assert response.status == 400


def matcher(name: str, pattern: str) -> Matcher:
    return Matcher(name, MatchOperator.REGEX, pattern)


@pytest.mark.parametrize("selectors", [[], [[matcher("instance", "host1.*")], [matcher("label1", ".+")]]])
async def test_counting_arrays_agrees_with_counting_labels(tmp_path: Path, selectors: list[list[Matcher]]) -> None:
    now_ms = SystemClock().now_ms() // 1000 * 1000
    async for house in serving(tmp_path / "data", is_enabled=False):
        series = some_series()
        append(house.database, {labels: [(now_ms - 60_000, 1.0)] for labels in series[: len(series) // 2]})
        house.database.seal()
        append(house.database, {labels: [(now_ms, 1.0)] for labels in series[len(series) // 4 :]})
        found = house.database.cardinality(selectors, 1000)
        slow = SelectedCardinality(house.database).cardinality(selectors, 1000)
        assert (found.series, found.pairs) == (slow.series, slow.pairs)
        for table in ("metrics", "label_values", "label_bytes", "label_pairs"):
            assert sorted(getattr(found, table)) == sorted(getattr(slow, table)), table
