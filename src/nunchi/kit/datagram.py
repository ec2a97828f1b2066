"""Datagram sockets for an event loop: opened, read in batches, their losses told.

Between two calls for a little traffic the listener pauses, so that a busy socket costs hundreds of wake-ups a second instead of
one a datagram. Invariant: one turn of the loop reads a bounded number of batches; what the kernel dropped is known by number.
"""

import asyncio
import contextlib
import ipaddress
import socket
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from nunchi.kit.kernels.datagram import DatagramBatch, send_datagrams
from nunchi.kit.listen_address import ListenAddress, ListenError

__all__ = ["DatagramBatch", "DatagramListener", "format_source", "open_udp", "open_unix", "send_datagrams"]

BATCHES_MAX = 16
PAUSE_SECONDS = 0.002
DATAGRAMS_MAX = 64
DATAGRAM_BYTES_MAX = 65_536
SO_RXQ_OVFL = 40  # socket(7): not among the names of the standard library
SO_MEMINFO, MEMINFO, MEMINFO_DROPS = 55, struct.Struct("=9I"), 8  # linux/sock_diag.h
IPV4, IPV6 = struct.Struct("!2xH4s"), struct.Struct("!2xH4x16s")


async def open_udp(address: ListenAddress, receive_buffer_bytes: int = 0, *, reuse_port: bool = False) -> socket.socket:
    """A bound UDP socket that does not wait. `reuse_port` lets other processes share the port. Raises ListenError."""
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, resolved = found[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on udp {address}: {error.strerror or error}") from error
    try:
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _prepare(opened, receive_buffer_bytes)
        opened.bind(resolved)
    except OSError as error:
        opened.close()
        raise ListenError(f"cannot listen on udp {address}: {error.strerror or error}; choose another port") from error
    return opened


def open_unix(path: Path, mode: int, receive_buffer_bytes: int = 0) -> socket.socket:
    """A bound Unix datagram socket that does not wait; a dead socket in its place is removed. Raises ListenError."""
    remove_dead_socket(path, socket.SOCK_DGRAM)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _prepare(opened, receive_buffer_bytes)
        opened.bind(str(path))
        path.chmod(mode)
    except OSError as error:
        opened.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error
    return opened


def remove_dead_socket(path: Path, kind: socket.SocketKind) -> None:
    """Remove a socket that nobody listens on any more. Raises ListenError where something else has the path."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ListenError(f"cannot listen on {path}: it is there and no socket; remove it or choose another path")
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.connect(str(path))
        raise ListenError(f"cannot listen on {path}: another process does; stop it or choose another path")
    except FileNotFoundError:
        return
    except OSError:
        path.unlink(missing_ok=True)


def _prepare(opened: socket.socket, receive_buffer_bytes: int) -> None:
    opened.setblocking(False)
    if receive_buffer_bytes:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    with contextlib.suppress(OSError):  # not for every family: what is not told is not counted
        opened.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)


def format_source(raw: bytes) -> str:
    """The host of a raw address: `127.0.0.1`; empty for sockets without one. An IPv4 address within IPv6 is shown as itself."""
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_INET:
        return socket.inet_ntoa(IPV4.unpack_from(raw)[1])
    if family == socket.AF_INET6:
        address = ipaddress.IPv6Address(IPV6.unpack_from(raw)[1])
        return str(address.ipv4_mapped or address)
    return ""


class DatagramListener:
    """Reads one socket while the loop runs. `take` gets the batch after each call that found something."""

    def __init__(self, opened: socket.socket, take: Callable[[DatagramBatch], None], batch: DatagramBatch) -> None:
        self._socket = opened
        self._take = take
        self._batch = batch
        self._pause: asyncio.TimerHandle | None = None
        self._told: dict[str, int] = {}
        self._dropped = 0
        self.failures = 0
        self.last_error = ""

    @property
    def port(self) -> int:
        """The port bound; 0 for a Unix socket."""
        name = self._socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because nobody read in time. A batch hears of them with the next datagram alone."""
        with contextlib.suppress(OSError):  # closed; or a kernel that does not say
            numbers = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
            if len(numbers) == MEMINFO.size:
                behind = MEMINFO.unpack(numbers)[MEMINFO_DROPS] - self._batch.dropped & 0xFFFFFFFF
                self._dropped = self._batch.dropped + behind
        return max(self._dropped, self._batch.dropped)

    @property
    def truncated(self) -> int:
        """Datagrams longer than a slot."""
        return self._batch.truncated

    def new_losses(self) -> dict[str, int]:
        """Datagrams lost since the last call: `kernel`: nobody read in time; `cut`: longer than a slot."""
        found = {}
        for reason, count in (("kernel", self.dropped), ("cut", self.truncated)):
            if count > self._told.get(reason, 0):
                found[reason] = count - self._told.get(reason, 0)
                self._told[reason] = count
        return found

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def stop(self) -> None:
        """Read what is left, then close the socket."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        try:
            self.drain()
        finally:
            self._dropped = self.dropped
            self._socket.close()

    def drain(self) -> bool:
        """Read at most `BATCHES_MAX` batches; returns whether more may wait."""
        for _ in range(BATCHES_MAX):
            try:
                count = self._batch.receive(self._socket.fileno())
            except OSError as error:
                self.failures += 1
                self.last_error = error.strerror or str(error)
                return False
            if count:
                self._take(self._batch)
            if count < self._batch.datagrams_max:
                return False
        return True

    def _read(self) -> None:
        if self.drain():
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        self._pause = loop.call_later(PAUSE_SECONDS, self.start)
