"""A whole agent that relays: who is let in, what arrives at the server, what is answered when something is wrong."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.agent.relay.relaying import TOKEN, Relaying, relaying
from tests.agent.test_wiring import receiving

from nunchi.agent.settings import parse_agent_settings
from nunchi.kit.settings import SettingsError
from nunchi.model.labels import Labels
from nunchi.wire.payload import Payload


class Source:
    def __init__(self, relay: Relaying) -> None:
        self.agent, self.clock, self.counted = relay.agent, relay.clock, relay.counted
        self.url = relay.url

    async def send(
        self, form: str, body: bytes, content_type: str = "application/json", **headers: str
    ) -> tuple[int, Any]:
        sent = {"Content-Type": content_type, "Authorization": f"Bearer {TOKEN}", **headers}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v1/{form}", data=body, headers=sent) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def sourced(folder: Path, more: str = "", url: str = "http://127.0.0.1:9") -> AsyncIterator[Source]:
    async with relaying(folder, url, more) as relay:
        yield Source(relay)


def own_samples(payload: Payload) -> dict[tuple[Labels, int], float]:
    return {
        (Labels.from_key(one.layout.keys[column]), one.timestamp_ms): value
        for one in payload.rounds
        if one.replaces
        for column, value in zip(one.columns.tolist(), one.values.tolist(), strict=True)
    }


async def test_samples_arrive_with_the_labels_of_their_source_and_their_own_time(tmp_path: Path) -> None:
    payloads: asyncio.Queue[Payload] = asyncio.Queue()
    async with receiving(payloads) as url, sourced(tmp_path, url=url) as source:
        now_ms = source.clock.now_ms()
        body = {"samples": [{"name": "orders", "value": 7, "labels": {"job": "x"}, "timestamp_ms": now_ms - 60_000}]}
        assert await source.send("samples", json.dumps(body).encode()) == (200, {"taken": 1, "dropped": {}})
        async with asyncio.timeout(10):
            while not (found := own_samples(await payloads.get())):
                pass
    [(labels, at_ms)] = found
    assert labels == Labels.of("orders", job="billing", exported_job="x", site="north", team="money")
    assert at_ms == now_ms - 60_000
    assert source.agent.accounting.is_balanced()
    assert source.counted("agent_relay_samples_total") == {("billing",): 1}
    assert source.counted("agent_relay_requests_total") == {("billing", "samples", "taken"): 1}


async def test_who_has_no_token_hands_nothing_over(tmp_path: Path) -> None:
    async with sourced(tmp_path) as source:
        body = b'{"samples": [{"name": "a", "value": 1}]}'
        for given in ("", "Bearer", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Basic b3RoZXI6eA=="):
            status, said = await source.send("samples", body, Authorization=given)
            assert (status, "token" in said) == (401, True)
        assert source.counted("agent_relay_requests_total") == {("", "samples", "unauthorized"): 5}
        basic = "Basic " + base64.b64encode(f"billing:{TOKEN}".encode()).decode()
        assert (await source.send("samples", body, Authorization=basic))[0] == 200


async def test_programs_may_call_the_relay_what_they_like_and_pages_may_not_use_it(tmp_path: Path) -> None:
    async with sourced(tmp_path) as source:
        body = b'{"samples": [{"name": "a", "value": 1}]}'
        assert (await source.send("samples", body, Host="relay.example.org"))[0] == 200
        status, _ = await source.send("samples", body, Host="relay.example.org", Origin="http://relay.example.org")
        assert status == 403


async def test_bad_bodies_are_refused_with_their_place_and_nothing_of_them_is_taken(tmp_path: Path) -> None:
    async with sourced(tmp_path) as source:
        bad = b'{"samples": [{"name": "a", "value": 1}, {"name": "b", "value": "x"}]}'
        status, said = await source.send("samples", bad)
        assert (status, "$.samples[1].value" in said) == (400, True)
        assert (await source.send("samples", gzip.compress(bad), **{"Content-Encoding": "gzip"}))[0] == 400
        assert (await source.send("samples", b"no gzip", **{"Content-Encoding": "gzip"}))[0] == 400
        assert (await source.send("samples", bad, content_type="text/plain"))[0] == 415
        bomb = gzip.compress(b" " * (8 << 20))
        status, said = await source.send("samples", bomb, **{"Content-Encoding": "gzip"})
        assert (status, "send less" in said) == (413, True)
        assert source.counted("agent_relay_samples_total") == {}
        assert source.counted("agent_relay_series") == {}


async def test_compressed_bodies_are_taken_and_what_has_no_place_is_counted(tmp_path: Path) -> None:
    async with sourced(tmp_path) as source:
        now_ms = source.clock.now_ms()
        told = [
            {"name": "a", "value": 1, "labels": {"n": str(number)}} for number in range(4)
        ]  # the source may have three series
        told += [
            {"name": "a", "value": 1, "labels": {"n": "0"}, "timestamp_ms": now_ms + 3_600_000},
            {"name": "a", "value": 1, "labels": {"n": "0"}, "timestamp_ms": now_ms - 30 * 86_400_000},
        ]
        body = gzip.compress(json.dumps({"samples": told}).encode())
        answer = await source.send("samples", body, **{"Content-Encoding": "gzip"})
        assert answer == (200, {"taken": 3, "dropped": {"series_max": 1, "future": 1, "too_old": 1}})
        assert source.counted("agent_relay_samples_dropped_total")["billing", "future"] == 1
        assert source.counted("agent_relay_series") == {("billing",): 3}


async def test_a_spool_that_is_half_full_takes_only_the_agents_own(tmp_path: Path) -> None:
    async with sourced(tmp_path, "spool: {bytes_max: 65536}") as source:
        statuses = set()
        now_ms = source.clock.now_ms()
        for turn in range(400):
            told = [
                {"name": "a", "value": turn + n / 7, "timestamp_ms": now_ms - 1000 * (turn * 100 + n)}
                for n in range(100)
            ]
            status, said = await source.send("samples", json.dumps({"samples": told}).encode())
            statuses.add(status)
            if status == 503:
                break
        assert statuses == {200, 503}
        assert "spool" in said
        assert source.agent.accounting.dropped.total() == 0
        assert source.agent.accounting.is_balanced()


async def test_other_settings_change_sources_while_the_agent_runs(tmp_path: Path) -> None:
    async with sourced(tmp_path) as source:
        folder = tmp_path / "nunchi-agent.yaml"
        folder.write_text(folder.read_text().replace("billing:", "shipping:"))
        await source.agent.reload()
        assert source.agent.relay is not None
        source.url = source.agent.relay.url
        assert (await source.send("text", b"a 1\n", content_type="text/plain"))[0] == 200
        assert source.counted("agent_relay_samples_total") == {("shipping",): 1}


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("{sources: {a: {token: short}}}", "openssl rand"),
        ("{sources: {a: {token: 0123456789abcdef}, b: {token: 0123456789abcdef}}}", "the same token"),
        ("{address: '0.0.0.0:9192', sources: {a: {token: 0123456789abcdef}}}", "web_config_file"),
        ("{sources: {a: {token: 0123456789abcdef, labels: {job: x}}}}", "choose another name"),
        ("{}", "name sources"),
        ("{sources: {a/b: {token: 0123456789abcdef}}}", "not a valid source name"),
        ("{sources: {a: {tokn: 0123456789abcdef}}}", "token"),
    ],
)
def test_settings_that_cannot_be_right_are_refused_with_the_cure(text: str, cure: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_agent_settings(f"relay: {text}", "nunchi-agent.yaml")
    assert cure in str(raised.value)
    assert "nunchi-agent.yaml:1" in str(raised.value)
    assert "0123456789abcdef" not in str(raised.value)
