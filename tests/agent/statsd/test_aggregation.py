"""What becomes of StatsD samples until they are delivered."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from nunchi.agent.emission import Emission
from nunchi.agent.statsd.aggregation import StatsdAggregation
from nunchi.agent.statsd.kernels.aggregation import Aggregator
from nunchi.agent.statsd.mapping import Mapping
from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.logs import logger
from nunchi.kit.settings import load
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.model.histogram import Histogram
from nunchi.model.metadata import MetricType
from nunchi.testing.clock import VirtualClock
from nunchi.wire.statsd import SAMPLE


class House:
    """An aggregation and what it counts."""

    def __init__(self, text: str = "{}") -> None:
        settings = load(StatsdSettings, text, "test")
        self.clock, self.telemetry = VirtualClock(), Telemetry()
        statsd_telemetry = StatsdTelemetry(self.telemetry, self.clock, logger("test"))
        self.aggregation = StatsdAggregation(
            settings, Mapping(settings.mapping), 7, self.clock, statsd_telemetry, window_step_seconds=60
        )

    def take(self, *lines: str) -> None:
        self.aggregation.take("\n".join(lines).encode())

    def emission(self) -> Emission:
        emission = Emission()
        self.aggregation.emit(emission)
        return emission

    def shown(self) -> dict[str, float]:
        samples = self.emission().samples
        return {name + "".join(f",{key}={text}" for key, text in labels): value for name, labels, value in samples}

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        counter = self.telemetry.find(name)
        assert isinstance(counter, Counter)
        return {tuple(value for _, value in labels): count for _, labels, count in counter.samples()}


def test_counters_are_cumulative_and_scaled_by_their_rate() -> None:
    house = House()
    house.take("hits:1|c", "hits:3|c|@0.1", "hits:1|c|#env:prod,az:b", "hits:1|c|#az:b,env:prod")
    assert house.shown() == {"hits": 31, "hits,az=b,env=prod": 2}
    house.take("hits:1|c")
    assert house.shown()["hits"] == 32
    assert house.emission().types["hits"] is MetricType.COUNTER


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.sampled_from([1.0, 0.1, 0.25, 0.3])), max_size=200))
@examples(deadline=None)
def test_sums_are_as_exact_as_sums_can_be(found: list[tuple[int, float]]) -> None:
    aggregator = Aggregator(True, 10)
    aggregator.bind(0, aggregator.add_counter())
    aggregator.apply(b"".join(SAMPLE.pack(0, 0, value, rate, 0) for value, rate in found), 0.0)
    assert aggregator.value(0) == pytest.approx(math.fsum(value / rate for value, rate in found), rel=1e-15, abs=1e-12)


def test_a_million_tenths_are_a_hundred_thousand() -> None:
    aggregator = Aggregator(True, 10)
    aggregator.bind(0, aggregator.add_counter())
    aggregator.apply(SAMPLE.pack(0, 0, 0.1, 1.0, 0) * 1_000_000, 0.0)
    assert aggregator.value(0) == 100_000


def test_sums_beyond_what_a_double_holds_are_infinite_and_nothing_else() -> None:
    house = House()
    house.take("a:1e308|c", "a:1e308|c", "b:1e308|g", "b:+1e308|g")
    assert house.shown() == {"a": math.inf, "b": math.inf}
    house.take("a:1|c", "b:5|g")
    assert house.shown() == {"a": math.inf, "b": 5}


def test_gauges_are_set_or_changed() -> None:
    house = House()
    house.take("g:10|g", "g:-4|g", "g:+1.5|g")
    assert house.shown() == {"g": 7.5}
    house.take("g:0|g", "g:-4|g")
    assert house.shown() == {"g": -4}
    absolute = House("{signed_gauges: absolute}")
    absolute.take("g:10|g", "g:-4|g")
    assert absolute.shown() == {"g": -4}


def test_of_gauges_with_a_time_the_newest_counts() -> None:
    house = House()
    house.take("g:1|g|T1700000010", "g:2|g|T1700000000", "g:-3|g|T1700000020")
    assert house.shown() == {"g": -3}


def test_sets_show_the_members_of_the_last_interval() -> None:
    house = House()
    house.take("users:ann|s", "users:bob|s", "users:ann|s")
    assert house.shown() == {"users": 0}
    house.aggregation.rotate_sets()
    assert house.shown() == {"users": 2}
    house.aggregation.rotate_sets()
    assert house.shown() == {"users": 0}


def test_timers_become_buckets_in_seconds() -> None:
    house = House("{mapping: {defaults: {histogram_options: {buckets: [0.1, 0.5]}}}}")
    house.take("t:100:200|ms|@0.5", "t:2000|ms", "h:0.1|h")
    assert house.shown() == {
        "t_bucket,le=0.1": 2, "t_bucket,le=0.5": 4, "t_bucket,le=+Inf": 5, "t_sum": pytest.approx(2.6), "t_count": 5,
        "h_bucket,le=0.1": 1, "h_bucket,le=0.5": 1, "h_bucket,le=+Inf": 1, "h_sum": 0.1, "h_count": 1,
    }  # fmt: skip
    assert house.emission().types["t"] is MetricType.HISTOGRAM


def native(house: House) -> dict[str, Histogram]:
    return {
        name + "".join(f",{key}={text}" for key, text in labels): histogram
        for name, labels, histogram in house.emission().histograms
    }


def test_timers_histograms_and_distributions_are_native_histograms_unless_told_otherwise() -> None:
    house = House()
    house.take("t:100:200|ms|@0.1", "t:2000|ms", "h:-4:0|h", "d:3|d|#a:b", "t:300|ms|@0.1")
    found = native(house)
    assert set(found) == {"t", "h", "d,a=b"}
    assert house.shown() == {}
    assert (found["t"].count, found["t"].sum) == (31, pytest.approx(8))
    assert sum(found["t"].positive_buckets) == 31
    assert dict(found["h"].negative()) == {16: 1}
    assert (found["h"].schema, found["h"].zero_count, found["h"].count, found["h"].sum) == (3, 1, 2, -4)
    assert house.emission().types["t"] is MetricType.HISTOGRAM


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.sampled_from([1.0, 0.5, 0.1, 0.01])), max_size=80))
def test_every_observation_is_counted_in_its_bucket_by_its_rate(found: list[tuple[float, float]]) -> None:
    house = House()
    house.take(*(f"d:{value!r}|d|@{rate}" for value, rate in found))
    if not found:
        return
    histogram = native(house)["d"]
    assert histogram.schema == 3
    expected: dict[float, float] = {}
    for value, rate in found:
        index = 0 if abs(value) <= 2.0**-128 else math.ceil(math.log2(abs(value)) * 8)
        key = index + (0 if abs(value) <= 2.0**-128 else math.copysign(1e6, value))
        expected[key] = expected.get(key, 0) + 1 / rate
    shown = {1e6 + index: count for index, count in histogram.positive() if count}
    shown |= {-1e6 + index: count for index, count in histogram.negative() if count}
    if histogram.zero_count:
        shown[0.0] = histogram.zero_count
    assert shown == expected
    assert histogram.count == sum(1 / rate for _, rate in found)


def test_buckets_are_merged_rather_than_too_many_and_only_ever_grow() -> None:
    house = House("{mapping: {defaults: {histogram_options: {native_histogram_max_buckets: 20}}}}")
    source, before = random.Random(1), Histogram()
    for _ in range(20):
        house.take(*(f"d:{source.lognormvariate(0, 3)}:{-source.random()}|d" for _ in range(20)))
        now = native(house)["d"]
        assert len([count for _, count in (*now.positive(), *now.negative()) if count]) <= 20
        assert now.count == before.count + 40 == sum(now.positive_buckets) + sum(now.negative_buckets)
        assert now.schema <= 3
        before = now
    assert before.schema < 3


@pytest.mark.parametrize(("factor", "schema"), [(1.1, 3), (2, 0), (1.003, 8), (1.09051, 3), (65536, -4)])
def test_the_factor_says_how_wide_buckets_are(factor: float, schema: int) -> None:
    house = House(f"{{mapping: {{defaults: {{histogram_options: {{native_histogram_bucket_factor: {factor}}}}}}}}}")
    house.take("d:3|d")
    assert native(house)["d"].schema == schema


def test_native_histograms_are_bounded_with_all_else() -> None:
    house = House("{series_max: 20}")
    house.take("a:1|ms", "b:1|ms", "c:1|ms")
    assert set(native(house)) == {"a", "b"}
    assert house.counted("agent_statsd_series_refused_total") == {("series_max",): 1}


def test_quantiles_are_of_the_last_minutes() -> None:
    house = House("{mapping: {defaults: {observer_type: summary, summary_options: {max_age: 2m, age_buckets: 2}}}}")
    house.take(*(f"d:{value}|d" for value in range(1, 101)))
    shown = house.shown()
    assert shown["d,quantile=0.5"] == pytest.approx(50, rel=0.011)
    assert shown["d,quantile=0.99"] == pytest.approx(99, rel=0.011)
    assert (shown["d_sum"], shown["d_count"]) == (5050, 100)
    house.aggregation.rotate_windows()
    house.take("d:1000|d")
    assert house.shown()["d,quantile=0.99"] == pytest.approx(100, rel=0.011)
    house.aggregation.rotate_windows()
    assert house.shown()["d,quantile=0.5"] == 1000
    house.aggregation.rotate_windows()
    assert math.isnan(house.shown()["d,quantile=0.5"])
    assert house.shown()["d_count"] == 101


@given(
    st.lists(st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9), min_size=1, max_size=300),
    st.floats(0, 1),
)
@examples(deadline=None)
def test_every_quantile_is_near_an_observation_of_its_rank(values: list[float], share: float) -> None:
    aggregator = Aggregator(True, 10)
    aggregator.bind(0, aggregator.add_quantiles(1))
    aggregator.apply(b"".join(SAMPLE.pack(0, 0, value, 1.0, 0) for value in values), 0.0)
    found = aggregator.quantiles(0, [share])[0]
    rank = max(0, math.ceil(share * len(values)) - 1)
    exact = sorted(values)[rank]
    assert found == pytest.approx(exact, rel=0.011)


def test_a_window_of_all_magnitudes_stays_bounded_and_near() -> None:
    source = random.Random(5)
    values = [source.choice([-1, 1]) * 10 ** source.uniform(-300, 300) for _ in range(20_000)]
    aggregator = Aggregator(True, 10)
    aggregator.bind(0, aggregator.add_quantiles(1))
    aggregator.apply(b"".join(SAMPLE.pack(0, 0, value, 1.0, 0) for value in values), 0.0)
    exact = sorted(values)[int(0.9 * len(values)) - 1]
    assert aggregator.quantiles(0, [0.9])[0] == pytest.approx(exact, rel=0.6)
    assert aggregator.observations(0)[1] == 20_000


def test_a_name_has_one_type() -> None:
    house = House()
    house.take("a:1|c", "a:1|g", "t:1|ms", "t_sum:1|c", "a:2|c")
    assert house.shown()["a"] == 3
    assert native(house)["t"].sum == 0.001
    assert house.counted("agent_statsd_series_refused_total") == {("type_conflict",): 2}
    assert house.counted("agent_statsd_dropped_total") == {("refused_series",): 2}


def test_there_are_never_more_samples_than_allowed() -> None:
    house = House("{series_max: 3}")
    house.take("a:1|c", "b:1|c", "t:1|ms", "c:1|g", "d:1|g", "a:1|c")
    assert house.shown() == {"a": 2, "b": 1, "c": 1}
    assert house.counted("agent_statsd_series_refused_total") == {("series_max",): 2}


async def test_what_is_silent_for_too_long_goes_and_makes_room() -> None:
    house = House("{series_max: 2, mapping: {defaults: {ttl: 1m}, mappings: [{match: keep, name: keep, ttl: 0s}]}}")
    house.take("keep:1|c", "a:1|c", "b:1|c")
    await house.clock.advance(61)
    house.aggregation.expire()
    assert house.shown() == {"keep": 1}
    house.take("b:1|g", "keep:1|c", "a:5|c")
    assert house.shown() == {"keep": 2, "b": 1}


def test_names_that_would_hide_others_are_exported() -> None:
    house = House()
    house.take("a:1|c|#job:x,le:1,instance:i,__name__:b")
    assert house.shown() == {"a,exported___name__=b,exported_job=x,exported_le=1,instance=i": 1}


def test_labels_of_rules_hide_nothing_either() -> None:
    rules = "mappings: [{match: a.*, name: n, labels: {job: $1}}, {match: b.*, name: m_seconds, labels: {le: $1}}]"
    house = House(f"{{mapping: {{{rules}}}}}")
    house.take("a.x:1|c", "a.y:2|c", "b.1:1|c")
    assert house.shown() == {"n,exported_job=x": 1, "n,exported_job=y": 2, "m_seconds,exported_le=1": 1}


def test_tags_of_service_checks_hide_nothing_either() -> None:
    house = House()
    house.take("_sc|db|1|#job:x,__name__:up,check:y,env:prod")
    name = "statsd_service_check_state"
    assert house.shown() == {f"{name},exported_job=x,exported___name__=up,exported_check=y,env=prod,check=db": 1}


def test_a_counter_that_is_counted_down_stands_still_until_its_sum_has_come_up_again() -> None:
    house = House()
    house.take("a:3|c", "a:-1|c")
    assert house.shown() == {"a": 2}, "nobody has seen more"
    house.take("a:-1|c")
    assert (house.shown(), house.shown()) == ({"a": 2}, {"a": 2}), "a fall would be read as a restart"
    house.take("a:1|c")
    assert house.shown() == {"a": 2}
    house.take("a:1|c|@0.5")
    assert house.shown() == {"a": 4}


def test_the_help_of_a_rule_goes_with_its_metric() -> None:
    house = House("{mapping: {mappings: [{match: 'a.*', name: a_total, help: What a did.}, {match: b, name: b}]}}")
    house.take("a.x:1|c", "b:1|c")
    assert house.emission().helps == {"a_total": "What a did."}


def test_a_rule_decides_between_its_labels_and_those_sent() -> None:
    rules = (
        "mappings: [{match: a, name: a, labels: {k: rule}}, {match: b, name: b, labels: {k: rule}, honor_labels: true}]"
    )
    house = House(f"{{mapping: {{{rules}}}}}")
    house.take("a:1|c|#k:sent", "b:1|c|#k:sent", "b:1|c")
    assert house.shown() == {"a,k=rule": 1, "b,k=sent": 1, "b,k=rule": 1}


def test_events_are_counted_and_kept_and_service_checks_shown() -> None:
    house = House()
    house.take("_e{1,1}:a|b|t:error", "_e{1,1}:c|d|t:error", "_sc|db|2|#k:v", "_sc|db|0|#k:v", "_sc|web|1")
    assert house.shown() == {
        "statsd_events_total,alert_type=error,priority=normal": 2,
        "statsd_service_check_state,k=v,check=db": 0,
        "statsd_service_check_state,check=web": 1,
    }
    assert [event.title for event in house.aggregation.records.events] == ["a", "c"]


def test_set_members_are_bounded_together() -> None:
    aggregator = Aggregator(True, 3)
    aggregator.bind(0, aggregator.add_set())
    aggregator.apply(b"".join(SAMPLE.pack(0, 0, float(number), 1.0, 0) for number in range(5)), 0.0)
    aggregator.rotate_sets()
    assert (aggregator.value(0), aggregator.members_dropped) == (3, 2)


def test_slots_given_up_are_used_again_empty() -> None:
    aggregator = Aggregator(True, 3)
    for make in (aggregator.add_counter, aggregator.add_gauge, aggregator.add_set):
        slot = make()
        aggregator.bind(0, slot)
        aggregator.apply(SAMPLE.pack(0, 0, 5.0, 1.0, 0), 0.0)
        aggregator.free(slot)
        with pytest.raises(ValueError, match="no slot"):
            aggregator.value(slot)
        assert make() == slot
        assert aggregator.value(slot) == 0
    first = aggregator.add_buckets([1.0, 2.0])
    aggregator.free(first)
    assert aggregator.add_buckets([1.0]) == first
    assert aggregator.bucket_counts(first) == [0, 0]
    assert len(aggregator) == 4
