"""Cloud configurations at the server: kept, handed to one agent at a time; reports and inventories. Over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.intake.test_enrolment import House

from nunchi.intake.receive.cloud import CloudRoutes
from nunchi.intake.registry.cloud_configurations import WAITING_MAX, CloudConfigurations
from nunchi.intake.registry.cloud_states import PART_RESOURCES_MAX, CloudStates
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.cloud_configuration import parse_cloud_configuration
from nunchi.wire.cloud_exchange import (
    CONFIGURATION_PATH,
    REPORT_PATH,
    RESOURCES_PATH,
    WAIT_SECONDS_MAX,
    ClipperReport,
    CloudReport,
    ResourceReport,
    ResourcesReport,
)

ROOT = "/api/nunchi/v1/cloud"
TEXT = (
    "aws: [{name: %s, regions: [eu-west-1], metrics: [{namespace: AWS/EC2, look_back: 20m, metrics: [{name: CPU}]}]}]"
)
JSON = {"Content-Type": "application/json"}


class CloudHouse(House):
    """With clouds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.configurations = CloudConfigurations(self.records, self.clock, logger("test"))
        self.configurations.open()
        self.states = CloudStates(self.records, self.clock)
        self.states.open()
        routes = CloudRoutes(self.configurations, self.states, self.book).routes()
        self.server = HttpServer(
            "web", "127.0.0.1:0", routes, HttpPolicy(), self.clock, Telemetry(), logger("test"), self.book.authenticate
        )

    async def put(self, name: str, *agents: str, text: str = "") -> tuple[int, object]:
        body = msgspec.json.encode({"agents": agents, "text": text or TEXT % name})
        return await self.ask("PUT", f"{ROOT}/configurations/{name}", data=body, headers=JSON)

    async def fetch(self, agent: str, version: str = "", key: str = "") -> tuple[int, object]:
        return await self.ask("GET", f"{CONFIGURATION_PATH}?agent=id-{agent}&name={agent}&version={version}", key)

    async def wait_waiting(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.configurations.waiting != count:  # noqa: ASYNC110 (requests arrive by real sockets)
                await asyncio.sleep(0.01)

    async def tell(self, path: str, report: object, key: str = "") -> tuple[int, object]:
        return await self.ask("POST", path, key, data=msgspec.json.encode(report), headers=JSON)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[CloudHouse]:
    found = CloudHouse(tmp_path)
    await found.server.start()
    yield found
    await found.server.stop()


async def test_a_configuration_is_handed_to_one_agent_and_to_the_next_when_that_falls_silent(house: CloudHouse) -> None:
    assert (await house.put("production", "cloud-*"))[0] == 200
    status, handed = await house.fetch("cloud-1")
    assert (status, handed["text"]) == (200, TEXT % "production")
    assert (await house.fetch("cloud-1", handed["version"]))[0] == 304
    assert (await house.fetch("cloud-2"))[1]["text"] == "", "nobody pays twice"
    assert (await house.fetch("web-1"))[1]["text"] == ""
    _, shown = await house.ask("GET", f"{ROOT}/configurations")
    assert shown["configurations"][0]["obeyed_by"] == "cloud-1"
    await house.clock.advance(181)
    assert (await house.fetch("cloud-2"))[1]["text"] == TEXT % "production"
    assert (await house.fetch("cloud-1"))[1]["text"] == ""


async def test_a_change_is_seen_with_the_next_question_and_a_removal_too(house: CloudHouse) -> None:
    await house.put("production", "cloud-1")
    _, first = await house.fetch("cloud-1")
    await house.put("production", "cloud-1", text=(TEXT % "production").replace("CPU", "Other"))
    status, second = await house.fetch("cloud-1", first["version"])
    assert status == 200
    assert "Other" in second["text"]
    assert (await house.ask("DELETE", f"{ROOT}/configurations/production"))[0] == 200
    assert (await house.fetch("cloud-1", second["version"]))[1]["text"] == ""
    assert (await house.ask("DELETE", f"{ROOT}/configurations/production"))[0] == 404


async def test_who_waits_hears_of_a_change_at_once_and_of_none_when_the_time_is_over(house: CloudHouse) -> None:
    await house.put("production", "cloud-1")
    _, first = await house.fetch("cloud-1")
    waiting = asyncio.create_task(house.fetch("cloud-1", f"{first['version']}&wait=25"))
    await house.wait_waiting(1)
    await house.put("elsewhere", "web-*")
    await house.wait_waiting(1)
    assert not waiting.done(), "what others are told is no change"
    await house.put("production", "cloud-1", text=(TEXT % "production").replace("CPU", "Other"))
    status, second = await waiting
    assert (status, "Other" in second["text"]) == (200, True)
    waiting = asyncio.create_task(house.fetch("cloud-1", f"{second['version']}&wait=25"))
    await house.wait_waiting(1)
    await house.clock.advance(25.1)
    assert (await waiting)[0] == 304
    assert (await house.fetch("cloud-1", "other&wait=25"))[0] == 200, "who has another version waits for nothing"
    waiting = asyncio.create_task(house.fetch("cloud-1", f"{second['version']}&wait=25"))
    await house.wait_waiting(1)
    await house.ask("DELETE", f"{ROOT}/configurations/production")
    assert (await waiting)[1]["text"] == ""
    assert house.configurations.waiting == 0


async def test_no_more_wait_than_may_and_nobody_longer(house: CloudHouse) -> None:
    await house.put("production", "cloud-*")
    _, handed = await house.fetch("cloud-1")
    version = handed["version"]
    waiting = [asyncio.create_task(house.configurations.wait_change("id-cloud-1", "cloud-1", version, 25.0))
               for _ in range(WAITING_MAX)]  # fmt: skip
    await house.wait_waiting(WAITING_MAX)
    assert (await house.fetch("cloud-1", f"{version}&wait=25"))[0] == 304, "answered at once"
    await house.clock.advance(25.1)
    assert {one.version for one in await asyncio.gather(*waiting)} == {version}
    for wait in ("x", "-1", "nan", "inf"):
        assert (await house.fetch("cloud-1", f"{version}&wait={wait}"))[0] == 400
    waiting = [asyncio.create_task(house.fetch("cloud-1", f"{version}&wait=86400"))]
    await house.wait_waiting(1)
    await house.clock.advance(WAIT_SECONDS_MAX + 0.1)
    assert (await waiting[0])[0] == 304


async def test_several_configurations_of_one_agent_are_handed_as_one(house: CloudHouse) -> None:
    await house.put("a", "cloud-1")
    await house.put("b", "cloud-*")
    _, handed = await house.fetch("cloud-1")
    accounts = parse_cloud_configuration(handed["text"], "test").aws
    assert [account.name for account in accounts] == ["a", "b"]
    assert accounts == tuple(parse_cloud_configuration(TEXT % name, "test").aws[0] for name in "ab")


@pytest.mark.parametrize(
    ("name", "agents", "text", "words"),
    [
        ("x", ["a"], "aws: [{name: x, regions: [eu-west-1], secret_access_key: s}]", "unknown field"),
        ("x", [], TEXT % "x", "agents"),
        ("a|b", ["a"], TEXT % "x", "a name has"),
        ("x", ["a"], TEXT % "taken", "stands in the configuration"),
    ],
)
async def test_what_cannot_be_obeyed_is_not_kept(
    house: CloudHouse, name: str, agents: list[str], text: str, words: str
):
    await house.put("first", "cloud-1", text=TEXT % "taken")
    status, answer = await house.put(name, *agents, text=text)
    assert status == 400
    assert words in answer["error"]
    assert [kept.name for kept, _ in house.configurations.all()] == ["first"]


async def test_everything_outlives_the_process(house: CloudHouse) -> None:
    await house.put("production", "cloud-1")
    resources = [ResourceReport(id=f"arn:{number}", namespace="AWS/EC2", name="web", tags={"Team": "shop"})
                 for number in range(PART_RESOURCES_MAX + 1)]  # fmt: skip
    place = {"agent": "id-1", "name": "cloud-1", "provider": "aws", "account": "a", "region": "eu-west-1"}
    assert (await house.tell(RESOURCES_PATH, ResourcesReport(**place, resources=resources)))[0] == 200
    again = CloudStates(house.records, house.clock)
    again.open()
    assert [one for _, one in again.resources()] == resources
    await house.tell(RESOURCES_PATH, ResourcesReport(**place, resources=resources[:3]))
    again = CloudStates(house.records, house.clock)
    again.open()
    assert [one for _, one in again.resources()] == resources[:3]
    configurations = CloudConfigurations(house.records, house.clock, logger("test"))
    configurations.open()
    assert [kept.name for kept, _ in configurations.all()] == ["production"]


async def test_resources_are_found_by_place_and_by_text_in_their_tags(house: CloudHouse) -> None:
    for region in ("eu-west-1", "us-east-1"):
        resources = [ResourceReport(id=f"arn:{region}:{team}", namespace="AWS/EC2", name=team, tags={"Team": team})
                     for team in ("shop", "platform")]  # fmt: skip
        await house.tell(
            RESOURCES_PATH,
            ResourcesReport(agent="id-1", name="c", provider="aws", account="a", region=region, resources=resources),
        )
    _, found = await house.ask("GET", f"{ROOT}/resources?region=us-east-1&text=SHOP")
    assert found["matched"] == 1
    assert found["resources"][0]["tags"] == {"Team": "shop"}
    assert found["facets"] == {
        "account": {"a": 1},
        "region": {"eu-west-1": 1, "us-east-1": 1},
        "namespace": {"AWS/EC2": 1},
    }
    assert (await house.ask("GET", f"{ROOT}/resources?begin=3"))[1]["resources"][0]["id"] == "arn:us-east-1:platform"


async def test_states_and_costs_are_shown_and_an_agent_with_a_key_speaks_for_itself(house: CloudHouse) -> None:
    token, _ = house.book.issue_token(60)
    owner, key = house.book.join(token, "id-cloud-1", "cloud-1")
    clipper = ClipperReport(provider="aws", account="a", region="r", kind="metrics", state="failing", messages=["why"])
    report = CloudReport(agent=owner.agent_id, name="somebody else", state="running", clippers=[clipper])
    assert (await house.tell(REPORT_PATH, report))[0] == 403
    assert (await house.fetch("cloud-1"))[0] == 403
    assert (await house.tell(REPORT_PATH, report, key))[0] == 200
    _, shown = await house.ask("GET", ROOT)
    [agent] = shown["agents"]
    assert agent["name"] == "cloud-1"
    assert agent["clippers"][0]["messages"] == ["why"]
