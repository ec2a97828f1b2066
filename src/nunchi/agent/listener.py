"""An HTTP listener of the agent that may come, move and go while the agent runs.

Invariant: an address that cannot be had now takes nothing else down: it is said once, and tried again until it works.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from nunchi.agent.listener_settings import ListenerSettings
from nunchi.kit.clock import Clock
from nunchi.kit.disk import DiskError
from nunchi.kit.errors import InputError
from nunchi.kit.http_server import HttpServer
from nunchi.kit.listen_address import ListenError
from nunchi.kit.logs import Logger

RETRY_SECONDS = 10.0

Settings = TypeVar("Settings", bound=ListenerSettings)
Opened = Callable[[str], None]


def told_nobody(_url: str) -> None:
    """Who has nothing to do when a listener is there."""


class Listener(Generic[Settings]):
    """A part. Without settings it listens nowhere. `opened` hears the URL whenever it listens anew."""

    def __init__(
        self,
        name: str,
        settings: Settings | None,
        open_server: Callable[[Settings], HttpServer],
        clock: Clock,
        log: Logger,
        opened: Opened = told_nobody,
    ) -> None:
        self.name = name
        self.last_error = ""
        self._settings = settings
        self._open_server = open_server
        self._opened = opened
        self._clock = clock
        self._log = log
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it answers; empty where it does not."""
        return "" if self._server is None else self._server.url

    async def start(self) -> None:
        """Listen, if that is wanted and possible. Raises InputError where the settings cannot be right."""
        await self._open()

    async def run(self) -> None:
        """Look after the server, and try again where there is none yet."""
        while True:
            await self._look_after(self._server)
            if self._server is None:
                await self._open()

    async def stop(self) -> None:
        """Listen no more."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def apply(self, settings: Settings | None) -> None:
        """Listen by other settings. Raises InputError, and then the earlier ones are in force."""
        if settings == self._settings:
            return
        before, self._settings = self._settings, settings
        await self.stop()
        try:
            await self._open()
        except BaseException:
            self._settings = before
            await self._open()
            raise

    async def _look_after(self, server: HttpServer | None) -> None:
        """Run the server's own chores for a while."""
        if server is None:
            await self._clock.sleep(RETRY_SECONDS)
            return
        chores = asyncio.ensure_future(server.run())
        try:
            await self._clock.sleep(RETRY_SECONDS)
        finally:
            chores.cancel()
            await asyncio.gather(chores, return_exceptions=True)

    async def _open(self) -> None:
        if self._settings is None:
            return
        try:
            server = self._open_server(self._settings)
            await server.start()
        except (ListenError, DiskError) as error:
            if not self.last_error:
                self._log.error("not listening; the rest goes on", part=self.name, error=error)
            self.last_error = str(error)
            return
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
        self._server, self.last_error = server, ""
        self._opened(server.url)
