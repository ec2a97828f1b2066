"""MongoDB's wire protocol, as much as running commands needs: OP_MSG, and SCRAM-SHA-256 (RFC 5802, RFC 7677) to log in."""

import base64
import hashlib
import hmac
import secrets
import struct
from typing import Any

from nunchi.agent.clients.bson import decode_document, encode_document
from nunchi.agent.clients.connection import Connection
from nunchi.agent.errors import ServiceError

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
MESSAGE_BYTES_MAX = 16 << 20
ITERATIONS_MIN, ITERATIONS_MAX = 4096, 1_000_000


class MongoError(ServiceError):
    """The server refused a command, in its own words."""


class MongoClient:
    """Commands over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0

    def run(self, database: str, **command: Any) -> dict[str, Any]:
        """The answer to one command, whose name is its first field. MongoError where the server refuses it."""
        self._number += 1
        body = struct.pack("<I", 0) + b"\0" + encode_document({**command, "$db": database})
        self._connection.send(HEADER.pack(HEADER.size + len(body), self._number, 0, OP_MSG) + body)
        length, _, answers, operation = HEADER.unpack(self._connection.receive_exactly(HEADER.size))
        if operation != OP_MSG or answers != self._number or not HEADER.size + 5 < length <= MESSAGE_BYTES_MAX:
            raise ServiceError("does not speak MongoDB's protocol (3.6 or later)")
        content = self._connection.receive_exactly(length - HEADER.size)
        if content[4] != 0:
            raise ServiceError("answers in a form that is not read")
        try:
            answer = decode_document(content[5:])
        except ValueError as error:
            raise ServiceError(f"its answer cannot be read: {error}") from error
        if answer.get("ok") != 1:
            raise MongoError(f"{next(iter(command))}: {answer.get('errmsg') or 'refused'}")
        return answer

    def log_in(self, user: str, password: str, database: str) -> None:
        """Prove who we are, and have the server prove that it knows the password too."""
        nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        first = f"n={name},r={nonce}"
        answer = self.run(database, saslStart=1, mechanism="SCRAM-SHA-256", payload=f"n,,{first}".encode())
        server_first = bytes(answer.get("payload") or b"").decode(errors="replace")
        told = dict(part.partition("=")[::2] for part in server_first.split(","))
        iterations = int(told.get("i") or 0)
        if not told.get("r", "").startswith(nonce) or not ITERATIONS_MIN <= iterations <= ITERATIONS_MAX:
            raise ServiceError("its login is not that of a MongoDB server")
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(told["s"]), iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = f"c=biws,r={told['r']}"
        message = f"{first},{server_first},{bare}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = base64.b64encode(bytes(one ^ two for one, two in zip(client_key, signature, strict=True))).decode()
        number = answer.get("conversationId", 1)
        final = self.run(database, saslContinue=1, conversationId=number, payload=f"{bare},p={proof}".encode())
        expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        said = bytes(final.get("payload") or b"")
        if not hmac.compare_digest(said, b"v=" + base64.b64encode(expected)):
            raise ServiceError("the server does not know the password: it is not the one we mean")
        if not final.get("done"):
            self.run(database, saslContinue=1, conversationId=number, payload=b"")
