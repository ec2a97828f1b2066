"""One DNS question over UDP or TCP (RFC 1035): enough to see whether a server answers, how, and with what."""

import socket
import struct
from dataclasses import dataclass

from nunchi.agent.clients.address import Address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

HEADER = struct.Struct("!HHHHHH")
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257}
CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
DATAGRAM_BYTES_MAX = 4096
RECURSION_DESIRED, RESPONSE = 0x0100, 0x8000
RECORDS_MAX = 1000
POINTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The counts of an answer's sections, and the records of its first as text."""

    code: str
    answers: int
    authorities: int
    additional: int
    records: tuple[str, ...]


def ask(address: Address, name: str, kind: str, transport: str, number: int, deadline: Deadline) -> DnsAnswer:
    """The answer to one question; `number` is its id. ServiceError where none comes."""
    question = encode_question(name, kind, number)
    if transport == "tcp":
        with Connection.open(address, deadline, 1 << 17) as connection:
            connection.send(struct.pack("!H", len(question)) + question)
            content = connection.receive_exactly(int.from_bytes(connection.receive_exactly(2), "big"))
    else:
        content = ask_by_datagram(address, question, deadline)
    try:
        return parse_answer(content, number)
    except (ValueError, IndexError, struct.error) as error:
        raise ServiceError(f"{address}: does not answer in DNS: {error}") from error


def ask_by_datagram(address: Address, question: bytes, deadline: Deadline) -> bytes:
    """The first datagram that comes back with the question's id."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect((address.host, address.port))
        datagrams.send(question)
        while True:
            datagrams.settimeout(deadline.remaining_seconds(str(address)))
            try:
                content = datagrams.recv(DATAGRAM_BYTES_MAX)
            except TimeoutError:
                deadline.remaining_seconds(str(address))
                continue
            except OSError as error:
                raise ServiceError(f"{address}: {error.strerror or error}") from error
            if content[:2] == question[:2]:
                return content


def encode_question(name: str, kind: str, number: int) -> bytes:
    """A question that asks for recursion."""
    labels = [label.encode("idna") for label in name.rstrip(".").split(".") if label]
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0) + encoded + struct.pack("!HH", TYPES[kind], 1)


def parse_answer(content: bytes, number: int) -> DnsAnswer:
    """ValueError for what is no answer to our question."""
    found, flags, questions, answers, authorities, additional = HEADER.unpack_from(content)
    if found != number or not flags & RESPONSE:
        raise ValueError("not an answer to this question")
    at = HEADER.size
    for _ in range(min(questions, RECORDS_MAX)):
        _, at = read_name(content, at)
        at += 4
    records: list[str] = []
    for _ in range(min(answers, RECORDS_MAX)):
        name, at = read_name(content, at)
        kind, _, ttl, length = struct.unpack_from("!HHIH", content, at)
        at += 10
        records.append(f"{name} {ttl} IN {type_name(kind)} {data_of(content, at, kind, length)}")
        at += length
    code = flags & 0xF
    word = CODES[code] if code < len(CODES) else f"RCODE{code}"
    return DnsAnswer(word, answers, authorities, additional, tuple(records))


def read_name(content: bytes, at: int) -> tuple[str, int]:
    """A name, and where the text goes on after it."""
    labels: list[str] = []
    end = -1
    for _ in range(POINTERS_MAX):
        length = content[at]
        if length == 0:
            return ".".join(labels) + ".", (at + 1 if end < 0 else end)
        if length & 0xC0 == 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | content[at + 1]
            continue
        labels.append(content[at + 1 : at + 1 + length].decode("ascii", errors="replace"))
        at += 1 + length
    raise ValueError("a name does not end")


def data_of(content: bytes, at: int, kind: int, length: int) -> str:
    """A record's data as text; hexadecimal where its type is not known here."""
    data = content[at : at + length]
    if kind == TYPES["A"] and length == 4:
        return socket.inet_ntop(socket.AF_INET, data)
    if kind == TYPES["AAAA"] and length == 16:
        return socket.inet_ntop(socket.AF_INET6, data)
    if kind in (TYPES["NS"], TYPES["CNAME"], TYPES["PTR"]):
        return read_name(content, at)[0]
    if kind == TYPES["MX"]:
        return f"{int.from_bytes(data[:2], 'big')} {read_name(content, at + 2)[0]}"
    if kind == TYPES["TXT"]:
        return f'"{data[1:].decode(errors="replace")}"'
    return data.hex()


def type_name(kind: int) -> str:
    """A type's name, or its number."""
    return next((name for name, number in TYPES.items() if number == kind), f"TYPE{kind}")
