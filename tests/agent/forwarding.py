"""A forwarder with everything around it, and a server that loses answers, refuses, resets and hangs."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from tests.kit.faulty_disk import FaultyDisk

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import Emission
from nunchi.agent.forwarder.delivery import Carrier, Delivery, HttpCarrier
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Outcome
from nunchi.agent.server_link import HttpLink
from nunchi.agent.settings import ServerSettings
from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import Disk
from nunchi.kit.durations import Duration
from nunchi.kit.logs import logger
from nunchi.kit.spool import Spool, SpoolLimits
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.payload import Payload, PayloadReader


class Server:
    """Takes payloads as a server must: each number once. `faults` says what goes wrong with the next requests."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[int, bytes, float]] = {}
        self.reader = PayloadReader()
        self.order: list[int] = []
        self.duplicates = 0
        self.faults: list[str] = []
        self.poison_values: set[float] = set()
        self.cells_max = 10**9
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        payload = self.reader.read(await request.read())
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        if fault == "hang":
            await asyncio.sleep(30)
        if fault == "503":
            return web.Response(status=503, text="not now")
        if payload.samples > self.cells_max:
            return web.Response(status=413, text="too large")
        if any(value in self.poison_values for one in payload.rounds for value in one.values.tolist()):
            return web.Response(status=400, text="cannot read this")
        duplicate = self.store(payload)
        if fault == "lost answer":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        if fault == "late answer":
            await asyncio.sleep(30)
        return web.json_response({"duplicate": duplicate})

    def store(self, payload: Payload) -> int:
        duplicate = 0
        self.order.append(payload.first_sequence)
        cells = [
            (one.timestamp_ms, one.layout.keys[column], value)
            for one in payload.rounds
            for column, value in zip(one.columns.tolist(), one.values.tolist(), strict=True)
        ]
        for number, cell in enumerate(cells, payload.first_sequence):
            place = payload.sender.epoch, number
            if place in self.cells:
                assert self.cells[place] == cell
                duplicate += 1
            self.cells[place] = cell
        self.duplicates += duplicate
        return duplicate

    @property
    def stored(self) -> list[int]:
        """Numbers of the samples, of all epochs."""
        return sorted(number for _, number in self.cells)


@asynccontextmanager
async def serving(server: Server, port: int = 0) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/api/v1/push", server.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Sender:
    """A forwarder with everything around it. `disk` outlives it, and another sender finds what this one leaves."""

    def __init__(
        self,
        url: str,
        disk: Disk | None = None,
        bytes_max: int = 1 << 20,
        epoch: int = 1,
        carrier: Carrier | None = None,
    ) -> None:
        telemetry, clock = Telemetry(), SystemClock()
        self.accounting = Accounting(telemetry)
        spool = Spool(
            Path("/spool"),
            SpoolLimits(bytes_max, 3600),
            disk or FaultyDisk(),
            clock,
            logger("test"),
            on_drop=self.accounting.drop,
        )
        encoder = PushEncoder(Identity("a" * 32, "web-1", (), "0", 0, epoch), 1000)
        self.spool = RoundSpool(spool, encoder, self.accounting, clock)
        link = HttpLink(ServerSettings(url=url, timeout=Duration(1000)), clock, Path(), {}, "test")
        self.delivery = Delivery(carrier or HttpCarrier(link), self.accounting, clock, telemetry)
        self.forwarder = Forwarder(
            Aggregation({}, self.accounting),
            self.spool,
            self.delivery,
            self.accounting,
            Telemetry(),
            Hurried(),
            random.Random(7),
            logger("test"),
        )
        self.spool.open()
        self.rounds = 0

    def collect(self, samples: int, value: float = 0.0) -> None:
        emission = Emission()
        for number in range(samples):
            emission.gauge("m", value or float(number), n=str(number))
        self.rounds += 1
        self.forwarder.put(self.rounds * 1000, [Outcome("test", "test", emission, 0.0, is_success=True)])

    async def run_until_idle(self) -> None:
        task = asyncio.create_task(self.forwarder.run())
        async with asyncio.timeout(60):
            while len(self.spool):
                assert self.accounting.is_balanced()
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.forwarder.stop()
        assert self.accounting.is_balanced()


class Hurried(SystemClock):
    """A clock on which waiting between attempts takes a fiftieth of the time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 50)
