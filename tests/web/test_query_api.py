"""`query` and `query_range` over real sockets, with the real engine over samples that a test can see whole."""

import math
from dataclasses import replace

import pytest
from tests.web.conftest import Asker

from nunchi.model.labels import Labels
from nunchi.testing.contracts.store import append

A = Labels.of("requests_total", job="api", instance="a")
B = Labels.of("requests_total", job="api", instance="b")
NOW_MS = 1_700_000_000_000


def store_counters(asker: Asker) -> None:
    append(
        asker.site.store,
        {
            A: [(NOW_MS - 120_000, 10.0), (NOW_MS - 60_000, 20.5), (NOW_MS, 41.0)],
            B: [(NOW_MS - 60_000, 1e21), (NOW_MS, 1.5e-7)],
        },
    )


async def test_a_vector_carries_labels_time_and_value_as_text(asker: Asker):
    store_counters(asker)
    assert await asker.data("/api/v1/query", query="requests_total", time=1_700_000_000.25) == {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "requests_total", "instance": "a", "job": "api"}, "value": [1700000000.25, "41"]},
            {
                "metric": {"__name__": "requests_total", "instance": "b", "job": "api"},
                "value": [1700000000.25, "1.5e-07"],
            },
        ],
    }


async def test_a_matrix_leaves_out_steps_without_a_value(asker: Asker):
    store_counters(asker)
    data = await asker.data(
        "/api/v1/query_range",
        query='requests_total{instance="b"}',
        start=1_699_999_880,
        end="2023-11-14T22:13:20Z",
        step="1m",
    )
    assert data["resultType"] == "matrix"
    assert data["result"][0]["values"] == [[1699999940, "1e+21"], [1700000000, "1.5e-07"]]


async def test_a_range_vector_shows_the_samples_own_times(asker: Asker):
    store_counters(asker)
    data = await asker.data("/api/v1/query", query='requests_total{instance="a"}[90s]')
    assert data["resultType"] == "matrix"
    assert data["result"][0]["values"] == [[1699999940, "20.5"], [1700000000, "41"]]


@pytest.mark.parametrize(
    ("expression", "kind", "shown"),
    [
        ("1 / 0", "scalar", "+Inf"),
        ("-1 / 0", "scalar", "-Inf"),
        ("0 / 0", "scalar", "NaN"),
        ("123456789012345680000", "scalar", "123456789012345680000"),
        ("0.000001", "scalar", "0.000001"),
        ("0.0000009", "scalar", "0.0000009"),
        ("1e21", "scalar", "1000000000000000000000"),
        ('"a\\u00e9\\"<b>"', "string", 'aé"<b>'),
    ],
)
async def test_numbers_are_printed_as_prometheus_prints_them(asker: Asker, expression: str, kind: str, shown: str):
    data = await asker.data("/api/v1/query", query=expression)
    assert data == {"resultType": kind, "result": [NOW_MS / 1000, shown]}


async def test_a_form_body_says_the_same_as_a_url(asker: Asker):
    store_counters(asker)
    parameters = {"query": "sum(requests_total)", "time": "1700000000"}
    status, answer = await asker.json("/api/v1/query", "POST", data=parameters)
    assert status == 200
    assert answer["data"] == await asker.data("/api/v1/query", **parameters)


async def test_a_body_wins_over_the_url_and_unknown_parameters_are_let_pass(asker: Asker):
    _, answer = await asker.json("/api/v1/query?query=1&dedup=true", "POST", data={"query": "2"})
    assert answer["data"]["result"][1] == "2"


async def test_limit_cuts_the_series_and_says_so(asker: Asker):
    store_counters(asker)
    for path, more in (("query", {}), ("query_range", {"start": 1_699_999_880, "end": 1_700_000_000, "step": 60})):
        parameters = {"query": "requests_total", "limit": 1, **more}
        _, answer = await asker.json(f"/api/v1/{path}", params=parameters)
        assert len(answer["data"]["result"]) == 1
        assert answer["warnings"] == ["results truncated due to limit"]


async def test_lookback_can_be_narrowed_for_one_query(asker: Asker):
    append(asker.site.store, {A: [(NOW_MS - 200_000, 1.0)]})
    assert len((await asker.data("/api/v1/query", query="requests_total"))["result"]) == 1
    assert (await asker.data("/api/v1/query", query="requests_total", lookback_delta="3m"))["result"] == []


async def test_statistics_count_the_samples_read(asker: Asker):
    store_counters(asker)
    data = await asker.data("/api/v1/query", query="rate(requests_total[5m])", stats="all")
    assert data["stats"]["samples"]["totalQueryableSamples"] == 5


async def test_all_statistics_show_the_samples_of_each_step_where_the_feature_is_on(asker: Asker):
    store_counters(asker)
    span = {"query": "sum(rate(requests_total[30s]))", "start": NOW_MS / 1000 - 45, "end": NOW_MS / 1000, "step": "15"}
    plain = (await asker.data("/api/v1/query_range", stats="all", **span))["stats"]["samples"]
    assert "totalQueryableSamplesPerStep" not in plain
    engine = asker.site.runner.engine
    engine.settings = replace(engine.settings, shows_steps=True)
    for _ in range(2):  # kept steps are counted as those that are evaluated
        shown = (await asker.data("/api/v1/query_range", stats="all", **span))["stats"]["samples"]
        times, samples = zip(*shown["totalQueryableSamplesPerStep"], strict=True)
        assert list(times) == [NOW_MS / 1000 - 45 + 15 * step for step in range(4)]
        assert sum(samples) == shown["totalQueryableSamples"] == plain["totalQueryableSamples"]
    basic = (await asker.data("/api/v1/query_range", stats="true", **span))["stats"]["samples"]
    assert "totalQueryableSamplesPerStep" not in basic


async def test_warnings_and_infos_stand_beside_the_data(asker: Asker):
    store_counters(asker)
    _, answer = await asker.json("/api/v1/query", params={"query": "quantile(2, requests_total)"})
    assert answer["data"]["result"][0]["value"][1] == "+Inf"
    assert answer["warnings"][0].startswith("PromQL warning: quantile value should be between 0 and 1")


async def test_a_range_asked_again_is_kept_and_nocache_evaluates_anew(asker: Asker):
    append(asker.site.store, {A: [(NOW_MS - 3_600_000 + n * 15_000, float(n)) for n in range(240)]})
    span = {
        "query": "requests_total",
        "start": NOW_MS / 1000 - 3600,
        "end": NOW_MS / 1000,
        "step": "15",
        "stats": "all",
    }
    first = await asker.data("/api/v1/query_range", **span)
    again = await asker.data("/api/v1/query_range", **span)
    anew = await asker.data("/api/v1/query_range", nocache="1", **span)
    assert first["result"] == again["result"] == anew["result"]
    samples = [data["stats"]["samples"]["totalQueryableSamples"] for data in (first, again, anew)]
    assert samples[0] == samples[2] > 10 * samples[1]


RANGE = {"query": "1", "start": "0", "end": "60", "step": "15"}


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [
        ("query", {"query": "sum("}, 'invalid parameter "query": 1:5: parse error:'),
        ("query", {"query": ""}, 'invalid parameter "query": '),
        (
            "query",
            {"query": "1", "time": "noon"},
            'invalid parameter "time": Invalid time value for \'time\': cannot parse "noon" to a valid timestamp',
        ),
        ("query", {"query": "1", "timeout": "x"}, 'invalid parameter "timeout": cannot parse "x" to a valid duration'),
        ("query", {"query": "1", "limit": "x"}, 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'),
        ("query", {"query": "1", "limit": "-1"}, 'invalid parameter "limit": limit must be non-negative'),
        ("query", {"query": "1", "lookback_delta": "x"}, 'error parsing lookback delta duration: cannot parse "x"'),
        ("query_range", {**RANGE, "start": ""}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ("query_range", {**RANGE, "end": "-1"}, 'invalid parameter "end": end timestamp must not be before start time'),
        ("query_range", {**RANGE, "step": "0"}, 'invalid parameter "step": zero or negative query resolution'),
        ("query_range", {**RANGE, "step": "1x"}, 'invalid parameter "step": cannot parse "1x" to a valid duration'),
        ("query_range", {**RANGE, "end": "11001", "step": "1"}, "exceeded maximum resolution of 11,000 points"),
        ("query_range", {**RANGE, "query": "up[5m]"}, 'invalid parameter "query"'),
        ("format_query", {"query": "sum("}, 'invalid parameter "query": 1:5: parse error:'),
    ],
)
async def test_what_cannot_be_understood_is_bad_data(asker: Asker, path: str, parameters: dict[str, str], error: str):
    status, error_type, message = await asker.error(f"/api/v1/{path}", **parameters)
    assert (status, error_type) == (400, "bad_data")
    assert message.startswith(error)


async def test_eleven_thousand_points_are_the_most(asker: Asker):
    data = await asker.data("/api/v1/query_range", query="1", start=0, end=11_000, step=1)
    assert len(data["result"][0]["values"]) == 11_001


async def test_an_ambiguous_match_is_an_execution_error(asker: Asker):
    store_counters(asker)
    status, error_type, message = await asker.error("/api/v1/query", query="requests_total * on(job) requests_total")
    assert (status, error_type) == (422, "execution")
    assert "many-to-many" in message


async def test_a_query_without_time_left_is_a_timeout(asker: Asker):
    asker.site.clock.monotonic = iter(range(10**6)).__next__  # every look at the clock is a second later
    store_counters(asker)
    status, error_type, message = await asker.error("/api/v1/query", query="requests_total", timeout="1ms")
    assert (status, error_type) == (503, "timeout")
    assert "timed out" in message


async def test_an_expression_is_laid_out(asker: Asker):
    assert await asker.data("/api/v1/format_query", query="sum  by(job)(rate(x[5m]))") == "sum by (job) (rate(x[5m]))"


async def test_nothing_is_answered_until_the_server_is_ready(asker: Asker):
    asker.site.status.reason = "12 of 40 segments are replayed"
    status, text = await asker.text("/api/v1/query", params={"query": "1"})
    assert (status, text) == (503, "Service Unavailable: 12 of 40 segments are replayed\n")


async def test_times_are_read_to_the_millisecond(asker: Asker):
    for text in ("1700000000.1234", "2023-11-14T22:13:20.123Z", "2023-11-14T23:13:20.1239+01:00"):
        data = await asker.data("/api/v1/query", query="time()", time=text)
        assert math.isclose(float(data["result"][1]), 1_700_000_000.123)
