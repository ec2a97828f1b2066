"""The metric clipper against an AWS that pages, ripens, throttles and fails (`aws_stub`), on virtual time."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.clippers.aws_stub import Account, large_account, serving
from tests.agent.clippers.clipping import NOW_S, Clipping

from nunchi.model.staleness import is_stale

CONFIGURATION = """
aws:
- name: production
  credentials: main
  regions: [eu-west-1]
  resources: {describe: false}
  metrics:
  - namespace: Shop
    delay: 1m
    period: 1m
    look_back: 5m
    metrics: [{name: Orders, statistics: [Sum, p99]}]
"""
ORDERS = ("Shop", "Orders", (("Shop", "north"),))

Make = Callable[..., Clipping]


@pytest.fixture
def account() -> Account:
    return Account(metrics=[ORDERS])


@pytest.fixture
def url(account: Account) -> Iterator[str]:
    with serving(account) as address:
        yield address


@pytest.fixture
async def clipping(url: str, tmp_path: Path) -> AsyncIterator[Clipping]:
    made = Clipping(url, tmp_path)
    yield made
    await made.stop()


async def test_every_value_comes_with_its_own_time_and_the_names_that_users_know(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    found = clipping.sink.find("aws_shop_orders_sum")
    end_s = (NOW_S - 60) // 60 * 60
    times = range(end_s - 300, end_s, 60)
    assert found == {1000 * time_s: account.value("Orders", ORDERS[2], "Sum", time_s) for time_s in times}
    assert set(clipping.sink.find("aws_shop_orders_p99", 'dimension_Shop="north"', 'region="eu-west-1"')) == set(found)
    text = next(iter(clipping.sink.stored))
    for part in (
        'name="global"',
        'account_alias="production"',
        'account_id="123456789012"',
        'site="north"',
        'job="cloudwatch"',
    ):
        assert part in text


async def test_only_new_values_are_handed_on_and_corrected_ones_take_their_place(account: Account, clipping: Clipping):
    account.now_s, account.ripening_s = NOW_S, 180
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    end_ms = (NOW_S - 60) // 60 * 60_000
    unripe = clipping.sink.find("orders_sum")[end_ms - 60_000]
    handed = clipping.sink.samples
    account.now_s += 60
    await clipping.pass_time(60)
    assert clipping.sink.samples - handed == 2 + 2, "one new and one ripened value of each statistic"
    assert clipping.sink.find("orders_sum")[end_ms - 60_000] == 2 * unripe
    assert clipping.count("agent_cloud_samples_corrected_total") == 2
    handed = clipping.sink.samples
    account.now_s += 240
    await clipping.pass_time(240)
    account.ripening_s = 0
    assert all(
        value == account.value("Orders", ORDERS[2], "Sum", time_ms // 1000)
        for time_ms, value in clipping.sink.find("orders_sum").items()
        if time_ms // 1000 + 180 <= account.now_s
    )


async def test_queries_are_packed_by_window_five_hundred_at_a_time(account: Account, clipping: Clipping):
    account.metrics = large_account(1200).metrics
    names = ", ".join(f"{{name: Metric{number}}}" for number in range(9))
    await clipping.configure(f"""
aws:
- name: big
  credentials: main
  regions: [eu-west-1]
  resources: {{describe: false}}
  metrics:
  - {{namespace: AWS/EC2, metrics: [{names}, {{name: Metric9, period: 1m}}]}}
""")
    await clipping.pass_time(10)
    assert sorted(account.queries) == [80, 120, 500, 500]
    assert all(len(periods) == 1 for _, _, periods in account.windows)
    assert clipping.count("agent_cloud_metrics_requested_total") == 1200
    assert len(clipping.sink.stored) == 1200
    assert clipping.status("metrics")["state"] == "running"


async def test_pages_are_followed_and_partial_results_joined(account: Account, clipping: Clipping):
    account.metrics = [("Shop", "Orders", (("Shop", str(number)),)) for number in range(20)]
    account.values_per_page = 7
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(5)
    assert len(clipping.sink.stored) == 40
    assert all(len(samples) == 5 for samples in clipping.sink.stored.values())
    assert account.calls["GetMetricData"] == -(-40 * 5 // 7)
    assert clipping.status("metrics")["state"] == "running"


async def test_a_page_that_fails_for_good_keeps_the_pages_before_it_and_the_next_window_reaches_back(
    account: Account, clipping: Clipping
):
    account.values_per_page = 7
    account.faults["GetMetricData"] = ["", "denied"]
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    assert sum(map(len, clipping.sink.stored.values())) == 7
    assert clipping.status("metrics")["state"] == "degraded"
    assert "AccessDenied" in clipping.status("metrics")["messages"][0]
    account.faults["GetMetricData"] = ["denied"] * 20
    await clipping.pass_time(600)
    account.faults.clear()
    await clipping.pass_time(60)
    assert clipping.status("metrics")["state"] == "running"
    times = sorted(clipping.sink.find("orders_sum"))
    assert times == list(range(times[0], times[-1] + 1, 60_000)), "no hole where the API failed"
    assert len(times) == 16


async def test_throttled_and_failing_calls_are_tried_again_with_growing_pauses(account: Account, clipping: Clipping):
    account.faults["GetMetricData"] = ["throttle", "500", "reset"]
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(15)
    assert clipping.status("metrics")["state"] == "running"
    assert len(clipping.sink.stored) == 2
    for outcome in ("throttled", "server_error", "unreachable", "ok"):
        assert clipping.count("agent_cloud_calls_total", api="get_metric_data", outcome=outcome) == 1


async def test_a_clipper_that_is_throttled_for_long_says_so_and_goes_on_later(account: Account, clipping: Clipping):
    account.faults["GetMetricData"] = ["throttle"] * 15
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(60)
    assert "Rate exceeded" in clipping.status("metrics")["messages"][0]
    await clipping.pass_time(400)
    assert clipping.status("metrics")["state"] == "running"
    assert len(clipping.sink.find("orders_sum")) >= 11


async def test_internal_errors_are_asked_again_and_forbidden_ones_are_named(account: Account, clipping: Clipping):
    account.metrics += [("Shop", "Secret", ())]
    account.statuses = {"Orders": ["InternalError", "InternalError", "Complete"], "Secret": ["Forbidden"]}
    await clipping.configure(CONFIGURATION.replace("metrics: [{", "metrics: [{name: Secret}, {"))
    await clipping.pass_time(2)
    assert len(clipping.sink.find("orders_sum")) == 5
    status = clipping.status("metrics")
    assert status["state"] == "degraded"
    assert status["messages"] == ["1 metrics are forbidden, as Shop Secret"]
    assert clipping.count("agent_cloud_results_total", status="InternalError") == 2
    assert clipping.count("agent_cloud_results_total", status="Forbidden") == 1


async def test_lists_of_metrics_are_remembered(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(14 * 60)
    assert account.calls["ListMetrics"] == 1
    account.metrics = [*account.metrics, ("Shop", "Orders", (("Shop", "south"),))]
    await clipping.pass_time(3 * 60)
    assert account.calls["ListMetrics"] == 2
    assert clipping.sink.find("orders_sum", "south")


async def test_dimensions_that_are_given_spare_the_listing(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION.replace("delay: 1m", "delay: 1m\n    dimensions: {Shop: north}"))
    await clipping.pass_time(1)
    assert account.calls["ListMetrics"] == 0
    assert len(clipping.sink.find("orders_sum")) == 5


async def test_a_metric_without_dimensions_is_not_the_sum_of_those_with_some(account: Account, clipping: Clipping):
    account.metrics = [*account.metrics, ("Shop", "Orders", ()), ("Shop", "Orders", (("Shop", "a"), ("Till", "1")))]
    await clipping.configure(CONFIGURATION.replace("delay: 1m", "delay: 1m\n    dimension_names: [Shop]"))
    await clipping.pass_time(1)
    assert len(clipping.sink.stored) == 2


async def test_statistics_are_asked_by_the_older_call_where_that_is_chosen(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION.replace("delay: 1m", "delay: 1m\n    api: statistics"))
    await clipping.pass_time(1)
    assert account.calls["GetMetricStatistics"] == 1, "all statistics of a metric come with one call"
    assert account.calls["GetMetricData"] == 0
    assert len(clipping.sink.find("orders_sum")) == len(clipping.sink.find("orders_p99")) == 5
    assert clipping.count("agent_cloud_metrics_requested_total", api="get_metric_statistics") == 1


async def test_periods_without_value_are_gaps_unless_zero_is_asked_for(account: Account, clipping: Clipping):
    account.silent = {"Orders"}
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    assert clipping.sink.stored == {}
    await clipping.configure(CONFIGURATION.replace("delay: 1m", "delay: 1m\n    nil_to_zero: true"))
    await clipping.pass_time(2)
    assert set(clipping.sink.find("orders_sum").values()) == {0.0}


async def test_a_series_that_has_ended_gets_a_marker_and_one_that_nobody_answers_for_none(
    account: Account, clipping: Clipping
):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    last = max(clipping.sink.find("orders_sum"))
    account.faults = {"GetMetricData": ["500"] * 40}
    await clipping.pass_time(400)
    assert max(clipping.sink.find("orders_sum")) == last
    account.faults = {}
    account.silent = {"Orders"}
    await clipping.pass_time(900)
    found = clipping.sink.find("orders_sum")
    assert [time for time, value in found.items() if is_stale(value)] == [last + 60_000]
    account.silent = set()
    await clipping.pass_time(60)
    assert max(clipping.sink.find("orders_sum")) > last + 60_000, "and it may come back"


async def test_one_region_that_refuses_leaves_the_others_alone(account: Account, clipping: Clipping):
    account.broken_regions = {"us-east-1": "denied", "ap-south-1": "throttle"}
    await clipping.configure(CONFIGURATION.replace("[eu-west-1]", "[eu-west-1, us-east-1, ap-south-1]"))
    await clipping.pass_time(120)
    assert clipping.status("metrics", "eu-west-1")["state"] == "running"
    assert clipping.status("metrics", "us-east-1")["state"] == "failing"
    assert clipping.status("metrics", "ap-south-1")["state"] == "failing"
    account.broken_regions.clear()
    await clipping.pass_time(120)
    assert {one["state"] for one in clipping.cloud.manager.status()} == {"running"}
    assert len(clipping.sink.stored) == 6


async def test_how_far_the_data_is_behind_is_shown(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(1)
    assert clipping.count("agent_cloud_behind_seconds") < 60
    account.faults["GetMetricData"] = ["denied"] * 100
    await clipping.pass_time(600)
    assert clipping.count("agent_cloud_behind_seconds") > 540


async def test_a_wrong_key_is_named_and_no_secret_is_in_what_is_said(account: Account, url: str, tmp_path: Path):
    account.known_keys = {"AKOTHER"}
    clipping = Clipping(url, tmp_path)
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(40)
    status = clipping.status("metrics")
    assert status["state"] == "failing"
    assert "security token" in status["messages"][0]
    assert "wrong key" in status["messages"][0]
    assert "s3cr3t" not in repr(clipping.cloud.manager.status())
    assert account.calls["GetCallerIdentity"] <= 5, "what cannot pass by itself is not tried over and over"
    account.known_keys = set()
    await clipping.pass_time(60)
    assert clipping.status("metrics")["state"] == "running"
    await clipping.stop()


async def test_a_role_is_assumed_with_its_external_id(account: Account, clipping: Clipping):
    role = "credentials: main\n  role_arn: arn:aws:iam::210987654321:role/monitoring\n  external_id: right"
    account.known_keys = {"AKTEST", "ASIAROLE"}
    await clipping.configure(CONFIGURATION.replace("credentials: main", role))
    await clipping.pass_time(1)
    assert clipping.status("metrics")["state"] == "running"
    [asked] = account.assumed
    assert asked["RoleArn"].endswith("role/monitoring")
    assert asked["ExternalId"] == "right"


async def test_a_role_that_is_refused_is_named(account: Account, clipping: Clipping):
    role = "credentials: main\n  role_arn: arn:aws:iam::210987654321:role/monitoring\n  external_id: wrong"
    await clipping.configure(CONFIGURATION.replace("credentials: main", role))
    await clipping.pass_time(1)
    assert clipping.status("metrics")["state"] == "failing"
    assert "AssumeRole" in clipping.status("metrics")["messages"][0]
