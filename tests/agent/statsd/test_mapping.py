"""Mapping rules: the cases are those that statsd_exporter's documentation explains."""

import pytest

from nunchi.agent.statsd.mapping import CACHE_MAX, Mapped, Mapping, MappingError, clean_name
from nunchi.agent.statsd.settings import MappingSettings
from nunchi.kit.settings import SettingsError, load
from nunchi.wire.statsd import StatsdKind

RULES = r"""
defaults: {observer_type: summary, ttl: 5m, match_type: glob}
mappings:
- match: "test.dispatcher.*.*.*"
  name: "dispatcher_events_total"
  labels: {processor: "$1", action: "$2", outcome: "${3}", job: test_dispatcher}
- match: "*.signup.*.*"
  name: "signup_events_total"
  labels: {provider: "$2", outcome: "$3"}
  match_metric_type: counter
- match: "noisy.*"
  action: drop
- match: '^server\.(?P<host>\w+)\.(.*)$'
  match_type: regex
  name: "server_${2}"
  labels: {host: "${host}", none: "$9"}
  observer_type: histogram
  histogram_options: {buckets: [0.1, 1]}
  scale: 0.5
  ttl: 1m
"""


def mapping(text: str = RULES) -> Mapping:
    return Mapping(load(MappingSettings, text, "mapping.yaml"))


def test_stars_are_parts_between_dots() -> None:
    mapped = mapping().lookup("test.dispatcher.FooProcessor.send.success", StatsdKind.COUNTER)
    assert mapped is not None
    assert mapped.name == "dispatcher_events_total"
    assert mapped.labels == (
        ("processor", "FooProcessor"), ("action", "send"), ("outcome", "success"), ("job", "test_dispatcher"),
    )  # fmt: skip
    assert mapped.ttl_seconds == 300
    unmapped = mapping().lookup("test.dispatcher.a.b", StatsdKind.COUNTER)
    assert unmapped is not None
    assert unmapped.name == "test_dispatcher_a_b"


def test_a_rule_may_hold_for_one_type_only() -> None:
    counter = mapping().lookup("foo_product.signup.facebook.failure", StatsdKind.COUNTER)
    timer = mapping().lookup("foo_product.signup.facebook.failure", StatsdKind.TIMER)
    assert counter is not None
    assert timer is not None
    assert (counter.name, timer.name) == ("signup_events_total", "foo_product_signup_facebook_failure")
    assert timer.observer_type == "summary"


def test_dropped_names_have_no_mapping() -> None:
    assert mapping().lookup("noisy.one", StatsdKind.GAUGE) is None
    assert mapping().lookup("noisy.one.two", StatsdKind.GAUGE) is not None


def test_regular_expressions_come_after_globs_and_name_their_groups() -> None:
    mapped = mapping().lookup("server.web1.load.1", StatsdKind.TIMER)
    assert mapped is not None
    assert (mapped.name, mapped.labels) == ("server_load_1", (("host", "web1"), ("none", "")))
    assert (mapped.observer_type, mapped.histogram.buckets, mapped.scale, mapped.ttl_seconds) == (
        "histogram", (0.1, 1.0), 0.5, 60,
    )  # fmt: skip
    text = 'mappings: [{match: ".*", match_type: regex, name: all}, {match: "a.*", name: glob}]'
    found = mapping(text).lookup("a.b", StatsdKind.GAUGE)
    assert found is not None
    assert found.name == "glob"


def test_of_many_names_only_so_many_are_remembered() -> None:
    rules = mapping()
    for number in range(CACHE_MAX + 10):
        rules.lookup(f"n.{number}", StatsdKind.GAUGE)
    assert len(rules._cache) == CACHE_MAX


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b-c/d", "a_b_c_d"), ("5xx", "_5xx"), ("ünï", "_n_"), ("a:b", "a_b"), ("", "")]
)
def test_names_become_what_metrics_may_be_called(name: str, expected: str) -> None:
    assert clean_name(name) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mappings: [{match: '(', match_type: regex, name: x}]", "not a valid regular expression"),
        ("mappings: [{match: '', name: x}]", "empty"),
    ],
)
def test_rules_that_cannot_be_used_are_named(text: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mappings: [{match: a}]", "name"),
        ("defaults: {histogram_options: {buckets: [2, 1]}}", "larger"),
        ("defaults: {summary_options: {quantiles: [{quantile: 2}]}}", "between 0 and 1"),
        ("defaults: {summary_options: {age_buckets: 21}}", "steps"),
    ],
)
def test_settings_say_what_is_wrong_with_a_rule(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        mapping(text)


def mapped(text: str, name: str, kind: StatsdKind = StatsdKind.TIMER) -> Mapped:
    found = Mapping(load(MappingSettings, text, "test")).lookup(name, kind)
    assert found is not None
    return found


def test_options_of_a_rule_leave_open_what_the_defaults_say() -> None:
    text = """
defaults:
  observer_type: summary
  summary_options: {quantiles: [{quantile: 0.95}], max_age: 1m}
  histogram_options: {buckets: [1, 2], native_histogram_max_buckets: 20}
mappings:
- {match: a, name: a, summary_options: {age_buckets: 3}}
- {match: b, name: b, observer_type: histogram}
- {match: c, name: c, observer_type: histogram, histogram_options: {native_histogram_bucket_factor: 2}}
"""
    of_a, of_b, of_c = (mapped(text, name) for name in "abc")
    assert (of_a.observer_type, [one.quantile for one in of_a.summary.quantiles]) == ("summary", [0.95])
    assert (of_a.summary.max_age.seconds, of_a.summary.age_buckets) == (60, 3)
    assert (of_b.histogram.buckets, of_b.histogram.is_native) == ((1, 2), False)
    assert (of_c.histogram.buckets, of_c.histogram.is_native, of_c.histogram.schema) == ((), True, 0)
    assert of_c.histogram.native_buckets_max == 20
    plain = mapped("{}", "x")
    assert (plain.observer_type, plain.histogram.is_native) == ("histogram", True)
    assert [one.quantile for one in plain.summary.quantiles] == [0.5, 0.9, 0.99]


def test_the_older_words_of_statsd_exporter_are_understood() -> None:
    text = """
defaults: {timer_type: summary, quantiles: [{quantile: 0.1, error: 0.05}], buckets: [1]}
mappings:
- {match: a, name: a, timer_type: histogram, buckets: [5]}
- {match: b, name: b, quantiles: [{quantile: 0.2}]}
- {match: c, name: c, timer_type: histogram}
"""
    of_a, of_b, of_c, rest = (mapped(text, name) for name in ("a", "b", "c", "other"))
    assert (of_a.observer_type, of_a.histogram.buckets) == ("histogram", (5,))
    assert (of_b.observer_type, of_b.summary.quantiles[0].quantile) == ("summary", 0.2)
    assert of_c.histogram.buckets == (1,)
    assert (rest.observer_type, rest.summary.quantiles[0].quantile) == ("summary", 0.1)


def test_without_order_the_most_specific_glob_counts() -> None:
    rules = "mappings: [{match: 'a.*.*', name: wide}, {match: 'a.*.c', name: right}, {match: 'a.b.*', name: left}]"
    assert mapped(rules, "a.b.c").name == "wide"
    unordered = "defaults: {glob_disable_ordering: true}\n" + rules
    assert mapped(unordered, "a.b.c").name == "left"
    assert mapped(unordered, "a.x.c").name == "right"
    assert mapped(unordered, "a.x.y").name == "wide"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: {buckets: [2, 1]}", "each larger"),
        ("mappings: [{match: a, name: a, buckets: [2, 1]}]", "each larger"),
        ("mappings: [{match: a, name: a, buckets: [1], histogram_options: {buckets: [1]}}]", "not both"),
        ("defaults: {histogram_options: {native_histogram_bucket_factor: 0.9}}", "above 1"),
        ("defaults: {histogram_options: {native_histogram_max_buckets: 3}}", "between 10 and 1000"),
    ],
)
def test_options_that_cannot_be_used_are_refused_when_they_are_read(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(MappingSettings, text, "test")
