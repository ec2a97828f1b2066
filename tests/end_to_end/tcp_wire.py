"""A wire that TCP connections run over, as a proxy of the tests: slow, silent, or cutting off what is under way."""

import asyncio
import contextlib
import random
import socket
import threading
from dataclasses import dataclass, field
from typing import Self

from tests.network import Host

CHUNK_BYTES = 1 << 14
SLOW_SECONDS = 0.2
CUT_SHARE = 0.4
STOP_SECONDS_MAX = 10.0


@dataclass
class TcpWire:
    """Listens on all addresses of a host, and connects to a target from there. `weather` is in force from the next bytes on.

    fair    nothing happens
    slow    everything comes late
    silent  nothing comes at all, and nobody says so
    cut     now and then a request ends within, and the connection with it
    half    now and then an answer ends within, when the server has done what was asked
    """

    host: Host
    target: tuple[str, int]
    seed: int = 0
    weather: str = "fair"
    port: int = 0
    done: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._random = random.Random(self.seed)
        self._listener = self.host.call(socket.create_server, ("0.0.0.0", 0))
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(STOP_SECONDS_MAX)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._carry, sock=self._listener)
        await self._end.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[operator]  # there is a current one
            task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outside = self.host.call(socket.socket)
        outside.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(outside, self.target)
        except OSError:
            outside.close()
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(sock=outside)
        ways = [
            asyncio.create_task(self._pass(reader, far_writer, "cut")),
            asyncio.create_task(self._pass(far_reader, writer, "half")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, far_writer):
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str) -> None:
        """One direction; returns when the connection is to end."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                weather = self.weather
                if weather == "slow":
                    await asyncio.sleep(SLOW_SECONDS)
                if weather == "silent":
                    self._count(weather)
                    continue
                if weather == fault and self._random.random() < CUT_SHARE:
                    self._count(weather)
                    writer.write(chunk[: len(chunk) // 2])
                    await writer.drain()
                    return
                writer.write(chunk)
                await writer.drain()

    def _count(self, weather: str) -> None:
        self.done[weather] = self.done.get(weather, 0) + 1
