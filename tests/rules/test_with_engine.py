"""Rules over the real engine and store: what a rule writes is what the next one reads, in the same evaluation."""

import numpy as np
import pytest
from tests.rules.canned import RememberingSink

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.runner import QueryRunner
from nunchi.rules.files import parse_rule_file
from nunchi.rules.rule_group import Connections, GroupDefaults, RuleGroup
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.server.evaluator import RuleEvaluator
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

T0 = 1_700_000_000_000

CHAIN = """
groups:
  - name: chain
    rules:
      - {record: "room:heat:max", expr: "max by (room) (heat)"}
      - {record: "room:heat:doubled", expr: "room:heat:max * 2"}
      - alert: Hot
        expr: room:heat:doubled > 60
        labels: {room_again: "{{ $labels.room }}"}
        annotations:
          others: '{{ range query "sort_desc(room:heat:max)" }}{{ .Labels.room }}={{ .Value }} {{ end }}'
      - {record: hot, expr: 'count(ALERTS{alertstate="firing"})'}
"""


class Building:
    def __init__(self) -> None:
        self.clock = VirtualClock(T0 / 1000)
        self.store = MemoryStore(self.clock)
        self.sink = RememberingSink()
        self.queries = QueryRunner(Engine(EngineSettings()), self.clock)

    def heat(self, at_ms: int, **rooms: float) -> None:
        layout = Layout.of(*(Labels.of("heat", room=room, sensor=str(n)) for room in rooms for n in range(2)))
        values = np.array([value - n for value in rooms.values() for n in range(2)], np.float64)
        appender = self.store.appender()
        appender.append(Batch.row(layout, at_ms, np.arange(len(values), dtype=np.int32), values))
        appender.commit()

    def group(self, text: str) -> RuleGroup:
        file = parse_rule_file(text, "r.yml")
        telemetry = RuleTelemetry(Telemetry())
        evaluator = RuleEvaluator(self.queries, self.store)
        connections = Connections(evaluator, self.store, self.sink, self.clock, telemetry, logger("rules"))
        surroundings = Surroundings(Labels(), "http://nunchi.example")
        return RuleGroup(file.groups[0], file.path, GroupDefaults(), surroundings, connections, is_restored=True)

    async def ask(self, expression: str, at_ms: int) -> dict[Labels, float]:
        value = (await self.queries.instant(self.store.querier, expression, at_ms)).value
        return {value.labels.labels(place): number for place, number in enumerate(value.values.tolist())}


@pytest.fixture
async def building():
    house = Building()
    yield house
    await house.queries.close()


async def test_rules_of_a_group_build_on_each_other_within_one_evaluation(building):
    building.heat(T0, kitchen=40.0, hall=20.0)
    group = building.group(CHAIN)
    await group.evaluate(T0)
    assert [rule.last_error for rule in group.status().rules] == [""] * 4
    assert await building.ask("room:heat:doubled", T0) == {
        Labels.of("room:heat:doubled", room="hall"): 40.0,
        Labels.of("room:heat:doubled", room="kitchen"): 80.0,
    }
    assert await building.ask("hot", T0) == {Labels.of("hot"): 1.0}
    [alert] = building.sink.alerts
    assert alert.labels == Labels.of(alertname="Hot", room="kitchen", room_again="kitchen")
    assert alert.annotations.get("others") == "kitchen=40 hall=20 "


async def test_vanished_results_are_gone_at_once_for_queries(building):
    building.heat(T0, kitchen=40.0)
    group = building.group(CHAIN)
    await group.evaluate(T0)
    building.clock.jump(60)
    building.heat(T0 + 60_000, kitchen=10.0)
    await group.evaluate(T0 + 60_000)
    assert await building.ask("hot", T0 + 60_000) == {}
    assert await building.ask("ALERTS", T0 + 60_000) == {}
    assert await building.ask("ALERTS_FOR_STATE", T0) == {
        Labels.of("ALERTS_FOR_STATE", alertname="Hot", room="kitchen", room_again="kitchen"): T0 / 1000
    }
    assert building.sink.alerts[-1].ends_at_ms == T0 + 60_000


async def test_string_results_and_broken_joins_are_the_rule_s_error(building):
    building.heat(T0, kitchen=40.0)
    group = building.group(
        "groups: [{name: g, rules: [{record: a, expr: '\"text\"'}, {record: b, expr: 'heat + on(room) heat'}]}]"
    )
    await group.evaluate(T0)
    errors = [rule.last_error for rule in group.status().rules]
    assert "string" in errors[0]
    assert "many-to-many" in errors[1]
