"""The server's side of its agents, put together: records, book, registry, push. For agents outside, and for one in this
process.

Invariant: the records are open before the first request is answered.
"""

from pathlib import Path

from nunchi.admission.door import Door
from nunchi.intake.receive.agents import AgentRoutes
from nunchi.intake.receive.bus import BusReceiver, BusTelemetry
from nunchi.intake.receive.bus_settings import BusReceiverSettings
from nunchi.intake.receive.cloud import CloudRoutes
from nunchi.intake.receive.happenings import HappeningRoutes
from nunchi.intake.receive.pack import PackReceiver
from nunchi.intake.receive.pack_keys import BookKeys, load_pack_keys
from nunchi.intake.receive.pack_scouter import ScouterReceiver
from nunchi.intake.receive.pack_server import PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import AgentBook, Owner
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.cloud_configurations import CloudConfigurations
from nunchi.intake.registry.cloud_states import CloudStates
from nunchi.intake.registry.happenings import HappeningBook
from nunchi.intake.registry.sequence_memory import StoredSequences
from nunchi.kit.buses.nats.bus import NatsBus
from nunchi.kit.http_route import Route
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import logger
from nunchi.kit.settings import load_file
from nunchi.kit.supervision import Part
from nunchi.kit.telemetry import Telemetry
from nunchi.server.flags import ServerFlags
from nunchi.server.neighbours import RECORDS_FILE
from nunchi.server.world import World
from nunchi.storage.contracts import Store
from nunchi.storage.records import Records


class Fleet:
    """`folder` is None where nothing is to outlive the process."""

    def __init__(
        self,
        folder: Path | None,
        world: World,
        store: Store,
        door: Door,
        telemetry: Telemetry,
        flags: ServerFlags | None = None,
    ) -> None:
        log = logger("intake.registry")
        self._records = Records(None if folder is None else folder / RECORDS_FILE, world.clock)
        self._book = AgentBook(self._records, world.clock, world.random, telemetry, log)
        memory = StoredSequences(store, world.clock, log)
        self.registry = AgentRegistry(door, world.clock, telemetry, log, memory)
        self._push = PushReceiver(self.registry, telemetry, self._book)
        self._routes = AgentRoutes(self._book, self.registry, world.clock)
        self._cloud_configurations = CloudConfigurations(self._records, world.clock, log)
        self._cloud_states = CloudStates(self._records, world.clock)
        self._cloud_routes = CloudRoutes(self._cloud_configurations, self._cloud_states, self._book)
        self._happenings = HappeningBook(self._records, world.clock)
        self._happening_routes = HappeningRoutes(self._happenings, self._book, self.registry, telemetry)

        self.receivers: list[Part] = []
        if flags is not None:
            self.receivers += self._datagram_receivers(flags, world, door, telemetry)
            self.receivers += self._bus_receivers(flags, world, telemetry)

    def _datagram_receivers(
        self, flags: ServerFlags, world: World, door: Door, telemetry: Telemetry
    ) -> list[PackReceiver | ScouterReceiver]:
        """The listeners of UDP that are wanted. Raises InputError."""
        found: list[PackReceiver | ScouterReceiver] = []
        if flags.receive_pack_listen_address:
            counts = PackTelemetry(telemetry)
            keys = BookKeys(self._book, load_pack_keys(flags.receive_pack_keys_file))
            server = PackServer(keys, self.registry.receive, world.clock, world.random, counts)
            address = ListenAddress.parse(flags.receive_pack_listen_address)
            found.append(PackReceiver(address, server, world.clock, counts, logger("intake.receive")))
        if flags.receive_scouter_listen_address:
            address = ListenAddress.parse(flags.receive_scouter_listen_address)
            sources, log = flags.receive_scouter_source, logger("intake.receive")
            found.append(ScouterReceiver(address, sources, door, world.clock, telemetry, log))
        return found

    def _bus_receivers(self, flags: ServerFlags, world: World, telemetry: Telemetry) -> list[BusReceiver]:
        """What takes from a bus, where one is named. Raises SettingsError."""
        path = flags.receive_bus_config_file
        if path is None:
            return []
        settings, log = load_file(BusReceiverSettings, path, world.environment), logger("intake.receive")
        bus = NatsBus(settings, f"server-{world.random.getrandbits(64):016x}", path.absolute().parent, log)
        keys, counts = BookKeys(self._book, {}), BusTelemetry(telemetry)
        return [BusReceiver(bus, settings, self._push, keys, world.clock, world.random, counts, log)]

    def open(self) -> None:
        """Read what is known of agents. Raises RecordsError."""
        self._records.open()
        self._book.open()
        self._cloud_configurations.open()
        self._cloud_states.open()
        self._happenings.open()

    def close(self) -> None:
        """Give the records back."""
        self._records.close()

    def routes(self) -> list[Route]:
        """What is served."""
        served = (self._push, self._routes, self._cloud_routes, self._happening_routes)
        return [route for one in served for route in one.routes()]

    def key_owner(self, key: str) -> Owner | None:
        """See `HttpServer`."""
        return self._book.authenticate(key)
