"""The connections of an HTTP server: how many there may be, and how long one may be held without asking anything.

Invariant: at most `connections_max` are served; one that has asked nothing within `SILENT_SECONDS_MAX` falls to the next sweep.
"""

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

SILENT_SECONDS_MAX = 30.0
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpConnections:
    """Admits connections to a server and sweeps out the silent ones. Idle ones that have asked are the server's own matter."""

    def __init__(self, server: web.Server, connections_max: int) -> None:
        self._server = server
        self._connections_max = connections_max
        self._asked: set[RequestHandler] = set()
        self._silent_since: dict[RequestHandler, float] = {}

    def admit(self) -> asyncio.Protocol:
        """The protocol for a connection that has just been made."""
        if len(self._server.connections) >= self._connections_max:
            return _Refusal()
        return self._server()

    def note_request(self, request: web.Request) -> None:
        """Its connection has asked something."""
        self._asked.add(request.protocol)

    def sweep(self, now: float) -> int:
        """Close who has been silent for too long by a monotonic clock; returns how many."""
        connections = set(self._server.connections)
        self._asked &= connections
        silent = connections - self._asked
        self._silent_since = {connection: self._silent_since.get(connection, now) for connection in silent}
        late = [connection for connection, since in self._silent_since.items() if now - since >= SILENT_SECONDS_MAX]
        for connection in late:
            connection.force_close()
        return len(late)


class _Refusal(asyncio.Protocol):
    """Says that there are too many connections, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_REFUSAL)
        transport.close()
