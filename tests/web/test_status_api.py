"""What the process says of its own state: loading, notifications, features, targets' metadata, and its end."""

from tests.web.conftest import Asker

from nunchi.query.engine import Engine
from nunchi.web.prometheus_api.features import FeatureEndpoints
from nunchi.web.prometheus_api.parameters import Parameters


async def test_loading_is_told_in_percent_and_as_done(asker: Asker):
    done = {"min": 0, "max": 100, "current": 100, "state": "done"}
    assert await asker.data("/api/v1/status/walreplay") == done


async def test_notifications_name_what_is_wrong_and_are_empty_where_nothing_is(asker: Asker):
    assert await asker.data("/api/v1/notifications") == []
    asker.site.status.broken = "the configuration is broken"
    assert await asker.data("/api/v1/notifications") == [
        {"text": "the configuration is broken", "date": "2023-11-14T22:13:20Z", "active": True}
    ]


async def test_features_are_told_by_category(asker: Asker):
    features = await asker.data("/api/v1/features")
    assert {"api", "promql", "promql_functions", "promql_operators"} == features.keys()
    assert features["api"]["label_values_match"] is True
    assert features["promql_functions"]["rate"] is True
    assert features["promql_functions"]["mad_over_time"] is False
    assert features["promql_operators"]["limitk"] is False
    assert features["promql_operators"]["=~"] is True
    assert all(isinstance(is_on, bool) for names in features.values() for is_on in names.values())


async def test_metadata_by_target(asker: Asker):
    everything = await asker.data("/api/v1/targets/metadata")
    assert len(everything) == 6
    assert everything[0] == {
        "target": {"instance": "127.0.0.1:9190", "job": "nunchi"},
        "metric": "node_load1",
        "type": "gauge",
        "help": "1m load average.",
        "unit": "",
    }
    named = await asker.data("/api/v1/targets/metadata", metric="node_load1", match_target='{rack="b12"}')
    assert [("metric" in one, one["target"]["rack"], one["type"]) for one in named] == [(False, "b12", "gauge")]
    assert len(await asker.data("/api/v1/targets/metadata", limit="1")) == 2
    assert await asker.data("/api/v1/targets/metadata", limit="0") == []


async def test_a_selector_of_targets_that_is_none_is_named(asker: Asker):
    status, kind, text = await asker.error("/api/v1/targets/metadata", match_target="up{")
    assert (status, kind, text.split(":")[0]) == (400, "bad_data", 'invalid parameter "match_target"')


async def test_quit_ends_the_process_where_the_lifecycle_api_is_on(asker: Asker):
    assert (await asker.text("/-/quit"))[0] == 405
    assert asker.site.quits == 0
    assert await asker.text("/-/quit", "POST") == (200, "nunchi is stopping.\n")
    assert asker.site.quits == 1


async def test_a_page_of_another_site_cannot_end_the_process(asker: Asker):
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await asker.text("/-/quit", "POST", headers=headers))[0] == 403
    assert asker.site.quits == 0


async def test_telemetry_is_openmetrics_where_that_is_liked_better(asker: Asker):
    for accept, kind, end in (
        ("application/openmetrics-text", "application/openmetrics-text", "# EOF\n"),
        ("*/*", "text/plain", " 12\n"),
    ):
        async with asker.session.get(asker.site.url + "/metrics", headers={"Accept": accept}) as response:
            assert response.content_type == kind
            assert (await response.text()).endswith(end)


async def test_features_tell_whether_series_carry_their_types():
    for labels_types in (False, True):
        answer = await FeatureEndpoints(Engine(), labels_types=labels_types).features(Parameters())
        assert answer.data["promql"]["type_and_unit_labels"] is labels_types
