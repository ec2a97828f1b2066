"""Where a server listens: `127.0.0.1:9190`, `:9090`, `[::1]:0`, and the sockets for it.

Invariant: all sockets of one address share one port, also where the system chose it.
"""

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from nunchi.kit.errors import InputError, WorldError

BACKLOG = 512
_CURES = {
    errno.EADDRINUSE: "the port is taken: stop who has it, or listen elsewhere",
    errno.EACCES: "not allowed: ports below 1024 need privileges, choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose one that `ip address` shows",
}


class ListenError(WorldError):
    """The address cannot be listened on; says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host (empty for all addresses of the machine) and a port (0 for any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """`host:port`, `:port` or `[ipv6]:port`; raises InputError."""
        host, colon, port_text = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        valid = colon and port_text.isascii() and port_text.isdigit() and int(port_text) < 65536
        if not valid or (":" in host) != bracketed:
            raise InputError(
                f'"{text}" is not a listen address: write host:port, as in 127.0.0.1:9190, :9090 or [::1]:9090'
            )
        return cls(host, int(port_text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a numeric address is of the machine itself; names are not."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


async def bind(address: ListenAddress) -> list[socket.socket]:
    """Listening sockets for all that `address` resolves to. Raises ListenError."""
    try:
        if not address.host:
            return [_any_address_socket(address.port)]
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(
            f"cannot listen on {address}: no such host; write an address or a name of this machine"
        ) from error
    except OSError as error:
        raise _listen_error(address, error) from error
    return _bind_all(address, list(dict.fromkeys((int(family), str(host[0])) for family, _, _, _, host in found)))


def _bind_all(address: ListenAddress, resolved: list[tuple[int, str]]) -> list[socket.socket]:
    """Sockets on those of the resolved addresses that this machine has; a port taken on one is taken on all."""
    sockets: list[socket.socket] = []
    failure = OSError(errno.EADDRNOTAVAIL, "")
    for family, host in resolved:
        port = sockets[0].getsockname()[1] if sockets else address.port
        try:
            sockets.append(socket.create_server((host, port), family=family, backlog=BACKLOG))
        except OSError as error:
            failure = error
            if error.errno == errno.EADDRINUSE:
                break
    if not sockets or failure.errno == errno.EADDRINUSE:
        for bound in sockets:
            bound.close()
        raise _listen_error(address, failure)
    return sockets


def _any_address_socket(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)  # noqa: S104 - an empty host asks for it


def _listen_error(address: ListenAddress, error: OSError) -> ListenError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ListenError(f"cannot listen on {address}: {_CURES.get(error.errno or 0, reason)}")
