"""An incident from samples to messages in one process on one virtual clock: rules, sender, notifier, receiver."""

import asyncio

from tests.notify.station import opened
from tests.rules.canned import House, instances

from nunchi.model.labels import Labels
from nunchi.notify.alert_sender import AlertSender
from nunchi.rules.rule_group import Connections
from nunchi.rules.rule_manager import RuleManager

RULES = """
groups:
  - name: hosts
    interval: 15s
    rules:
      - {alert: Down, expr: up == 0, for: 2m, labels: {severity: page}}
"""
ROUTES = """
route: {receiver: team, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: team, webhook_configs: [{url: "http://127.0.0.1/"}]}]
"""
MINUTE = 60


async def test_an_outage_of_an_hour_is_told_once_and_its_end_once(monkeypatch):
    house = House()
    async with opened(ROUTES, monkeypatch, house.clock.now()) as station:
        sender = AlertSender([station.notifier])
        sender.apply(Labels.of(site="here"), ())
        old = house.connections
        manager = RuleManager(Connections(old.evaluator, old.store, sender, station.clock, old.telemetry, old.log))
        begin_ms = station.clock.now_ms()

        def down(at_ms):
            minutes = (at_ms - begin_ms) / 60_000
            hosts = [
                name for name, first, last in (("a", 10, 70), ("b", 12, 70), ("c", 20, 21)) if first <= minutes < last
            ]
            return instances(hosts, 0.0)

        house.evaluator.answers["up == 0"] = down
        manager.apply(house.settings(RULES))
        task = asyncio.create_task(manager.run())
        await station.clock.advance(9 * 60 * MINUTE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert [(sent.firing, sent.resolved) for sent in station.sent] == [
        (["a"], []),
        (["a", "b"], []),
        ([], ["a", "b"]),
    ]
    first, second, last = station.sent
    assert 12 * MINUTE <= first.at <= 12 * MINUTE + 15 + 30
    assert second.at == first.at + 5 * MINUTE
    assert 70 * MINUTE <= last.at <= 75 * MINUTE + 15
    assert station.notifications[0].alerts[0].labels == Labels.of(
        alertname="Down", instance="a", severity="page", site="here"
    )


async def test_rules_that_stop_being_evaluated_resolve_by_themselves(monkeypatch):
    house = House()
    async with opened(ROUTES, monkeypatch, house.clock.now()) as station:
        old = house.connections
        manager = RuleManager(
            Connections(old.evaluator, old.store, station.notifier, station.clock, old.telemetry, old.log)
        )
        house.evaluator.answers["up == 0"] = lambda at_ms: instances(["a"], 0.0)
        manager.apply(house.settings(RULES))
        task = asyncio.create_task(manager.run())
        await station.clock.advance(10 * MINUTE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await station.clock.advance(30 * MINUTE)
    assert [(sent.firing, sent.resolved) for sent in station.sent] == [(["a"], []), ([], ["a"])]
