"""Delivery to a server that loses answers, refuses, resets and hangs: nothing lost, nothing stored twice, numbers equal."""

import asyncio
import random
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.faulty_disk import FaultyDisk

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import Emission
from nunchi.agent.forwarder.delivery import Delivery, Fate, acknowledgement, retry_after_seconds
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Aggregation, Round
from nunchi.agent.schedule import Outcome
from nunchi.agent.server_link import HttpLink
from nunchi.agent.settings import ServerSettings
from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import Disk
from nunchi.kit.durations import Duration
from nunchi.kit.logs import logger
from nunchi.kit.spool import Spool, SpoolLimits
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock
from nunchi.wire.payload import Payload, PayloadReader, decode_payload


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

    def __init__(self, url: str, disk: Disk | None = None, bytes_max: int = 1 << 20, epoch: int = 1) -> None:
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
        self.delivery = Delivery(link, self.accounting, clock, telemetry)
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


def round_spool(limits: SpoolLimits = SpoolLimits(1 << 20, 3600), disk: Disk | None = None) -> RoundSpool:  # noqa: B008 (frozen)
    clock, accounting = VirtualClock(), Accounting(Telemetry())
    spool = Spool(Path("/spool"), limits, disk or FaultyDisk(), clock, logger("test"), on_drop=accounting.drop)
    found = RoundSpool(spool, PushEncoder(Identity("a" * 32, "web-1", (), "0", 0, 1), 1000), accounting, clock)
    found.open()
    return found


def test_backlog_is_joined_within_bounds_and_not_across_gaps() -> None:
    spool = round_spool()
    for number in range(150):
        spool.put(payload_round(10, number))
    newest = spool.take()
    assert newest is not None
    spool.accept(newest)
    sizes = []
    while (shipment := spool.take()) is not None:
        payload = decode_payload(shipment.body)
        assert [one.timestamp_ms for one in payload.rounds] == sorted(one.timestamp_ms for one in payload.rounds)
        assert all(one.values.tolist() == list(range(10)) for one in payload.rounds)
        sizes.append((payload.first_sequence, len(payload.rounds)))
        if len(sizes) == 1:
            spool.keep(shipment)  # and taken again, whole
        else:
            spool.accept(shipment)
    assert sizes == [(0, 60), (0, 60), (600, 60), (1200, 29)]
    assert len(spool) == 0


async def test_every_round_arrives_once() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(20):
            sender.collect(10)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(200))
    assert server.duplicates == 0
    assert sender.accounting.acknowledged.total() == 200


@pytest.mark.parametrize("fault", ["reset", "503", "hang", "lost answer", "late answer"])
async def test_one_fault_loses_nothing_and_stores_nothing_twice(fault: str) -> None:
    server = Server()
    server.faults = [fault]
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(10)
        sender.collect(10)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(20))
    assert sender.accounting.collected.total() == sender.accounting.acknowledged.total() == 20
    assert sender.accounting.duplicates.total() == server.duplicates == (10 if "answer" in fault else 0)


async def test_many_faults_lose_nothing_and_both_sides_count_the_same() -> None:
    server, chance = Server(), random.Random(11)
    server.faults = chance.choices(["", "503", "reset", "lost answer", "hang"], weights=[4, 3, 3, 3, 1], k=40)
    async with serving(server) as url:
        sender = Sender(url)
        task = asyncio.create_task(sender.forwarder.run())
        while server.faults:
            sender.collect(chance.randint(1, 20))
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.run_until_idle()
    assert len(server.stored) == sender.accounting.collected.total() == sender.accounting.acknowledged.total()
    assert sorted(server.stored) == list(range(len(server.stored)))
    assert 0 < sender.accounting.duplicates.total() <= server.duplicates  # such an answer, too, may be lost


async def test_unreachable_server_keeps_everything_until_it_is_back() -> None:
    from tests.peers import free_port

    server, port = Server(), free_port()
    sender = Sender(f"http://127.0.0.1:{port}")
    for _ in range(5):
        sender.collect(10)
    task = asyncio.create_task(sender.forwarder.run())
    await asyncio.sleep(0.1)
    assert sender.accounting.queued == 50
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with serving(server, port):
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(50))


async def test_poison_is_found_by_halving_and_the_rest_arrives() -> None:
    server = Server()
    server.poison_values = {37.0}
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(60)
        sender.collect(20)
        await sender.run_until_idle()
    assert sender.accounting.dropped.value("refused") == 1
    assert set(range(80)) - set(server.stored) == {37}
    assert sender.accounting.acknowledged.total() == 79


async def test_all_poison_is_given_up_after_a_bounded_number_of_requests() -> None:
    server = Server()
    server.poison_values = {5.0}
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(5000, value=5.0)
        sender.collect(10)
        await sender.run_until_idle()
    assert sender.accounting.dropped.value("refused") == 5000 + 1
    assert sender.delivery._pushes.value("refused") < 200
    assert len(server.stored) == 9


async def test_too_large_a_payload_is_halved_until_it_fits() -> None:
    server = Server()
    server.cells_max = 16
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(100)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(100))
    assert sender.accounting.dropped.total() == 0


async def test_fresh_rounds_go_before_the_backlog() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(4):
            sender.collect(10)
        await sender.run_until_idle()
    assert server.order == [30, 0]  # the newest alone, then the others in one payload


async def test_newest_round_that_failed_waits_behind_older_ones() -> None:
    server = Server()
    server.faults = ["503"]
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(4):
            sender.collect(10)
        await sender.run_until_idle()
    assert server.order == [0]
    assert sorted(server.stored) == list(range(40))


async def test_rounds_that_wait_when_the_agent_stops_are_offered_once_more() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(10)
        await sender.forwarder.stop()
    assert sorted(server.stored) == list(range(10))
    assert sender.accounting.is_balanced()


async def test_what_a_stopped_agent_could_not_deliver_is_delivered_by_the_next() -> None:
    server, disk = Server(), FaultyDisk()
    async with serving(server) as url:
        server.faults = ["503"] * 3
        first = Sender(url, disk)
        first.collect(10)
        task = asyncio.create_task(first.forwarder.run())
        while server.faults:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        first.collect(5)
        await first.forwarder.stop()
        second = Sender(url, disk, epoch=2)
        assert second.accounting.recovered.total() == 15
        second.collect(7)
        await second.run_until_idle()
    assert set(server.cells) == {(1, number) for number in range(15)} | {(2, number) for number in range(7)}
    assert server.duplicates == 0


async def test_after_a_kill_the_same_numbers_are_sent_again_and_the_server_knows_them() -> None:
    server, disk = Server(), FaultyDisk()
    async with serving(server) as url:
        server.faults = ["", "lost answer"]
        first = Sender(url, disk)
        first.collect(10)
        first.collect(20)
        task = asyncio.create_task(first.forwarder.run())
        while len(server.cells) < 30:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        acknowledged = first.accounting.acknowledged.total()
        disk.kill()  # nothing of the first is asked any more
        await first.delivery.close()
        second = Sender(url, disk, epoch=2)
        await second.run_until_idle()
    assert acknowledged == 20
    assert set(server.cells) == {(1, number) for number in range(30)}
    assert server.duplicates == second.accounting.duplicates.total() == 10
    assert second.accounting.recovered.total() == second.accounting.acknowledged.total() == 10


async def test_kills_at_any_moment_lose_nothing_and_both_sides_count_the_same() -> None:
    server, disk, chance = Server(), FaultyDisk(), random.Random(5)
    collected = 0
    async with serving(server) as url:
        for epoch in range(1, 30):
            server.faults = chance.choices(["", "503", "reset", "lost answer"], k=6)
            sender = Sender(url, disk, epoch=epoch)
            task = asyncio.create_task(sender.forwarder.run())
            for _ in range(chance.randint(0, 6)):
                sender.collect(chance.randint(1, 20))
                await asyncio.sleep(chance.random() / 100)
            assert sender.accounting.is_balanced()
            collected += int(sender.accounting.collected.total())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            disk.kill()
            await sender.delivery.close()
        server.faults = []
        await Sender(url, disk, epoch=100).run_until_idle()
    assert len(server.cells) == collected
    for epoch in range(1, 30):
        numbers = sorted(number for own, number in server.cells if own == epoch)
        assert numbers == list(range(len(numbers)))


LAYOUT = Layout.of(*(Labels.of("m", n=str(number)) for number in range(100)))


def payload_round(samples: int, timestamp_ms: int = 0) -> Round:
    return Round(timestamp_ms, LAYOUT, array("i", range(samples)), array("d", range(samples)))


def test_full_spool_drops_the_oldest_and_says_so() -> None:
    spool = round_spool(SpoolLimits(5000, 3600))
    accounting = spool._accounting
    for number in range(60):
        accounting.collected.add(50)
        spool.put(payload_round(50, number))
        assert accounting.is_balanced()
        assert spool.spool.statistics().bytes <= 5000
    kept = len(spool)
    assert 5 < kept < 30
    assert accounting.dropped.value("spool_full") == (60 - kept) * 50
    shipment = spool.take()
    assert shipment is not None
    assert decode_payload(shipment.body).rounds[0].timestamp_ms == 59


async def test_the_time_that_an_outage_may_last_is_told() -> None:
    spool = round_spool(SpoolLimits(100_000, 3600))
    assert spool.outage_seconds_left() == 3600
    for _ in range(20):
        spool.put(payload_round(50))
        await spool._clock.advance(10)  # type: ignore[attr-defined]
    statistics = spool.spool.statistics()
    a_second = statistics.bytes / 200
    assert spool.outage_seconds_left() == pytest.approx((100_000 - statistics.bytes) / a_second, rel=0.2)
    for _ in range(1000):
        spool.put(payload_round(50))
        await spool._clock.advance(10)  # type: ignore[attr-defined]
    assert spool.outage_seconds_left() < 600  # segments are dropped whole


async def test_a_burst_of_payloads_does_not_shorten_what_an_outage_may_last() -> None:
    spool = round_spool(SpoolLimits(1 << 20, 1 << 30))
    for turn in range(100):
        spool.put(payload_round(50, turn * 100))
        await spool._clock.advance(0.01)  # type: ignore[attr-defined]
        spool.put(payload_round(1, turn * 100 + 50))
        await spool._clock.advance(9.99)  # type: ignore[attr-defined]
    statistics = spool.spool.statistics()
    expected = ((1 << 20) - statistics.bytes) / (statistics.bytes / 1000)
    assert spool.outage_seconds_left() == pytest.approx(expected, rel=0.2)


async def test_old_rounds_are_dropped_and_say_so() -> None:
    spool = round_spool(SpoolLimits(1 << 20, 60))
    accounting = spool._accounting
    accounting.collected.add(20)
    spool.put(payload_round(10))
    await spool._clock.advance(50)  # type: ignore[attr-defined]
    spool.put(payload_round(10, 50))
    await spool._clock.advance(15)  # type: ignore[attr-defined]
    shipment = spool.take()
    assert shipment is not None
    assert decode_payload(shipment.body).first_sequence == 10
    assert accounting.dropped.value("too_old") == 10
    assert accounting.is_balanced()


def test_a_spooled_payload_that_is_none_is_dropped_and_the_next_is_taken() -> None:
    spool = round_spool()
    spool.spool.put(b"no payload", 4)
    spool._accounting.queued += 4
    spool.put(payload_round(3))
    newest = spool.take()
    assert newest is not None
    spool.keep(newest)
    shipment = spool.take()
    assert shipment is not None
    assert shipment.samples == 3
    assert spool._accounting.dropped.value("spool_damaged") == 4


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_halves_of_a_shipment_are_the_shipment(sizes: Sequence[int]) -> None:
    def cells(payload: Payload) -> list[tuple[int, bytes, float]]:
        return [
            (one.timestamp_ms, one.layout.keys[column], value)
            for one in payload.rounds
            for column, value in zip(one.columns.tolist(), one.values.tolist(), strict=True)
        ]

    spool = round_spool()
    spool.put(payload_round(1, 99))
    for number, size in enumerate(sizes):
        spool.put(payload_round(size, number))
    newest = spool.take()
    assert newest is not None
    spool.keep(newest)
    whole = spool.take()
    assert whole is not None
    payload = decode_payload(whole.body)
    assert spool.split(whole)
    halves = []
    while (half := spool.take()) is not None:
        assert half.is_part
        halves.append(decode_payload(half.body))
        spool.accept(half)
    assert len(halves) == 2
    assert cells(halves[0]) + cells(halves[1]) == cells(payload)
    assert [half.first_sequence for half in halves] == [0, halves[0].samples]
    assert abs(halves[0].samples - halves[1].samples) <= 1
    assert len(spool) == 0


@settings(max_examples=200)
@given(steps=st.lists(st.sampled_from(["put", "accept", "keep", "reject", "split", "restart"]), max_size=60))
def test_spool_keeps_the_books_whatever_happens(steps: Sequence[str]) -> None:
    disk = FaultyDisk()
    spool = round_spool(SpoolLimits(3000, 3600), disk)
    for step in steps:
        accounting = spool._accounting
        if step == "put":
            accounting.collected.add(40)
            spool.put(payload_round(40))
        elif step == "restart":
            waiting = spool.spool.statistics().weight
            spool.close()
            spool = round_spool(SpoolLimits(3000, 3600), disk)
            accounting = spool._accounting
            assert accounting.recovered.total() == waiting
        else:
            shipment = spool.take()
            if shipment is None:
                continue
            if step == "accept":
                spool.accept(shipment)
            elif step == "reject":
                spool.reject(shipment, "refused")
            elif step == "keep" or not spool.split(shipment):
                spool.keep(shipment)
        assert accounting.is_balanced()
        assert accounting.queued >= 0
    while (shipment := spool.take()) is not None:
        spool.accept(shipment)
    assert (spool._accounting.queued, len(spool)) == (0, 0)
    assert spool._accounting.is_balanced()


def test_acknowledgement_that_cannot_be_read_acknowledges() -> None:
    for body in (b"", b"not json", b"[]", b'{"duplicate": "x"}'):
        assert acknowledgement(body).fate is Fate.ACCEPTED
    verdict = acknowledgement(b'{"accepted": 5, "duplicate": 2, "rejected": {"too_old": 3}}')
    assert (verdict.duplicate, verdict.rejected) == (2, {"too_old": 3})


def test_retry_after_is_bounded() -> None:
    assert retry_after_seconds("7") == 7
    assert retry_after_seconds("99999") == 300
    assert retry_after_seconds("Wed, 21 Oct 2026 07:28:00 GMT") == 0
    assert retry_after_seconds("-1") == 0
