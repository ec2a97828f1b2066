"""Names, windows, packs, associations: what needs no cloud."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.agent.clippers.aws.association import Association, namespace_of
from nunchi.agent.clippers.aws.describe import calls_for, read_item
from nunchi.agent.clippers.aws.inventory import merge
from nunchi.agent.clippers.aws.names import dimension_label, info_name, metric_name, tag_label
from nunchi.agent.clippers.aws.queries import Query, Span, pack, window_of
from nunchi.agent.clippers.aws.service import Place
from nunchi.agent.clippers.aws.services import BY_NAMESPACE, SERVICES
from nunchi.agent.cloud.exchange import Resource
from nunchi.agent.cloud.samples import CloudSeries, Delivered
from nunchi.agent.cloud.throttle import TokenBucket
from nunchi.model.names import NameScheme
from nunchi.model.staleness import STALE_BITS, bits_of
from nunchi.testing.clock import VirtualClock

SERIES = CloudSeries("x", ())


@pytest.mark.parametrize(
    ("namespace", "metric", "statistic", "name"),
    [
        ("AWS/EC2", "CPUUtilization", "Average", "aws_ec2_cpuutilization_average"),
        ("AWS/EC2", "NetworkPacketsIn", "Sum", "aws_ec2_network_packets_in_sum"),
        ("AWS/ApplicationELB", "TargetResponseTime", "p99", "aws_applicationelb_target_response_time_p99"),
        ("AWS/S3", "4xxErrors", "SampleCount", "aws_s3_4xx_errors_sample_count"),
        ("Glue", "glue.driver.jvm.heap.usage", "Maximum", "aws_glue_driver_jvm_heap_usage_maximum"),
        ("/aws/sagemaker/TrainingJobs", "CPU Utilization", "p99.9", "aws_sagemaker_trainingjobs_cpu_utilization_p99_9"),
        ("My App", "Größe", "Average", "aws_my_app_gr_e_average"),
    ],
)
def test_metrics_have_the_names_that_users_of_yace_know(namespace: str, metric: str, statistic: str, name: str):
    assert metric_name(namespace, metric, statistic) == name


@given(st.text(max_size=20), st.text(max_size=20))
def test_every_name_is_a_legal_one(namespace: str, text: str):
    for name in (metric_name(namespace, text, "Average"), info_name(namespace), dimension_label(text), tag_label(text)):
        assert NameScheme.LEGACY.is_label_name(name)


@given(
    st.integers(10**12, 2 * 10**12), st.sampled_from([60_000, 300_000]), st.integers(0, 10**6), st.integers(0, 10**7)
)
def test_windows_are_whole_periods_that_are_over_and_leave_no_hole(
    now_ms: int, period_ms: int, delay_ms: int, look_ms: int
):
    span = Span(period_ms, delay_ms, look_ms)
    first = window_of(span, now_ms)
    assert first.start_ms % period_ms == first.end_ms % period_ms == 0
    assert now_ms - delay_ms - period_ms < first.end_ms <= now_ms - delay_ms
    assert first.end_ms - first.start_ms >= max(look_ms, period_ms)
    later = window_of(span, now_ms + 3_600_000, first.end_ms)
    assert later.start_ms <= first.end_ms


@given(st.integers(1, 3000), st.sampled_from([300, 1440 * 60, 7 * 86400]))
def test_packs_hold_what_one_call_may_and_all_of_it(count: int, look_back_s: int):
    window = window_of(Span(60_000, 0, 1000 * look_back_s), 10**12)
    queries = [Query("N", "m", (("d", str(number)),), "Sum", SERIES) for number in range(count)]
    packs = list(pack(queries, window))
    assert [query for one in packs for query in one] == queries
    assert all(len(one) <= 500 and (len(one) == 1 or len(one) * window.periods <= 100_800) for one in packs)


@given(st.lists(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([1.0, 2.0])), max_size=8), max_size=8))
def test_what_is_handed_on_is_the_difference_and_nothing_is_lost(rounds: list[list[tuple[int, float]]]):
    delivered, stored, cloud = Delivered(), {}, {}
    for points in rounds:
        cloud.update(points)
        for time, value in delivered.changed(SERIES, sorted(dict(points).items()), 0, 1):
            assert stored.get(time) != value
            stored[time] = value
    assert stored == cloud


def test_what_is_older_than_the_window_is_forgotten_and_what_had_no_value_in_it_has_ended():
    delivered = Delivered()
    delivered.changed(SERIES, [(10, 1.0), (20, 1.0)], 0, 10)
    assert delivered.changed(SERIES, [(20, 1.0), (30, 1.0)], 20, 10) == [(30, 1.0)]
    assert delivered.take_markers() == []
    assert delivered.changed(SERIES, [], 40, 10) == []
    [(series, [(at, value)])] = delivered.take_markers()
    assert (series, at, bits_of(value)) == (SERIES, 40, STALE_BITS)
    delivered.changed(SERIES, [(50, 1.0)], 40, 10)
    delivered.forget_before(51)
    assert len(delivered) == 0
    assert [at for _, [(at, _)] in delivered.take_markers()] == [60]
    assert delivered.take_markers() == []


def test_every_service_names_resources_that_its_own_patterns_find():
    for service in SERVICES:
        assert service.filters
        for names, pattern in service.patterns:
            assert pattern.groups == len(names), service.namespace
    assert len(BY_NAMESPACE) == len(SERVICES)


@pytest.mark.parametrize(
    ("namespace", "item", "dimensions"),
    [
        ("AWS/EC2", {"InstanceId": "i-1"}, (("InstanceId", "i-1"),)),
        ("AWS/EBS", {"VolumeId": "v-1"}, (("VolumeId", "v-1"),)),
        ("AWS/NATGateway", {"NatGatewayId": "n-1"}, (("NatGatewayId", "n-1"),)),
        ("AWS/DynamoDB", "orders", (("TableName", "orders"),)),
        ("AWS/SQS", "https://sqs.eu-west-1.amazonaws.com/1/jobs", (("QueueName", "jobs"),)),
        ("AWS/S3", {"Name": "bucket"}, (("BucketName", "bucket"),)),
        ("AWS/ELB", {"LoadBalancerName": "old"}, (("LoadBalancerName", "old"),)),
        ("AWS/EKS", "blue", (("ClusterName", "blue"),)),
    ],
)
def test_what_is_described_is_found_by_the_dimensions_of_its_series(
    namespace: str, item: object, dimensions: tuple[tuple[str, str], ...]
):
    [description] = BY_NAMESPACE[namespace].descriptions
    found = read_item(namespace, description, item, Place("aws", "eu-west-1", "1"))
    assert Association([found]).find(namespace, dimensions) is found


def test_load_balancers_of_all_kinds_are_asked_for_once():
    asked = calls_for(["AWS/ApplicationELB", "AWS/EC2", "AWS/NetworkELB", "Shop"])
    assert [(call.operation, [namespace for namespace, _ in wanted]) for call, wanted in asked.items()] == [
        ("describe_load_balancers", ["AWS/ApplicationELB", "AWS/NetworkELB"]),
        ("describe_target_groups", ["AWS/ApplicationELB"]),
        ("describe_instances", ["AWS/EC2"]),
    ]


def test_the_largest_pattern_whose_dimensions_are_there_wins():
    cluster = Resource("arn:aws:ecs:r:1:cluster/shop", "AWS/ECS", "shop")
    service = Resource("arn:aws:ecs:r:1:service/shop/web", "AWS/ECS", "web")
    association = Association([cluster, service])
    both = (("ClusterName", "shop"), ("ServiceName", "web"))
    assert association.find("AWS/ECS", both) is service
    assert association.find("AWS/ECS", both[:1]) is cluster
    assert association.find("AWS/ECS", (("ServiceName", "web"),)) is None
    balancer = Resource("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/50dc", "AWS/ApplicationELB", "web")
    found = Association([balancer]).find(
        "AWS/ApplicationELB", (("AvailabilityZone", "a"), ("LoadBalancer", "app/web/50dc"))
    )
    assert found is balancer
    assert namespace_of(balancer.id, ["AWS/EC2", "AWS/NetworkELB", "AWS/ApplicationELB"]) == "AWS/ApplicationELB"


def test_resources_of_several_sources_are_one():
    place = Place("aws", "eu-west-1", "1")
    item = {"InstanceId": "i-1", "InstanceType": "t3", "Tags": [{"Key": "Name", "Value": "web"}]}
    [(namespace, description)] = [one for wanted in calls_for(["AWS/EC2"]).values() for one in wanted]
    described = read_item(namespace, description, item, place)
    tagged = Resource(described.id, "AWS/EC2", "i-1", {"Team": "shop"})
    [merged] = merge({"tagging": [tagged], "described": [described]})
    assert merged == Resource(described.id, "AWS/EC2", "web", {"Team": "shop", "Name": "web"}, {"InstanceType": "t3"})


async def test_a_bucket_lets_no_more_through_than_its_rate_and_learns_from_throttling():
    clock = VirtualClock()
    bucket = TokenBucket(10, 10, clock)
    for _ in range(10):
        await bucket.wait_turn()
    bucket.slow_down()
    assert bucket.rate == 5
    for _ in range(10):
        bucket.slow_down()
    assert bucket.rate == 10 / 16
    for _ in range(40):
        bucket.speed_up()
    assert bucket.rate == 10
