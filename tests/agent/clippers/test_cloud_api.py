"""The cloud's part of an agent's own API, on a whole agent over HTTP."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.agent.clippers.aws_stub import Account, serving
from tests.agent.test_api import Client

from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.program import AgentProgram
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry

PATH = "/api/v1/cloud"
TEXT = "aws: [{name: one, credentials: main, regions: [eu-west-1], metrics: [{namespace: Shop, metrics: [{name: Orders}]}]}]"


@pytest.fixture
def account() -> Account:
    return Account(metrics=[("Shop", "Orders", ())])


@pytest.fixture
def url(account: Account) -> Iterator[str]:
    with serving(account) as address:
        yield address


@pytest.fixture
async def client(url: str, tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "nunchi-agent.yaml").write_text(f"""
server: {{url: 'http://127.0.0.1:9'}}
api: {{address: '127.0.0.1:0'}}
cloud: {{aws: {{endpoint_url: '{url}', credentials: {{main: {{access_key_id: AK, secret_access_key: s3cr3t}}}}}}}}
""")
    source = ConfigurationFolder(tmp_path, {}, state_folder=tmp_path)
    clock, chance = SystemClock(), Random(3)
    world = World(clock, chance, SystemDisk(), Telemetry(), logger("agent"), tmp_path, {})
    agent = build_agent(source.load(), world, source=source)
    program = AgentProgram(agent, clock, chance, logger("agent"))
    await program.start()
    yield Client(agent, tmp_path)
    await program.stop()


async def test_a_configuration_is_checked_posted_shown_and_dropped(client: Client) -> None:
    assert (await client.ask("GET", f"{PATH}/clippers"))[1]["state"] == "waiting"
    status, answer = await client.ask(
        "POST", f"{PATH}/configuration/check", data=TEXT.replace("main", "other").encode()
    )
    assert status == 200
    assert "no credentials called 'other'" in answer["problems"][0]
    assert (await client.ask("POST", f"{PATH}/configuration/check", data=TEXT.encode()))[1] == {"problems": []}
    assert (await client.ask("GET", f"{PATH}/clippers"))[1]["state"] == "waiting", "a check changes nothing"
    status, answer = await client.ask("POST", f"{PATH}/configuration", data=TEXT.encode())
    assert (status, answer["state"]) == (200, "running")
    assert {one["kind"] for one in answer["clippers"]} == {"metrics", "resources"}
    _, shown = await client.ask("GET", f"{PATH}/configuration")
    assert (shown["origin"], shown["text"]) == ("api", TEXT)
    _, shown = await client.ask("GET", "/api/v1/status")
    assert shown["cloud"]["state"] == "running"
    assert "s3cr3t" not in repr(shown)
    assert (await client.ask("DELETE", f"{PATH}/configuration"))[1] == {"state": "waiting"}
    assert not (client.folder / "cloud-configuration.json").exists()


async def test_what_is_broken_is_answered_with_its_place_and_changes_nothing(client: Client) -> None:
    for path in (f"{PATH}/configuration", f"{PATH}/configuration/check"):
        status, answer = await client.ask("POST", path, data=b"aws:\n- {name: one, command: reboot}\n")
        assert status == 400
        assert ":2:" in answer["error"]
    assert (await client.ask("GET", f"{PATH}/clippers"))[1]["state"] == "waiting"


async def test_credentials_are_tried_by_name_and_their_regions_listed(client: Client, account: Account) -> None:
    path = f"{PATH}/credentials/check"
    assert await client.ask("POST", path, json={"credentials": "main"}) == (
        200,
        {"regions": ["eu-west-1", "us-east-1"]},
    )
    status, answer = await client.ask("POST", path, json={"credentials": "other"})
    assert (status, answer["reason"]) == (422, "credentials")
    account.known_keys = {"AKOTHER"}
    status, answer = await client.ask("POST", path, json={"credentials": "main"})
    assert (status, answer["reason"]) == (422, "credentials")
    for refused in ({"access_key_id": "AK"}, {"role_arn": "x"}, {"provider": "gcp"}, {"credentials": "../etc"}):
        assert (await client.ask("POST", path, json=refused))[0] == 400


async def test_without_the_token_nothing_of_it_is_told(client: Client) -> None:
    for path in ("configuration", "clippers"):
        assert (await client.ask("GET", f"{PATH}/{path}", "wrong"))[0] == 401
    assert (await client.ask("POST", f"{PATH}/configuration", "wrong", data=TEXT.encode()))[0] == 401
