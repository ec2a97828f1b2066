"""One FastCGI request (the FastCGI specification 1.0), as much as asking a PHP-FPM pool for its status needs."""

import struct
from collections.abc import Mapping

from nunchi.agent.clients.address import Address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
RESPONDER = 1
REQUEST_ID = 1
HEADER = struct.Struct("!BBHHBB")
RECORDS_MAX = 10_000
ANSWER_BYTES_MAX = 16 << 20


def ask(address: Address, parameters: Mapping[str, str], deadline: Deadline) -> tuple[str, bytes]:
    """Status line (as `200 OK`) and body of the answer. ServiceError where there is none."""
    encoded = b"".join(encode_pair(name.encode(), value.encode()) for name, value in parameters.items())
    request = [
        record(BEGIN_REQUEST, struct.pack("!HB5x", RESPONDER, 0)),
        record(PARAMS, encoded),
        record(PARAMS, b""),
        record(STDIN, b""),
    ]
    with Connection.open(address, deadline, ANSWER_BYTES_MAX) as connection:
        connection.send(b"".join(request))
        output, errors = read_answer(connection, str(address))
    head, blank, body = output.partition(b"\r\n\r\n")
    if not blank:
        said = errors.decode(errors="replace").strip()[:200]
        raise ServiceError(f"{address}: FastCGI without an answer{': ' + said if said else ''}")
    for line in head.decode(errors="replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            return value.strip(), body
    return "200 OK", body


def read_answer(connection: Connection, name: str) -> tuple[bytes, bytes]:
    """What the application wrote to its output and to its errors."""
    output: list[bytes] = []
    errors: list[bytes] = []
    for _ in range(RECORDS_MAX):
        version, kind, request_id, length, padding, _ = HEADER.unpack(connection.receive_exactly(HEADER.size))
        if version != 1 or request_id != REQUEST_ID:
            raise ServiceError(f"{name}: does not speak FastCGI")
        content = connection.receive_exactly(length + padding)[:length]
        if kind == END_REQUEST:
            return b"".join(output), b"".join(errors)
        if kind == STDOUT:
            output.append(content)
        elif kind == STDERR:
            errors.append(content)
    raise ServiceError(f"{name}: more than {RECORDS_MAX} records")


def record(kind: int, content: bytes) -> bytes:
    """One record of a request."""
    return HEADER.pack(1, kind, REQUEST_ID, len(content), 0, 0) + content


def encode_pair(name: bytes, value: bytes) -> bytes:
    """Name and value with their lengths, each in one byte or four."""
    return encode_length(len(name)) + encode_length(len(value)) + name + value


def encode_length(length: int) -> bytes:
    """See section 3.4 of the specification."""
    return bytes([length]) if length < 128 else struct.pack("!I", length | 0x80000000)
