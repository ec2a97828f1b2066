"""The query side of the API beyond JSON values: trees, plans, statistics, Arrow, exemplars."""

import math

import numpy as np
import pyarrow as pa
import pytest
from tests.web.conftest import Asker

from nunchi.model.batch import Batch
from nunchi.model.exemplar import Exemplar
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.testing.contracts.store import append
from nunchi.testing.engine_setting import EngineSetting
from nunchi.testing.script_loading import LoadedSample, LoadedSeries
from nunchi.testing.series_notation import parse_histogram

NOW_MS = 1_700_000_000_000
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
A = Labels.of("requests_total", job="api", instance="a", value="odd")
B = Labels.of("requests_total", job="web")


def store_counters(asker: Asker) -> None:
    append(asker.site.store, {A: [(NOW_MS - 60_000, 1.0), (NOW_MS, math.inf)], B: [(NOW_MS, 2.5)]})


async def arrow(asker: Asker, path: str, **parameters: object) -> pa.Table:
    url = asker.site.url + path
    async with asker.session.get(url, params=parameters, headers=ARROW) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == ARROW["Accept"]
        return pa.ipc.open_stream(await response.read()).read_all()


async def test_a_vector_as_arrow_has_a_row_a_series_and_a_column_a_label(asker: Asker):
    store_counters(asker)
    table = await arrow(asker, "/api/v1/query", query="requests_total")
    assert table.column_names == ["timestamp", "value", "__name__", "instance", "job", "label_value"]
    assert table["value"].to_pylist() == [math.inf, 2.5]
    assert table["instance"].to_pylist() == ["a", None]
    assert table["job"].to_pylist() == ["api", "web"]
    assert table["label_value"].to_pylist() == ["odd", None]
    assert [int(each.timestamp() * 1000) for each in table["timestamp"].to_pylist()] == [NOW_MS, NOW_MS]
    assert table.schema.metadata[b"resultType"] == b"vector"


async def test_a_matrix_as_arrow_has_a_row_a_point(asker: Asker):
    store_counters(asker)
    span = {"start": NOW_MS / 1000 - 60, "end": NOW_MS / 1000, "step": 60}
    table = await arrow(asker, "/api/v1/query_range", query="requests_total", **span)
    assert table["job"].to_pylist() == ["api", "api", "web"]
    assert table["value"].to_pylist() == [1.0, math.inf, 2.5]


@pytest.mark.parametrize("query", ["1", '"text"', "requests_total[5m]", "nothing", "quantile(2, requests_total)"])
async def test_every_kind_of_result_has_an_arrow_form(asker: Asker, query: str):
    store_counters(asker)
    table = await arrow(asker, "/api/v1/query", query=query)
    assert table.column_names[:2] == ["timestamp", "value"]
    assert (b"warnings" in table.schema.metadata) == query.startswith("quantile")


async def test_histograms_have_a_column_of_their_own_as_arrow(asker: Asker):
    store_counters(asker)
    histogram, _ = parse_histogram("schema:0 sum:4 count:3 buckets:[1 2]")
    at_ms = NOW_MS - 1000
    values = {"1": histogram, "2": 7.0, "3": 8.0}
    series = [LoadedSeries(Labels.of("mixed", x=x), (LoadedSample(at_ms, value),)) for x, value in values.items()]
    EngineSetting(asker.site.store).append(series)
    table = await arrow(asker, "/api/v1/query", query="mixed")
    assert table.column_names == ["timestamp", "value", "histogram", "__name__", "x"]
    assert table["value"].to_pylist() == [None, 7.0, 8.0]
    assert table["histogram"].to_pylist() == ["{count:3, sum:4, (0.5,1]:1, (1,2]:2}", None, None]


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("application/json", 200, "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200, "application/json"),
        ("application/vnd.apache.arrow.stream;q=0.5, application/json;q=0.9", 200, "application/json"),
        ("application/vnd.apache.arrow.stream, application/json;q=0.9", 200, ARROW["Accept"]),
        ("application/json;q=0, */*", 200, ARROW["Accept"]),
        ("text/csv", 406, "application/json"),
    ],
)
async def test_the_format_is_negotiated(asker: Asker, accept: str, status: int, content_type: str):
    url = f"{asker.site.url}/api/v1/query?query=1"
    async with asker.session.get(url, headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (status, content_type)


async def test_large_answers_are_compressed_as_the_client_likes(asker: Asker):
    append(asker.site.store, {Labels.of("wide", n=f"{n:04}"): [(NOW_MS, 1.0)] for n in range(200)})
    url = f"{asker.site.url}/api/v1/query?query=wide"
    for coding in ("gzip", "zstd"):
        async with asker.session.get(url, headers={"Accept-Encoding": coding}, auto_decompress=False) as response:
            assert response.headers["Content-Encoding"] == coding
            assert len(await response.read()) < 3000


async def test_a_query_is_shown_as_a_tree(asker: Asker):
    tree = await asker.data("/api/v1/parse_query", query='sum by (job) (rate(up{job!="x"}[5m] @ end())) / on (job) -a')
    assert tree["type"] == "binaryExpr"
    assert tree["matching"]["card"] == "one-to-one"
    assert tree["matching"]["labels"] == ["job"]
    assert tree["lhs"]["type"] == "aggregation"
    assert tree["lhs"]["grouping"] == ["job"]
    call = tree["lhs"]["expr"]
    assert call["func"] == {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}
    selector = call["args"][0]
    assert (selector["type"], selector["range"], selector["startOrEnd"]) == ("matrixSelector", 300_000, "end")
    assert selector["matchers"] == [
        {"name": "job", "value": "x", "type": "!="},
        {"name": "__name__", "value": "up", "type": "="},
    ]
    assert tree["rhs"] == {
        "type": "unaryExpr",
        "op": "-",
        "expr": {
            "type": "vectorSelector",
            "name": "a",
            "offset": 0,
            "matchers": [{"name": "__name__", "value": "a", "type": "="}],
            "timestamp": None,
            "startOrEnd": None,
            "anchored": False,
            "smoothed": False,
        },
    }


async def test_a_tree_of_nonsense_is_refused(asker: Asker):
    status, kind, message = await asker.error("/api/v1/parse_query", query="sum(")
    assert (status, kind) == (400, "bad_data")
    assert message.startswith('invalid parameter "query": 1:5: parse error')


async def test_exemplars_of_the_series_that_selectors_match(asker: Asker):
    store_counters(asker)
    appender = asker.site.store.appender()
    nothing = np.empty(0, np.int64)
    one = Exemplar(Labels({"trace_id": "x"}), 0.25, NOW_MS)
    batch = Batch.cells(Layout.of(A), nothing, np.empty(0, np.int32), np.empty(0), exemplars=[(0, one)])
    appender.append(batch)
    appender.commit()
    span = {"start": NOW_MS / 1000 - 60, "end": NOW_MS / 1000}
    found = await asker.data("/api/v1/query_exemplars", query="rate(requests_total[5m]) + up", **span)
    shown = {"labels": {"trace_id": "x"}, "value": "0.25", "timestamp": NOW_MS / 1000}
    assert found == [{"seriesLabels": dict(A), "exemplars": [shown]}]
    assert await asker.data("/api/v1/query_exemplars", query="up", **span) == []


async def test_exemplars_parameters_are_judged(asker: Asker):
    assert await asker.data("/api/v1/query_exemplars", query="up", start=0, end=10) == []
    status, kind, message = await asker.error("/api/v1/query_exemplars", query="up", start=10, end=0)
    assert (status, kind, message) == (400, "bad_data", "end timestamp must not be before start timestamp")
    assert (await asker.error("/api/v1/query_exemplars", query="up{"))[:2] == (400, "bad_data")


async def test_statistics_say_where_the_time_went(asker: Asker):
    store_counters(asker)
    stats = (await asker.data("/api/v1/query", query="rate(requests_total[5m])", stats="all"))["stats"]
    timings = stats["timings"]
    assert timings["innerEvalTime"] > 0
    assert timings["execTotalTime"] >= timings["evalTotalTime"] >= timings["innerEvalTime"]
    assert "stats" not in await asker.data("/api/v1/query", query="1")


async def test_explain_shows_the_plan_and_what_it_would_read(asker: Asker):
    store_counters(asker)
    plan = (await asker.data("/api/nunchi/v1/query/explain", query="sum by (job) (rate(requests_total[5m])) > 1"))[
        "plan"
    ]
    assert (plan["node"], plan["text"]) == ("VectorScalar", "> (number second)")
    total, number = plan["children"]
    assert (total["text"], number["text"]) == ("sum by (job)", "1")
    select = total["children"][0]["children"][0]
    assert (select["text"], select["series"], select["samples"]) == ("requests_total[5m]", 2, 3)
    assert select["milliseconds"] is None
    assert select["position"] == 19


async def test_a_profile_counts_what_each_node_cost(asker: Asker):
    store_counters(asker)
    span = {"start": NOW_MS / 1000 - 60, "end": NOW_MS / 1000, "step": 30}
    data = await asker.data("/api/nunchi/v1/query/profile", query="sum(requests_total) * 2", **span)
    assert (data["resultType"], data["series"]) == ("matrix", 1)
    times = data["plan"]
    total = times["children"][0]
    select = total["children"][0]
    assert (select["series"], select["samples"], select["bytes"]) == (2, 4, 2 * 3 * 9)
    assert (total["series"], total["samples"]) == (1, 0)
    assert times["milliseconds"] >= total["milliseconds"] >= select["milliseconds"] > 0
    assert data["stats"]["samples"]["totalQueryableSamples"] == 4


async def test_plans_of_wrong_queries_are_refused_like_queries(asker: Asker):
    for path in ("explain", "profile"):
        assert (await asker.error(f"/api/nunchi/v1/query/{path}", query="sum("))[:2] == (400, "bad_data")
        answer = await asker.error(f"/api/nunchi/v1/query/{path}", query="1", start=10, end=0, step=1)
        assert answer[:2] == (400, "bad_data")
