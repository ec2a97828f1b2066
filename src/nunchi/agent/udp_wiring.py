"""Puts together what leaves over UDP: rounds as packs, which may be wanted later, and rounds as Scouter packs.

Invariant: nothing of either is imported before some settings ask for it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from nunchi.agent.forwarder.delivery import Delivery, FastWay
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.identity import Identity
from nunchi.agent.server_link import HttpLink
from nunchi.agent.settings import AgentSettings
from nunchi.agent.udp_sender_settings import UdpSettings
from nunchi.agent.udp_switch import PackSwitch
from nunchi.agent.world import World
from nunchi.kit.disk import Disk, DiskError
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.secrets import Secret

if TYPE_CHECKING:
    from nunchi.agent.scouter_sender import ScouterSender
    from nunchi.agent.udp_sender import UdpTelemetry


def build_packs(
    delivery: Delivery, link: HttpLink, encoder: PushEncoder, identity: Identity, world: World
) -> PackSwitch:
    """Rounds over UDP, which may be wanted later."""
    counts: list[UdpTelemetry] = []  # made with the first sender

    def build(settings: UdpSettings) -> FastWay:
        from nunchi.agent.udp_sender import PackWay, UdpSender, UdpTelemetry
        from nunchi.agent.udp_wire import UdpWire
        from nunchi.wire.errors import WireError
        from nunchi.wire.pack_seal import PackMode, check_mode, pack_key

        def key() -> bytes:
            try:
                listed = read_key(settings, world.folder, world.disk)
            except InputError as error:
                raise WireError(str(error)) from error
            text = listed.reveal() or link.key.reveal()
            return pack_key(text) if text else b""

        mode = PackMode(settings.mode)
        check_mode(mode)
        read_key(settings, world.folder, world.disk)
        if not counts:
            counts.append(UdpTelemetry(world.telemetry))
        sender = UdpSender(
            UdpWire(ListenAddress.parse(settings.address)), key, mode, settings.datagram_bytes,
            settings.timeout.seconds, identity, world.clock, world.random, counts[0], world.log,
        )  # fmt: skip
        return PackWay(sender, encoder)

    return PackSwitch(delivery, build)


def read_key(settings: UdpSettings, folder: Path, disk: Disk) -> Secret:
    """The key of packs that the settings name, empty where they name none. Raises InputError."""
    if not settings.key_file:
        return settings.key
    try:
        return Secret(disk.read(folder / settings.key_file).decode(errors="replace").strip())
    except DiskError as error:
        raise InputError(f"udp: the key file cannot be read: {error}") from error


def build_scouter(
    settings: AgentSettings, forwarder: Forwarder | None, identity: Identity, world: World
) -> "ScouterSender | None":
    """What sends rounds as Scouter packs too, where that is wanted."""
    if settings.scouter is None:
        return None
    from nunchi.agent.scouter_sender import ScouterSender
    from nunchi.agent.udp_wire import UdpWire

    wire = UdpWire(ListenAddress.parse(settings.scouter.address))
    return ScouterSender(settings.scouter, wire, forwarder, identity, settings.labels, world.telemetry, world.log)
