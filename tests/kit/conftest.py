"""Servers on loopback for the tests of kit, and who asks them; all of it ends with the test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
import pytest

from nunchi.kit.clock import Clock, SystemClock
from nunchi.kit.http_server import HttpPolicy, HttpServer, Route
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry

Serve = Callable[..., Awaitable[HttpServer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers: `await serve(routes, policy=…, address=…, telemetry=…, clock=…)`."""
    servers: list[HttpServer] = []

    async def start(
        routes: Sequence[Route],
        policy: HttpPolicy = HttpPolicy(),  # noqa: B008 - frozen
        address: str = "127.0.0.1:0",
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
    ) -> HttpServer:
        server = HttpServer(
            "test", address, routes, policy, clock or SystemClock(), telemetry or Telemetry(), logger("test")
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Shows bodies as they come over the wire."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session
