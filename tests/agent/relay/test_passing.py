"""Agents that reach the server through another agent: with their own keys, acknowledged by the server alone."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from tests.agent.relay.relaying import relaying, until
from tests.agent.test_wiring import running_agent

from nunchi.admission.door import Door
from nunchi.agent.settings import parse_agent_settings
from nunchi.intake.receive.agents import AgentRoutes
from nunchi.intake.receive.cloud import CloudRoutes
from nunchi.intake.receive.happenings import HappeningRoutes
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.cloud_configurations import CloudConfigurations
from nunchi.intake.registry.cloud_states import CloudStates
from nunchi.intake.registry.happenings import HappeningBook
from nunchi.kit.clock import SystemClock
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.memory import MemoryStore
from nunchi.storage.records import Records
from nunchi.wire.cloud_exchange import CONFIGURATION_PATH, REPORT_PATH, CloudReport
from nunchi.wire.happenings import PATH as HAPPENINGS_PATH
from nunchi.wire.happenings import EventReport, Happenings


class Server:
    """The receiving half of a server: a registry over a store in memory."""

    def __init__(self) -> None:
        self.clock, self.log, telemetry = SystemClock(), logger("test"), Telemetry()
        records = Records(None, self.clock)
        records.open()
        self.book = AgentBook(records, self.clock, random.Random(5), telemetry, self.log)
        self.book.open()
        self.registry = AgentRegistry(
            Door(MemoryStore(self.clock).appender, self.clock, telemetry), self.clock, telemetry, self.log
        )
        self.configurations = CloudConfigurations(records, self.clock, self.log)
        self.states = CloudStates(records, self.clock)
        routes = [
            *HappeningRoutes(HappeningBook(records, self.clock), self.book, self.registry, telemetry).routes(),
            *CloudRoutes(self.configurations, self.states, self.book).routes(),
            *PushReceiver(self.registry, telemetry, self.book).routes(),
            *AgentRoutes(self.book, self.registry, self.clock).routes(),
        ]
        self.http = HttpServer(
            "web", "127.0.0.1:0", routes, HttpPolicy(), self.clock, telemetry, self.log, self.book.authenticate
        )

    def join(self, name: str) -> str:
        """The key of a new agent."""
        token, _ = self.book.issue_token(60, name)
        return self.book.join(token, "", name)[1]


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    await server.http.start()
    try:
        yield server
    finally:
        await server.http.stop()


async def test_an_agent_delivers_through_another_with_its_own_key(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    async with serving() as server, relaying(tmp_path, server.http.url) as relay:
        key = server.join("inner-1")
        inner.joinpath("agent-key").write_text(key)
        settings = parse_agent_settings(
            f"{{name: x, state_folder: '{inner}', server: {{url: '{relay.url}'}}, api: {{enabled: false}}}}", "a.yaml"
        )
        async with running_agent(settings, inner) as agent:
            await until(lambda: any(one.instance == "inner-1" for one in server.registry.agents()))
            await until(lambda: agent.accounting.acknowledged.total() > 0)
            await until(lambda: agent.remote_health is not None and agent.remote_health.last_error == "")
            await until(lambda: bool(server.book.told(key.partition(".")[0]).inventory))
        agent_id = key.partition(".")[0]
        assert relay.counted("agent_relay_passed_total")[agent_id, "200"] >= 1
        assert relay.agent.accounting.collected.total() < 2000  # nothing of it is this agent's


async def test_events_and_clouds_of_an_agent_behind_another_reach_the_server(tmp_path: Path) -> None:
    async with serving() as server, relaying(tmp_path, server.http.url) as relay, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {server.join('inner-1')}", "Content-Type": "application/json"}
        body = msgspec.json.encode(Happenings("x", "y", 1, 0, [EventReport(1, "deployed")]))
        async with session.post(relay.url + HAPPENINGS_PATH, data=body, headers=headers) as answer:
            assert (answer.status, "first round" in await answer.text()) == (503, True), "the server's own word"
        server.configurations.put("shop", ["inner-*"], "aws: [{name: shop, regions: [eu-west-1]}]")
        path = f"{relay.url}{CONFIGURATION_PATH}?agent=x&name=a%20b&version="
        async with session.get(path, headers=headers) as answer:
            handed = await answer.json()
        assert "name: shop" in handed["text"]
        async with session.get(f"{path}{handed['version']}&wait=25", headers=headers) as answer:
            assert answer.status == 304, "at once: nobody waits on this agent's connections"
        assert server.configurations.waiting == 0
        report = CloudReport(agent="x", name="y", state="waiting")
        async with session.post(relay.url + REPORT_PATH, data=msgspec.json.encode(report), headers=headers) as answer:
            assert answer.status == 200
        assert [one.report.name for one in server.states.reports()] == ["inner-1"]


async def test_who_brings_no_key_or_a_wrong_one_is_not_taken_for_the_relaying_agent(tmp_path: Path) -> None:
    async with serving() as server, relaying(tmp_path, server.http.url) as relay, aiohttp.ClientSession() as session:
        push = relay.url + "/api/v1/push"
        headers = {"Content-Type": "application/vnd.nunchi.payload"}
        async with session.post(push, data=b"x", headers=headers) as answer:
            assert answer.status == 401
        async with session.post(push, data=b"x", headers={**headers, "Authorization": "Bearer a.b"}) as answer:
            assert (answer.status, "key" in await answer.text()) == (401, True)
        assert relay.counted("agent_relay_passed_total") == {("", "401"): 1}


async def test_a_server_that_is_away_is_said_and_never_acknowledged(tmp_path: Path) -> None:
    async with relaying(tmp_path, "http://127.0.0.1:9") as relay, aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/vnd.nunchi.payload", "Authorization": "Bearer a.b"}
        async with session.post(relay.url + "/api/v1/push", data=b"x", headers=headers) as answer:
            assert (answer.status, "not reached" in await answer.text()) == (502, True)
