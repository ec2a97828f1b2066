"""The socket of the packs: connected, never waiting, never fragmented on the way.

Invariant: a server that cannot be resolved or reached is an OSError at the next sending, and nothing else.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from nunchi.kit.datagram import DatagramBatch, DatagramListener, send_datagrams
from nunchi.kit.listen_address import ListenAddress

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2  # ip(7): not among the names of the standard library
ANSWERS_MAX = 16
ANSWER_BYTES_MAX = 2048


class UdpWire:
    """Implements `udp_sender.Wire`; the socket is opened when there is something to send, and anew after a failure."""

    def __init__(self, address: ListenAddress) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._listener: DatagramListener | None = None
        self._take: Callable[[bytes], None] = lambda _: None

    def listen(self, take: Callable[[bytes], None]) -> None:
        """See `Wire.listen`."""
        self._take = take

    async def send(self, datagrams: list[bytes]) -> None:
        """See `Wire.send`."""
        opened = self._socket or await self._open()
        try:
            send_datagrams(opened.fileno(), datagrams)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """See `Wire.close`."""
        if self._listener is not None:
            self._listener.stop()
        self._listener = self._socket = None

    async def _open(self) -> socket.socket:
        found = await asyncio.get_running_loop().getaddrinfo(
            self._address.host, self._address.port, type=socket.SOCK_DGRAM
        )
        family, kind, protocol, _, resolved = found[0]
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            with contextlib.suppress(OSError):
                if family == socket.AF_INET6:
                    opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
                else:
                    opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
            opened.connect(resolved)
        except OSError:
            opened.close()
            raise
        self._listener = DatagramListener(opened, self._take_batch, DatagramBatch(ANSWERS_MAX, ANSWER_BYTES_MAX))
        self._listener.start()
        self._socket = opened
        return opened

    def _take_batch(self, batch: DatagramBatch) -> None:
        for datagram, _ in batch.datagrams():
            self._take(datagram)
