"""collectd with the plugins that show what the agent's checks show, sending its own packets."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from programs.beside import Traffic
from programs.process import free_port

SETTINGS = """
Interval {interval}
BaseDir "{folder}"
PIDFile "{folder}/pid"
TypesDB "/usr/share/collectd/types.db"
{load}
<Plugin network>
  Server "127.0.0.1" "{port}"
</Plugin>
<Plugin cpu>
  ValuesPercentage false
</Plugin>
"""
PLUGINS = (
    "cpu",
    "memory",
    "load",
    "df",
    "disk",
    "interface",
    "vmem",
    "protocols",
    "tcpconns",
    "swap",
    "processes",
    "network",
)


class Packets(asyncio.DatagramProtocol):
    """Counts collectd's packets: bytes with UDP's and IP's headers, and values."""

    def __init__(self, traffic: Traffic, arrived: asyncio.Event) -> None:
        self._traffic = traffic
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._traffic.bytes += len(data) + 28
        self._traffic.payload_bytes += len(data)
        while len(data) >= 4:
            kind, length = struct.unpack_from(">HH", data)
            if kind == 6:
                self._traffic.samples += struct.unpack_from(">H", data, 4)[0]
            data = data[max(length, 4) :]
        self._arrived.set()


async def prepare_collectd(
    collectd: str, folder: Path, interval_seconds: int
) -> tuple[list[str], Callable[[], Awaitable[None]], Traffic]:
    """The command, what to wait for until it has shown samples, and what comes of it."""
    traffic, arrived, port = Traffic(), asyncio.Event(), free_port()
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Packets(traffic, arrived), local_addr=("127.0.0.1", port)
    )
    load = "\n".join(f"LoadPlugin {plugin}" for plugin in PLUGINS)
    text = SETTINGS.format(interval=interval_seconds, folder=folder, load=load, port=port)
    (folder / "collectd.conf").write_text(text)

    async def wait_packet() -> None:
        arrived.clear()
        await arrived.wait()

    return [collectd, "-f", "-C", str(folder / "collectd.conf")], wait_packet, traffic
