"""The agent's own API: status, reload, log levels, checks on demand. On loopback, and only for who can read its token.

Invariant: without the token nothing is told and nothing is done; the token's file belongs to the agent's user alone.
"""

import hmac
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from nunchi.agent.own_metrics import own_outcome
from nunchi.agent.schedule import CheckInstance, Outcome, Schedule
from nunchi.kit.disk import Disk, DiskMissing
from nunchi.kit.errors import InputError
from nunchi.kit.http_route import Access, Handler, Route
from nunchi.kit.logs import LEVELS, area_levels, areas, set_area_level
from nunchi.kit.telemetry import Counter, Telemetry

TOKEN_FILE, URL_FILE = "api-token", "api-url"
TOKEN_FILE_MODE = 0o600
TOKEN_BITS = 256

Status = Callable[[], dict[str, Any]]
Reload = Callable[[], Awaitable[None]]


class LevelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`level` empty: the area follows the one above it again."""

    level: str = ""
    area: str = "agent"


class AgentApi:
    """Routes for whoever has the token."""

    def __init__(
        self,
        token: str,
        status: Status,
        reload: Reload,
        schedule: Schedule,
        telemetry: Telemetry,
        refused: Counter,
        others: Sequence[Route] = (),
    ) -> None:
        """`refused` counts who has no token; `others` are what parts of the agent serve here, behind the same token."""
        self._others = others
        self._token = token
        self._status = status
        self._reload = reload
        self._schedule = schedule
        self._telemetry = telemetry
        self._refused = refused

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route("GET", "/api/v1/status", self._guarded(self.show_status), Access.READ),
            Route("POST", "/api/v1/reload", self._guarded(self.reload), Access.CHANGE),
            Route("GET", "/api/v1/log", self._guarded(self.show_levels), Access.READ),
            Route("PUT", "/api/v1/log", self._guarded(self.change_level), Access.CHANGE),
            Route("POST", "/api/v1/checks/{name:.+}/run", self._guarded(self.run_check), Access.CHANGE),
            *(replace(route, handler=self._guarded(route.handler)) for route in self._others),
        ]

    async def show_status(self, _request: web.Request) -> web.Response:
        """Everything about this agent."""
        return json_response(self._status())

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the settings again; 400 with place and cure where they are broken."""
        try:
            await self._reload()
        except InputError as error:
            return json_response({"error": str(error)}, 400)
        return json_response(self._status()["settings"])

    async def show_levels(self, _request: web.Request) -> web.Response:
        """The log level of every area that has one of its own."""
        return json_response({"levels": area_levels(), "known": list(LEVELS)})

    async def change_level(self, request: web.Request) -> web.Response:
        """Set the level of an area, from now on and until the end of the process."""
        try:
            change = msgspec.json.decode(await request.read(), type=LevelChange)
            require_area(change.area)
            set_area_level(change.area, change.level)
        except (msgspec.MsgspecError, ValueError) as error:
            return json_response({"error": str(error)}, 400)
        return json_response({"levels": area_levels()})

    async def run_check(self, request: web.Request) -> web.Response:
        """Run the instances of a name, or of a check, now; what they find is shown and not delivered."""
        name = request.match_info["name"]
        if name == "agent":
            return json_response({"outcomes": [shown_outcome(own_outcome(self._telemetry), None)]})
        chosen = [one for one in self._schedule.instances if name in {one.name, one.check.name}]
        if not chosen:
            known = ", ".join(sorted(one.name for one in self._schedule.instances))
            return json_response({"error": f'no check "{name}" runs here; these do: {known}'}, 404)
        outcomes = await self._schedule.collect(chosen)
        return json_response({"outcomes": [shown_outcome(*pair) for pair in zip(outcomes, chosen, strict=True)]})

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
                self._refused.add()
                return web.Response(
                    status=401,
                    text="send the token of the file api-token in the agent's state folder: Authorization: Bearer …\n",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return await handler(request)

        return answer


def shown_outcome(outcome: Outcome, instance: CheckInstance | None) -> dict[str, Any]:
    """What a run found, for JSON; numbers that JSON has no words for become texts."""
    return {
        "name": outcome.name,
        "is_success": outcome.is_success,
        "duration_seconds": None if math.isnan(outcome.duration_seconds) else outcome.duration_seconds,
        "error": "" if instance is None else instance.last_error,
        "samples": [
            {"name": name, "labels": dict(labels), "value": value if math.isfinite(value) else repr(value)}
            for name, labels, value in outcome.emission.samples
        ],
        "histograms": [
            {"name": name, "labels": dict(labels), "count": histogram.count, "sum": repr(histogram.sum)}
            for name, labels, histogram in outcome.emission.histograms
        ],
    }


def require_area(area: str) -> None:
    """Something writes lines under this name, or below it. Raises ValueError with the nearest that is there."""
    known = areas()
    if area and area not in known:
        import difflib  # only mistakes need it

        near = difflib.get_close_matches(area, known, n=1)
        cure = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
        raise ValueError(f'nothing logs as "{area[:100]}"; {cure}')


def load_token(state_folder: Path, disk: Disk, random: Random) -> str:
    """The token in the state folder, made where there is none. Raises DiskError where it cannot be kept."""
    path = state_folder / TOKEN_FILE
    try:
        found = disk.read(path).decode(errors="replace").strip()
        if found:
            return found
    except DiskMissing:
        pass
    made = f"{random.getrandbits(TOKEN_BITS):064x}"
    disk.make_folder(state_folder)
    disk.write_atomically(path, f"{made}\n".encode(), TOKEN_FILE_MODE)
    return made


def json_response(content: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
