"""Days of notifying in milliseconds: group wait, group interval, repeat interval, mutes, retries, reloads."""

from tests.notify.station import HOUR, failure, opened

from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.notify.errors import FailureReason
from nunchi.notify.silences import Silence

ROUTES = """
route: {receiver: team, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: team, webhook_configs: [{url: "http://127.0.0.1/"}]}]
"""


def silence(station, name, seconds):
    now_ms = station.clock.now_ms()
    matcher = Matcher("alertname", MatchOperator.EQUAL, name)
    return station.notifier.silences.set(Silence((matcher,), now_ms, now_ms + seconds * 1000, "me", "test"))


async def test_group_waits_then_adds_then_repeats(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(10)
        station.fire("Down", instance="b")
        await station.clock.advance(100)
        station.fire("Down", instance="c")
        await station.clock.advance(12 * HOUR)
    assert station.story() == [
        (30, "a b", ""),
        (330, "a b c", ""),
        (330 + 4 * HOUR + 300, "a b c", ""),
        (330 + 8 * HOUR + 600, "a b c", ""),
    ]
    assert [sent.cause for sent in station.sent] == [
        "first notification",
        "new alerts added",
        "repeat interval elapsed",
        "repeat interval elapsed",
    ]


async def test_resolved_alerts_are_told_at_the_next_interval_once(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        station.fire("Down", instance="b")
        await station.clock.advance(60)
        station.resolve("Down", instance="b")
        await station.clock.advance(400)
        station.resolve("Down", instance="a")
        await station.clock.advance(2 * HOUR)
    assert station.story() == [(30, "a b", ""), (330, "a", "b"), (630, "", "a")]


async def test_alert_that_ends_before_the_first_flush_is_never_told(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(10)
        station.resolve("Down", instance="a")
        await station.clock.advance(HOUR)
        assert station.notifier.groups() == []
    assert station.story() == []


async def test_alert_that_is_not_heard_of_again_resolves_by_its_end(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a", minutes=4)
        await station.clock.advance(HOUR)
    assert station.story() == [(30, "a", ""), (330, "", "a")]


async def test_alert_older_than_the_group_wait_is_told_at_once(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        await station.clock.advance(7)
        station.fire("Down", instance="a", started_ago=120)
        await station.clock.advance(60)
    assert station.times() == [7]


async def test_alert_that_fires_again_within_the_interval_is_one_notification(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(40)
        station.resolve("Down", instance="a")
        await station.clock.advance(60)
        station.fire("Down", instance="a")
        await station.clock.advance(HOUR)
    assert station.story() == [(30, "a", "")]


async def test_receiver_without_resolved_hears_no_end_and_can_hear_a_new_beginning(monkeypatch):
    routes = ROUTES.replace('url: "http://127.0.0.1/"', 'url: "http://127.0.0.1/", send_resolved: false')
    async with opened(routes, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(60)
        station.resolve("Down", instance="a")
        await station.clock.advance(HOUR)
        station.fire("Down", instance="a")
        await station.clock.advance(HOUR)
    assert [(firing, resolved) for _, firing, resolved in station.story()] == [("a", ""), ("a", "")]
    assert station.sent[1].cause == "first notification"


async def test_failed_sending_is_retried_and_the_end_is_never_lost(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(60)
        station.failures["team"] = [failure(is_retryable=True) for _ in range(25)]
        station.resolve("Down", instance="a")
        await station.clock.advance(3 * HOUR)
    assert station.sent[-1].resolved == ["a"]
    assert len(station.sent) == 2
    assert len(station.attempts) == 27


async def test_final_refusal_is_tried_again_only_at_the_next_interval(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.failures["team"] = [failure(is_retryable=False, reason=FailureReason.CLIENT_ERROR)]
        station.fire("Down", instance="a")
        await station.clock.advance(400)
    assert [at for at, _ in station.attempts] == [30, 330]
    assert station.metrics.failed.value("webhook", "clientError") == 1
    assert station.metrics.notifications.value("webhook") == 2


async def test_silence_mutes_and_its_end_tells(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        silence(station, "Down", 3600)
        station.fire("Down", instance="a")
        await station.clock.advance(2 * HOUR)
    assert station.story() == [(3630, "a", "")]
    assert station.metrics.suppressed.value("silence") > 0


async def test_end_of_an_alert_that_was_told_passes_a_silence(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a", minutes=48 * 60)
        await station.clock.advance(60)
        silence(station, "Down", 24 * 3600)
        await station.clock.advance(20 * HOUR)
        station.resolve("Down", instance="a")
        await station.clock.advance(HOUR)
    assert [(firing, resolved) for _, firing, resolved in station.story()] == [("a", ""), ("", "a")]
    assert station.sent[1].at < 60 + 20 * HOUR + 600


MUTED = """
route:
  receiver: team
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  routes:
    - matchers: [severity="low"]
      mute_time_intervals: [weekend]
receivers: [{name: team, webhook_configs: [{url: "http://127.0.0.1/"}]}]
time_intervals:
  - name: weekend
    time_intervals: [{weekdays: ["saturday", "sunday"]}]
"""
FRIDAY_23 = 1_700_262_000  # 2023-11-17 23:00 UTC


async def test_end_within_a_muted_weekend_is_told_on_monday(monkeypatch):
    async with opened(MUTED, monkeypatch, FRIDAY_23) as station:
        station.fire("Down", instance="a", severity="low", minutes=7 * 24 * 60)
        await station.clock.advance(30 * HOUR)
        station.resolve("Down", instance="a", severity="low")
        await station.clock.advance(40 * HOUR)
    assert station.story()[0] == (30, "a", "")
    assert len(station.story()) == 2
    at, firing, resolved = station.story()[1]
    assert (firing, resolved) == ("", "a")
    assert 49 * HOUR <= at <= 49 * HOUR + 300


async def test_alert_that_comes_and_goes_within_a_muted_weekend_is_never_told(monkeypatch):
    async with opened(MUTED, monkeypatch, FRIDAY_23 + 2 * HOUR) as station:
        station.fire("Down", instance="a", severity="low")
        await station.clock.advance(HOUR)
        station.resolve("Down", instance="a", severity="low")
        await station.clock.advance(60 * HOUR)
        assert station.notifier.groups() == []
    assert station.story() == []


INHIBITED = (
    ROUTES
    + """
inhibit_rules:
  - source_matchers: [severity="page"]
    target_matchers: [severity="warn"]
    equal: [rack]
"""
)


async def test_target_is_told_once_no_source_covers_it(monkeypatch):
    async with opened(INHIBITED, monkeypatch) as station:
        station.fire("Power", instance="p1", severity="page", rack="1")
        station.fire("Power", instance="p2", severity="page", rack="1")
        station.fire("Slow", instance="w1", severity="warn", rack="1")
        station.fire("Slow", instance="w2", severity="warn", rack="2")
        await station.clock.advance(100)
        station.resolve("Power", instance="p1", severity="page", rack="1")
        await station.clock.advance(HOUR)
        assert [sent.firing for sent in station.sent if "w1" in sent.firing] == []
        station.resolve("Power", instance="p2", severity="page", rack="1")
        await station.clock.advance(HOUR)
    assert station.sent[-1].firing == ["w1", "w2"]


async def test_reload_keeps_timing_and_tells_nothing_twice(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a")
        await station.clock.advance(20)
        station.apply(ROUTES)
        await station.clock.advance(100)
        station.apply(ROUTES)
        station.fire("Down", instance="b")
        await station.clock.advance(HOUR)
    assert station.story() == [(30, "a", ""), (330, "a b", "")]


async def test_reload_to_other_routes_loses_no_end(monkeypatch):
    async with opened(ROUTES, monkeypatch) as station:
        station.fire("Down", instance="a", minutes=3)
        await station.clock.advance(200)
        station.apply(ROUTES.replace("group_interval: 5m", "group_interval: 7m"))
        await station.clock.advance(HOUR)
    assert [(firing, resolved) for _, firing, resolved in station.story()] == [("a", ""), ("", "a")]


async def test_days_of_flapping_hosts_tell_every_change(monkeypatch):
    """Whatever was told firing is told resolved, and the last word about each host is the truth."""
    async with opened(ROUTES.replace("5m", "1m").replace("30s", "10s"), monkeypatch) as station:
        firing = set()
        for step in range(5 * 24 * 4):
            host = f"h{step * 7919 % 13}"
            if host in firing:
                station.resolve("Down", instance=host)
                firing.discard(host)
            else:
                station.fire("Down", instance=host, minutes=30 * 24 * 60)
                firing.add(host)
            await station.clock.advance(900)
        await station.clock.advance(HOUR)
    last = {}
    for sent in station.sent:
        last |= dict.fromkeys(sent.firing, True) | dict.fromkeys(sent.resolved, False)
    assert {host for host, is_firing in last.items() if is_firing} == firing
    told = dict.fromkeys(last, 0)
    for sent in station.sent:
        for host in sent.resolved:
            told[host] += 1
    assert min(told.values()) > 12
