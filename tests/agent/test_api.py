"""The agent's own API: nothing without the token, and what it tells and does with it."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from nunchi.agent.agent import Agent
from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.program import AgentProgram
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry


class Client:
    def __init__(self, agent: Agent, folder: Path) -> None:
        self.agent, self.folder = agent, folder
        self.url = (folder / "api-url").read_text().strip()
        self.token = (folder / "api-token").read_text().strip()

    async def ask(self, method: str, path: str, token: str | None = None, **arguments: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers, **arguments) as answer,
        ):
            return (
                answer.status,
                await answer.json() if answer.content_type == "application/json" else await answer.text(),
            )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "nunchi-agent.yaml").write_text(
        "{tags: [rack-7], server: {url: 'http://127.0.0.1:9'}, api: {address: '127.0.0.1:0'}}"
    )
    source = ConfigurationFolder(tmp_path, {}, state_folder=tmp_path)
    clock, chance = SystemClock(), Random(3)
    world = World(clock, chance, SystemDisk(), Telemetry(), logger("agent"), tmp_path, {})
    agent = build_agent(source.load(), world, source=source)
    program = AgentProgram(agent, clock, chance, logger("agent"))
    await program.start()
    yield Client(agent, tmp_path)
    await program.stop()


async def test_without_the_token_nothing_is_told_or_done(client: Client) -> None:
    for method, path in (("GET", "/api/v1/status"), ("POST", "/api/v1/reload"), ("POST", "/api/v1/checks/load/run")):
        for token in ("", "wrong", client.token[:-1]):
            status, _ = await client.ask(method, path, token)
            assert status == 401
    assert (client.folder / "api-token").stat().st_mode & 0o777 == 0o600


async def test_the_status_shows_parts_checks_and_delivery(client: Client) -> None:
    await client.agent.schedule.collect()
    status, shown = await client.ask("GET", "/api/v1/status")
    assert status == 200
    assert shown["agent"]["id"] == client.agent.identity.id
    assert shown["agent"]["tags"] == ["rack-7"]
    parts = {part["name"]: part["state"] for part in shown["parts"]}
    assert parts["agent.forwarder"] == parts["agent.schedule"] == parts["agent.heartbeat"] == "running"
    checks = {check["name"]: check for check in shown["checks"]}
    assert checks["load"]["samples"] == 3
    assert checks["load"]["last_error"] == ""
    assert checks["load"]["next_run_ms"] > checks["load"]["last_run_ms"] > 0
    assert shown["delivery"]["url"] == "http://127.0.0.1:9"
    assert shown["settings"] == {
        "loaded_at_ms": shown["settings"]["loaded_at_ms"], "error": "", "waiting_for_restart": [],
    }  # fmt: skip


async def test_the_status_shows_where_it_listens_and_where_it_cannot(client: Client) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    path = client.folder / "nunchi-agent.yaml"
    statsd = f"statsd: {{udp: ['127.0.0.1:0'], tcp: ['127.0.0.1:{port}']}}"
    relay = "relay: {address: '127.0.0.1:0', sources: {one: {token: abcdefghijklmnop}}}"
    path.write_text(path.read_text().replace("{tags", f"{{{statsd}, {relay}, tags", 1))
    assert (await client.ask("POST", "/api/v1/reload"))[0] == 200
    async with asyncio.timeout(10):
        while len(shown := (await client.ask("GET", "/api/v1/status"))[1]["listeners"]) < 5:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.02)
    taken.close()
    assert shown["agent.relay"]["url"].startswith("http://127.0.0.1:")
    failed, udp = shown["agent.statsd/1"], shown["agent.statsd/2"]
    assert (failed["url"], f"127.0.0.1:{port}: the port is taken" in failed["last_error"]) == ("", True)
    assert udp["url"].startswith("udp://127.0.0.1:")
    assert (udp["url"].endswith(":0"), udp["last_error"]) == (False, "")


async def test_a_disk_that_is_busy_for_long_delays_neither_rounds_nor_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_syncing, is_quiet = threading.Event(), threading.Event()
    gave_up: list[bool] = []

    def sync(_: int) -> None:
        is_syncing.set()
        gave_up.append(not is_quiet.wait(20))

    monkeypatch.setattr(os, "fdatasync", sync)
    try:
        assert (await client.ask("PATCH", "/api/v1/settings", json={"interval": "100ms"}))[0] == 200
        async with asyncio.timeout(30):
            while not is_syncing.is_set():  # noqa: ASYNC110 - a thread's doing
                await asyncio.sleep(0.02)
            collected = before = await collected_by(client)
            while collected < before + 1000:
                collected = await collected_by(client)
                await asyncio.sleep(0.02)
        assert gave_up == []
    finally:
        is_quiet.set()


async def collected_by(client: Client) -> int:
    _, shown = await client.ask("GET", "/api/v1/status")
    return int(shown["delivery"]["accounting"]["collected"])


async def test_a_check_is_run_on_demand(client: Client) -> None:
    status, shown = await client.ask("POST", "/api/v1/checks/load/run")
    assert status == 200
    [outcome] = shown["outcomes"]
    assert outcome["is_success"]
    assert [sample["name"] for sample in outcome["samples"]] == ["node_load1", "node_load5", "node_load15"]
    status, shown = await client.ask("POST", "/api/v1/checks/lod/run")
    assert status == 404
    assert "load" in shown["error"]


async def test_reload_by_request_says_place_and_cure(client: Client) -> None:
    path = client.folder / "nunchi-agent.yaml"
    path.write_text(path.read_text().replace("rack-7", "rack-8"))
    status, _ = await client.ask("POST", "/api/v1/reload")
    assert status == 200
    _, shown = await client.ask("GET", "/api/v1/status")
    assert shown["agent"]["tags"] == ["rack-8"]
    path.write_text("{taggs: []}")
    status, shown = await client.ask("POST", "/api/v1/reload")
    assert status == 400
    assert "nunchi-agent.yaml:1:2" in shown["error"]
    assert 'did you mean "tags"' in shown["error"]
    _, shown = await client.ask("GET", "/api/v1/status")
    assert "taggs" in shown["settings"]["error"]


async def test_the_log_level_of_an_area_is_changed_live(client: Client) -> None:
    area = logging.getLogger("nunchi.agent.schedule")
    try:
        status, shown = await client.ask("PUT", "/api/v1/log", json={"area": "agent.schedule", "level": "debug"})
        assert (status, shown["levels"]["agent.schedule"]) == (200, "debug")
        assert area.isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("nunchi.agent.forwarder").isEnabledFor(logging.DEBUG)
        await client.ask("PUT", "/api/v1/log", json={"area": "agent.schedule", "level": ""})
        assert not area.isEnabledFor(logging.DEBUG)
        status, shown = await client.ask("PUT", "/api/v1/log", json={"area": "agent.shedule", "level": "debug"})
        assert (status, 'did you mean "agent.schedule"?' in shown["error"]) == (400, True)
        assert "agent.shedule" not in (await client.ask("GET", "/api/v1/log"))[1]["levels"]
        status, shown = await client.ask("PUT", "/api/v1/log", json={"level": "loud"})
        assert (status, "debug, info, warn, error" in shown["error"]) == (400, True)
    finally:
        area.setLevel(logging.NOTSET)


async def test_a_token_outlives_the_agent(client: Client, tmp_path: Path) -> None:
    from nunchi.agent.api import load_token

    assert load_token(tmp_path, SystemDisk(), Random(9)) == client.token


async def test_the_api_moves_while_the_agent_runs(client: Client) -> None:
    settings = client.folder / "nunchi-agent.yaml"
    settings.write_text(settings.read_text().replace("127.0.0.1:0", "localhost:0"))
    assert (await client.ask("GET", "/api/v1/status"))[0] == 200
    before = client.url
    await client.agent.reload()
    client.url = (client.folder / "api-url").read_text().strip()
    assert client.url != before
    assert (await client.ask("GET", "/api/v1/status"))[0] == 200
    assert (await client.ask("GET", "/api/v1/status", "wrong"))[0] == 401
