"""From outcomes to rows: columns stay, duplicates are counted, layouts of short-lived series are left behind."""

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import Emission
from nunchi.agent.rounds import Aggregation, Round
from nunchi.agent.schedule import Outcome
from nunchi.kit.telemetry import Telemetry


def outcome(*samples: tuple[str, dict[str, str], float], name: str = "cpu", job: str = "node") -> Outcome:
    emission = Emission()
    for metric, labels, value in samples:
        emission.gauge(metric, value, **labels)
    return Outcome(name, job, emission, 0.25, is_success=True)


def shown(one: Round) -> dict[str, float]:
    layout = one.layout
    return {str(layout.labels(column)): value for column, value in zip(one.columns, one.values, strict=True)}


def test_series_carry_job_and_the_agents_labels_and_how_the_check_fared() -> None:
    accounting = Accounting(Telemetry())
    aggregation = Aggregation({"site": "north"}, accounting)
    one = aggregation.round(1, [outcome(("up", {"a": "b"}, 1.0)), outcome(("x", {}, 2.0), name="redis", job="redis")])
    assert shown(one) == {
        'up{a="b", job="node", site="north"}': 1.0,
        'x{job="redis", site="north"}': 2.0,
        'node_scrape_collector_success{collector="cpu", job="node", site="north"}': 1.0,
        'node_scrape_collector_duration_seconds{collector="cpu", job="node", site="north"}': 0.25,
    }
    assert accounting.collected.total() == 4


def test_columns_stay_where_they_are_and_steady_rounds_share_them() -> None:
    aggregation = Aggregation({}, Accounting(Telemetry()))
    first = aggregation.round(1, [outcome(("a", {}, 1.0), ("b", {}, 2.0))])
    second = aggregation.round(2, [outcome(("a", {}, 3.0), ("b", {}, 4.0))])
    third = aggregation.round(3, [outcome(("b", {}, 5.0))])
    assert second.columns is first.columns
    assert first.layout is third.layout
    assert shown(third)['b{job="node"}'] == 5.0


def test_second_sample_of_a_series_is_dropped_and_counted() -> None:
    accounting = Accounting(Telemetry())
    one = Aggregation({}, accounting).round(1, [outcome(("a", {"x": "1"}, 1.0), ("a", {"x": "1"}, 2.0), job="other")])
    assert shown(one) == {'a{job="other", x="1"}': 1.0}
    assert accounting.dropped.value("duplicate") == 1
    assert accounting.collected.total() == 2


def test_layout_does_not_grow_for_ever_with_short_lived_series() -> None:
    aggregation = Aggregation({}, Accounting(Telemetry()))
    for number in range(100):
        one = aggregation.round(
            number, [outcome(*(("a", {"id": f"{number}-{i}"}, 1.0) for i in range(100)), job="other")]
        )
        assert len(one.layout) <= 1000 + 3 * 100
        assert len(shown(one)) == 100


def test_types_travel_once_and_again_when_due() -> None:
    aggregation = Aggregation({}, Accounting(Telemetry()))
    first = aggregation.round(0, [outcome(("a", {}, 1.0), job="x")])
    second = aggregation.round(10_000, [outcome(("a", {}, 1.0), ("b", {}, 1.0), job="x")])
    third = aggregation.round(600_000, [outcome(("a", {}, 1.0), job="x")])
    assert {"a"} <= first.metadata.keys()
    assert second.metadata.keys() == {"b"}
    assert {"a"} <= third.metadata.keys()
    assert first.slice(0, 1).metadata == first.metadata
    assert first.slice(1, 2).metadata == {}


def test_helps_go_with_the_types_and_again_when_they_change() -> None:
    aggregation = Aggregation({}, Accounting(Telemetry()))
    found = outcome(("a", {}, 1.0), ("b", {}, 1.0))
    found.emission.helps["a"] = "What a is."
    metadata = aggregation.round(1, [found]).metadata
    assert (metadata["a"].help, metadata["b"].help) == ("What a is.", "")
    assert aggregation.round(2, [found]).metadata == {}
    found.emission.helps["a"] = "What a has become."
    assert {name: one.help for name, one in aggregation.round(3, [found]).metadata.items()} == {
        "a": "What a has become."
    }


def test_what_is_not_text_becomes_text() -> None:
    one = Aggregation({}, Accounting(Telemetry())).round(1, [outcome(("a", {"path": "caf\udce9"}, 1.0), job="x")])
    assert shown(one) == {'a{job="x", path="caf?"}': 1.0}


def test_a_checks_own_label_wins_over_the_agents() -> None:
    one = Aggregation({"device": "all"}, Accounting(Telemetry())).round(
        1, [outcome(("a", {"device": "sda"}, 1.0), job="x")]
    )
    assert shown(one) == {'a{device="sda", job="x"}': 1.0}


def test_series_that_cannot_be_named_cost_no_other_and_are_counted() -> None:
    accounting = Accounting(Telemetry())
    aggregation = Aggregation({}, accounting)
    samples = [("a", {}, 1.0), ("", {}, 2.0), ("b", {"": "x"}, 3.0), ("c", {}, 4.0)]
    for timestamp_ms in (1, 2):
        one = aggregation.round(timestamp_ms, [outcome(*samples, job="other")])
        assert shown(one) == {'a{job="other"}': 1.0, 'c{job="other"}': 4.0}
        assert "" not in one.metadata
    assert accounting.dropped.value("no_name") == 4
    assert accounting.collected.total() == 8
