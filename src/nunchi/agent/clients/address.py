"""Where a service listens: `host:port`, `[v6]:port`, or a Unix socket as `unix:/path` or `/path`.

Invariant: names are resolved within the deadline; a resolver that hangs costs its thread, not the check.
"""

import socket
import threading
from dataclasses import dataclass

from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Address:
    """Either a path, or a host and a port."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int = 0) -> Address:
    """The address a text names; ValueError that says what to write."""
    if text.startswith(("/", "unix:")):
        path = text.removeprefix("unix:")
        return Address(path=path.removeprefix("//") if path.startswith("///") else path)
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = text, str(default_port or "")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not an address: write host:port, [v6]:port or /path/of/a/socket")
    return Address(host=host.strip("[]"), port=int(port))


SocketAddress = tuple[int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def resolve(host: str, port: int, deadline: Deadline, family: int = socket.AF_UNSPEC) -> list[SocketAddress]:
    """Family and address of everything a name stands for. How many lookups hang is bounded by the resolver's own patience."""
    found: list[SocketAddress] = []
    errors: list[OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except OSError as error:
            errors.append(error)
        except UnicodeError:
            errors.append(OSError(0, "not a host name"))
        else:
            found.extend((answer[0], answer[4]) for answer in answers)

    if is_numeric(host):
        look_up()
    else:
        thread = threading.Thread(target=look_up, name="resolve", daemon=True)
        thread.start()
        thread.join(deadline.remaining_seconds(host))
        if thread.is_alive():
            raise ServiceError(f"{host}: the resolver does not answer within {deadline.seconds:.3g} s")
    if errors or not found:
        raise ServiceError(f"{host}: cannot be resolved: {errors[0].strerror if errors else 'no address'}")
    return found


def is_numeric(host: str) -> bool:
    """Whether a host is an address already."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
