"""What the intake's tests share: targets that answer raw bytes over real sockets, and a store whose content can be read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from nunchi.admission.door import Door
from nunchi.kit.telemetry import Telemetry
from nunchi.model.staleness import is_stale
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
STALE_SHOWN = "stale"


class RawTarget:
    """Listens on loopback and hands every request's head to `behave`, which writes what it likes."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.behave: Behaviour = self.serve_body
        self.body = b"a 1\n"
        self.headers = "Content-Type: text/plain; version=0.0.4\r\n"
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve_body(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\n{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        writer.write(head.encode() + self.body)

    async def start(self, **options: object) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, **options)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while not writer.is_closing():
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
                await self.behave(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def target() -> AsyncIterator[RawTarget]:
    raw = RawTarget()
    await raw.start()
    yield raw
    await raw.stop()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


class ReadableStore(MemoryStore):
    """The memory store, with all of its samples as a dictionary."""

    def samples(self, name: str = "") -> dict[str, list[tuple[int, float | str]]]:
        """By series, (timestamp, value); staleness markers as a word."""
        querier = self.querier()
        selection = querier.select([], 0, 1 << 60)
        found: dict[str, list[tuple[int, float | str]]] = {}
        for tile in selection.read(0, len(selection.labels)):
            for position, series in enumerate(tile.series.tolist()):
                labels = selection.labels.labels(series)
                vector = int(tile.vector_of[position])
                times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
                values = tile.values[tile.offsets[position] : tile.offsets[position + 1]]
                if not name or labels.metric_name == name:
                    found[str(labels)] = [
                        (time, STALE_SHOWN if is_stale(value) else value)
                        for time, value in zip(times.tolist(), values.tolist(), strict=True)
                    ]
        return found

    def values(self, name: str) -> list[float | str]:
        """Of the one series of this name."""
        (only,) = self.samples(name).values()
        return [value for _, value in only]


@pytest.fixture
def store(clock: VirtualClock) -> ReadableStore:
    return ReadableStore(clock)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def door(store: ReadableStore, clock: VirtualClock, telemetry: Telemetry) -> Door:
    return Door(store.appender, clock, telemetry)


async def _wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for happens behind sockets)
            await asyncio.sleep(0.001)


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    """Waits for what real sockets do, as long as it takes and no longer."""
    return _wait_until
