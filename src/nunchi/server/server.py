"""A wired server: parts in the order of their start, and the configuration that they share.

Invariant: a configuration is taken by all parts or by none; what is wrong with it is found before the first part hears of it.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from nunchi.kit.errors import InputError
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Part, PartStatus, Supervisor
from nunchi.server.configuration import LoadedConfiguration
from nunchi.server.settings import Configuration
from nunchi.server.status import ServerStatus

SWITCH_INTERVAL_SECONDS = 0.0005  # threads that compute give way to the event loop this often

LoadConfiguration = Callable[[], LoadedConfiguration]
ApplyConfiguration = Callable[[LoadedConfiguration], None]
Adjust = Callable[[Configuration, str], Configuration]


def unchanged(configuration: Configuration, _url: str) -> Configuration:
    """What a server that brings nothing itself does to its configuration."""
    return configuration


@dataclass(frozen=True, slots=True)
class ServerParts:
    """What wiring puts together. `web` starts first, so that a taken port is known before anything else happens.

    prepare  takes what must be there first, the data folder; raises where it cannot be had
    takers   parts that take samples in, which a store does while it loads
    fill     loads what is stored
    judges   parts that read what is stored
    adjust   adds what a program brings itself to a configuration, given the server's address
    close    gives the data folder back, once no part can append any more
    """

    prepare: Callable[[], None]
    web: HttpServer
    takers: Sequence[Part]
    fill: Callable[[], Awaitable[None]]
    judges: Sequence[Part]
    status: ServerStatus
    supervisor: Supervisor
    load: LoadConfiguration
    apply: ApplyConfiguration
    adjust: Adjust
    close: Callable[[], Awaitable[None]]
    log: Logger


class Server:
    """Starts, reloads and stops the parts."""

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts

    @property
    def url(self) -> str:
        """Where the pages are; known once started."""
        return self._parts.web.url

    @property
    def requires_client_certificate(self) -> bool:
        """Whether the pages are for holders of certificates only; known once started."""
        return self._parts.web.requires_client_certificate

    async def start(self) -> None:
        """Start every part; on return every query is answered. Raises what any of it raises, and nothing stays."""
        await self.open()
        await self.load()

    async def open(self) -> None:
        """Load the configuration, hold the port, take samples in. `load` comes next. Raises as `start`."""
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        parts = self._parts
        configuration = parts.load()
        parts.prepare()
        try:
            await parts.supervisor.start(parts.web)
            self._take(configuration)
            for part in parts.takers:
                await parts.supervisor.start(part)
        except BaseException:
            await self._give_back()
            raise
        parts.status.open()

    async def load(self) -> None:
        """Load what is stored, then judge by rules. Raises as `start`."""
        parts = self._parts
        try:
            await parts.fill()
            for part in parts.judges:
                await parts.supervisor.start(part)
        except BaseException:
            await self._give_back()
            raise
        parts.status.become_ready()

    async def reload(self) -> None:
        """Read the configuration again. Raises an `InputError` and changes nothing where it is broken."""
        try:
            self._take(self._parts.load())
        except InputError as error:
            self._parts.status.refuse_configuration()
            self._parts.log.error("configuration not loaded, the earlier one stays", error=error)
            raise
        self._parts.log.info("configuration loaded again")

    async def stop(self) -> None:
        """Stop every part, last started first."""
        self._parts.status.begin_stop()
        await self._give_back()

    def statistics(self) -> list[PartStatus]:
        """How each part is doing."""
        return self._parts.supervisor.statistics()

    async def _give_back(self) -> None:
        await self._parts.supervisor.stop()
        await self._parts.close()

    def _take(self, configuration: LoadedConfiguration) -> None:
        adjusted = replace(configuration, prometheus=self._parts.adjust(configuration.prometheus, self.url))
        self._parts.apply(adjusted)
        self._parts.status.take_configuration(adjusted.prometheus)
        for remark in adjusted.remarks():
            self._parts.log.warning(remark)
