"""Redis's protocol (RESP2, redis.io/docs/latest/develop/reference/protocol-spec), as much as asking for facts needs."""

from nunchi.agent.clients.connection import Connection
from nunchi.agent.errors import ServiceError

ITEMS_MAX = 100_000
DEPTH_MAX = 8

Reply = bytes | int | None | list["Reply"]


class RedisError(ServiceError):
    """The server refused a command, in its own words."""


class RedisClient:
    """Commands over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, *words: str | bytes) -> Reply:
        """The reply to one command; RedisError where the server refuses it."""
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            content = word.encode() if isinstance(word, str) else word
            parts.append(b"$%d\r\n%s\r\n" % (len(content), content))
        self._connection.send(b"".join(parts))
        return self._read(0)

    def ask_for_text(self, *words: str) -> str:
        """A reply that is text."""
        reply = self.ask(*words)
        if not isinstance(reply, bytes):
            raise ServiceError(f"{words[0]} is answered with something that is not text")
        return reply.decode(errors="replace")

    def ask_for_number(self, *words: str) -> int:
        """A reply that is a number."""
        reply = self.ask(*words)
        if not isinstance(reply, int):
            raise ServiceError(f"{words[0]} is answered with something that is not a number")
        return reply

    def ask_for_list(self, *words: str) -> list[Reply]:
        """A reply that is a list."""
        reply = self.ask(*words)
        if not isinstance(reply, list):
            raise ServiceError(f"{words[0]} is answered with something that is not a list")
        return reply

    def _read(self, depth: int) -> Reply:
        line = self._connection.receive_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest.decode(errors="replace"))
        if kind not in b":$*" or not rest.removeprefix(b"-").isdigit():
            raise ServiceError("does not speak Redis's protocol")
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return self._connection.receive_exactly(number + 2)[:-2]
        if number > ITEMS_MAX or depth >= DEPTH_MAX:
            raise ServiceError(f"a reply with {number} items in depth {depth} is more than is read")
        return [self._read(depth + 1) for _ in range(number)]
