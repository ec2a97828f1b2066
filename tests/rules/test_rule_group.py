"""Recording, order within a group, staleness, limits, offsets, missed slots, reloads."""

import asyncio
from itertools import pairwise

from tests.rules.canned import House, instances

from nunchi.model.labels import Labels
from nunchi.rules.files import parse_rule_file
from nunchi.rules.rule_group import GroupDefaults, RuleGroup
from nunchi.rules.rule_manager import RuleManager
from nunchi.rules.schedule import Schedule
from nunchi.rules.surroundings import Surroundings

MINUTE = 60_000
T0 = 1_700_000_040_000

RECORD = """
groups:
  - name: g
    rules:
      - {record: "job:up:sum", expr: "sum(up)", labels: {kind: total, instance: ""}}
"""


async def test_recorded_series_have_the_rule_name_and_labels():
    house = House()
    group = house.group(RECORD)
    house.evaluator.answers["sum(up)"] = lambda at: instances(["a"], 3.0)
    await group.evaluate(T0)
    assert house.samples("job:up:sum") == {Labels.of("job:up:sum", kind="total"): [(T0, 3.0)]}


async def test_scalar_result_is_recorded_without_labels():
    house = House()
    group = house.group("groups: [{name: g, rules: [{record: one, expr: '1'}]}]")
    house.evaluator.answers["1"] = lambda at: 1.0
    await group.evaluate(T0)
    assert house.samples("one") == {Labels.of("one"): [(T0, 1.0)]}


async def test_vanished_results_get_one_staleness_marker():
    house = House()
    group = house.group(RECORD.replace(', instance: ""', ""))
    house.evaluator.answers["sum(up)"] = lambda at: instances(["a", "b"] if at == T0 else ["a"])
    for minute in range(3):
        await group.evaluate(T0 + minute * MINUTE)
    found = {labels.get("instance"): cells for labels, cells in house.samples("job:up:sum").items()}
    assert found["a"] == [(T0, 1.0), (T0 + MINUTE, 1.0), (T0 + 2 * MINUTE, 1.0)]
    assert found["b"] == [(T0, 1.0), (T0 + MINUTE, "stale")]


async def test_failed_rule_marks_its_series_stale_and_others_go_on():
    house = House()
    group = house.group("groups: [{name: g, rules: [{record: x, expr: a}, {record: y, expr: b}]}]")
    house.evaluator.answers |= {"a": lambda at: 1.0, "b": lambda at: 2.0}
    await group.evaluate(T0)
    del house.evaluator.answers["a"]
    await group.evaluate(T0 + MINUTE)
    assert house.samples("x")[Labels.of("x")][-1] == (T0 + MINUTE, "stale")
    assert house.samples("y")[Labels.of("y")][-1] == (T0 + MINUTE, 2.0)
    assert [rule.health.value for rule in group.status().rules] == ["err", "ok"]


async def test_result_labels_that_become_equal_are_an_error():
    house = House()
    group = house.group(RECORD)
    house.evaluator.answers["sum(up)"] = lambda at: instances(["a", "b"])
    await group.evaluate(T0)
    assert "same labelset" in group.status().rules[0].last_error
    assert house.samples("job:up:sum") == {}


async def test_limit_drops_the_whole_result():
    house = House()
    group = house.group("groups: [{name: g, limit: 1, rules: [{record: x, expr: a}]}]")
    house.evaluator.answers["a"] = lambda at: instances(["a", "b"])
    await group.evaluate(T0)
    assert "exceeded limit of 1 with 2 series" in group.status().rules[0].last_error
    assert house.samples("x") == {}


async def test_query_offset_moves_query_and_sample_back():
    house = House()
    group = house.group("groups: [{name: g, query_offset: 2m, rules: [{record: x, expr: a}]}]")
    house.evaluator.answers["a"] = lambda at: 1.0
    await group.evaluate(T0)
    assert house.evaluator.asked == [("a", T0 - 2 * MINUTE)]
    assert house.samples("x")[Labels.of("x")] == [(T0 - 2 * MINUTE, 1.0)]


async def test_a_rule_sees_what_the_rules_before_it_wrote_now():
    house = House()
    group = house.group(
        "groups: [{name: g, rules: [{record: x, expr: a}, {record: y, expr: x * 2}, {record: z, expr: x + 1}]}]"
    )
    counts = []
    original = house.store.appender

    def counting():
        counts.append(1)
        return original()

    house.store.appender = counting

    def present_x(at):
        cells = house.samples("x").get(Labels.of("x"), [])
        assert cells
        assert cells[-1][0] == at
        return 5.0

    house.evaluator.answers |= {"a": lambda at: 1.0, "x * 2": present_x, "x + 1": present_x}
    await group.evaluate(T0)
    assert len(counts) == 2, "x alone, then y and z in one row"


async def test_same_labels_again_cost_no_label_work(monkeypatch):
    house = House()
    group = house.group(RECORD.replace(', instance: ""', ""))
    house.evaluator.answers["sum(up)"] = lambda at: instances(["a", "b", "c"], at / 1000)
    await group.evaluate(T0)
    monkeypatch.setattr(Labels, "merge", None)
    await group.evaluate(T0 + MINUTE)
    assert [cells[-1][0] for cells in house.samples("job:up:sum").values()] == [T0 + MINUTE] * 3


async def test_register_is_renewed_under_churn():
    house = House()
    group = house.group(RECORD.replace(', instance: ""', ""))
    house.evaluator.answers["sum(up)"] = lambda at: instances([f"{at}-{n}" for n in range(200)])
    for minute in range(12):
        await group.evaluate(T0 + minute * MINUTE)
    assert len(group._register.layout) <= 1400
    ended = [cells for cells in house.samples("job:up:sum").values() if len(cells) == 2]
    assert len(ended) == 200 * 11


def test_slots_depend_on_names_alone_and_missed_ones_are_counted():
    schedule = Schedule.of("rules.yml", "g", 60_000)
    assert schedule == Schedule.of("rules.yml", "g", 60_000)
    assert schedule.offset_ms != Schedule.of("rules.yml", "h", 60_000).offset_ms
    slot = schedule.next_slot(T0)
    assert T0 < slot <= T0 + 60_000
    assert slot % 60_000 == schedule.offset_ms
    assert schedule.following(slot, slot + 10) == (slot + 60_000, 0)
    assert schedule.following(slot, slot + 60_500) == (slot + 60_000, 0)
    assert schedule.following(slot, slot + 185_000) == (slot + 180_000, 2)
    again, missed = schedule.following(slot, slot - 3_600_000)
    assert again <= slot - 3_600_000 + 60_000
    assert missed == 0


async def run_manager(house, manager, seconds):
    task = asyncio.create_task(manager.run())
    await house.clock.advance(seconds)
    return task


async def stop(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_manager_evaluates_every_slot_and_keeps_unchanged_groups():
    house = House()
    house.evaluator.answers |= {"a": lambda at: 1.0, "b": lambda at: 1.0}
    manager = RuleManager(house.connections)
    first = "groups: [{name: g, rules: [{record: x, expr: a}]}]"
    manager.apply(house.settings(first, interval_ms=10_000))
    task = await run_manager(house, manager, 100)
    kept = manager._groups["rules0.yml;g"]
    manager.apply(house.settings(first, "groups: [{name: h, rules: [{record: y, expr: b}]}]", interval_ms=10_000))
    await house.clock.advance(100)
    assert manager._groups["rules0.yml;g"] is kept
    times = [time for time, _ in house.samples("x")[Labels.of("x")]]
    assert len(times) == 20
    assert {late - early for early, late in pairwise(times)} == {10_000}
    assert len(house.samples("y")[Labels.of("y")]) == 10
    assert [status.name for status in manager.groups()] == ["g", "h"]
    await stop(task)


async def test_removed_group_ends_its_series_after_two_intervals():
    house = House()
    house.evaluator.answers["a"] = lambda at: 1.0
    manager = RuleManager(house.connections)
    manager.apply(house.settings("groups: [{name: g, rules: [{record: x, expr: a}]}]", interval_ms=10_000))
    task = await run_manager(house, manager, 30)
    manager.apply(house.settings())
    await house.clock.advance(19)
    assert house.samples("x")[Labels.of("x")][-1][1] == 1.0
    await house.clock.advance(2)
    assert house.samples("x")[Labels.of("x")][-1][1] == "stale"
    await stop(task)


async def test_rule_removed_from_a_group_ends_its_series():
    house = House()
    house.evaluator.answers |= {"a": lambda at: 1.0, "b": lambda at: 1.0}
    old = house.group("groups: [{name: g, rules: [{record: x, expr: a}, {record: y, expr: b}]}]")
    await old.evaluate(T0)
    new = house.group("groups: [{name: g, rules: [{record: y, expr: b}]}]")
    new.take_over(old)
    await new.evaluate(T0 + MINUTE)
    assert house.samples("x")[Labels.of("x")] == [(T0, 1.0), (T0 + MINUTE, "stale")]
    assert house.samples("y")[Labels.of("y")] == [(T0, 1.0), (T0 + MINUTE, 1.0)]


async def test_slow_evaluation_counts_missed_slots():
    house = House()

    class Slow:
        async def evaluate(self, expression, at_ms):
            await house.clock.sleep(35)
            return await house.evaluator.evaluate(expression, at_ms)

    house.evaluator.answers["a"] = lambda at: 1.0
    connections = type(house.connections)(
        Slow(), house.store, house.sink, house.clock, house.connections.telemetry, house.connections.log
    )
    manager = RuleManager(connections)
    manager.apply(house.settings("groups: [{name: g, rules: [{record: x, expr: a}]}]", interval_ms=10_000))
    task = await run_manager(house, manager, 400)
    [status] = manager.groups()
    assert status.iterations_missed >= 20
    assert house.connections.telemetry._missed.value("rules0.yml;g") == status.iterations_missed
    await stop(task)


def test_an_interval_of_nothing_is_the_global_one_and_no_offset_is_an_offset() -> None:
    house = House()
    assert house.group("groups: [{name: g, interval: 0s}]", interval_ms=15_000).interval_ms == 15_000
    for text, offset_ms in (("", 30_000), ("query_offset: 0s", 0), ("query_offset: 1m", 60_000)):
        file = parse_rule_file(f"groups: [{{name: g, {text}}}]", "r.yml")
        defaults = GroupDefaults(query_offset_ms=30_000)
        group = RuleGroup(file.groups[0], "r.yml", defaults, Surroundings(), house.connections, is_restored=True)
        assert group.query_offset_ms == offset_ms


async def test_a_limit_below_nothing_is_none():
    house = House()
    house.evaluator.answers["up"] = lambda _: instances(["a", "b"])
    group = house.group("groups: [{name: g, limit: -1, rules: [{record: x, expr: up}]}]")
    await group.evaluate(T0)
    assert [rule.last_error for rule in group.status().rules] == [""]
