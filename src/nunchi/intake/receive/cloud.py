"""Clouds in the API: for agents their configuration and what they tell; for operators configurations, states and resources.

Under /api/nunchi/v1. Invariant: an agent with a key speaks for itself alone, and one without a key for no one that has one.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from nunchi.intake.registry.agent_book import AgentBook, Owner
from nunchi.intake.registry.cloud_configurations import CloudConfigurations, KeptConfiguration, Lease
from nunchi.intake.registry.cloud_states import CloudStates
from nunchi.intake.registry.errors import CloudConfigurationError, UnknownCloudConfigurationError
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.http_server import OWNER, Access, Handler, Route
from nunchi.wire.cloud_configuration import parse_cloud_configuration
from nunchi.wire.cloud_exchange import (
    CONFIGURATION_PATH,
    REPORT_PATH,
    RESOURCES_PATH,
    WAIT_SECONDS_MAX,
    CloudReport,
    ResourcesReport,
)

ROOT = "/api/nunchi/v1/cloud"
JSON = ("application/json",)
PAGE_RESOURCES_MAX = 200
FACETS = ("account", "region", "namespace")
REPORT_BYTES_MAX = 4 << 20
RESOURCES_BYTES_MAX = 32 << 20


class ConfigurationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration (`text`: YAML or JSON) and the names of the agents that may obey it, with * and ?."""

    agents: list[str]
    text: str


class Refused(Exception):  # noqa: N818 (an answer, not an error)
    """Who asks is not who it says."""


class CloudRoutes:
    """Handlers over configurations and states."""

    def __init__(self, configurations: CloudConfigurations, states: CloudStates, book: AgentBook) -> None:
        self._configurations = configurations
        self._states = states
        self._book = book

    def routes(self) -> list[Route]:
        """What is served."""
        read, change, ingest = Access.READ, Access.CHANGE, Access.INGEST
        one = f"{ROOT}/configurations/{{name}}"
        return [
            Route("GET", CONFIGURATION_PATH, _answering(self.hand_over), ingest),
            Route("POST", REPORT_PATH, _answering(self.take_report), ingest, REPORT_BYTES_MAX, JSON),
            Route("POST", RESOURCES_PATH, _answering(self.take_resources), ingest, RESOURCES_BYTES_MAX, JSON),
            Route("GET", ROOT, _answering(self.show), read),
            Route("GET", f"{ROOT}/resources", _answering(self.list_resources), read),
            Route("GET", f"{ROOT}/configurations", _answering(self.list_configurations), read),
            Route("POST", f"{ROOT}/configurations/check", _answering(self.check), read),
            Route("GET", one, _answering(self.show_configuration), read),
            Route("PUT", one, _answering(self.put), change, content_types=JSON),
            Route("DELETE", one, _answering(self.remove), change),
        ]

    # For agents.

    async def hand_over(self, request: web.Request) -> web.Response:
        """The configuration that the asking agent is to obey; 304 where it has that version, after `wait` seconds."""
        agent_id, name = self._who(request, request.query.get("agent", ""), request.query.get("name", ""))
        version, seconds = request.query.get("version", ""), wait_seconds(request.query.get("wait", "0"))
        handed = await self._configurations.wait_change(agent_id, name, version, seconds)
        if handed.version == version:
            return web.Response(status=304)
        return _json(handed)

    async def take_report(self, request: web.Request) -> web.Response:
        """How an agent's clippers fare."""
        report = msgspec.json.decode(await request.read(), type=CloudReport)
        agent_id, name = self._who(request, report.agent, report.name)
        self._states.take_report(msgspec.structs.replace(report, agent=agent_id, name=name))
        return _json({})

    async def take_resources(self, request: web.Request) -> web.Response:
        """The inventory of one place."""
        report = msgspec.json.decode(await request.read(), type=ResourcesReport)
        self._who(request, report.agent, report.name)
        self._states.take_resources(report)
        return _json({})

    def _who(self, request: web.Request, claimed_id: str, claimed_name: str) -> tuple[str, str]:
        """Id and name of the agent that asks: its key's, else what it claims, unless that is somebody with a key."""
        owner = request.get(OWNER)
        if isinstance(owner, Owner):
            return owner.agent_id, owner.name
        if not claimed_id or not claimed_name:
            raise CloudConfigurationError("agent and name are missing")
        if self._book.is_enrolled(claimed_id):
            raise Refused(f"agent {claimed_id} speaks with its key only")
        return claimed_id, claimed_name

    # For operators.

    async def show(self, _request: web.Request) -> web.Response:
        """Every agent's clippers and costs."""
        return _json({"agents": [{"heard_ms": one.at_ms, **msgspec.structs.asdict(one.report)}
                                 for one in self._states.reports()]})  # fmt: skip

    async def list_resources(self, request: web.Request) -> web.Response:
        """Resources, chosen by account, region, namespace and a text in id, name or tags; `begin` pages on.

        `facets` say what else could be chosen: how many there are of each value, were that one choice another.
        """
        wanted = {name: request.query[name] for name in FACETS if request.query.get(name)}
        text = request.query.get("text", "").lower()
        begin = int(request.query["begin"]) if request.query.get("begin", "").isdecimal() else 0
        facets: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        shown, matched = [], 0
        for (provider, account, region), one in self._states.resources():
            own = {"account": account, "region": region, "namespace": one.namespace}
            if text not in " ".join((one.id, one.name, *one.tags.values())).lower():
                continue
            differing = [name for name, value in wanted.items() if own[name] != value]
            for name in FACETS:
                facets[name][own[name]] += not set(differing) - {name}
            if not differing:
                matched += 1
                if begin < matched <= begin + PAGE_RESOURCES_MAX:
                    shown.append({"provider": provider, **own, **msgspec.structs.asdict(one)})
        counts = {
            name: {value: count for value, count in sorted(found.items()) if count} for name, found in facets.items()
        }
        return _json({"resources": shown, "matched": matched, "page": PAGE_RESOURCES_MAX, "facets": counts})

    async def list_configurations(self, _request: web.Request) -> web.Response:
        """All configurations in short, with who obeys them."""
        return _json({"configurations": [_shown(*pair) for pair in self._configurations.all()]})

    async def show_configuration(self, request: web.Request) -> web.Response:
        """One configuration with its text."""
        name = request.match_info["name"]
        lease = next((lease for kept, lease in self._configurations.all() if kept.name == name), None)
        kept = self._configurations.lookup(name)
        return _json({**_shown(kept, lease), "text": kept.text})

    async def put(self, request: web.Request) -> web.Response:
        """Keep a configuration; its agents, who wait for changes, hear of it at once."""
        wanted = msgspec.json.decode(await request.read(), type=ConfigurationRequest)
        return _json(_shown(self._configurations.put(request.match_info["name"], wanted.agents, wanted.text), None))

    async def remove(self, request: web.Request) -> web.Response:
        """Forget a configuration; the agent that obeys it stops its clippers."""
        self._configurations.remove(request.match_info["name"])
        return _json({})

    async def check(self, request: web.Request) -> web.Response:
        """Whether a text is a configuration; 400 with place and cure where it is not."""
        parse_cloud_configuration((await request.read()).decode(), "cloud configuration")
        return _json({})


def wait_seconds(text: str) -> float:
    """How long an answer may be held back, `WAIT_SECONDS_MAX` at most. Raises InputError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise CloudConfigurationError(f"wait: {text!r} is no number of seconds")
    return min(seconds, WAIT_SECONDS_MAX)


def _shown(kept: KeptConfiguration, lease: Lease | None) -> dict[str, Any]:
    return {
        "name": kept.name,
        "agents": kept.agents,
        "version": kept.version,
        "changed_ms": kept.changed_ms,
        "obeyed_by": lease.agent_name if lease else "",
    }


def _answering(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
    """Failures as answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as error:
            return _json({"error": str(error)}, 403)
        except UnknownCloudConfigurationError as error:
            return _json({"error": str(error)}, 404)
        except (InputError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _json({"error": str(error)}, 400)
        except WorldError as error:
            return _json({"error": str(error)}, 503)

    return answer


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
