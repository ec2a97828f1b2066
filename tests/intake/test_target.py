import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.intake.scrape.negotiation import accept_header
from nunchi.intake.scrape.schedule import following_moment_ms, next_moment_ms, snapped_ms
from nunchi.intake.scrape.target import (
    Target,
    TargetDefaults,
    TargetError,
    discovered_labels,
    make_target,
    split_address,
)
from nunchi.model.labels import Labels
from nunchi.model.relabel import Relabeller, RelabelRule

DEFAULTS = TargetDefaults("node", "http", "/metrics", 15_000, 10_000, {})


def made(own: dict[str, str], *rules: RelabelRule, defaults: TargetDefaults = DEFAULTS) -> Target | None:
    return make_target(discovered_labels(own, {}, defaults), Relabeller(rules), defaults)


def lookup(own: dict[str, str], *rules: RelabelRule, defaults: TargetDefaults = DEFAULTS) -> Target:
    target = made(own, *rules, defaults=defaults)
    assert target is not None
    return target


def test_a_target_has_job_and_instance_and_no_default_port_in_its_labels() -> None:
    target = lookup({"__address__": "web.example", "team": "a"})
    assert target.labels == Labels({"instance": "web.example", "job": "node", "team": "a"})
    assert target.url == "http://web.example/metrics"
    assert (target.host, target.port) == ("web.example", 80)
    assert (target.interval_ms, target.timeout_ms) == (15_000, 10_000)


def test_own_labels_win_over_the_groups_and_both_over_the_jobs() -> None:
    labels = discovered_labels({"job": "mine", "a": "1"}, {"job": "groups", "b": "2", "a": "3"}, DEFAULTS)
    assert (labels["job"], labels["a"], labels["b"]) == ("mine", "1", "2")


def test_relabelling_decides_scheme_path_parameters_interval_and_instance() -> None:
    rules = [
        RelabelRule(target_label="__scheme__", replacement="https"),
        RelabelRule(target_label="__metrics_path__", replacement="/probe"),
        RelabelRule(target_label="__param_target", replacement="http://x/?a=b c"),
        RelabelRule(target_label="__scrape_interval__", replacement="1m"),
        RelabelRule(target_label="__scrape_timeout__", replacement="500ms"),
        RelabelRule(target_label="instance", replacement="named"),
        RelabelRule(source_labels=("__meta_zone",), target_label="zone"),
    ]
    defaults = TargetDefaults(
        "probe", "http", "/metrics", 15_000, 10_000, {"module": ("a", "b"), "target": ("old", "kept")}
    )
    target = lookup({"__address__": "127.0.0.1:9115", "__meta_zone": "z1"}, *rules, defaults=defaults)
    assert target.url == (
        "https://127.0.0.1:9115/probe?module=a&module=b&target=http%3A%2F%2Fx%2F%3Fa%3Db+c&target=kept"
    )
    assert (target.interval_ms, target.timeout_ms) == (60_000, 500)
    assert target.labels == Labels({"instance": "named", "job": "probe", "zone": "z1"})
    assert target.discovered["__param_module"] == "a"


def test_a_dropped_target_is_none() -> None:
    assert made({"__address__": "a:1"}, RelabelRule(source_labels=("job",), regex="node", action="drop")) is None


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({}, "no address"),
        ({"__address__": "http://a:1"}, "not a valid hostname"),
        ({"__address__": "a b:1"}, "not a valid address"),
        ({"__address__": "a:1\r\nX: y"}, "not a valid address"),
        ({"__address__": "user@a:1"}, "not a valid address"),
        ({"__address__": "a:"}, "not a valid address"),
        ({"__address__": "a:0"}, "not a valid address"),
        ({"__address__": "a:65536"}, "not a valid address"),
        ({"__address__": "::1"}, r"\[::1\]:9100"),
        ({"__address__": "[::1"}, r"\[::1\]:9100"),
        ({"__address__": "a:1", "__scheme__": "ftp"}, "must be http or https"),
        ({"__address__": "a:1", "__scrape_interval__": "0s"}, "scrape interval cannot be 0"),
        ({"__address__": "a:1", "__scrape_timeout__": "soon"}, "error parsing scrape timeout"),
        ({"__address__": "a:1", "__scrape_timeout__": "16s"}, "cannot be greater than scrape interval"),
        ({"__address__": "a:1", "x": "\udc80"}, "no UTF-8"),
    ],
)
def test_what_cannot_be_a_target_is_an_error_that_says_why(own: dict[str, str], fault: str) -> None:
    with pytest.raises(TargetError, match=fault):
        made(own)


@pytest.mark.parametrize(
    ("address", "parts"),
    [("a", ("a", 80)), ("a:9100", ("a", 9100)), ("[::1]", ("::1", 80)), ("[::1]:9100", ("::1", 9100))],
)
def test_addresses_are_split(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address, 80) == parts


def test_targets_are_spread_over_their_interval_and_differ_by_who_asks() -> None:
    targets = [lookup({"__address__": f"10.0.0.{number}:9100"}) for number in range(200)]
    phases = [target.phase_ms(7) for target in targets]
    assert all(0 <= phase < 15_000 for phase in phases)
    assert min(phases) < 1500
    assert max(phases) > 13_500
    assert phases == [target.phase_ms(7) for target in targets]
    assert phases != [target.phase_ms(8) for target in targets]


@given(st.integers(0, 2**42), st.integers(1, 10**7), st.integers(0, 10**7))
def test_moments_are_the_first_at_or_after_now(now_ms: int, interval_ms: int, phase_ms: int) -> None:
    moment_ms = next_moment_ms(now_ms, interval_ms, phase_ms)
    assert now_ms <= moment_ms < now_ms + interval_ms
    assert (moment_ms - phase_ms) % interval_ms == 0


def test_a_late_scrape_is_followed_at_once_and_missed_moments_are_counted() -> None:
    assert following_moment_ms(100_000, 100_005, 10_000, 0) == (110_000, 0)
    assert following_moment_ms(100_000, 112_000, 10_000, 0) == (110_000, 0)
    assert following_moment_ms(100_000, 135_000, 10_000, 0) == (130_000, 2)


def test_a_clock_set_back_begins_again_within_an_interval() -> None:
    assert following_moment_ms(100_000, 3_000, 10_000, 0) == (10_000, 0)


@pytest.mark.parametrize(
    ("late_ms", "interval_ms", "snaps"), [(0, 15_000, True), (2, 15_000, True), (3, 15_000, False), (2, 100, False)]
)
def test_timestamps_snap_within_two_milliseconds_or_one_percent(late_ms: int, interval_ms: int, snaps: bool) -> None:
    assert (snapped_ms(5000 + late_ms, 5000, interval_ms) == 5000) is snaps


def test_the_accept_header_lists_protocols_with_falling_quality() -> None:
    protocols = ("OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4")
    assert accept_header(protocols) == (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    assert accept_header(("PrometheusProto", "PrometheusText0.0.4")) == (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
    )
