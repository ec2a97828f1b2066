"""Takes agents' payloads from a message bus. A `Part`.

What is taken goes the way of a push: `PushReceiver` answers it. A message is settled after that: done with when its samples are
committed, delivered again where they cannot be stored now, ended where sending it again unchanged would change nothing; then
its agent is told. A message that comes a second time, because somebody died in between, is known by its numbers.
Invariant: of a message that no key of its agent opens nothing is kept, and nothing is looked at but its head.
"""

import contextlib
from dataclasses import dataclass
from random import Random

from nunchi.intake.receive.bus_settings import BusReceiverSettings
from nunchi.intake.receive.pack_server import PackKeys
from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.registry.agent_book import Owner
from nunchi.kit.backoff import Backoff
from nunchi.kit.bus import Backlog, Bus, BusError, Consumer, Consumption, Delivered, Stream
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.bus_message import NONCE_BYTES, BusAnswer, BusTopics, agent_of, seal_answer, split_payload
from nunchi.wire.errors import WireError
from nunchi.wire.pack_seal import PackMode, SealError

BATCH_MAX = 64
WAIT_SECONDS = 2.0
LOOK_SECONDS = 5.0
RETRY_INITIAL_SECONDS = 0.5
RETRY_SECONDS_MAX = 15.0
AGENT_MESSAGES_MAX = 4
STORED, NOT_NOW, UNAUTHENTICATED, FAILED = 200, 503, 401, 500
OUTCOMES = {STORED: "stored", NOT_NOW: "kept", UNAUTHENTICATED: "unauthenticated", 403: "disabled", 409: "conflict"}


class BusTelemetry:
    """What is counted of the bus."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.messages = telemetry.counter(
            "nunchi_bus_messages_total", "Messages taken from the bus, by what became of them.", "outcome"
        )
        self.redelivered = telemetry.counter(
            "nunchi_bus_redelivered_total", "Messages that came from the bus a second time or oftener."
        )
        self.errors = telemetry.counter("nunchi_bus_errors_total", "Times that the bus could not be used.")
        self.connected = telemetry.gauge("nunchi_bus_connected", "Whether messages are taken from the bus: 1 or 0.")
        self.lag = telemetry.gauge("nunchi_bus_lag_messages", "Messages on the bus, by state.", "state")

    def show(self, backlog: Backlog) -> None:
        """What waits, over all servers that share the consumer."""
        self.lag.set(backlog.waiting, "waiting")
        self.lag.set(backlog.unsettled, "unsettled")
        self.lag.set(backlog.redelivered, "redelivered")


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be said of a message, to the bus and to its agent; nothing to the agent where `told` is empty."""

    message: Delivered
    answer: BusAnswer
    told: bytes = b""


class BusReceiver:
    """Payloads of one stream."""

    name = "receive.bus"

    def __init__(
        self, bus: Bus, settings: BusReceiverSettings, push: PushReceiver, keys: PackKeys, clock: Clock, random: Random,
        telemetry: BusTelemetry, log: Logger,
    ) -> None:  # fmt: skip
        self._bus = bus
        self._topics = BusTopics(settings.cluster)
        self._stream = Stream(
            self._topics.stream, self._topics.rounds(), settings.stream_bytes_max.bytes, AGENT_MESSAGES_MAX,
            settings.replicas,
        )  # fmt: skip
        self._consumption = Consumption(settings.consumer, settings.unsettled_max, settings.settle_time.seconds)
        self._push = push
        self._keys = keys
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._log = log
        self._consumer: Consumer | None = None
        self._backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, random)
        self._looked_at = 0.0
        self._is_lost = False
        self._held: list[Delivered] = []

    async def start(self) -> None:
        """Attach to the bus; one that is away is waited for. Raises BusUnsuitableError where it can never do."""
        try:
            await self._attach()
        except BusError as error:
            self._note_lost(error)

    async def run(self) -> None:
        """Take until cancelled. Raises BusUnsuitableError."""
        while True:
            try:
                consumer = self._consumer or await self._attach()
                await self._look(consumer)
                messages = await consumer.take(min(BATCH_MAX, self._consumption.unsettled_max), WAIT_SECONDS)
                pause_seconds = await self._take(messages)
                self._backoff.reset()
            except BusError as error:
                self._note_lost(error)
                pause_seconds = self._backoff.next()
            if pause_seconds:
                await self._clock.sleep(pause_seconds)

    async def stop(self) -> None:
        """Give back what was not settled: others that share the consumer have it at once."""
        for message in self._held:
            with contextlib.suppress(BusError):  # it may have been settled just before
                await message.keep(0.0)
        if self._consumer is not None:
            await self._consumer.close()
        await self._bus.close()

    async def _attach(self) -> Consumer:
        self._consumer = await self._bus.consume(self._stream, self._consumption)
        self._telemetry.connected.set(1)
        if self._is_lost:
            self._is_lost = False
            self._log.info("payloads are taken from the bus again", url=self._bus.url)
        return self._consumer

    def _note_lost(self, error: BusError) -> None:
        self._consumer = None
        self._telemetry.connected.set(0)
        self._telemetry.errors.add()
        if not self._is_lost:
            self._is_lost = True
            self._log.warning("no payloads are taken from the bus: it is tried again", url=self._bus.url, error=error)

    async def _look(self, consumer: Consumer) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._telemetry.show(await consumer.backlog())

    async def _take(self, messages: list[Delivered]) -> float:
        """Answer messages, one after the other, then settle them; how long to take none, where the store is not well."""
        settled: list[Settled] = []
        self._held = messages
        for message in messages:
            self._telemetry.redelivered.add(message.deliveries > 1)
            settled.append(self._answer(message))
            await self._clock.sleep(0)  # others of this process have their turn between two appends
        for one in settled:
            await self._settle(one)
        self._held = []
        is_store_ill = bool(settled) and all(one.answer.status == NOT_NOW for one in settled)
        return max(one.answer.retry_after_seconds for one in settled) if is_store_ill else 0.0

    async def _settle(self, one: Settled) -> None:
        answer = one.answer
        self._telemetry.messages.add(1, OUTCOMES.get(answer.status, "refused"))
        if answer.status == STORED:
            await one.message.accept()
        elif answer.status == NOT_NOW:
            await one.message.keep(answer.retry_after_seconds)
        else:
            await one.message.reject()
        if one.told:
            await self._bus.tell(self._topics.answers(agent_of(one.message.topic)), one.told)

    def _answer(self, message: Delivered) -> Settled:
        agent_id = agent_of(message.topic)
        try:
            sealed = split_payload(message.body)
        except WireError as error:
            return Settled(message, BusAnswer(400, str(error)))
        nonce = self._random.randbytes(NONCE_BYTES)
        known = {one.key: one.name for one in self._keys.keys_of(agent_id)}
        try:
            payload, key = sealed.open(agent_id, known)
        except SealError as error:
            answer = BusAnswer(UNAUTHENTICATED, f"{error}: it has not joined here, was revoked or is disabled")
            return Settled(message, answer, seal_answer(answer, agent_id, sealed.salt, nonce, None, PackMode.HMAC))
        answer = self._stored(sealed.address, payload, Owner(agent_id, known[key]))
        return Settled(message, answer, seal_answer(answer, agent_id, sealed.salt, nonce, key, sealed.mode))

    def _stored(self, address: str, payload: bytes, owner: Owner) -> BusAnswer:
        try:
            response = self._push.answer(address, payload, owner)
        except Exception as error:  # one message must not end the part, nor come again for ever
            self._log.exception("BUG: a payload from the bus failed", agent=owner.agent_id, error=error)
            return BusAnswer(FAILED, "the server failed on it: its log says why")
        body = response.text or ""
        return BusAnswer(response.status, body, float(response.headers.get("Retry-After", 0)))
