"""Delivery to a server that loses answers, refuses, resets and hangs: nothing lost, nothing stored twice, numbers equal."""

import asyncio
import json
import random
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import Emission
from nunchi.agent.forwarder.delivery import Delivery, Fate, acknowledgement, retry_after_seconds
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import MemorySpool, Payload
from nunchi.agent.rounds import Aggregation, Round
from nunchi.agent.schedule import Outcome
from nunchi.kit.clock import SystemClock
from nunchi.kit.http_client import HttpClient
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock


class JsonEncoder:
    """A payload's samples with their numbers, in the open."""

    content_type = "application/json"

    def encode(self, payload: Payload) -> bytes:
        cells = [
            (one.timestamp_ms, column, value)
            for one in payload.rounds
            for column, value in zip(one.columns, one.values, strict=True)
        ]
        return json.dumps({"first": payload.first_sequence, "cells": cells}).encode()


class Server:
    """Takes payloads as a server must: each number once. `faults` says what goes wrong with the next requests."""

    def __init__(self) -> None:
        self.stored: dict[int, tuple[int, int, float]] = {}
        self.order: list[int] = []
        self.duplicates = 0
        self.faults: list[str] = []
        self.poison_values: set[float] = set()
        self.cells_max = 10**9
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        if fault == "hang":
            await asyncio.sleep(30)
        if fault == "503":
            return web.Response(status=503, text="not now")
        if len(body["cells"]) > self.cells_max:
            return web.Response(status=413, text="too large")
        if any(value in self.poison_values for _, _, value in body["cells"]):
            return web.Response(status=400, text="cannot read this")
        duplicate = self.store(body)
        if fault == "lost answer":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        if fault == "late answer":
            await asyncio.sleep(30)
        return web.json_response({"duplicate": duplicate})

    def store(self, body: dict[str, list[tuple[int, int, float]]]) -> int:
        duplicate = 0
        self.order.append(body["first"])  # type: ignore[arg-type]
        for number, cell in enumerate(body["cells"], body["first"]):  # type: ignore[call-overload]
            if number in self.stored:
                assert self.stored[number] == cell
                duplicate += 1
            self.stored[number] = cell
        self.duplicates += duplicate
        return duplicate


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
    """A forwarder with everything around it."""

    def __init__(self, url: str, bytes_max: int = 1 << 20) -> None:
        telemetry, clock = Telemetry(), SystemClock()
        self.accounting = Accounting(telemetry)
        self.spool = MemorySpool(bytes_max, 3600, clock, self.accounting)
        client = HttpClient(clock, connections_max=1)
        self.delivery = Delivery(url, client, JsonEncoder(), 1.0, clock, telemetry)
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


def test_backlog_is_merged_within_bounds_and_not_across_gaps() -> None:
    accounting = Accounting(Telemetry())
    spool = MemorySpool(1 << 20, 3600, VirtualClock(), accounting)
    for number in range(150):
        spool.put(payload_round(10, number))
    newest = spool.take()
    assert newest is not None
    spool.accept(newest)
    sizes = []
    while (payload := spool.take()) is not None:
        assert [one.timestamp_ms for one in payload.rounds] == sorted(one.timestamp_ms for one in payload.rounds)
        sizes.append((payload.first_sequence, len(payload.rounds)))
        if len(sizes) == 1:
            spool.keep(payload)  # and taken again, whole
        else:
            spool.accept(payload)
    assert sizes == [(0, 60), (0, 60), (600, 60), (1200, 29)]
    assert spool.bytes == 0


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


def payload_round(samples: int, timestamp_ms: int = 0) -> Round:
    return Round(timestamp_ms, Layout(), array("i", range(samples)), array("d", range(samples)))


def test_full_spool_drops_the_oldest_and_says_so() -> None:
    accounting = Accounting(Telemetry())
    spool = MemorySpool(2000, 3600, VirtualClock(), accounting)
    for number in range(20):
        accounting.collected.add(50)
        spool.put(payload_round(50, number))
        assert accounting.is_balanced()
        assert spool.bytes <= 2000
    assert accounting.dropped.value("spool_full") == 18 * 50
    payload = spool.take()
    assert payload is not None
    assert payload.rounds[0].timestamp_ms == 19


async def test_old_rounds_are_dropped_and_say_so() -> None:
    accounting, clock = Accounting(Telemetry()), VirtualClock()
    spool = MemorySpool(1 << 20, 60, clock, accounting)
    accounting.collected.add(20)
    spool.put(payload_round(10))
    await clock.advance(50)
    spool.put(payload_round(10, 50))
    await clock.advance(15)
    payload = spool.take()
    assert payload is not None
    assert payload.first_sequence == 10
    assert accounting.dropped.value("too_old") == 10
    assert accounting.is_balanced()


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), first=st.integers(0, 1000))
def test_halves_of_a_payload_are_the_payload(sizes: Sequence[int], first: int) -> None:
    def cells(payload: Payload) -> list[tuple[int, int, float]]:
        return [
            (one.timestamp_ms, column, value)
            for one in payload.rounds
            for column, value in zip(one.columns, one.values, strict=True)
        ]

    payload = Payload(first, tuple(payload_round(size, number) for number, size in enumerate(sizes)), 0.0)
    halves = payload.split()
    if payload.samples < 2:
        assert halves is None
        return
    assert halves is not None
    assert cells(halves[0]) + cells(halves[1]) == cells(payload)
    assert halves[0].first_sequence == first
    assert halves[1].first_sequence == first + halves[0].samples
    assert abs(halves[0].samples - halves[1].samples) <= 1
    assert all(len(one) for half in halves for one in half.rounds)


@settings(max_examples=200)
@given(steps=st.lists(st.sampled_from(["put", "accept", "keep", "reject", "split"]), max_size=60))
def test_spool_keeps_the_books_whatever_happens(steps: Sequence[str]) -> None:
    accounting = Accounting(Telemetry())
    spool = MemorySpool(3000, 3600, VirtualClock(), accounting)
    for step in steps:
        if step == "put":
            accounting.collected.add(40)
            spool.put(payload_round(40))
        else:
            payload = spool.take()
            if payload is None:
                continue
            if step == "accept":
                spool.accept(payload)
            elif step == "reject":
                spool.reject(payload, "refused")
            elif step == "keep" or not spool.split(payload):
                spool.keep(payload)
        assert accounting.is_balanced()
        assert accounting.queued >= 0
        assert spool.bytes >= 0
    while (payload := spool.take()) is not None:
        spool.accept(payload)
    assert (accounting.queued, spool.bytes, len(spool)) == (0, 0, 0)
    assert accounting.is_balanced()


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
