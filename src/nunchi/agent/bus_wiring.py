"""Puts together what brings rounds to the server: HTTP, or a message bus.

Invariant: nothing of the bus is imported before some settings ask for it.
"""

from nunchi.agent.forwarder.delivery import Carrier, HttpCarrier
from nunchi.agent.identity import Identity
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.agent.settings import ServerSettings
from nunchi.agent.world import World


def build_carrier(
    settings: ServerSettings, link: ServerLink, own_link: HttpLink, identity: Identity, world: World
) -> Carrier:
    """The way of rounds; `own_link` knows the agent's key. Raises SealError where payloads cannot be sealed as wanted."""
    bus = settings.bus
    if bus is None:
        return HttpCarrier(link)
    from nunchi.agent.bus_carrier import BusCarrier, BusTelemetry
    from nunchi.kit.buses.nats.bus import NatsBus
    from nunchi.wire.pack_seal import PackMode, check_mode, pack_key

    def key() -> bytes:
        text = own_link.key.reveal()
        return pack_key(text) if text else b""

    mode = PackMode(bus.mode)
    check_mode(mode)
    return BusCarrier(
        NatsBus(bus, identity.id, world.folder, world.log), bus.cluster, mode, key, settings.timeout.seconds, identity,
        world.clock, world.random, BusTelemetry(world.telemetry),
    )  # fmt: skip
