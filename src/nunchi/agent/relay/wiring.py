"""Puts the relay together: a server whose routes lead into the spool, or through to the agent's own server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.relay.passing import Passing
from nunchi.agent.relay.relay import Relay
from nunchi.agent.relay.telemetry import RelayTelemetry
from nunchi.agent.relay_settings import RelaySettings
from nunchi.agent.settings import ServerSettings
from nunchi.kit.clock import Clock
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import Logger
from nunchi.kit.spool import Spool
from nunchi.kit.telemetry import Telemetry

CONNECTIONS_MAX = 32  # each may hold a body in memory
SPOOL_SHARE_MAX = 0.5


@dataclass(frozen=True, slots=True)
class RelayWorld:
    """What the relay needs of its agent. `labels` and `server` are those in force when somebody comes."""

    labels: Callable[[], Mapping[str, str]]
    server: Callable[[], ServerSettings]
    forwarder: Forwarder
    spool: Spool
    folder: Path
    environment: Mapping[str, str]
    clock: Clock
    telemetry: Telemetry
    counts: RelayTelemetry
    log: Logger

    def has_room(self) -> bool:
        """Whether the spool takes what is not the agent's own."""
        statistics = self.spool.statistics()
        return max(statistics.bytes, statistics.disk_bytes) < SPOOL_SHARE_MAX * self.spool.limits.bytes_max


class RelayServer(HttpServer):
    """Its routes judge tokens themselves and take them over TLS or from this host only, so users are no condition."""

    def __init__(self, settings: RelaySettings, world: RelayWorld) -> None:
        clock, counts = world.clock, world.counts
        relay = Relay(settings, world.labels, world.forwarder.put_rounds, world.has_room, clock, counts)
        self._passing = Passing(world.server, clock, world.folder, world.environment, counts, settings.body_bytes_max)
        routes = [*relay.routes(), *(self._passing.routes() if settings.agents else ())]
        policy = HttpPolicy(
            web_config_file=settings.web_config(world.folder), insecure=True, connections_max=CONNECTIONS_MAX
        )
        super().__init__("agent.relay", settings.address, routes, policy, clock, world.telemetry, world.log)

    async def stop(self) -> None:
        """See `HttpServer.stop`."""
        await super().stop()
        await self._passing.close()
