"""The resource clipper: tagged and untagged things, what it tells the metric clipper, and what that tells it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.agent.clippers.aws_stub import Account, serving
from tests.agent.clippers.clipping import Clipping
from tests.agent.clippers.links import RecordingLink

from nunchi.wire.cloud_exchange import RESOURCES_PATH, ResourcesReport

ARN = "arn:aws:ec2:eu-west-1:123456789012:instance/"
WEB, DB, BARE = "i-0web", "i-0db", "i-0bare"
CONFIGURATION = """
aws:
- name: production
  credentials: main
  regions: [eu-west-1]
  metrics:
  - namespace: AWS/EC2
    metrics: [{name: CPUUtilization}]
"""


def cpu(instance: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return "AWS/EC2", "CPUUtilization", (("InstanceId", instance),)


@pytest.fixture
def account() -> Account:
    """One instance that only the tagging API has tags of, one that both know, one that was never tagged."""
    return Account(
        metrics=[cpu(WEB), cpu(DB), cpu(BARE)],
        tagged={ARN + WEB: {"Name": "web", "Team": "shop"}, ARN + DB: {"Name": "db", "Team": "platform"}},
        instances=[(DB, {"Name": "db", "Stage": "live"}), (BARE, {})],
    )


@pytest.fixture
def url(account: Account) -> Iterator[str]:
    with serving(account) as address:
        yield address


@pytest.fixture
async def clipping(url: str, tmp_path: Path) -> AsyncIterator[Clipping]:
    made = Clipping(url, tmp_path)
    yield made
    await made.stop()


async def test_series_carry_the_name_of_their_resource_tagged_or_not(clipping: Clipping):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(10)
    assert len(clipping.sink.stored) == 3
    for instance in (WEB, DB, BARE):
        assert clipping.sink.find(f'name="{ARN}{instance}"', f'dimension_InstanceId="{instance}"')
    assert all(text.startswith("aws_ec2_cpuutilization_average{") for text in clipping.sink.stored)


async def test_chosen_tags_become_labels_and_all_tags_stand_on_the_info_series(clipping: Clipping):
    await clipping.configure(CONFIGURATION.replace("metrics: [{", "tag_labels: [Team]\n    metrics: [{"))
    await clipping.pass_time(10)
    assert clipping.sink.find('tag_Team="shop"', WEB)
    assert not any("tag_Name" in text for text in clipping.sink.stored)
    infos = {text: samples for text, samples in clipping.sink.live.items() if text.startswith("aws_ec2_info{")}
    assert len(infos) == 3
    [text] = [one for one in infos if DB in one]
    for label in ('tag_Name="db"', 'tag_Team="platform"', 'tag_Stage="live"'):
        assert label in text
    assert set(infos[text].values()) == {0.0}
    handed = len(infos[text])
    await clipping.pass_time(120)
    assert len(clipping.sink.live[text]) == handed + 2, "info series are repeated so that they stay current"


async def test_tag_filters_choose_by_patterns_in_values(account: Account, clipping: Clipping):
    await clipping.configure(CONFIGURATION.replace("metrics: [{", "tag_filters: {Team: ^shop$}\n    metrics: [{"))
    await clipping.pass_time(10)
    [only] = clipping.sink.stored
    assert WEB in only
    assert account.queries == [1], "what is not chosen is not paid for"


async def test_a_job_that_chooses_by_tags_waits_for_an_inventory_and_others_only_a_while(
    account: Account, clipping: Clipping
):
    account.faults = {"GetResources": ["denied"] * 3, "DescribeInstances": ["denied"] * 3}
    chosen = (
        "\n  - {namespace: AWS/EC2, tag_filters: {Team: shop}, metrics: [{name: CPUUtilization, statistics: [Sum]}]}"
    )
    await clipping.configure(CONFIGURATION.rstrip() + chosen + "\n")
    await clipping.pass_time(55)
    assert clipping.sink.stored == {}
    assert clipping.status("resources")["state"] == "failing"
    await clipping.pass_time(10)
    assert {text.split("{")[0] for text in clipping.sink.stored} == {"aws_ec2_cpuutilization_average"}
    await clipping.pass_time(600)
    assert clipping.status("resources")["state"] == "running"
    assert any(text.startswith("aws_ec2_cpuutilization_sum{") for text in clipping.sink.stored)


async def test_one_source_that_fails_leaves_what_the_others_say_and_what_it_said_before(
    account: Account, clipping: Clipping
):
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(10)
    account.faults = {"DescribeInstances": ["denied"]}
    account.tagged[ARN + "i-0new"] = {"Name": "new"}
    await clipping.pass_time(300)
    assert clipping.status("resources")["state"] == "degraded"
    assert "describe_instances" in clipping.status("resources")["messages"][0]
    shown = [text for text in clipping.sink.live if text.startswith("aws_ec2_info")]
    assert any(BARE in text for text in shown), "described before, and not forgotten"
    assert any("i-0new" in text for text in shown)


async def test_pages_of_the_tagging_api_are_followed(account: Account, clipping: Clipping):
    account.tagged = {f"{ARN}i-{number:03}": {"Name": f"n{number}"} for number in range(250)}
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(10)
    assert account.calls["GetResources"] == 3
    assert clipping.count("agent_cloud_resources") == 250 + 2


async def test_the_inventory_says_how_many_metrics_a_resource_has_and_what_only_metrics_know(
    account: Account, url: str, tmp_path: Path
):
    account.metrics = [*account.metrics, cpu("i-0gone")]
    link = RecordingLink()
    clipping = Clipping(url, tmp_path, link)
    await clipping.configure(CONFIGURATION)
    await clipping.pass_time(130)
    assert clipping.cloud.reporter is not None
    await clipping.cloud.reporter.tell()
    [report] = [msgspec.json.decode(body, type=ResourcesReport) for path, body in link.posted if path == RESOURCES_PATH]
    found = {one.id or one.name: one for one in report.resources}
    assert found[ARN + WEB].attributes["metrics"] == "1"
    assert found[ARN + DB].attributes["InstanceType"] == "t3.micro"
    assert found["InstanceId=i-0gone"].attributes == {"metrics": "1"}
    await clipping.cloud.reporter.tell()
    assert sum(path == RESOURCES_PATH for path, _ in link.posted) == 1, "what has not changed is not told again"
    await clipping.stop()
