"""The suite of `kit.bus`: subclass `BusSuite` in a test module and say how a bus is made.

Every case speaks through the contract alone, over connections of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from nunchi.kit.bus import (
    Backlog,
    Bus,
    BusFullError,
    BusTooLargeError,
    BusUnavailableError,
    BusUnsuitableError,
    Consumer,
    Consumption,
    Delivered,
    Stream,
)

STREAM = Stream("suite-rounds", "suite.rounds.*", bytes_max=64 << 10, topic_messages_max=4)
SHARED = Consumption("servers", unsettled_max=100, settle_seconds_max=1.0)
A, B = "suite.rounds.a", "suite.rounds.b"
WAIT_SECONDS = 5.0
QUIET_SECONDS = 0.2
TOO_LARGE_BYTES = 9 << 20


async def take(consumer: Consumer, count: int, seconds: float = WAIT_SECONDS) -> list[Delivered]:
    """So many messages; fewer where no more come."""
    found: list[Delivered] = []
    while len(found) < count:
        more = await consumer.take(count - len(found), seconds)
        if not more:
            break
        found += more
    return found


async def wait_backlog(consumer: Consumer, expected: Backlog) -> None:
    """Return when the backlog is as expected: settling is told to the bus, which takes a moment."""
    async with asyncio.timeout(WAIT_SECONDS):
        while await consumer.backlog() != expected:  # noqa: ASYNC110 (what is waited for happens elsewhere)
            await asyncio.sleep(0.01)


class BusSuite:
    """Cases over `make`."""

    def make(self) -> Bus:
        """Another bus over the same broker, which the suite closes."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Bus]:
        """A bus for a while."""
        bus = self.make()
        try:
            yield bus
        finally:
            await bus.close()

    @pytest.fixture
    async def agent(self) -> AsyncIterator[Bus]:
        """Who puts."""
        async with self.opened() as bus:
            yield bus

    @pytest.fixture
    async def server(self) -> AsyncIterator[Bus]:
        """Who consumes."""
        async with self.opened() as bus:
            yield bus

    async def test_what_is_put_is_taken_once_in_the_order_of_its_topic(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        for number in range(3):
            await agent.put(A, b"a%d" % number)
            await agent.put(B, b"b%d" % number)
        found = await take(consumer, 6)
        assert [one.body for one in found if one.topic == A] == [b"a0", b"a1", b"a2"]
        assert [one.body for one in found if one.topic == B] == [b"b0", b"b1", b"b2"]
        assert {one.deliveries for one in found} == {1}
        for one in found:
            await one.accept()
        await wait_backlog(consumer, Backlog(0, 0, 0))
        assert await consumer.take(10, QUIET_SECONDS) == []

    async def test_taking_ends_with_the_first_that_comes(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        taking = asyncio.create_task(consumer.take(50, WAIT_SECONDS))
        await asyncio.sleep(QUIET_SECONDS)
        await agent.put(A, b"late")
        async with asyncio.timeout(WAIT_SECONDS / 2):
            [one] = await taking
        await one.accept()

    async def test_what_is_not_settled_in_time_comes_again(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        await agent.put(A, b"a")
        await take(consumer, 1)
        [again] = await take(consumer, 1)
        assert (again.body, again.deliveries) == (b"a", 2)
        await again.accept()

    async def test_who_dies_leaves_the_rest_to_who_shares_its_consumption(self, agent: Bus, server: Bus) -> None:
        async with self.opened() as dying:
            consumer = await dying.consume(STREAM, SHARED)
            for body in (b"1", b"2", b"3"):
                await agent.put(A, body)
            first, _second, _third = await take(consumer, 3)
            await first.accept()
            await wait_backlog(consumer, Backlog(0, 2, 0))
        found = await take(await server.consume(STREAM, SHARED), 2)
        assert [(one.body, one.deliveries) for one in found] == [(b"2", 2), (b"3", 2)]
        for one in found:
            await one.accept()

    async def test_two_who_share_a_consumption_get_each_message_once(self, agent: Bus, server: Bus) -> None:
        async with self.opened() as other:
            both = [await one.consume(STREAM, SHARED) for one in (server, other)]
            for number in range(40):
                await agent.put(f"suite.rounds.{number}", b"x")
            found: list[str] = []
            for turn in range(20):
                for one in await both[turn % 2].take(5, QUIET_SECONDS):
                    found.append(one.topic)
                    await one.accept()
        assert sorted(found) == sorted(f"suite.rounds.{number}" for number in range(40))

    async def test_what_is_kept_comes_again_later_and_what_is_rejected_never(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        await agent.put(A, b"later")
        await agent.put(B, b"never")
        for one in await take(consumer, 2):
            await (one.keep(0.1) if one.topic == A else one.reject())
        [again] = await take(consumer, 1)
        assert (again.body, again.deliveries) == (b"later", 2)
        await again.accept()
        await wait_backlog(consumer, Backlog(0, 0, 0))

    async def test_nothing_is_discarded_where_a_topic_is_full(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        for number in range(STREAM.topic_messages_max):
            await agent.put(A, b"%d" % number)
        with pytest.raises(BusFullError):
            await agent.put(A, b"one more")
        await agent.put(B, b"of somebody else")
        found = await take(consumer, 5)
        assert [one.body for one in found] == [b"0", b"1", b"2", b"3", b"of somebody else"]
        for one in found:
            await one.accept()
        await wait_backlog(consumer, Backlog(0, 0, 0))
        await agent.put(A, b"there is room")
        [one] = await take(consumer, 1)
        await one.accept()

    async def test_nothing_is_discarded_where_the_stream_is_full(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, SHARED)
        kept = 0
        with contextlib.suppress(BusFullError):
            while kept < 100:
                await agent.put(f"suite.rounds.{kept}", bytes(8 << 10))
                kept += 1
        assert 1 <= kept <= 8
        found = await take(consumer, kept + 1, QUIET_SECONDS)
        assert [one.topic for one in found] == [f"suite.rounds.{number}" for number in range(kept)]
        for one in found:
            await one.accept()

    async def test_who_holds_as_many_as_allowed_gets_no_more(self, agent: Bus, server: Bus) -> None:
        consumer = await server.consume(STREAM, Consumption("servers", unsettled_max=2, settle_seconds_max=30.0))
        for number in range(4):
            await agent.put(A, b"%d" % number)
        found = await take(consumer, 4, QUIET_SECONDS)
        assert [one.body for one in found] == [b"0", b"1"]
        for one in found:
            await one.accept()
        rest = await take(consumer, 2)
        assert [one.body for one in rest] == [b"2", b"3"]
        for one in rest:
            await one.accept()

    async def test_too_large_a_message_is_refused_at_once(self, agent: Bus, server: Bus) -> None:
        await server.consume(STREAM, SHARED)
        with pytest.raises(BusTooLargeError):
            await agent.put(A, bytes(TOO_LARGE_BYTES))
        await agent.put(A, b"and the connection lives")

    async def test_a_topic_that_nobody_keeps_takes_nothing(self, agent: Bus, server: Bus) -> None:
        await server.consume(STREAM, SHARED)
        with pytest.raises(BusUnavailableError):
            await agent.put("suite.elsewhere.a", b"x")

    async def test_a_second_consumption_of_one_stream_is_refused(self, server: Bus) -> None:
        await server.consume(STREAM, SHARED)
        with pytest.raises(BusUnsuitableError):
            await server.consume(STREAM, Consumption("others", unsettled_max=10, settle_seconds_max=1.0))

    async def test_who_listens_hears_what_is_told_and_nothing_of_other_topics(self, agent: Bus, server: Bus) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await server.tell("suite.answers.a", b"before anybody listens")
        await agent.listen("suite.answers.a", heard.put_nowait)
        await server.tell("suite.answers.b", b"for somebody else")
        await server.tell("suite.answers.a", b"for you")
        async with asyncio.timeout(WAIT_SECONDS):
            assert await heard.get() == b"for you"
        assert heard.empty()
