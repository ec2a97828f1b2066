"""The sockets of StatsD: opened and closed as the settings change, those that stay the same left alone.

Invariant: a socket that cannot be had now takes no other down: it is said once, and tried again with every `apply`.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.streams import LineStream, Streams, UnixStream
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.datagram import (
    DATAGRAM_BYTES_MAX,
    DATAGRAMS_MAX,
    DatagramBatch,
    DatagramListener,
    open_udp,
    open_unix,
    remove_dead_socket,
)
from nunchi.kit.listen_address import ListenAddress, ListenError, bind
from nunchi.kit.logs import Logger


@dataclass(frozen=True, slots=True)
class Socket:
    """One place to listen, with everything that would make it another."""

    kind: str  # as the settings call it
    address: str
    mode: int = 0
    buffer_bytes: int = 0
    reuse_port: bool = False


@dataclass(slots=True)
class Opened:
    """What listens there."""

    datagrams: DatagramListener | None = None
    servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port bound; 0 where it has none."""
        if self.datagrams is not None:
            return self.datagrams.port or 0
        names = (listening.getsockname() for server in self.servers for listening in server.sockets)
        return next((int(name[1]) for name in names if isinstance(name, tuple)), 0)


class Listeners:
    """All of them. `take` gets the texts."""

    def __init__(
        self,
        take: Callable[[bytes], None],
        connections_max: int,
        clock: Clock,
        telemetry: StatsdTelemetry,
        log: Logger,
    ) -> None:
        self._take = take
        self._telemetry = telemetry
        self._log = log
        self._streams = Streams(connections_max, clock, telemetry)
        self._opened: dict[Socket, Opened] = {}
        self._failed: dict[Socket, str] = {}
        self._lock = asyncio.Lock()

    @property
    def udp_ports(self) -> list[int]:
        """The UDP ports bound."""
        return [one.datagrams.port for one in self._opened.values() if one.datagrams and one.datagrams.port]

    @property
    def tcp_ports(self) -> list[int]:
        """The TCP ports bound."""
        servers = (server for one in self._opened.values() for server in one.servers)
        names = [listening.getsockname() for server in servers for listening in server.sockets]
        return [int(name[1]) for name in names if isinstance(name, tuple)]

    def places(self) -> list[tuple[str, str]]:
        """Where it listens, as URLs, and where it cannot: then with the reason."""
        found = [(f"{one.kind}://{one.address}", error) for one, error in self._failed.items()]
        for one, opened in self._opened.items():
            port = opened.port
            address = f"{one.address.rpartition(':')[0]}:{port}" if port else one.address
            found.append((f"{one.kind}://{address}", ""))
        return sorted(found)

    async def apply(self, settings: StatsdSettings | None) -> bool:
        """Listen where these settings say, and nowhere else; whether that was possible everywhere."""
        wanted = [] if settings is None else wanted_sockets(settings)
        async with self._lock:
            if settings is not None:
                self._streams.connections_max = settings.connections_max
            for one in [one for one in self._opened if one not in wanted]:
                self._close(one)
            for one in wanted:
                if one not in self._opened:
                    await self._try_open(one)
            self._failed = {one: error for one, error in self._failed.items() if one in wanted}
            return not self._failed

    def count_losses(self) -> None:
        """Count what kernel and slots have lost since the last time."""
        for one in self._opened.values():
            if one.datagrams is not None:
                for reason, count in one.datagrams.new_losses().items():
                    self._telemetry.dropped.add(count, reason)

    def close(self) -> None:
        """Listen nowhere."""
        for one in list(self._opened):
            self._close(one)
        self._streams.abort_all()

    async def _try_open(self, one: Socket) -> None:
        try:
            self._opened[one] = await self._open(one)
        except (ListenError, OSError) as error:
            if one not in self._failed:
                self._log.error("not listening; the rest goes on", kind=one.kind, address=one.address, error=error)
            self._failed[one] = str(error)
        else:
            self._failed.pop(one, None)

    async def _open(self, one: Socket) -> Opened:
        loop = asyncio.get_running_loop()
        if one.kind == "udp":
            address = ListenAddress.parse(one.address)
            return self._listen(await open_udp(address, one.buffer_bytes, reuse_port=one.reuse_port))
        if one.kind == "unix_datagram":
            return self._listen(open_unix(Path(one.address), one.mode, one.buffer_bytes))
        if one.kind == "tcp":
            sockets = await bind(ListenAddress.parse(one.address))
            return Opened(
                servers=[
                    await loop.create_server(lambda: LineStream(self._streams, self._take), sock=listening)
                    for listening in sockets
                ]
            )
        remove_dead_socket(Path(one.address), socket.SOCK_STREAM)
        server = await loop.create_unix_server(lambda: UnixStream(self._streams, self._take), one.address)
        os.chmod(one.address, one.mode)  # noqa: PTH101 (of a path that was made just now; it does not wait)
        return Opened(servers=[server])

    def _listen(self, opened: socket.socket) -> Opened:
        batch = DatagramBatch(DATAGRAMS_MAX, DATAGRAM_BYTES_MAX)
        listener = DatagramListener(opened, lambda found: self._take(found.joined()), batch)
        listener.start()
        return Opened(listener)

    def _close(self, one: Socket) -> None:
        found = self._opened[one]
        if found.datagrams is not None:
            found.datagrams.stop()
        self.count_losses()
        del self._opened[one]
        for server in found.servers:
            server.close()
        if one.kind.startswith("unix"):
            Path(one.address).unlink(missing_ok=True)


def wanted_sockets(settings: StatsdSettings) -> list[Socket]:
    """Every socket that settings ask for, once."""
    mode, buffer_bytes = int(settings.unix_mode, 8), settings.receive_buffer_bytes
    found = [
        *(Socket("udp", one, 0, buffer_bytes, settings.reuse_port) for one in settings.udp),
        *(Socket("unix_datagram", one, mode, buffer_bytes) for one in settings.unix_datagram),
        *(Socket("tcp", one) for one in settings.tcp),
        *(Socket("unix_stream", one, mode) for one in settings.unix_stream),
    ]
    return list(dict.fromkeys(found))
