"""The clippers beside moto's server: another program's idea of AWS, over HTTP.

moto 5.2.5 answers percentiles with 500, has periods begin at StartTime, lets a query without dimensions add all of them up, and
knows neither pages nor throttling of GetMetricData: those are tested against `aws_stub`. What it does as AWS does stands here.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.agent.clippers.clipping import Clipping

from nunchi.testing.clock import VirtualClock

pytestmark = pytest.mark.peer
REGIONS = ("eu-west-1", "us-east-1")


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'nunchi[test]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def now(moto_url: str) -> datetime:
    """A whole five minutes ago, by the machine's clock: moto forgets nothing, but refuses what is old."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    moment = datetime.now(UTC)
    return moment - timedelta(minutes=moment.minute % 5, seconds=moment.second, microseconds=moment.microsecond)


def client(url: str, service: str, region: str) -> Any:
    import boto3

    session = boto3.Session("AKTEST", "secret")
    return session.client(service, region_name=region, endpoint_url=url)


def make_instance(url: str, region: str, tags: dict[str, str]) -> str:
    ec2 = client(url, "ec2", region)
    written = [{"Key": key, "Value": value} for key, value in tags.items()]
    specifications = [{"ResourceType": "instance", "Tags": written}] if tags else []
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=specifications)
    instance: str = made["Instances"][0]["InstanceId"]
    return instance


def put_cpu(url: str, region: str, instance: str, at: datetime, *values: float) -> None:
    data = [
        {"MetricName": "CPUUtilization", "Dimensions": [{"Name": "InstanceId", "Value": instance}], "Value": value,
         "Timestamp": at}
        for value in values
    ]  # fmt: skip
    client(url, "cloudwatch", region).put_metric_data(Namespace="AWS/EC2", MetricData=data)


async def test_metrics_and_resources_of_two_regions_are_collected(moto_url: str, now: datetime, tmp_path: Path):
    web = make_instance(moto_url, "eu-west-1", {"Name": "web", "Team": "shop"})
    bare = make_instance(moto_url, "us-east-1", {})
    at = now - timedelta(minutes=10)
    put_cpu(moto_url, "eu-west-1", web, at, 10.0, 30.0)
    put_cpu(moto_url, "us-east-1", bare, at, 7.0)
    clipping = Clipping(moto_url, tmp_path)
    clipping.clock.jump(now.timestamp() + 30 - clipping.clock.now())
    await clipping.configure("""
aws:
- name: moto
  credentials: main
  regions: [eu-west-1, us-east-1]
  metrics:
  - namespace: AWS/EC2
    delay: 0s
    tag_labels: [Team]
    metrics: [{name: CPUUtilization, statistics: [Average, Maximum, Sum, SampleCount]}]
""")
    await clipping.pass_time(10)
    assert {one["state"] for one in clipping.cloud.manager.status()} == {"running"}, clipping.cloud.manager.status()
    at_ms = round(at.timestamp() * 1000)
    expected = {"average": 20.0, "maximum": 30.0, "sum": 40.0, "sample_count": 2.0}
    for statistic, value in expected.items():
        assert clipping.sink.find(f"aws_ec2_cpuutilization_{statistic}{{", web, 'tag_Team="shop"') == {at_ms: value}
    found = clipping.sink.find("aws_ec2_cpuutilization_average{", bare, 'region="us-east-1"')
    assert found == {at_ms: 7.0}, "an instance that was never tagged is found too"
    infos = [text for text in clipping.sink.live if text.startswith("aws_ec2_info{")]
    assert len(infos) == 2
    assert any('tag_Name="web"' in text for text in infos)
    put_cpu(moto_url, "us-east-1", bare, at, 9.0)
    await clipping.pass_time(300)
    assert clipping.sink.find("aws_ec2_cpuutilization_average{", bare) == {at_ms: 8.0}, "corrected"
    await clipping.stop()


async def test_the_older_call_gives_the_same_values(moto_url: str, now: datetime, tmp_path: Path):
    web = make_instance(moto_url, "eu-west-1", {"Name": "web"})
    put_cpu(moto_url, "eu-west-1", web, now - timedelta(minutes=10), 1.0, 2.0)
    values = []
    for api in ("data", "statistics"):
        clipping = Clipping(moto_url, tmp_path)
        clipping.clock.jump(now.timestamp() + 30 - clipping.clock.now())
        await clipping.configure(f"""
aws:
- name: moto
  credentials: main
  regions: [eu-west-1]
  metrics:
  - {{namespace: AWS/EC2, api: {api}, delay: 0s, statistics: [Sum, Minimum], metrics: [{{name: CPUUtilization}}]}}
""")
        await clipping.pass_time(10)
        values.append({text: dict(samples) for text, samples in clipping.sink.stored.items()})
        await clipping.stop()
    assert values[0] == values[1]
    assert len(values[0]) == 2


async def test_many_services_are_described_and_a_role_is_assumed(moto_url: str, tmp_path: Path):
    client(moto_url, "sqs", "eu-west-1").create_queue(QueueName="orders")
    client(moto_url, "sns", "eu-west-1").create_topic(Name="alarms")
    client(moto_url, "dynamodb", "eu-west-1").create_table(
        TableName="carts", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    client(moto_url, "rds", "eu-west-1").create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=5,
        MasterUsername="u", MasterUserPassword="password1", Tags=[{"Key": "Team", "Value": "shop"}],
    )  # fmt: skip
    clipping = Clipping(moto_url, tmp_path)
    await clipping.configure("""
aws:
- name: moto
  credentials: main
  role_arn: arn:aws:iam::210987654321:role/monitoring
  external_id: right
  regions: [eu-west-1]
  resources: {namespaces: [AWS/SQS]}
""")
    await clipping.pass_time(10)
    status = clipping.status("resources")
    assert status["state"] == "running", status
    # A role's account is another one, and moto keeps accounts apart: what was made in ours is not seen with the role.
    assert 'account_id="210987654321"' not in "".join(clipping.sink.live)
    await clipping.configure("""
aws:
- name: moto
  credentials: main
  regions: [eu-west-1]
  resources: {namespaces: [AWS/SQS, AWS/SNS, AWS/DynamoDB, AWS/RDS, AWS/Lambda, AWS/ELB, AWS/ApplicationELB, AWS/EKS]}
""")
    await clipping.pass_time(10)
    assert clipping.status("resources")["state"] == "running", clipping.status("resources")
    names = {text.split("{")[0] for text in clipping.sink.live}
    assert names == {"aws_sqs_info", "aws_sns_info", "aws_dynamodb_info", "aws_rds_info"}
    assert any('tag_Team="shop"' in text for text in clipping.sink.live)
    await clipping.stop()


async def test_regions_are_listed_when_credentials_are_checked(moto_url: str, tmp_path: Path):
    clipping = Clipping(moto_url, tmp_path)
    [provider] = clipping.cloud.manager._providers.values()
    assert set(REGIONS) <= set(await provider.check_credentials("check", "main", "", ""))
    assert isinstance(clipping.clock, VirtualClock)
