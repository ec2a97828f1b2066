"""Settings over the agent's API: shown, changed in part, put back. The token is asked for where these routes are served.

Invariant: a change that cannot be loaded leaves what was kept before as it was, byte by byte.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from nunchi.agent.runtime_settings import RUNTIME_FILE, RuntimeSettings, merged
from nunchi.agent.settings import AgentSettings
from nunchi.kit.disk import Disk, DiskError, DiskMissing
from nunchi.kit.errors import InputError
from nunchi.kit.http_route import Access, Route
from nunchi.kit.settings.dumping import plain

PATH = "/api/v1/settings"
FILE_MODE = 0o600

Reload = Callable[[], Awaitable[None]]


class SettingsApi:
    """Routes. `settings` are those in force; `reload` reads all again, and raises InputError where they are broken."""

    def __init__(self, settings: Callable[[], AgentSettings], reload: Reload, state_folder: Path, disk: Disk) -> None:
        self._settings = settings
        self._reload = reload
        self._path = state_folder / RUNTIME_FILE
        self._disk = disk

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route("GET", PATH, self.show, Access.READ),
            Route("PATCH", PATH, self.change, Access.CHANGE, content_types=("application/json",)),
            Route("DELETE", PATH, self.reset, Access.CHANGE),
        ]

    async def show(self, _request: web.Request) -> web.Response:
        """What is in force of the settings that may be changed here, and what was changed."""
        return self._shown()

    def _shown(self) -> web.Response:
        settings = self._settings()
        in_force = {name: plain(getattr(settings, name)) for name in RuntimeSettings.__struct_fields__}
        return _json({"in_force": in_force, "changed": self._kept()})

    async def change(self, request: web.Request) -> web.Response:
        """Merge a change, load everything with it; 400 with place and cure where that cannot be, and nothing has changed."""
        try:
            change = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _json({"error": str(error)}, 400)
        return await self._keep(msgspec.json.encode(merged(self._kept(), change)))

    async def reset(self, _request: web.Request) -> web.Response:
        """The settings of the files again, at once and after the next start."""
        return await self._keep(None)

    def _kept(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = msgspec.json.decode(self._disk.read(self._path), type=dict[str, Any])
        except (DiskMissing, msgspec.MsgspecError):
            return {}
        return found

    async def _keep(self, body: bytes | None) -> web.Response:
        before = self._content()
        try:
            self._put(body)
            try:
                await self._reload()
            except InputError as error:
                self._put(before)
                return _json({"error": str(error)}, 400)
        except DiskError as error:
            return _json({"error": f"not changed: {error}"}, 503)
        return self._shown()

    def _content(self) -> bytes | None:
        try:
            return self._disk.read(self._path)
        except DiskMissing:
            return None

    def _put(self, body: bytes | None) -> None:
        if body is not None:
            self._disk.write_atomically(self._path, body, FILE_MODE)
        elif self._content() is not None:
            self._disk.remove(self._path)


def _json(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
