"""What alerts remember across a restart."""

import pytest
from tests.rules.canned import House, instances

from nunchi.model.alert import AlertState

MINUTE = 60_000
T0 = 1_700_000_040_000
RULE = "groups: [{name: g, rules: [{alert: Down, expr: up, for: %s}]}]"


async def run(house, group, begin, minutes):
    for minute in range(minutes):
        await group.evaluate(begin + minute * MINUTE)


async def restart_after(down_minutes: int, hold: str, ran_minutes: int):
    before = House()
    before.evaluator.answers["up"] = lambda at: instances(["a"])
    await run(before, before.group(RULE % hold), T0, ran_minutes)
    after = House(before.store)
    after.evaluator.answers["up"] = lambda at: instances(["a"])
    group = after.group(RULE % hold, is_restored=False)
    begin = T0 + (ran_minutes + down_minutes) * MINUTE
    await run(after, group, begin, 2)
    return after, group, begin + MINUTE


async def test_downtime_does_not_count_as_pending():
    _, group, now = await restart_after(down_minutes=20, hold="2h", ran_minutes=31)
    [alert] = group.status().rules[0].alerts
    assert alert.active_at_ms == T0 + (now - (T0 + 30 * MINUTE))


async def test_alert_that_had_fired_fires_at_the_next_evaluation():
    _, group, now = await restart_after(down_minutes=20, hold="15m", ran_minutes=31)
    assert group.status().rules[0].alerts[0].active_at_ms == T0
    await group.evaluate(now + MINUTE)
    assert group.status().rules[0].state is AlertState.FIRING


async def test_little_remaining_time_becomes_the_grace_time():
    _, group, now = await restart_after(down_minutes=20, hold="35m", ran_minutes=31)
    assert group.status().rules[0].alerts[0].active_at_ms == now + 10 * MINUTE - 35 * MINUTE


@pytest.mark.parametrize(("down", "hold"), [(20, "5m"), (90, "2h")])
async def test_short_holds_and_long_outages_begin_anew(down, hold):
    _, group, now = await restart_after(down_minutes=down, hold=hold, ran_minutes=31)
    assert group.status().rules[0].alerts[0].active_at_ms == now - MINUTE


async def test_state_series_are_written_only_once_restored():
    after, group, now = await restart_after(down_minutes=20, hold="2h", ran_minutes=31)
    [cells] = after.samples("ALERTS_FOR_STATE").values()
    assert cells[-1][0] == T0 + 30 * MINUTE
    await group.evaluate(now + MINUTE)
    [cells] = after.samples("ALERTS_FOR_STATE").values()
    assert cells[-1] == (now + MINUTE, group.status().rules[0].alerts[0].active_at_ms // 1000)
