"""The state machine of alerting rules, evaluation by evaluation."""

import pytest
from tests.rules.canned import House, instances

from nunchi.model.alert import AlertState
from nunchi.model.labels import Labels

MINUTE = 60_000
T0 = 1_700_000_040_000

HELD = """
groups:
  - name: g
    labels: {team: blue}
    rules:
      - alert: Down
        expr: up == 0
        for: 5m
        labels: {severity: page, where: "{{ $labels.instance }}"}
        annotations: {summary: "{{ $labels.instance }} is {{ $value }}"}
"""


def status(group):
    [rule] = group.status().rules
    return rule


async def test_alert_is_pending_until_held_then_fires_and_resolves():
    house = House()
    group = house.group(HELD)
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"], 0.0) if at < T0 + 7 * MINUTE else {}
    seen = []
    for minute in range(10):
        await group.evaluate(T0 + minute * MINUTE)
        seen.append(status(group).state)
    assert seen == [AlertState.PENDING] * 5 + [AlertState.FIRING] * 2 + [AlertState.INACTIVE] * 3
    first = house.sink.alerts[0]
    assert first.labels == Labels.of(alertname="Down", instance="a", severity="page", team="blue", where="a")
    assert first.annotations == Labels({"summary": "a is 0"})
    assert first.starts_at_ms == T0 + 5 * MINUTE
    assert first.ends_at_ms == T0 + 5 * MINUTE + 4 * MINUTE
    assert first.generator_url == "http://nunchi.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
    resolved = [alert for alert in house.sink.alerts if alert.ends_at_ms == T0 + 7 * MINUTE]
    assert len(resolved) == 3, "a resolved alert is told again at every resend delay"


async def test_zero_hold_fires_in_the_same_evaluation():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 0s"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"], 0.0)
    await group.evaluate(T0)
    assert status(group).state is AlertState.FIRING
    assert status(group).alerts[0].active_at_ms == T0


async def test_pending_alert_that_is_not_returned_is_forgotten_at_once():
    house = House()
    group = house.group(HELD)
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"]) if at == T0 else {}
    await group.evaluate(T0)
    await group.evaluate(T0 + MINUTE)
    assert status(group).alerts == ()
    assert house.sink.alerts == []


async def test_keep_firing_for_bridges_gaps_and_keeps_the_value():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 0s\n        keep_firing_for: 3m"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"], 7.0) if at in (T0, T0 + 2 * MINUTE) else {}
    states = []
    for minute in range(7):
        await group.evaluate(T0 + minute * MINUTE)
        alerts = status(group).alerts
        states.append((alerts[0].state.value, alerts[0].value, alerts[0].keep_firing_since_ms) if alerts else None)
    since = T0 + 3 * MINUTE
    assert states == [
        ("firing", 7.0, 0),
        ("firing", 7.0, T0 + MINUTE),
        ("firing", 7.0, 0),
        ("firing", 7.0, since),
        ("firing", 7.0, since),
        ("firing", 7.0, since),
        None,
    ]


async def test_resolved_alert_is_kept_fifteen_minutes_and_comes_back_as_a_new_one():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 0s"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"]) if at in (T0, T0 + 30 * MINUTE) else {}
    for minute in range(30):
        await group.evaluate(T0 + minute * MINUTE)
    told = [alert.updated_at_ms for alert in house.sink.alerts if alert.ends_at_ms == T0 + MINUTE]
    assert told == [T0 + minute * MINUTE for minute in range(1, 17)]
    await group.evaluate(T0 + 30 * MINUTE)
    assert status(group).alerts[0].active_at_ms == T0 + 30 * MINUTE


async def test_same_label_set_twice_is_an_error_and_changes_no_state():
    house = House()
    group = house.group(HELD.replace('where: "{{ $labels.instance }}"', "instance: one"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"])
    await group.evaluate(T0)
    house.evaluator.answers["up == 0"] = lambda at: instances(["a", "b"])
    await group.evaluate(T0 + MINUTE)
    rule = status(group)
    assert rule.health.value == "err"
    assert "same labelset" in rule.last_error
    assert [alert.active_at_ms for alert in rule.alerts] == [T0]


async def test_limit_forgets_all_alerts_of_the_rule():
    house = House()
    group = house.group(HELD.replace("name: g", "name: g\n    limit: 1"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a", "b"])
    await group.evaluate(T0)
    assert "exceeded limit of 1 with 2 alerts" in status(group).last_error
    assert status(group).alerts == ()


async def test_firing_alerts_are_sent_again_after_the_resend_delay_only():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 0s"), interval_ms=15_000)
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"])
    for step in range(9):
        await group.evaluate(T0 + step * 15_000)
    assert [alert.updated_at_ms - T0 for alert in house.sink.alerts] == [0, 60_000, 120_000]


async def test_series_of_alerts_follow_their_state():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 1m"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"]) if at < T0 + 2 * MINUTE else {}
    for minute in range(4):
        await group.evaluate(T0 + minute * MINUTE)
    alerts = {labels.get("alertstate"): cells for labels, cells in house.samples("ALERTS").items()}
    assert alerts == {
        "pending": [(T0, 1.0), (T0 + MINUTE, "stale")],
        "firing": [(T0 + MINUTE, 1.0), (T0 + 2 * MINUTE, "stale")],
    }
    [for_state] = house.samples("ALERTS_FOR_STATE").values()
    assert for_state == [(T0, T0 / 1000), (T0 + MINUTE, T0 / 1000), (T0 + 2 * MINUTE, "stale")]


async def test_template_asks_queries_once_for_all_alerts():
    house = House()
    group = house.group(HELD.replace("is {{ $value }}", '{{ with query \\"total\\" }}{{ . | first | value }}{{ end }}'))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a", "b", "c"])
    house.evaluator.answers["total"] = lambda at: 42.0
    await group.evaluate(T0)
    assert [alert.annotations.get("summary") for alert in status(group).alerts] == ["a 42", "b 42", "c 42"]
    assert [asked for asked in house.evaluator.asked if asked[0] == "total"] == [("total", T0)]


async def test_failing_template_does_not_fail_its_alert():
    house = House()
    group = house.group(HELD.replace("{{ $value }}", "{{ humanize $labels.instance }}"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"])
    await group.evaluate(T0)
    [alert] = status(group).alerts
    assert alert.annotations.get("summary").startswith("<error expanding template: template summary:1:")
    assert status(group).health.value == "ok"


async def test_longer_hold_after_reload_puts_firing_back_to_pending():
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 1m"))
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"])
    for minute in range(3):
        await group.evaluate(T0 + minute * MINUTE)
    assert status(group).state is AlertState.FIRING
    longer = house.group(HELD)
    longer.take_over(group)
    await longer.evaluate(T0 + 3 * MINUTE)
    assert status(longer).state is AlertState.PENDING
    await longer.evaluate(T0 + 5 * MINUTE)
    assert status(longer).state is AlertState.FIRING


async def test_failed_query_keeps_alerts_and_says_why():
    house = House()
    group = house.group(HELD)
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"])
    await group.evaluate(T0)
    del house.evaluator.answers["up == 0"]
    await group.evaluate(T0 + MINUTE)
    rule = status(group)
    assert (rule.health.value, rule.last_error) == ("err", "no answer for up == 0")
    assert len(rule.alerts) == 1


@pytest.mark.parametrize("days", [30])
async def test_a_month_of_flapping_never_duplicates_or_loses_a_state(days):
    """Every firing phase is announced, and every announced phase is ended, with matching times."""
    house = House()
    group = house.group(HELD.replace("for: 5m", "for: 2m"))
    phase = 17
    house.evaluator.answers["up == 0"] = lambda at: instances(["a"]) if (at // MINUTE) % phase < 7 else {}
    for minute in range(days * 24 * 60 // 10):
        await group.evaluate(T0 + minute * MINUTE)
    starts = {alert.starts_at_ms for alert in house.sink.alerts}
    ends = {
        alert.starts_at_ms: alert.ends_at_ms for alert in house.sink.alerts if alert.ends_at_ms <= alert.updated_at_ms
    }
    assert len(starts) > 200
    assert starts - ends.keys() <= {max(starts)}
    assert {end - start for start, end in ends.items()} == {5 * MINUTE}
