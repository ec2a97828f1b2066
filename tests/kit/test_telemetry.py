"""`nunchi.kit.telemetry`."""

import pytest

from nunchi.kit.telemetry import Telemetry


def test_counter_without_labels_shows_zero_from_the_start() -> None:
    counter = Telemetry().counter("nunchi_x_total", "X.")
    assert list(counter.samples()) == [("nunchi_x_total", (), 0.0)]


def test_counter_counts_by_labels_and_in_all() -> None:
    counter = Telemetry().counter("nunchi_dropped_total", "Dropped.", "reason")
    counter.add(2, "full")
    counter.add(1, "late")
    counter.add(1, "full")
    assert counter.value("full") == 3
    assert counter.value("never") == 0
    assert counter.total() == 4
    assert list(counter.samples()) == [
        ("nunchi_dropped_total", (("reason", "full"),), 3.0),
        ("nunchi_dropped_total", (("reason", "late"),), 1.0),
    ]


def test_counter_refuses_to_shrink_and_wrong_labels() -> None:
    counter = Telemetry().counter("nunchi_x_total", "X.", "reason")
    with pytest.raises(AssertionError):
        counter.add(-1, "a")
    with pytest.raises(AssertionError):
        counter.add(1)


def test_gauge_is_set_removed_or_observed() -> None:
    telemetry = Telemetry()
    gauge = telemetry.gauge("nunchi_queue", "Queue.", "peer")
    gauge.set(3, "a")
    gauge.set(4, "b")
    gauge.remove("a")
    gauge.remove("never")
    assert list(gauge.samples()) == [("nunchi_queue", (("peer", "b"),), 4.0)]
    observed = telemetry.gauge("nunchi_now", "Now.")
    readings = iter([1, 2])
    observed.observe_with(lambda: next(readings))
    assert observed.value() == 1
    assert list(observed.samples()) == [("nunchi_now", (), 2.0)]


def test_histogram_buckets_are_cumulative_and_bounds_inclusive() -> None:
    histogram = Telemetry().histogram("nunchi_seconds", "S.", bounds=(1, 2.5))
    for value in (0.5, 1.0, 2.0, 99.0):
        histogram.observe(value)
    assert list(histogram.samples()) == [
        ("nunchi_seconds_bucket", (("le", "1.0"),), 2.0),
        ("nunchi_seconds_bucket", (("le", "2.5"),), 3.0),
        ("nunchi_seconds_bucket", (("le", "+Inf"),), 4.0),
        ("nunchi_seconds_sum", (), 102.5),
        ("nunchi_seconds_count", (), 4.0),
    ]


def test_a_name_is_made_once_and_can_be_found() -> None:
    telemetry = Telemetry()
    counter = telemetry.counter("nunchi_b_total", "B.")
    telemetry.gauge("nunchi_a", "A.")
    with pytest.raises(ValueError, match="exists already"):
        telemetry.gauge("nunchi_b_total", "Again.")
    assert telemetry.find("nunchi_b_total") is counter
    assert telemetry.find("nunchi_c") is None
    assert [instrument.name for instrument in telemetry.instruments()] == ["nunchi_a", "nunchi_b_total"]


def test_samples_may_be_added_while_others_are_read() -> None:
    counter = Telemetry().counter("nunchi_x_total", "X.", "label")
    counter.add(1, "a")
    samples = counter.samples()
    next(samples)
    counter.add(1, "b")
    assert list(samples) == []
