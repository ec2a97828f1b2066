"""Join tokens, keys, rotation, revocation: only a key speaks for an enrolled agent. Over HTTP, as agents and operators ask."""

import hashlib
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from nunchi.admission.door import Door
from nunchi.intake.receive.agents import AgentRoutes
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import AgentBook, AgentMetadata
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.errors import JoinError, UnknownAgentError
from nunchi.intake.registry.health import Health, HealthState
from nunchi.intake.registry.sequence_memory import StoredSequences
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.storage.memory import MemoryStore
from nunchi.storage.records import Records
from nunchi.testing.clock import VirtualClock
from nunchi.wire.payload import Sender, decode_payload
from nunchi.wire.payload_encoder import CONTENT_TYPE, Round, encode_payload

ID = "a" * 32
ROOT = "/api/nunchi/v1/agents"


class House:
    """A server's side of agents over records, which outlive it."""

    def __init__(self, path: Path, users_file: Path | None = None, store: MemoryStore | None = None) -> None:
        self.clock, self.telemetry = VirtualClock(), Telemetry()
        self.records = Records(path / "records.sqlite", self.clock)
        self.records.open()
        self.book = AgentBook(self.records, self.clock, Random(1), self.telemetry, logger("test"))
        self.book.open()
        self.store = store or MemoryStore(self.clock, 1 << 40)
        door = Door(self.store.appender, self.clock, self.telemetry)
        memory = StoredSequences(self.store, self.clock, logger("test"))
        self.registry = AgentRegistry(door, self.clock, self.telemetry, logger("test"), memory)
        push = PushReceiver(self.registry, self.telemetry, self.book)
        routes = [*push.routes(), *AgentRoutes(self.book, self.registry, self.clock).routes()]
        policy = HttpPolicy(web_config_file=users_file)
        self.server = HttpServer(
            "web", "127.0.0.1:0", routes, policy, self.clock, self.telemetry, logger("test"), self.book.authenticate
        )

    async def ask(self, method: str, path: str, key: str = "", **arguments: Any) -> tuple[int, Any]:
        headers = arguments.pop("headers", {})
        if key:
            headers["Authorization"] = f"Bearer {key}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.server.url + path, headers=headers, **arguments) as answer,
        ):
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else await answer.text()

    async def push(self, key: str = "", agent_id: str = ID, name: str = "web-1", first: int = 0) -> int:
        body = payload(agent_id, name, first, self.clock.now_ms() + first)
        status, _ = await self.ask("POST", "/api/v1/push", key, data=body, headers={"Content-Type": CONTENT_TYPE})
        return status

    def refused(self, reason: str) -> float:
        counter = self.telemetry.find("nunchi_agent_keys_refused_total")
        assert counter is not None
        return sum(value for _, labels, value in counter.samples() if labels == (("reason", reason),))


def payload(agent_id: str, name: str, first: int, timestamp_ms: int) -> bytes:
    layout = Layout.of(Labels.of("m", job="node"))
    rounds = [Round(timestamp_ms, layout, array("i", [0]), array("d", [float(first)]))]
    return encode_payload(Sender(agent_id, name, "0", 1), first, 10_000, rounds)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    found = House(tmp_path)
    await found.server.start()
    yield found
    await found.server.stop()
    found.records.close()


def joined(house: House, agent_id: str = ID, name: str = "web-1") -> str:
    token, _ = house.book.issue_token(60)
    return house.book.join(token, agent_id, name)[1]


# Tokens.


async def test_a_token_is_used_once_and_expires(house: House) -> None:
    token, expires_ms = house.book.issue_token(60)
    assert expires_ms == house.clock.now_ms() + 60_000
    house.book.join(token, ID, "web-1")
    with pytest.raises(JoinError, match="used before"):
        house.book.join(token, "b" * 32, "web-2")
    late, _ = house.book.issue_token(60)
    await house.clock.advance(61)
    with pytest.raises(JoinError, match="expired"):
        house.book.join(late, "b" * 32, "web-2")
    for wrong in ("", "join.x.y", late + "0", f"join.{token.split('.')[1]}."):
        with pytest.raises(JoinError):
            house.book.join(wrong, "b" * 32, "web-2")
    assert (house.refused("token"), house.refused("token_expired")) == (5, 1)


async def test_a_cloned_machine_gets_an_id_of_its_own(house: House) -> None:
    token, _ = house.book.issue_token(60)
    first, _ = house.book.join(token, ID, "web-1")
    token, _ = house.book.issue_token(60, name="web-2")
    second, _ = house.book.join(token, ID, "web-1")
    assert first.agent_id == ID
    assert second.agent_id != ID
    assert second.name == "web-2"


def test_keys_and_tokens_are_kept_as_hashes_only(tmp_path: Path) -> None:
    house = House(tmp_path)
    token, _ = house.book.issue_token(60)
    key = joined(house)
    house.records.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.partition(".")[2].encode() not in content
    assert token.rpartition(".")[2].encode() not in content
    assert hashlib.sha256(key.partition(".")[2].encode()).hexdigest().encode() in content


# Keys.


async def test_two_keys_open_until_the_newer_was_used_and_restarts_change_nothing(house: House, tmp_path: Path) -> None:
    old = joined(house)
    new = house.book.rotate(ID)
    again = AgentBook(house.records, house.clock, Random(2), Telemetry(), logger("test"))
    again.open()
    for book in (house.book, again):
        assert book.authenticate(old) is not None
    assert house.book.authenticate(new) is not None
    assert house.book.authenticate(old) is None
    assert house.refused("wrong") == 1


async def test_a_key_that_was_never_used_gives_way_to_the_next(house: House) -> None:
    old = joined(house)
    lost = house.book.rotate(ID)
    new = house.book.rotate(ID)
    assert house.book.authenticate(lost) is None
    assert house.book.authenticate(old) is not None
    assert house.book.authenticate(new) is not None
    assert house.book.authenticate(old) is None


async def test_revocation_is_immediate_and_the_id_stays_taken(house: House) -> None:
    key = joined(house)
    assert await house.push(key) == 200
    status, _ = await house.ask("POST", f"{ROOT}/{ID}/revoke", json={})
    assert status == 200
    assert await house.push(key, first=1) == 401
    assert await house.push(first=1) == 403
    assert house.refused("revoked") == 1
    with pytest.raises(UnknownAgentError):
        house.book.rotate(ID)


# Pushes.


async def test_the_key_decides_who_an_agent_is_whatever_its_payload_says(house: House) -> None:
    key = joined(house, name="web-1")
    assert await house.push(key, agent_id="f" * 32, name="somebody-else") == 200
    [agent] = house.registry.agents()
    assert (agent.agent_id, agent.instance) == (ID, "web-1")


async def test_a_wrong_key_is_refused_before_any_state_is_kept_and_counted(house: House) -> None:
    key = joined(house)
    assert await house.push(key[:-1] + ("0" if key[-1] != "0" else "1")) == 401
    assert await house.push("b" * 32 + ".secret") == 401
    assert house.registry.agents() == []
    assert (house.refused("wrong"), house.refused("unknown")) == (1, 1)


async def test_without_a_key_only_ids_that_are_nobodys_are_taken_on_loopback(house: House) -> None:
    joined(house)
    assert await house.push() == 403
    assert await house.push(agent_id="b" * 32, name="web-2") == 200
    assert [agent.agent_id for agent in house.registry.agents()] == ["b" * 32]


async def test_a_key_opens_no_pages(tmp_path: Path) -> None:
    import bcrypt

    users = tmp_path / "web.yml"
    users.write_text(f"basic_auth_users: {{min: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}")
    house = House(tmp_path, users)
    key = joined(house)
    await house.server.start()
    try:
        assert await house.push(key) == 200
        assert await house.push() == 401
        assert (await house.ask("GET", ROOT, key))[0] == 401
        assert await house.ask("GET", f"{ROOT}/health", key) == (200, {"is_healthy": True})
        assert (await house.ask("GET", f"{ROOT}/health"))[0] == 401
        assert (await house.ask("POST", f"{ROOT}/{ID}/revoke", key, json={}))[0] == 401
        token, _ = house.book.issue_token(60)
        status, answer = await house.ask("POST", f"{ROOT}/join", json={"token": token, "id": "b" * 32, "name": "n"})
        assert status == 200
        assert await house.push(answer["key"]) == 200
    finally:
        await house.server.stop()
        house.records.close()


async def test_an_agent_that_is_disabled_is_refused_for_now_and_shown_so(house: House) -> None:
    key = joined(house)
    assert await house.push(key) == 200
    await house.ask("POST", f"{ROOT}/{ID}/disable", json={})
    assert await house.push(key, first=1) == 403
    _, shown = await house.ask("GET", ROOT)
    assert shown["agents"][0]["health"] == "disabled"
    await house.ask("POST", f"{ROOT}/{ID}/enable", json={})
    assert await house.push(key, first=1) == 200


async def test_an_agent_that_is_forgotten_is_shown_no_more_unless_it_is_heard_again(house: House) -> None:
    assert await house.push() == 200
    assert (await house.ask("DELETE", f"{ROOT}/{ID}"))[0] == 200
    assert (await house.ask("GET", f"{ROOT}/{ID}"))[0] == 404
    assert (await house.ask("GET", ROOT))[1] == {"agents": []}
    assert await house.push() == 200
    _, again = await house.ask("GET", f"{ROOT}/{ID}")
    assert again["duplicates"] == 1
    await house.ask("DELETE", f"{ROOT}/{ID}")
    await house.clock.advance(60)
    house.registry.look()
    house.registry.look()
    assert (await house.ask("DELETE", f"{ROOT}/{ID}"))[0] == 404
    assert await house.push() == 200
    assert (await house.ask("GET", f"{ROOT}/{ID}"))[1]["duplicates"] == 1


# The API.


async def test_tokens_join_and_keys_over_http(house: House) -> None:
    status, issued = await house.ask("POST", f"{ROOT}/tokens", json={"seconds": 60, "name": "db-1"})
    assert status == 200
    status, answer = await house.ask("POST", f"{ROOT}/join", json={"token": issued["token"], "id": ID, "name": "x"})
    assert (status, answer["id"], answer["name"]) == (200, ID, "db-1")
    status, refused = await house.ask("POST", f"{ROOT}/join", json={"token": issued["token"], "id": ID, "name": "x"})
    assert status == 403
    assert "used before" in refused["error"]
    await house.ask("POST", f"{ROOT}/{ID}/rotate", json={})
    status, wish = await house.ask("POST", f"{ROOT}/info", answer["key"], json={"id": ID, "now_ms": 0})
    assert wish == {"wants_inventory": True, "rotate_key": True}
    status, changed = await house.ask("POST", f"{ROOT}/key", answer["key"])
    assert status == 200
    assert await house.push(changed["key"]) == 200
    assert await house.push(answer["key"]) == 401
    _, wish = await house.ask(
        "POST", f"{ROOT}/info", changed["key"], json={"id": ID, "inventory": {"memory": {}, "x": 1}}
    )
    assert wish == {"wants_inventory": False, "rotate_key": False}
    _, shown = await house.ask("GET", f"{ROOT}/{ID}")
    assert shown["inventory"] == {"memory": {}, "x": 1}
    assert [event["what"] for event in shown["events"]] == ["key changed", "key issued", "joined"]
    assert issued["token"] not in str(shown)
    assert "hash" not in str(shown)


async def test_metadata_is_put_shown_and_removed_and_outlives_the_server(house: House, tmp_path: Path) -> None:
    await house.push()
    status, _ = await house.ask("PUT", f"{ROOT}/{ID}/metadata", json={"group": "shop", "provider": "aws"})
    assert status == 200
    again = AgentBook(house.records, house.clock, Random(2), Telemetry(), logger("test"))
    again.open()
    assert again.lookup(ID).metadata == AgentMetadata(group="shop", provider="aws")
    _, shown = await house.ask("GET", ROOT)
    [agent] = shown["agents"]
    assert (agent["instance"], agent["metadata"]["group"], agent["health"]) == ("web-1", "shop", "healthy")
    assert (await house.ask("PUT", f"{ROOT}/{ID}/metadata", json={"colour": "red"}))[0] == 400
    assert (await house.ask("DELETE", f"{ROOT}/{ID}/metadata"))[0] == 200
    assert (await house.ask("GET", f"{ROOT}/{ID}"))[1]["metadata"]["group"] == ""
    assert (await house.ask("PUT", f"{ROOT}/nobody/metadata", json={}))[0] == 404
    assert (await house.ask("DELETE", f"{ROOT}/{ID}"))[0] == 200
    assert (await house.ask("GET", f"{ROOT}/{ID}"))[0] == 404
    assert house.records.entities("agent") == []


async def test_an_info_of_nobody_takes_no_room_and_one_of_an_enrolled_agent_needs_its_key(house: House) -> None:
    joined(house)
    assert (await house.ask("POST", f"{ROOT}/info", json={"id": ID}))[0] == 403
    assert await house.ask("POST", f"{ROOT}/info", json={"id": "stranger"}) == (200, {"is_heard": False})
    assert (await house.ask("POST", f"{ROOT}/info", json={}))[0] == 400
    assert house.book.ids() == [ID]


async def test_what_an_agent_tells_is_shown_as_far_as_it_has_the_right_types(house: House) -> None:
    await house.push()
    checks = [{"name": "cpu"}, {"name": "disk", "error": "gone", "next_run_ms": 7}, {"name": "nfs", "is_stuck": True}]
    checks.append({"name": "thermal", "error": "Unavailable: no sensors", "is_absent": True})
    told = {
        "id": ID,
        "checks": checks,
        "tags": ["a", 5],
        "outage_seconds_left": 60,
        "accounting": {"dropped": {"x": 2}},
    }
    assert (await house.ask("POST", f"{ROOT}/info", json=told))[0] == 200
    _, shown = await house.ask("GET", ROOT)
    [agent] = shown["agents"]
    assert (agent["checks"], agent["tags"]) == ({"total": 4, "failed": 2}, [])
    assert (agent["outage_seconds_left"], agent["dropped"], agent["queued"]) == (60.0, 2, 0)
    _, shown = await house.ask("GET", f"{ROOT}/{ID}")
    assert [(one["name"], one["error"], one["next_run_ms"]) for one in shown["info"]["checks"]] == [
        ("cpu", "", 0), ("disk", "gone", 7), ("nfs", "", 0), ("thermal", "Unavailable: no sensors", 0),
    ]  # fmt: skip


async def test_the_offset_of_an_agents_clock_is_shown(house: House) -> None:
    key = joined(house)
    await house.ask("POST", f"{ROOT}/info", key, json={"id": ID, "now_ms": house.clock.now_ms() + 5000})
    _, shown = await house.ask("GET", f"{ROOT}/{ID}")
    assert shown["clock_offset_ms"] == 5000


# Marks and health.


async def test_what_was_taken_is_known_over_restarts_of_the_server(house: House, tmp_path: Path) -> None:
    await house.push()
    again = House(tmp_path, store=house.store)
    done = again.registry.receive(decode_payload(payload(ID, "web-1", 0, again.clock.now_ms())), "127.0.0.1")
    assert (done.accepted, done.duplicate) == (0, 1)
    done = again.registry.receive(decode_payload(payload(ID, "web-1", 1, again.clock.now_ms() + 1)), "127.0.0.1")
    assert (done.accepted, done.duplicate) == (1, 0)
    again.records.close()


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        ([5.0], "new"),
        (["hear"], "healthy"),
        (["hear", 1.2], "healthy healthy"),
        (["hear", 1.6], "healthy late"),
        (["hear", 1.6, 2.9, 3.0], "healthy late late late"),
        (["hear", 1.6, 3.1, 9.0, "hear", 1.0], "healthy late unhealthy unhealthy healthy healthy"),
        (["hear", 1.6, "hear", 1.6, "hear", 1.6, 2.0, 2.5], "healthy late healthy late healthy late late late"),
    ],
)
def test_health_moves_by_an_agents_own_rounds(steps: list[float | str], states: str) -> None:
    health = Health(3)
    seen = []
    for step in steps:
        if isinstance(step, str):
            health.hear()
            assert health.misses == 0
        else:
            health.wait(step)
        seen.append(health.state.value)
    assert " ".join(seen) == states
    assert health.state in HealthState
