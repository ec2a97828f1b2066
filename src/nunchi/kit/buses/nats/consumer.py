"""Taking messages by a durable pull consumer of JetStream.

Invariant: what is not handed out when taking ends is given back.
"""

import asyncio
import contextlib
import json
from collections import deque
from typing import TYPE_CHECKING

from nunchi.kit.bus import Backlog, BusUnavailableError, Delivered
from nunchi.kit.buses.nats.calling import ANSWER_SECONDS_MAX, Caller

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

ASK_SECONDS_MIN = 0.1
ASK_AGAIN_SECONDS = 0.5  # after a request must have expired on the server
STATUS_ENDS = frozenset({"404", "408", "409"})  # a request for messages is over


class NatsDelivered:
    """See `Delivered`."""

    def __init__(self, bus: Caller, message: "Msg") -> None:
        self._bus = bus
        self._message = message
        self.topic = message.subject
        self.body = message.data
        self.deliveries = message.metadata.num_delivered or 1

    async def accept(self) -> None:
        """See `Delivered.accept`."""
        await self._bus.within(self._message.ack())

    async def reject(self) -> None:
        """See `Delivered.reject`."""
        await self._bus.within(self._message.term())

    async def keep(self, seconds: float) -> None:
        """See `Delivered.keep`."""
        await self._bus.within(self._message.nak(delay=seconds or None))


class NatsConsumer:
    """See `Consumer`. One request for messages is outstanding at a time; what it brings ahead waits here."""

    def __init__(self, bus: Caller, client: "Client", stream: str, consumer: str) -> None:
        self._bus = bus
        self._client = client
        self._stream = stream
        self._consumer = consumer
        self._subscription: Subscription | None = None
        self._came: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._asked = 0
        self._asked_until = 0.0

    async def open(self) -> None:
        """Begin to hear what is delivered."""
        self._subscription = await self._bus.within(self._client.subscribe(self._client.new_inbox(), cb=self._hear))

    async def _hear(self, message: "Msg") -> None:
        self._came.append(message)
        self._news.set()

    async def take(self, messages_max: int, wait_seconds: float) -> list[Delivered]:
        """See `Consumer.take`."""
        loop = asyncio.get_running_loop()
        until, found = loop.time() + wait_seconds, list[Delivered]()
        while self._came or not found:
            if not self._came:
                if loop.time() >= until:
                    break
                if self._asked <= 0 or loop.time() >= self._asked_until:
                    await self._ask(messages_max, max(until - loop.time(), ASK_SECONDS_MIN))
                await self._bus.within(self._wait_news(until - loop.time()), wait_seconds + ASK_AGAIN_SECONDS)
                continue
            if len(found) == messages_max:
                break
            message = self._came.popleft()
            if message.header and "Status" in message.header:
                self._read_status(message.header)
            else:
                self._asked -= 1
                found.append(NatsDelivered(self._bus, message))
        return found

    async def _ask(self, messages_max: int, seconds: float) -> None:
        assert self._subscription is not None
        request = {"batch": messages_max, "expires": round(seconds * 1e9)}
        topic = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._bus.within(
            self._client.publish(topic, json.dumps(request).encode(), reply=self._subscription.subject)
        )
        self._asked = messages_max
        self._asked_until = asyncio.get_running_loop().time() + seconds + ASK_AGAIN_SECONDS

    async def _wait_news(self, seconds: float) -> None:
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def _read_status(self, header: dict[str, str]) -> None:
        status, words = header["Status"], header.get("Description", "")
        if status not in STATUS_ENDS or "Deleted" in words:
            raise BusUnavailableError(f"{self._bus.url} delivers nothing: {status} {words}".rstrip())
        self._asked = 0

    async def backlog(self) -> Backlog:
        """See `Consumer.backlog`."""
        stream = self._client.jetstream(timeout=ANSWER_SECONDS_MAX)
        info = await self._bus.within(stream.consumer_info(self._stream, self._consumer))
        return Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)

    async def close(self) -> None:
        """See `Consumer.close`. Delivery ends before anything is given back, else it would come here again."""
        subscription, self._subscription = self._subscription, None
        with contextlib.suppress(BusUnavailableError):
            if subscription is not None and self._client.is_connected:
                await self._bus.within(subscription.drain())  # type: ignore[no-untyped-call]  # as nats-py has it
            while self._came and self._client.is_connected:
                message = self._came.popleft()
                if not (message.header and "Status" in message.header):
                    await self._bus.within(message.nak())
