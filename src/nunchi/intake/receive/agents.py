"""The agents' side of the API: joining, keys, heartbeats; and the operators': list, metadata, enable, revoke.

Under /api/nunchi/v1/agents. Invariant: a key is shown once, to whom it is made for; nothing here ever shows one again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from nunchi.intake.registry.agent_book import AgentBook, AgentMetadata, Owner
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.errors import JoinError, UnknownAgentError
from nunchi.intake.registry.health import HealthState
from nunchi.intake.registry.status import AgentStatus
from nunchi.intake.registry.told import parse_info
from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError
from nunchi.kit.http_server import OWNER, Access, Handler, Route

ROOT = "/api/nunchi/v1/agents"
INFO_BYTES_MAX = 256 << 10
TOKEN_SECONDS = 3600.0
JSON = ("application/json",)

Action = Callable[[str], None]


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a join token is to be like."""

    seconds: float = TOKEN_SECONDS
    name: str = ""


class JoinRequest(msgspec.Struct, frozen=True):
    """An agent that wants to join: the id that it has, and the name that it would like."""

    token: str
    id: str = ""
    name: str = ""


class AgentRoutes:
    """Handlers over book and registry."""

    def __init__(self, book: AgentBook, registry: AgentRegistry, clock: Clock) -> None:
        self._book = book
        self._registry = registry
        self._clock = clock

    def routes(self) -> list[Route]:
        """What is served."""
        read, change, one = Access.READ, Access.CHANGE, ROOT + "/{id}"
        return [
            Route("POST", f"{ROOT}/tokens", _answering(self.issue_token), change),
            Route("POST", f"{ROOT}/join", _answering(self.join), Access.JOIN, content_types=JSON),
            Route("POST", f"{ROOT}/info", _answering(self.take_info), Access.INGEST, INFO_BYTES_MAX, JSON),
            Route("POST", f"{ROOT}/key", _answering(self.change_key), Access.INGEST),
            Route("GET", f"{ROOT}/health", _answering(self.show_health), Access.INGEST),
            Route("GET", ROOT, _answering(self.list_agents), read),
            Route("GET", one, _answering(self.show_agent), read),
            Route("DELETE", one, _answering(self.forget), change),
            Route("PUT", f"{one}/metadata", _answering(self.describe), change),
            Route("DELETE", f"{one}/metadata", self._doing(self._undescribe), change),
            Route("POST", f"{one}/enable", self._doing(lambda own: self._book.enable(own, is_enabled=True)), change),
            Route("POST", f"{one}/disable", self._doing(lambda own: self._book.enable(own, is_enabled=False)), change),
            Route("POST", f"{one}/revoke", self._doing(self._book.revoke), change),
            Route("POST", f"{one}/rotate", self._doing(self._book.ask_rotation), change),
        ]

    # For agents.

    async def join(self, request: web.Request) -> web.Response:
        """A token for an id and a key."""
        wanted = msgspec.json.decode(await request.read(), type=JoinRequest)
        owner, key = self._book.join(wanted.token, wanted.id, wanted.name)
        return _json({"id": owner.agent_id, "name": owner.name, "key": key})

    async def change_key(self, request: web.Request) -> web.Response:
        """The next key of whoever asks with the present one."""
        owner = request.get(OWNER)
        if not isinstance(owner, Owner):
            return _json({"error": "only an agent that has a key gets another: let it join first"}, 403)
        return _json({"key": self._book.rotate(owner.agent_id)})

    async def take_info(self, request: web.Request) -> web.Response:
        """An AgentInfo; the answer says what the server wants of the agent."""
        info = msgspec.json.decode(await request.read(), type=dict[str, Any])
        owner = request.get(OWNER)
        agent_id = owner.agent_id if isinstance(owner, Owner) else str(info.get("id", ""))
        if not agent_id:
            return _json({"error": "the id is missing"}, 400)
        if not isinstance(owner, Owner):
            if self._book.is_enrolled(agent_id):
                return _json({"error": f"agent {agent_id} speaks with its key only"}, 403)
            if not self._registry.is_known(agent_id):
                return _json({"is_heard": False})  # who has never delivered takes no room
        told = self._book.take_info(agent_id, info)
        return _json({"wants_inventory": not told.inventory, "rotate_key": told.is_rotation_wanted})

    async def show_health(self, _request: web.Request) -> web.Response:
        """That the server lives and takes this agent's key: `/-/healthy` for who has no user here."""
        return _json({"is_healthy": True})

    # For operators.

    async def issue_token(self, request: web.Request) -> web.Response:
        """A join token."""
        wanted = msgspec.json.decode(await request.read() or b"{}", type=TokenRequest)
        token, expires_ms = self._book.issue_token(wanted.seconds, wanted.name)
        return _json({"token": token, "expires_ms": expires_ms})

    async def list_agents(self, _request: web.Request) -> web.Response:
        """All agents in short."""
        statuses = {status.agent_id: status for status in self._registry.agents()}
        ids = sorted(statuses.keys() | set(self._book.ids()))
        return _json({"agents": [self._shown(agent_id, statuses.get(agent_id)) for agent_id in ids]})

    async def show_agent(self, request: web.Request) -> web.Response:
        """One agent in full: with what it told, its inventory, and what happened to it."""
        agent_id = request.match_info["id"]
        status = next((one for one in self._registry.agents() if one.agent_id == agent_id), None)
        if status is None and agent_id not in self._book.ids():
            raise UnknownAgentError(f"no agent has the id {agent_id}")
        told = self._book.told(agent_id)
        events = [{"at_ms": event.at_ms, "what": event.body.decode()} for event in self._book.events(agent_id)]
        return _json(
            {
                **self._shown(agent_id, status),
                "info": parse_info(told.info),
                "inventory": told.inventory,
                "events": events,
            }
        )

    async def describe(self, request: web.Request) -> web.Response:
        """Metadata in place of what was there."""
        metadata = msgspec.json.decode(await request.read(), type=AgentMetadata)
        self._check_known(request.match_info["id"])
        self._book.describe(request.match_info["id"], metadata)
        return _json(metadata)

    def _undescribe(self, agent_id: str) -> None:
        self._book.describe(agent_id, AgentMetadata())

    async def forget(self, request: web.Request) -> web.Response:
        """Forget an agent: metadata, keys, what it told. If it is alive and needs no key, it will be heard again."""
        self._check_known(request.match_info["id"])
        self._book.forget(request.match_info["id"])
        self._registry.forget(request.match_info["id"])
        return _json({})

    def _doing(self, action: Action) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            agent_id = request.match_info["id"]
            self._check_known(agent_id)
            action(agent_id)
            return _json({})

        return _answering(answer)

    def _check_known(self, agent_id: str) -> None:
        if not self._registry.is_known(agent_id):
            self._book.lookup(agent_id)

    def _shown(self, agent_id: str, status: AgentStatus | None) -> dict[str, Any]:
        record, told = self._book.find(agent_id), self._book.told(agent_id)
        health = status.health if status is not None else HealthState.NEW
        shown: dict[str, Any] = {} if status is None else asdict(status)
        info = parse_info(told.info)
        return {
            **shown,
            "agent_id": agent_id,
            "instance": status.instance if status is not None else record.name,
            "health": (health if record.is_enabled else HealthState.DISABLED).value,
            "is_enabled": record.is_enabled,
            "is_enrolled": record.is_enrolled,
            "keys": [{"id": key.id, "made_ms": key.made_ms} for key in record.keys],
            "revoked_ms": record.revoked_ms,
            "metadata": record.metadata,
            "tags": info.tags,
            "started_at_ms": info.started_at_ms,
            "settings_error": info.settings_error,
            "outage_seconds_left": info.outage_seconds_left,
            "checks": {"total": len(info.checks), "failed": info.checks_failed},
            "queued": info.accounting.queued,
            "dropped": sum(info.accounting.dropped.values()),
            "told_ms": told.at_ms,
            "clock_offset_ms": told.clock_offset_ms,
        }


def _answering(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
    """Failures as answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except JoinError as error:
            return _json({"error": str(error)}, 403)
        except UnknownAgentError as error:
            return _json({"error": str(error)}, 404)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _json({"error": f"the body is not what is expected: {error}"}, 400)
        except WorldError as error:
            return _json({"error": str(error)}, 503)

    return answer


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
