"""One echo request (RFC 792, RFC 4443), by a datagram socket where the kernel allows it, else by a raw one."""

import socket
import struct
from dataclasses import dataclass

from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError
from nunchi.kit.clock import Clock

ECHO = struct.Struct("!BBHHH")
REQUEST, REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
ANSWER_BYTES_MAX = 2048
IP_RECVTTL = 12  # linux/in.h; Python 3.11 does not know it


@dataclass(frozen=True, slots=True)
class Echo:
    """How long it took, and the hop limit of the reply where the kernel tells it."""

    setup_seconds: float
    round_trip_seconds: float
    hop_limit: int | None


def ping(address: str, number: int, payload_bytes: int, clock: Clock, deadline: Deadline) -> Echo:
    """Send one request and wait for its reply; ServiceError where none comes, or where we may not send."""
    began = clock.monotonic()
    version = 6 if ":" in address else 4
    payload = number.to_bytes(2, "big") + bytes(max(0, payload_bytes - 2))
    with open_socket(address, version) as pinger:
        limit = IP_RECVTTL if version == 4 else socket.IPV6_RECVHOPLIMIT
        pinger.setsockopt(socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6, limit, 1)
        sent = clock.monotonic()
        pinger.sendto(request(version, number, payload), (address, 0))
        while True:
            pinger.settimeout(deadline.remaining_seconds(address))
            try:
                content, notes, _, sender = pinger.recvmsg(ANSWER_BYTES_MAX, 256)
            except TimeoutError:
                deadline.remaining_seconds(address)
                continue
            if sender[0].partition("%")[0] == address.partition("%")[0] and is_reply(pinger, version, content, payload):
                return Echo(sent - began, clock.monotonic() - sent, hop_limit(notes))


def open_socket(address: str, version: int) -> socket.socket:
    """A socket that may send echo requests."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        pass
    try:
        return socket.socket(family, socket.SOCK_RAW, protocol)
    except PermissionError as error:
        cure = "allow the agent's group in net.ipv4.ping_group_range, or give it CAP_NET_RAW"
        raise ServiceError(f"{address}: no right to send echo requests: {cure}") from error


def request(version: int, number: int, payload: bytes) -> bytes:
    """An echo request with its checksum; the kernel makes that of version 6."""
    bare = ECHO.pack(REQUEST[version], 0, 0, number, 1) + payload
    return ECHO.pack(REQUEST[version], 0, checksum(bare) if version == 4 else 0, number, 1) + payload


def checksum(content: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = content + b"\0" * (len(content) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def is_reply(pinger: socket.socket, version: int, content: bytes, payload: bytes) -> bool:
    """Whether this answers our request; raw sockets of version 4 show the IP header and everybody's replies."""
    if pinger.type == socket.SOCK_RAW and version == 4 and content:
        content = content[(content[0] & 0xF) * 4 :]
    return len(content) >= ECHO.size and content[0] == REPLY[version] and content[ECHO.size :] == payload


def hop_limit(notes: list[tuple[int, int, bytes]]) -> int | None:
    """The hop limit among a message's notes."""
    for level, kind, data in notes:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            return int.from_bytes(data[:4], "little")
    return None
