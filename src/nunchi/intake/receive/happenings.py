"""Events and service checks in the API: agents bring them, operators read them.

Under /api/nunchi/v1. Invariant: an agent with a key speaks for itself alone, and who has never delivered takes no room.
"""

from typing import Any

import msgspec
from aiohttp import web

from nunchi.intake.registry.agent_book import AgentBook, Owner
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.happenings import HappeningBook, HappeningsError, KeptEvent, KeptServiceCheck
from nunchi.kit.errors import WorldError
from nunchi.kit.http_server import OWNER, Access, Route
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.happenings import BODY_BYTES_MAX, PATH, STATES, Happenings

EVENTS_PATH = "/api/nunchi/v1/events"
SERVICE_CHECKS_PATH = "/api/nunchi/v1/service-checks"
EVENTS_SHOWN, EVENTS_SHOWN_MAX = 200, 1000
RETRY_AFTER_SECONDS = 10
JSON = ("application/json",)


class HappeningRoutes:
    """Handlers over the book of what happened."""

    def __init__(
        self, happenings: HappeningBook, agents: AgentBook, registry: AgentRegistry, telemetry: Telemetry
    ) -> None:
        self._happenings = happenings
        self._agents = agents
        self._registry = registry
        self._taken = telemetry.counter(
            "nunchi_happenings_total", "Events and service checks of agents, by what became of them.", "outcome"
        )

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("POST", PATH, self.take, Access.INGEST, BODY_BYTES_MAX, JSON),
            Route("GET", EVENTS_PATH, self.list_events, Access.READ),
            Route("GET", SERVICE_CHECKS_PATH, self.list_service_checks, Access.READ),
        ]

    async def take(self, request: web.Request) -> web.Response:
        """Some of an agent's."""
        try:
            body = msgspec.json.decode(await request.read(), type=Happenings)
            owner = request.get(OWNER)
            if isinstance(owner, Owner):
                body = msgspec.structs.replace(body, agent=owner.agent_id, name=owner.name)
            elif self._agents.is_enrolled(body.agent):
                return _json({"error": f"agent {body.agent} speaks with its key only"}, 403)
            if not self._agents.is_enabled(body.agent) or not self._registry.is_known(body.agent):
                return _later("an agent is heard when its first round has come, and while it is enabled here")
            known = self._happenings.take(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _json({"error": f"the body is not what is expected: {error}"}, 400)
        except HappeningsError as error:
            return _json({"error": str(error)}, 400)
        except WorldError as error:
            return _later(str(error))
        self._taken.add(len(body) - known, "taken")
        self._taken.add(known, "duplicate")
        return _json({"accepted": len(body) - known, "duplicate": known})

    async def list_events(self, request: web.Request) -> web.Response:
        """The newest, as far as they are asked for: `search`, `alert_type`, `agent`, `limit`."""
        query = request.query
        words = query.get("search", "").lower().split()
        kinds, agents = set(query.getall("alert_type", [])), set(query.getall("agent", []))
        limit = query.get("limit", str(EVENTS_SHOWN))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= EVENTS_SHOWN_MAX):
            return _json({"error": f"limit: a number from 1 to {EVENTS_SHOWN_MAX}"}, 400)

        def is_wanted(one: KeptEvent) -> bool:
            if (kinds and one.event.alert_type not in kinds) or (agents and not agents & {one.agent, one.instance}):
                return False
            text = " ".join(
                (one.event.title, one.event.text, one.event.host, one.instance, *map(":".join, one.event.tags))
            )
            return all(word in text.lower() for word in words)

        try:
            found = self._happenings.events(is_wanted, int(limit))
        except WorldError as error:
            return _later(str(error))
        return _json({"events": [shown_event(one) for one in found]})

    async def list_service_checks(self, _request: web.Request) -> web.Response:
        """The last word on each, the worst first."""
        return _json({"service_checks": [shown_service_check(one) for one in self._happenings.service_checks()]})


def shown_event(one: KeptEvent) -> dict[str, Any]:
    """One event, flat."""
    return {"agent": one.agent, "instance": one.instance, **msgspec.to_builtins(one.event)}


def shown_service_check(one: KeptServiceCheck) -> dict[str, Any]:
    """One service check, flat, its state as a word."""
    shown = {"agent": one.agent, "instance": one.instance, **msgspec.to_builtins(one.check)}
    return {**shown, "state": STATES[one.check.state], "since_ms": one.since_ms, "heard_ms": one.heard_ms}


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


def _later(reason: str) -> web.Response:
    return web.Response(status=503, text=reason, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
