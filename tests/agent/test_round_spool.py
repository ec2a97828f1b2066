"""What waits for the server: joined, halved, dropped and counted, and the books balance."""

from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.faulty_disk import FaultyDisk

from nunchi.agent.accounting import Accounting
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Round
from nunchi.kit.disk import Disk
from nunchi.kit.logs import logger
from nunchi.kit.spool import Spool, SpoolLimits
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock
from nunchi.wire.payload import Payload, decode_payload

LAYOUT = Layout.of(*(Labels.of("m", n=str(number)) for number in range(100)))


def payload_round(samples: int, timestamp_ms: int = 0) -> Round:
    return Round(timestamp_ms, LAYOUT, array("i", range(samples)), array("d", range(samples)))


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


async def test_while_the_disk_takes_nothing_an_outage_lasts_as_long_as_the_memory_does() -> None:
    disk = FaultyDisk()
    spool = round_spool(SpoolLimits(1 << 30, 1 << 30, memory_bytes_max=100_000), disk)
    disk.room = 0
    for _ in range(20):
        spool.put(payload_round(50))
        await spool._clock.advance(10)  # type: ignore[attr-defined]
    in_memory = spool.spool.statistics().memory_bytes
    expected = (100_000 - in_memory) / (in_memory / 200)
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
