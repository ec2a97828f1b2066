"""A bus within one process, as long-lived as its broker: the obvious twin of those that cross a network.

Invariant: it does what the contract says as NATS does it: nothing is taken out before it is settled, nothing is discarded.
"""

import asyncio
from dataclasses import dataclass, field

from nunchi.kit.bus import (
    Backlog,
    BusFullError,
    BusTooLargeError,
    BusUnavailableError,
    BusUnsuitableError,
    Consumption,
    Delivered,
    Hear,
    Stream,
)
from nunchi.kit.clock import Clock

MESSAGE_BYTES_MAX = 1 << 20


@dataclass(slots=True, eq=False)
class Message:
    """One that is kept; `due_at` is when it may be delivered (again)."""

    topic: str
    body: bytes
    due_at: float = 0.0
    deliveries: int = 0


@dataclass(slots=True, eq=False)
class KeptStream:
    """A stream and what it keeps, oldest first; one consumption takes from it."""

    settings: Stream
    messages: list[Message] = field(default_factory=list)
    consumption: Consumption | None = None

    def keeps(self, topic: str) -> bool:
        """Whether a topic is one of its own."""
        pattern, words = self.settings.topics.split("."), topic.split(".")
        return len(pattern) == len(words) and all(one in ("*", word) for one, word in zip(pattern, words, strict=True))

    def put(self, topic: str, body: bytes) -> None:
        """Keep a message, or raise BusFullError."""
        bytes_kept = sum(len(one.body) for one in self.messages)
        of_topic = sum(one.topic == topic for one in self.messages)
        if bytes_kept + len(body) > self.settings.bytes_max or of_topic >= self.settings.topic_messages_max:
            raise BusFullError(f"the stream {self.settings.name} keeps no more of {topic} for now")
        self.messages.append(Message(topic, body))


class MemoryBroker:
    """What several buses share. `is_reachable` False: as a server that is away."""

    def __init__(self) -> None:
        self.streams: dict[str, KeptStream] = {}
        self.listeners: dict[str, list[Hear]] = {}
        self.is_reachable = True
        self.changed = asyncio.Event()

    def wake(self) -> None:
        """Whoever waits looks again."""
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryDelivered:
    """See `Delivered`."""

    def __init__(self, broker: MemoryBroker, stream: KeptStream, message: Message, clock: Clock) -> None:
        self._broker = broker
        self._stream = stream
        self._message = message
        self._clock = clock
        self.topic = message.topic
        self.body = message.body
        self.deliveries = message.deliveries

    async def accept(self) -> None:
        """See `Delivered.accept`."""
        if self._broker.is_reachable and self._message in self._stream.messages:
            self._stream.messages.remove(self._message)

    async def reject(self) -> None:
        """See `Delivered.reject`."""
        await self.accept()

    async def keep(self, seconds: float) -> None:
        """See `Delivered.keep`."""
        self._message.due_at = self._clock.monotonic() + seconds
        self._broker.wake()


class MemoryConsumer:
    """See `Consumer`."""

    def __init__(self, broker: MemoryBroker, stream: KeptStream, consumption: Consumption, clock: Clock) -> None:
        self._broker = broker
        self._stream = stream
        self._consumption = consumption
        self._clock = clock

    async def take(self, messages_max: int, wait_seconds: float) -> list[Delivered]:
        """See `Consumer.take`."""
        until = self._clock.monotonic() + wait_seconds
        while True:
            _check(self._broker)
            found = self._take(messages_max)
            seconds_left = until - self._clock.monotonic()
            if found or seconds_left <= 0:
                return found
            due = [one.due_at - self._clock.monotonic() for one in self._stream.messages]
            wait = min([seconds_left, *(seconds for seconds in due if seconds > 0)])
            await self._wait(wait)

    def _take(self, messages_max: int) -> list[Delivered]:
        now, found = self._clock.monotonic(), list[Delivered]()
        unsettled = sum(one.deliveries > 0 and one.due_at > now for one in self._stream.messages)
        room = min(messages_max, self._consumption.unsettled_max - unsettled)
        for message in self._stream.messages:
            if len(found) < room and message.due_at <= now:
                message.due_at = now + self._consumption.settle_seconds_max
                message.deliveries += 1
                found.append(MemoryDelivered(self._broker, self._stream, message, self._clock))
        return found

    async def _wait(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._broker.changed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({changed, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            timer.cancel()

    async def backlog(self) -> Backlog:
        """See `Consumer.backlog`."""
        _check(self._broker)
        counts = [one.deliveries for one in self._stream.messages]
        return Backlog(counts.count(0), sum(map(bool, counts)), sum(count > 1 for count in counts))

    async def close(self) -> None:
        """See `Consumer.close`; nothing is taken ahead here."""


class MemoryBus:
    """See `Bus`."""

    url = "memory"

    def __init__(self, broker: MemoryBroker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._own: list[tuple[str, Hear]] = []

    async def put(self, topic: str, body: bytes) -> None:
        """See `Bus.put`."""
        _check(self._broker)
        if len(body) > MESSAGE_BYTES_MAX:
            raise BusTooLargeError(f"{len(body)} bytes are more than {MESSAGE_BYTES_MAX}")
        for stream in self._broker.streams.values():
            if stream.keeps(topic):
                stream.put(topic, body)
                self._broker.wake()
                return
        raise BusUnavailableError(f"no stream keeps {topic}")

    async def tell(self, topic: str, body: bytes) -> None:
        """See `Bus.tell`."""
        _check(self._broker)
        for hear in list(self._broker.listeners.get(topic, ())):
            hear(body)

    async def listen(self, topic: str, hear: Hear) -> None:
        """See `Bus.listen`."""
        _check(self._broker)
        self._broker.listeners.setdefault(topic, []).append(hear)
        self._own.append((topic, hear))

    async def consume(self, stream: Stream, consumption: Consumption) -> MemoryConsumer:
        """See `Bus.consume`."""
        _check(self._broker)
        kept = self._broker.streams.setdefault(stream.name, KeptStream(stream))
        if kept.settings.topics != stream.topics:
            raise BusUnsuitableError(f"the stream {stream.name} keeps {kept.settings.topics}, not {stream.topics}")
        if kept.consumption is not None and kept.consumption.name != consumption.name:
            raise BusUnsuitableError(f"the stream {stream.name} is consumed by {kept.consumption.name} already")
        kept.settings, kept.consumption = stream, consumption
        return MemoryConsumer(self._broker, kept, consumption, self._clock)

    async def close(self) -> None:
        """See `Bus.close`."""
        for topic, hear in self._own:
            self._broker.listeners[topic].remove(hear)
        self._own.clear()


def _check(broker: MemoryBroker) -> None:
    if not broker.is_reachable:
        raise BusUnavailableError("the bus is away")
