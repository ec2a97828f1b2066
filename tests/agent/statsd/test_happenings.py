"""Events and service checks on their way to the server: kept over refusals, silence and restarts, and taken there once."""

import asyncio
import random
from pathlib import Path

import msgspec
import pytest
from tests.agent.links import FakeLink

from nunchi.agent.forwarder.happenings import SPOOL_LIMITS, HappeningDelivery
from nunchi.agent.identity import Identity
from nunchi.agent.statsd.happenings import WAITING_MAX, HappeningQueue
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.intake.registry.happenings import HappeningBook
from nunchi.kit.logs import logger
from nunchi.kit.spool import Spool
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.records import Records
from nunchi.testing.clock import VirtualClock
from nunchi.wire.happenings import PATH, Happenings
from nunchi.wire.statsd_records import Event, ServiceCheck


class Sending:
    """An agent's side, which may be started again, and a server's book at the other end of a link that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, VirtualClock()
        records = Records(None, self.clock)
        records.open()
        self.book = HappeningBook(records, self.clock)
        self.book.open()
        self.weather = "fair"
        self.link = FakeLink(self.answer)
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        self.counts = StatsdTelemetry(Telemetry(), self.clock, logger("test"))
        self.queue = HappeningQueue(self.clock, self.counts)
        self.spool = Spool(
            self.folder / "spool", SPOOL_LIMITS, SystemDisk(), self.clock, logger("test"),
            on_drop=lambda reason, count: self.counts.dropped.add(count, reason),
        )  # fmt: skip
        identity = Identity("a1", "web-1", (), "0.1", self.starts, self.starts)
        self.delivery = HappeningDelivery(
            self.queue, self.spool, self.link, identity, self.clock, random.Random(1), self.counts, logger("test")
        )

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
        assert (method, path) == ("POST", PATH)
        if self.weather == "silent":
            return None
        if self.weather == "refusing":
            return 503, b"later"
        if self.weather == "poisoned":
            return 400, b"what is this"
        self.book.take(msgspec.json.decode(body, type=Happenings))
        return None if self.weather == "lost" else (200, b"{}")

    def titles(self) -> list[str]:
        return sorted(one.event.title for one in self.book.events(lambda _: True, 1000))

    async def run(self, seconds: float) -> None:
        await self.delivery.start()
        task = asyncio.create_task(self.delivery.run())
        for _ in range(round(seconds)):
            await self.clock.advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def sending(tmp_path: Path) -> Sending:
    return Sending(tmp_path)


async def test_what_is_sent_is_there_with_all_that_was_said(sending: Sending) -> None:
    sending.queue.add_event(
        Event("deployed", "v2\nis out", 17, "web", "key", "low", "ci", "success", (("a", "b"), ("a", "c")))
    )
    sending.queue.add_service_check(ServiceCheck("db", 2, 0, "web", "no answer", (("x", "y"),)))
    await sending.run(2)
    [event] = sending.book.events(lambda _: True, 10)
    assert (event.agent, event.instance) == ("a1", "web-1")
    assert msgspec.to_builtins(event.event) == {
        "at_ms": 17_000, "title": "deployed", "text": "v2\nis out", "host": "web", "aggregation_key": "key", "priority": "low",
        "source": "ci", "alert_type": "success", "tags": [("a", "b"), ("a", "c")],
    }  # fmt: skip
    [check] = sending.book.service_checks()
    assert (check.check.name, check.check.state, check.check.message) == ("db", 2, "no answer")
    assert sending.counts.delivered.total() == 2
    await sending.delivery.stop()


async def test_nothing_is_lost_or_twice_whatever_the_server_does_and_however_often_the_agent_starts(
    sending: Sending,
) -> None:
    source, expected = random.Random(5), []
    for step in range(40):
        sending.weather = source.choice(["fair", "silent", "refusing", "lost"])
        for number in range(source.randrange(4)):
            expected.append(f"{step}-{number}")
            sending.queue.add_event(Event(expected[-1], ""))
        await sending.run(source.choice([2, 90]))
        await sending.delivery.stop()
        sending.start()
    sending.weather = "fair"
    await sending.run(300)
    assert sending.titles() == sorted(expected)
    assert len(sending.spool) == 0
    assert sending.counts.dropped.total() == 0
    await sending.delivery.stop()


async def test_what_the_server_can_never_take_is_dropped_counted_and_stops_nothing(sending: Sending) -> None:
    sending.queue.add_event(Event("poison", ""))
    sending.weather = "poisoned"
    await sending.run(2)
    sending.weather = "fair"
    sending.queue.add_event(Event("fine", ""))
    await sending.delivery.stop()
    sending.start()
    await sending.run(90)
    assert sending.titles() == ["fine"]
    await sending.delivery.stop()


async def test_a_service_that_says_the_same_is_told_once_a_minute_and_every_change_at_once(sending: Sending) -> None:
    queue = sending.queue
    for _ in range(5):
        queue.add_service_check(ServiceCheck("db", 0))
    for state in (1, 1, 2, 0):
        queue.add_service_check(ServiceCheck("db", state))
    queue.add_service_check(ServiceCheck("db", 0, tags=(("another", "one"),)))
    _, checks = queue.take()
    assert [one.state for one in checks] == [0, 1, 2, 0, 0]
    await sending.clock.advance(61)
    queue.add_service_check(ServiceCheck("db", 0))
    assert len(queue) == 1


def test_what_comes_faster_than_it_is_spooled_is_bounded_and_counted(sending: Sending) -> None:
    for number in range(WAITING_MAX + 5):
        sending.queue.add_event(Event(str(number), ""))
    sending.queue.add_service_check(ServiceCheck("db", 0))
    assert len(sending.queue) == WAITING_MAX
    assert sending.counts.dropped.value("events_max") == 5
    assert sending.counts.dropped.value("service_checks_max") == 1
