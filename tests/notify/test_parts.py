"""Inhibition, silences, time intervals, the notification log, the inbox: each alone."""

from datetime import UTC, datetime
from random import Random

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError, load
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import Alert, fingerprint
from nunchi.model.labels import Labels
from nunchi.notify.inbox import Inbox
from nunchi.notify.inhibition import Inhibitor
from nunchi.notify.matchers import make_matcher
from nunchi.notify.notification_log import LogEntry, LogKey, NotificationCause, NotificationLog
from nunchi.notify.settings import InhibitRuleSettings
from nunchi.notify.silences import Silence, SilenceError, Silences, SilenceState, UnknownSilenceError
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.notify.time_intervals import TimeIntervalSettings
from nunchi.testing.clock import VirtualClock

NOW = 1_700_000_000_000


def firing(**labels):
    return Alert(Labels(labels), starts_at_ms=NOW, ends_at_ms=NOW + 3_600_000)


ANY = {"source_matchers": ("s=1",), "target_matchers": ("t=1",)}
SAME_E = {**ANY, "equal": ("e",)}


@pytest.mark.parametrize(
    ("rule", "source", "target", "is_muted"),
    [
        (SAME_E, {"s": "1", "e": "1"}, {"t": "1", "e": "1"}, True),
        (SAME_E, {"s": "1", "e": "2"}, {"t": "1", "e": "1"}, False),
        (SAME_E, {"s": "1"}, {"t": "1"}, True),
        ({"source_match": {"s": "1"}, "target_match_re": {"t": "1|2"}}, {"s": "1", "e": "2"}, {"t": "2"}, True),
        (ANY, {"s": "1", "t": "1"}, {"s": "1", "t": "1", "x": "y"}, False),
        (ANY, {"s": "1"}, {"s": "1", "t": "1"}, True),
        (ANY, {"s": "1", "t": "1"}, {"t": "1"}, True),
    ],
)  # fmt: skip
def test_inhibition(rule, source, target, is_muted):
    inhibitor = Inhibitor([InhibitRuleSettings(**rule)], [firing(**source)])
    assert inhibitor.is_muted(Labels(target), NOW) is is_muted
    assert not inhibitor.is_muted(Labels(target), NOW + 3_600_000), "a resolved source mutes nothing"


def test_another_source_under_the_same_key_still_mutes():
    rule = InhibitRuleSettings(source_matchers=("s=1",), target_matchers=("t=1",), equal=("e",))
    inhibitor = Inhibitor([rule], [firing(s="1", e="1", n="a"), firing(s="1", e="1", n="b")])
    inhibitor.take(Alert(Labels({"s": "1", "e": "1", "n": "a"}), ends_at_ms=NOW - 1))
    assert inhibitor.is_muted(Labels({"t": "1", "e": "1"}), NOW)
    inhibitor.expire(NOW)
    assert inhibitor.is_muted(Labels({"t": "1", "e": "1"}), NOW)


INTERVALS = [
    ("times: [{start_time: 09:00, end_time: 17:00}]",
     ["2026-03-04 09:00", "2026-03-04 16:59"],
     ["2026-03-04 08:59", "2026-03-04 17:00"]),
    ("times: [{start_time: 22:00, end_time: '24:00'}]",
     ["2026-03-04 23:59"],
     ["2026-03-04 00:00"]),
    ("weekdays: [monday:friday, sunday]",
     ["2026-03-04 12:00", "2026-03-08 12:00"],
     ["2026-03-07 12:00"]),
    ("days_of_month: ['1:3', '-1']",
     ["2026-02-28 00:00", "2026-03-31 00:00", "2026-03-02 00:00"],
     ["2026-03-30 00:00", "2026-03-04 00:00"]),
    ("days_of_month: ['31']",
     ["2026-03-31 00:00"],
     ["2026-02-28 00:00"]),
    ("days_of_month: ['25:31']",
     ["2026-02-28 00:00"],
     ["2026-02-24 00:00"]),
    ("months: [january:march, '12']",
     ["2026-02-01 00:00", "2026-12-01 00:00"],
     ["2026-04-01 00:00"]),
    ("years: ['2025:2026', 2030]",
     ["2026-04-01 00:00", "2030-04-01 00:00"],
     ["2027-04-01 00:00"]),
    ("{times: [{start_time: 09:00, end_time: 10:00}], location: America/New_York}",
     ["2026-07-01 13:30", "2026-12-01 14:30"],
     ["2026-07-01 14:30"]),
    ("{weekdays: [monday], months: [may]}",
     ["2026-05-04 00:00"],
     ["2026-05-05 00:00", "2026-06-01 00:00"]),
    ("{}",
     ["2026-05-04 00:00"],
     []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "inside", "outside"), INTERVALS, ids=[text for text, _, _ in INTERVALS])
def test_time_interval(text, inside, outside):
    interval = load(TimeIntervalSettings, text, "x.yml")
    for moments, expected in ((inside, True), (outside, False)):
        for moment in moments:
            assert interval.contains(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is expected, moment


@pytest.mark.parametrize(
    "text",
    [
        "times: [{start_time: 22:00, end_time: 06:00}]",
        "times: [{start_time: 9, end_time: 10:00}]",
        "times: [{start_time: 24:30, end_time: 24:40}]",
        "weekdays: [saturday:sunday]",
        "weekdays: ['1:3']",
        "days_of_month: ['0']",
        "days_of_month: ['-1:5']",
        "days_of_month: ['5:1']",
        "months: ['13']",
        "location: Mars/Olympus",
    ],
)
def test_time_interval_is_refused(text):
    with pytest.raises(SettingsError):
        load(TimeIntervalSettings, text, "x.yml")


FIRING, RESOLVED, NONE = frozenset((1, 2)), frozenset((3,)), frozenset()


@pytest.mark.parametrize(
    ("entry", "now", "expected"),
    [
        ((NONE, NONE), (FIRING, NONE), NotificationCause.FIRST),
        ((frozenset((1,)), NONE), (FIRING, NONE), NotificationCause.NEW_ALERTS),
        ((FIRING, NONE), (NONE, FIRING), NotificationCause.ALL_RESOLVED),
        ((NONE, FIRING), (NONE, FIRING), None),
        ((FIRING, NONE), (frozenset((1,)), frozenset((2,))), NotificationCause.SOME_RESOLVED),
        ((FIRING, RESOLVED), (frozenset((1,)), RESOLVED), None),
        ((FIRING, NONE), (FIRING, NONE), None),
    ],
)
def test_what_is_due(entry, now, expected):
    log_entry = LogEntry(NOW, *entry, NOW + 1)
    assert log_entry.cause(*now, NOW + 1000, 10_000, sends_resolved=True) is expected
    if expected is None and now[0]:
        late = log_entry.cause(*now, NOW + 10_001, 10_000, sends_resolved=True)
        assert late is NotificationCause.REPEAT


def test_log_entries_expire_and_the_oldest_gives_way():
    clock = VirtualClock()
    log = NotificationLog(clock, entries_max=2)
    keys = [LogKey("g", "r", "webhook", index) for index in range(3)]
    for key in keys:
        log.put(key, FIRING, NONE, 10_000)
    assert log.find(keys[0]) is None
    assert log.was_told_firing("g", "r", 1)
    clock.jump(15)
    log.extend("g", "r", 10_000)
    clock.jump(15)
    assert log.find(keys[1]) is not None
    clock.jump(10)
    log.expire()
    assert len(log) == 0
    assert not log.was_told_firing("g", "r", 1)


def silence_of(begin, end, matcher="a"):
    return Silence((make_matcher("x", "=", matcher),), begin, end, "me", "because")


def test_silences_live_and_die_by_the_clock():
    clock = VirtualClock(NOW / 1000)
    silences = Silences(clock, Random(1))
    identity = silences.set(silence_of(NOW + 1000, NOW + 5000))
    assert silences.lookup(identity).state(NOW) is SilenceState.PENDING
    assert not silences.muting(Labels.of(x="a"), NOW)
    assert silences.muting(Labels.of(x="a"), NOW + 1000)
    assert not silences.muting(Labels.of(x="b"), NOW + 1000)
    silences.end(identity)
    assert silences.lookup(identity).state(NOW) is SilenceState.EXPIRED
    clock.jump(121 * 3600)
    silences.expire()
    with pytest.raises(UnknownSilenceError):
        silences.lookup(identity)


def test_editing_a_silence_keeps_its_id_unless_it_would_mean_something_else():
    clock = VirtualClock(NOW / 1000)
    silences = Silences(clock, Random(1))
    identity = silences.set(silence_of(NOW, NOW + 5000))
    active = silences.lookup(identity)
    assert silences.set(Silence(**{**fields(active), "ends_at_ms": NOW + 9000})) == identity
    other = silences.set(Silence(**{**fields(active), "matchers": (make_matcher("x", "=", "b"),)}))
    assert other != identity
    assert silences.lookup(identity).state(NOW) is SilenceState.EXPIRED


def fields(silence):
    return {name: getattr(silence, name) for name in Silence.__slots__}


@pytest.mark.parametrize(
    "silence",
    [
        Silence((), NOW, NOW + 1, "me", "x"),
        Silence((make_matcher("x", "=~", ".*"),), NOW, NOW + 1, "me", "x"),
        silence_of(NOW + 10, NOW),
        silence_of(NOW - 20, NOW - 10),
        Silence((make_matcher("x", "=", "a"),), NOW, NOW + 1, "", "x"),
        Silence((make_matcher("x", "=", "a"),), NOW, NOW + 1, "me", "x", id="nobody"),
    ],
)
def test_silences_that_are_refused(silence):
    with pytest.raises(SilenceError):
        Silences(VirtualClock(NOW / 1000), Random(1)).set(silence)


def inbox(alerts_max=10):
    clock = VirtualClock(NOW / 1000)
    telemetry = NotifyTelemetry(Telemetry())
    return Inbox(clock, telemetry, logger("notify"), 300_000, alerts_max), clock, telemetry


def test_inbox_completes_times_and_refuses_what_is_no_alert():
    box, _, telemetry = inbox(alerts_max=1)
    refused = box.put([Alert(Labels()), Alert(Labels.of(a="1"), starts_at_ms=5, ends_at_ms=4), Alert(Labels.of(a="2"))])
    assert [one.reason for one in refused] == ["the alert has no labels", "the alert ends before it starts"]
    [alert] = box.alerts()
    assert (alert.starts_at_ms, alert.ends_at_ms, alert.is_timeout) == (NOW, NOW + 300_000, True)
    assert box.put([Alert(Labels.of(a="3"))])[0].reason == "more than 1 alerts"
    assert telemetry.limited.total() == 1


def test_inbox_merges_what_overlaps():
    box, clock, _ = inbox()
    labels = Labels.of(a="1")
    box.put([Alert(labels, Labels({"v": "1"}), NOW - 5000, NOW + 60_000)])
    clock.jump(1)
    box.put([Alert(labels, Labels({"v": "2"}), NOW - 1000, NOW + 30_000)])
    [alert] = box.alerts()
    assert (alert.starts_at_ms, alert.ends_at_ms, alert.annotations.get("v")) == (NOW - 5000, NOW + 60_000, "2")
    box.put([Alert(labels, Labels({"v": "3"}), NOW - 1000, NOW)])
    assert box.alerts()[0].is_resolved(clock.now_ms())
    clock.jump(3600)
    box.expire()
    assert box.alerts() == []


def test_fingerprints_are_those_of_alertmanager():
    assert f"{fingerprint(Labels()):016x}" == "cbf29ce484222325"
    assert f"{fingerprint(Labels.of(alertname='x', instance='a')):016x}" == "b815b7769adcd53a"
