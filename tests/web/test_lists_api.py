"""Series, labels, metadata, targets, rules, status, lifecycle and our own endpoints over real sockets."""

import pytest
from tests.web.conftest import Asker
from tests.web.site import INSTANCE, fill

from nunchi.model.labels import Labels
from nunchi.testing.contracts.store import append

NOW_MS = 1_700_000_000_000
UP_A = Labels.of("up", job="api", instance="a")
UP_B = Labels.of("up", job="api", instance="b")
LOAD = Labels({"__name__": "node_load1", "instance": "a", "odd.näme": "x"})


@pytest.fixture
def stored(asker: Asker) -> Asker:
    append(asker.site.store, {UP_A: [(NOW_MS, 1.0)], UP_B: [(NOW_MS - 600_000, 0.0)], LOAD: [(NOW_MS, 0.5)]})
    return asker


async def test_series_are_the_union_of_all_selectors_in_order(stored: Asker):
    assert await stored.data("/api/v1/series", **{"match[]": '{instance="a"}'}) == [dict(LOAD), dict(UP_A)]
    query = "/api/v1/series?match[]=up&match[]=node_load1&match[]={job=~'a.*'}"
    status, answer = await stored.json(query)
    assert (status, answer["data"]) == (200, [dict(LOAD), dict(UP_A), dict(UP_B)])


async def test_series_without_samples_in_the_range_are_left_out(stored: Asker):
    found = await stored.data("/api/v1/series", **{"match[]": "up", "start": "1699999700", "end": "1700000000"})
    assert found == [dict(UP_A)]


async def test_a_limit_cuts_lists_and_says_so(stored: Asker):
    for path in ("series", "labels", "label/__name__/values"):
        status, answer = await stored.json(f"/api/v1/{path}", params={"match[]": '{__name__!=""}', "limit": "1"})
        assert status == 200
        assert len(answer["data"]) == 1, path
        assert answer["warnings"] == ["results truncated due to limit"]


async def test_label_names_and_values(stored: Asker):
    assert await stored.data("/api/v1/labels") == ["__name__", "instance", "job", "odd.näme"]
    assert await stored.data("/api/v1/labels", **{"match[]": "up"}) == ["__name__", "instance", "job"]
    assert await stored.data("/api/v1/label/instance/values") == ["a", "b"]
    assert await stored.data("/api/v1/label/instance/values", **{"match[]": "node_load1"}) == ["a"]
    assert await stored.data("/api/v1/label/nobody/values") == []


async def test_labels_can_be_asked_in_a_form(stored: Asker):
    status, answer = await stored.json("/api/v1/labels", "POST", data={"match[]": "node_load1"})
    assert (status, answer["data"]) == (200, ["__name__", "instance", "odd.näme"])


@pytest.mark.parametrize("path", ["odd.n%C3%A4me", "U__odd_2e_n_e4_me"])
async def test_odd_label_names_are_asked_for_as_they_are_or_escaped(stored: Asker, path: str):
    assert await stored.data(f"/api/v1/label/{path}/values") == ["x"]


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [
        ("series", {}, "no match[] parameter provided"),
        (
            "series",
            {"match[]": "{}"},
            'invalid parameter "match[]": 1:1: parse error: vector selector must contain at least one non-empty matcher',
        ),
        (
            "series",
            {"match[]": '{a=~".*"}'},
            'invalid parameter "match[]": 1:1: parse error: vector selector must contain at least one non-empty',
        ),
        ("series", {"match[]": "up["}, 'invalid parameter "match[]": 1:'),
        ("series", {"match[]": "up offset 5m"}, 'invalid parameter "match[]": 1:'),
        ("labels", {"match[]": '{a=~"("}'}, 'invalid parameter "match[]": '),
        ("labels", {"start": "x"}, "invalid parameter \"start\": Invalid time value for 'start': cannot parse"),
        ("label/a/values", {"end": "x"}, "invalid parameter \"end\": Invalid time value for 'end': cannot parse"),
        ("metadata", {"limit": "x"}, "limit must be a number"),
        ("rules", {"type": "x"}, 'invalid parameter "type": not supported value "x"'),
        ("rules", {"exclude_alerts": "maybe"}, 'invalid parameter "exclude_alerts": '),
        ("rules", {"group_next_token": "x"}, 'invalid parameter "group_limit": '),
        ("status/tsdb", {"limit": "0"}, 'invalid parameter "limit": limit must be between 1 and 10000'),
    ],
)
async def test_what_cannot_be_understood_is_bad_data(stored: Asker, path: str, parameters: dict[str, str], error: str):
    status, error_type, message = await stored.error(f"/api/v1/{path}", **parameters)
    assert (status, error_type) == (400, "bad_data")
    assert message.startswith(error)


async def test_metadata_by_family(asker: Asker):
    now = asker.site.clock.now()
    fill(asker.site.store, ["a"], now - 60, (now - 10, now), 5)
    load = [{"type": "gauge", "help": "1m load average.", "unit": ""}]
    assert (await asker.data("/api/v1/metadata"))["node_load1"] == load
    assert await asker.data("/api/v1/metadata", metric="node_load1") == {"node_load1": load}
    assert await asker.data("/api/v1/metadata", metric="nobody") == {}
    assert len(await asker.data("/api/v1/metadata", limit="1")) == 1


async def test_targets_with_everything_a_page_needs(asker: Asker):
    data = await asker.data("/api/v1/targets")
    down = data["activeTargets"][3]
    assert down == {
        "discoveredLabels": {"__address__": "127.0.0.1:9323", "job": "docker"},
        "labels": {"instance": "127.0.0.1:9323", "job": "docker"},
        "scrapePool": "docker",
        "scrapeUrl": "http://127.0.0.1:9323/metrics",
        "globalUrl": "http://127.0.0.1:9323/metrics",
        "lastError": 'Get "http://127.0.0.1:9323/metrics": connection refused: nothing listens there',
        "lastScrape": "2023-11-14T22:13:16.8Z",
        "lastScrapeDuration": 0.0124,
        "health": "down",
        "scrapeInterval": "15s",
        "scrapeTimeout": "10s",
    }
    assert data["activeTargets"][4]["lastScrape"] == "0001-01-01T00:00:00Z"
    assert data["droppedTargetCounts"] == {"docker": 0, "node": 1, "nunchi": 0, "quiet": 0}


async def test_targets_by_state_and_pool(asker: Asker):
    active = await asker.data("/api/v1/targets", state="active", scrapePool="docker")
    assert (len(active["activeTargets"]), active["droppedTargets"]) == (2, [])
    dropped = await asker.data("/api/v1/targets", state="dropped")
    assert (dropped["activeTargets"], len(dropped["droppedTargets"])) == ([], 1)
    assert await asker.data("/api/v1/scrape_pools") == {"scrapePools": ["docker", "node", "nunchi", "quiet"]}


async def test_rules_with_their_alerts(asker: Asker):
    groups = (await asker.data("/api/v1/rules"))["groups"]
    assert [group["name"] for group in groups] == ["host", "recordings"]
    down, recording = groups[0]["rules"][0], groups[1]["rules"][0]
    assert (down["type"], down["state"], down["duration"], down["health"]) == ("alerting", "firing", 300, "ok")
    assert down["alerts"][0]["value"] == "0e+00"
    assert down["alerts"][0]["activeAt"] == "2023-11-14T22:06:40Z"
    assert set(recording) == {"name", "query", "labels", "health", "evaluationTime", "lastEvaluation", "type"}
    assert groups[1]["rules"][1]["lastError"].startswith("found duplicate series")


async def test_rules_are_filtered(asker: Asker):
    async def names(query: str) -> list[str]:
        _, answer = await asker.json(f"/api/v1/rules?{query}")
        return [rule["name"] for group in answer["data"]["groups"] for rule in group["rules"]]

    assert await names("type=record") == ["instance:cpu_busy:ratio", "instance:broken:ratio"]
    assert await names("type=alert&rule_name[]=ClockSkew") == ["ClockSkew"]
    assert await names("rule_group[]=recordings&rule_name[]=ClockSkew") == []
    assert await names('match[]={severity="critical"}') == ["InstanceDown"]
    _, answer = await asker.json("/api/v1/rules?exclude_alerts=true")
    assert answer["data"]["groups"][0]["rules"][0]["alerts"] == []


async def test_rule_groups_are_paged(asker: Asker):
    first = await asker.data("/api/v1/rules", group_limit="1")
    assert [group["name"] for group in first["groups"]] == ["host"]
    second = await asker.data("/api/v1/rules", group_limit="1", group_next_token=first["groupNextToken"])
    assert [group["name"] for group in second["groups"]] == ["recordings"]
    assert "groupNextToken" not in second


async def test_alerts_and_alertmanagers(asker: Asker):
    alerts = (await asker.data("/api/v1/alerts"))["alerts"]
    assert [(alert["state"], alert["value"]) for alert in alerts] == [("firing", "0e+00"), ("pending", "-1.5e+09")]
    active = [{"url": "http://127.0.0.1:9093/api/v2/alerts"}]
    expected = {"activeAlertmanagers": active, "droppedAlertmanagers": []}
    assert await asker.data("/api/v1/alertmanagers") == expected


async def test_status_of_build_runtime_flags_and_configuration(asker: Asker):
    assert (await asker.data("/api/v1/status/buildinfo"))["version"] == "0.1.0"
    assert (await asker.data("/api/v1/status/runtimeinfo"))["reloadConfigSuccess"] is True
    assert (await asker.data("/api/v1/status/flags"))["log.level"] == "info"
    assert "password: <secret>" in (await asker.data("/api/v1/status/config"))["yaml"]


async def test_storage_status_counts_what_series_are_spent_on(stored: Asker):
    data = await stored.data("/api/v1/status/tsdb", limit="2")
    assert data["headStats"]["numSeries"] == 3
    assert data["headStats"]["numLabelPairs"] == 6
    assert data["seriesCountByMetricName"] == [{"name": "up", "value": 2}, {"name": "node_load1", "value": 1}]
    assert data["labelValueCountByLabelName"][0] == {"name": "__name__", "value": 2}
    assert data["seriesCountByLabelValuePair"][0]["value"] == 2
    assert len(data["memoryInBytesByLabelName"]) == 2


async def test_storage_status_of_an_empty_store(asker: Asker):
    data = await asker.data("/api/v1/status/tsdb")
    assert data["headStats"]["numSeries"] == 0
    assert data["seriesCountByMetricName"] == []


async def test_health_readiness_telemetry_and_version(asker: Asker):
    assert (await asker.text("/-/healthy"))[0] == 200
    assert (await asker.text("/-/ready"))[0] == 200
    assert (await asker.text("/metrics"))[1].startswith("# TYPE nunchi_requests_total counter")
    assert (await asker.json("/version"))[1]["version"] == "0.1.0"
    asker.site.status.reason = "loading"
    assert await asker.text("/-/ready") == (503, "Service Unavailable: loading\n")
    assert (await asker.text("/-/healthy"))[0] == 200
    assert (await asker.text("/"))[0] == 200


async def test_reload_reloads_or_says_what_is_broken(asker: Asker):
    assert (await asker.text("/-/reload", "POST"))[0] == 200
    assert asker.site.status.reloads == 1
    asker.site.status.broken = "prometheus.yml:3:1: unknown key"
    assert await asker.text("/-/reload", "POST") == (500, "failed to reload config: prometheus.yml:3:1: unknown key\n")


async def test_a_page_of_another_site_cannot_reload(asker: Asker):
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await asker.text("/-/reload", "POST", headers=headers))[0] == 403
    assert asker.site.status.reloads == 0


async def test_the_summary_counts_what_is_unwell(asker: Asker):
    assert await asker.data("/api/nunchi/v1/summary") == {
        "targets": {"up": 3, "down": 1, "unknown": 1},
        "agents": {"up": 1, "down": 1},
        "alerts": {"firing": 1, "pending": 1, "names": ["InstanceDown", "FilesystemFillsUp"]},
        "notifications": [],
        "instance": INSTANCE,
        "intervals": {
            "127.0.0.1:9190": 15.0,
            "web-1.example:9100": 15.0,
            "web-2.example:9100": 15.0,
            "127.0.0.1:9323": 15.0,
            "127.0.0.1:9324": 15.0,
            INSTANCE: 10.0,
            "db-1.example": 10.0,
        },
    }


async def test_functions_and_aggregations(asker: Asker):
    functions = await asker.data("/api/nunchi/v1/functions")
    rate = next(function for function in functions["functions"] if function["name"] == "rate")
    assert rate["signature"] == "rate(range vector) returns instant vector"
    assert "topk" in functions["aggregations"]


async def test_an_unknown_dashboard_is_not_found(asker: Asker):
    assert (await asker.data("/api/nunchi/v1/dashboards")) == {"dashboards": ["host"]}
    status, error_type, _ = await asker.error("/api/nunchi/v1/dashboards/nobody")
    assert (status, error_type) == (404, "not_found")


async def test_every_expression_of_every_dashboard_returns_data(asker: Asker):
    from nunchi.web.dashboards import load_dashboards

    now = asker.site.clock.now()
    fill(asker.site.store, [INSTANCE], now - 3600, (now - 300, now), 5)
    for dashboard in load_dashboards().values():
        for selector in dashboard.instances:
            assert await asker.data("/api/v1/label/instance/values", **{"match[]": selector}) == [INSTANCE]
        for name, expression in dashboard.expressions(INSTANCE, "60s").items():
            data = await asker.data("/api/v1/query", query=expression)
            assert data["result"], f"{dashboard.name}: {name}: {expression}"
