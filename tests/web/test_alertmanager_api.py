"""Alertmanager's API: alerts and why they are kept back, groups, silences, and what is refused in which words."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import Asker

from nunchi.kit.settings import load
from nunchi.notify.settings import NotifySettings

ROUTES = """
route:
  receiver: hook
  group_by: [alertname]
  routes: [{matchers: [team="db"], receiver: db}]
receivers:
- {name: hook, webhook_configs: [{url: "http://127.0.0.1:9/secret"}]}
- {name: db}
inhibit_rules: [{source_matchers: [severity="page"], target_matchers: [severity="note"], equal: [host]}]
"""
BEGIN, HOUR_LATER = "2023-11-14T22:13:20.000Z", "2023-11-14T23:13:20Z"
DOWN = {"alertname": "Down", "host": "a", "severity": "page"}
SLOW = {"alertname": "Slow", "host": "a", "severity": "note", "team": "db"}


@pytest.fixture
async def api(asker: Asker) -> Asker:
    """A site that knows two alerts, one of which inhibits the other."""
    asker.site.notifier.apply(load(NotifySettings, ROUTES, "alertmanager.yml"), Path())
    told = [{"labels": DOWN, "annotations": {"summary": "gone"}, "generatorURL": "http://x/"}, {"labels": SLOW}]
    assert await asker.text("/api/v2/alerts", "POST", json=told) == (200, "")
    return asker


def silence(**changes: Any) -> dict[str, Any]:
    matcher = {"name": "alertname", "value": "Do.*", "isRegex": True}
    given = {"matchers": [matcher], "startsAt": BEGIN, "endsAt": HOUR_LATER, "createdBy": "ann", "comment": "known"}
    return {**given, **changes}


async def names(api: Asker, **parameters: str) -> list[str]:
    status, alerts = await api.json("/api/v2/alerts", params=parameters)
    assert status == 200
    return sorted(alert["labels"]["alertname"] for alert in alerts)


async def test_an_alert_is_shown_with_its_receivers_and_what_keeps_it_back(api: Asker):
    _, alerts = await api.json("/api/v2/alerts")
    down, slow = sorted(alerts, key=lambda alert: alert["labels"]["alertname"])
    assert down == {
        "labels": DOWN,
        "annotations": {"summary": "gone"},
        "startsAt": BEGIN.replace(".000", ""),
        "endsAt": "2023-11-14T22:18:20Z",
        "updatedAt": BEGIN.replace(".000", ""),
        "fingerprint": down["fingerprint"],
        "generatorURL": "http://x/",
        "receivers": [{"name": "hook"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
    }
    assert slow["receivers"] == [{"name": "db"}]
    assert slow["status"] == {
        "state": "suppressed",
        "silencedBy": [],
        "inhibitedBy": [down["fingerprint"]],
        "mutedBy": [],
    }


async def test_alerts_are_chosen_by_state_receiver_and_matchers(api: Asker):
    assert await names(api) == ["Down", "Slow"]
    assert await names(api, active="false") == ["Slow"]
    assert await names(api, inhibited="false") == ["Down"]
    assert await names(api, receiver="d.") == ["Slow"]
    assert await names(api, receiver="d") == []
    assert await names(api, filter='severity=~"p.*"') == ["Down"]
    await api.text("/api/v2/silences", "POST", json=silence())
    assert await names(api, silenced="false") == ["Slow"]


async def test_groups_are_those_that_are_notified_together(api: Asker):
    _, groups = await api.json("/api/v2/alerts/groups")
    assert [(group["labels"], group["receiver"]["name"], len(group["alerts"])) for group in groups] == [
        ({"alertname": "Down"}, "hook", 1),
        ({"alertname": "Slow"}, "db", 1),
    ]
    assert len((await api.json("/api/v2/alerts/groups?receiver=db"))[1]) == 1
    assert len((await api.json("/api/v2/alerts/groups?inhibited=false"))[1]) == 1


async def test_an_alert_that_has_ended_is_not_shown(api: Asker):
    ended = {"labels": DOWN, "startsAt": BEGIN, "endsAt": BEGIN}
    assert (await api.text("/api/v2/alerts", "POST", json=[ended]))[0] == 200
    assert await names(api) == ["Slow"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([{"labels": {}}], "the alert has no labels"),
        ([{"labels": {"alertname": ""}}], "the alert has no labels"),
        ([{"labels": DOWN, "startsAt": HOUR_LATER, "endsAt": BEGIN}], "the alert ends before it starts"),
        ({}, "the body cannot be read"),
        ([{"labels": DOWN, "startsAt": "noon"}], "the body cannot be read"),
    ],
)
async def test_alerts_that_are_none_are_refused(api: Asker, told: Any, words: str):
    status, text = await api.text("/api/v2/alerts", "POST", json=told)
    assert (status, words in text) == (400, True), text


async def test_good_alerts_are_taken_beside_bad_ones(api: Asker):
    told = [{"labels": {}}, {"labels": {"alertname": "New"}, "endsAt": "0001-01-01T00:00:00.000Z"}]
    assert (await api.text("/api/v2/alerts", "POST", json=told))[0] == 400
    assert await names(api) == ["Down", "New", "Slow"]


async def test_the_life_of_a_silence(api: Asker):
    status, made = await api.json("/api/v2/silences", "POST", json=silence())
    assert status == 200
    path = f"/api/v2/silence/{made['silenceID']}"
    matcher = {"name": "alertname", "value": "Do.*", "isRegex": True, "isEqual": True}
    begin = BEGIN.replace(".000", "")
    assert await api.json(path) == (
        200,
        {
            "id": made["silenceID"],
            "status": {"state": "active"},
            "matchers": [matcher],
            "startsAt": begin,
            "endsAt": HOUR_LATER,
            "updatedAt": begin,
            "createdBy": "ann",
            "comment": "known",
        },
    )
    changed = silence(id=made["silenceID"], comment="longer", endsAt="2023-11-15T00:00:00Z")
    assert await api.json("/api/v2/silences", "POST", json=changed) == (200, made)
    assert (await api.json(path))[1]["comment"] == "longer"
    assert await api.text(path, "DELETE") == (200, "")
    assert (await api.json(path))[1]["status"] == {"state": "expired"}
    assert await names(api, silenced="false") == ["Down", "Slow"]


async def test_silences_are_listed_by_state_and_chosen_by_matchers(api: Asker):
    later = silence(startsAt=HOUR_LATER, endsAt="2023-11-15T00:00:00Z", comment="later")
    for wanted in (later, silence(comment="now"), silence(comment="over")):
        _, made = await api.json("/api/v2/silences", "POST", json=wanted)
    await api.text(f"/api/v2/silence/{made['silenceID']}", "DELETE")
    _, listed = await api.json("/api/v2/silences")
    assert [one["comment"] for one in listed] == ["now", "later", "over"]
    assert len((await api.json("/api/v2/silences", params={"filter": 'alertname="Do.*"'}))[1]) == 3
    assert (await api.json("/api/v2/silences", params={"filter": 'alertname="Slow"'}))[1] == []


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"matchers": []}, 400, "needs at least one matcher"),
        ({"matchers": [{"name": "a", "value": "", "isRegex": False}]}, 400, "must not match the empty string"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400, "invalid silence: a=~"),
        ({"endsAt": "2020-01-01T00:00:00Z"}, 400, "ends before it starts"),
        ({"comment": ""}, 400, "comment is missing"),
        ({"createdBy": 1}, 400, "the body cannot be read"),
        ({"id": "00000000-0000-4000-8000-000000000000"}, 404, "silence not found"),
    ],
)
async def test_silences_that_cannot_be_are_refused(api: Asker, changes: dict[str, Any], status: int, words: str):
    given, text = await api.text("/api/v2/silences", "POST", json=silence(**changes))
    assert (given, words in text) == (status, True), text


async def test_a_silence_that_is_not_there(api: Asker):
    for method in ("GET", "DELETE"):
        assert await api.text("/api/v2/silence/00000000-0000-4000-8000-000000000000", method) == (404, "")
        status, answer = await api.json("/api/v2/silence/nope", method)
        assert (status, answer["code"]) == (422, 601)


async def test_a_page_of_another_site_cannot_silence(api: Asker):
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await api.text("/api/v2/silences", "POST", json=silence(), headers=headers))[0] == 403
    body = json.dumps(silence())
    status, _ = await api.text("/api/v2/silences", "POST", data=body, headers={"Content-Type": "text/plain"})
    assert status == 415
    assert (await api.json("/api/v2/silences"))[1] == []


async def test_status_and_receivers_show_no_secret(api: Asker):
    _, status = await api.json("/api/v2/status")
    assert status["cluster"] == {"status": "disabled", "peers": []}
    assert "receiver: hook" in status["config"]["original"]
    assert "secret@" not in status["config"]["original"]
    assert "9/secret" not in status["config"]["original"]
    assert await api.json("/api/v2/receivers") == (200, [{"name": "hook"}, {"name": "db"}])


async def test_without_a_configuration_alerts_are_known_and_go_nowhere(asker: Asker):
    await asker.text("/api/v2/alerts", "POST", json=[{"labels": DOWN}])
    _, (alert,) = await asker.json("/api/v2/alerts")
    assert (alert["receivers"], alert["status"]["state"]) == ([], "active")
    assert (await asker.json("/api/v2/status"))[1]["config"] == {"original": ""}
    assert await asker.json("/api/v2/receivers") == (200, [])


@pytest.mark.parametrize("query", ["filter=foo", "receiver=%5B"])
async def test_filters_that_are_none_are_refused(api: Asker, query: str):
    assert (await api.text(f"/api/v2/alerts?{query}"))[0] == 400
