"""Brings payloads over a message bus and waits for a server's word, as over HTTP.

That the bus keeps a message is not the end of a payload: the spool has it until a server says what became of it. While no
server takes messages, the bus keeps a few of each agent and then refuses more; the spool keeps the rest.
Invariant: only an answer sealed by the agent's key takes a payload out of the spool.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random

from multidict import CIMultiDict, CIMultiDictProxy

from nunchi.agent.forwarder.spool import Shipment
from nunchi.agent.forwarder.verdict import Fate, Verdict, judge
from nunchi.agent.identity import Identity
from nunchi.kit.bus import Bus, BusError, BusFullError, BusTooLargeError, BusUnsuitableError
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import Response
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.bus_message import BusAnswer, BusTopics, open_answer, seal_payload
from nunchi.wire.errors import WireError
from nunchi.wire.pack_seal import SALT_BYTES, PackMode

HEARD_MAX = 64  # answers that wait to be looked at
PUTS_MAX = 2  # of one payload, where the bus was full and then something was answered


class BusTelemetry:
    """What is counted of the bus."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.messages = telemetry.counter(
            "agent_bus_messages_total", "Payloads given to the bus, by what the bus and the servers said.", "outcome"
        )
        self.ignored = telemetry.counter(
            "agent_bus_answers_ignored_total", "Answers that are damaged or not sealed by this agent's key."
        )
        self.connected = telemetry.gauge("agent_bus_connected", "Whether the bus took the latest payload: 1 or 0.")


class BusCarrier:
    """A `Carrier`. `key` is what seals now, empty where the agent has not joined."""

    def __init__(
        self, bus: Bus, cluster: str, mode: PackMode, key: Callable[[], bytes], timeout_seconds: float,
        identity: Identity, clock: Clock, random: Random, telemetry: BusTelemetry,
    ) -> None:  # fmt: skip
        self._bus = bus
        self._topics = BusTopics(cluster)
        self._mode = mode
        self._key = key
        self._timeout_seconds = timeout_seconds
        self._identity = identity
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._heard: deque[bytes] = deque(maxlen=HEARD_MAX)
        self._waiting: asyncio.Future[None] | None = None
        self._is_listening = False

    @property
    def url(self) -> str:
        """See `Carrier.url`."""
        return self._bus.url

    async def carry(self, shipment: Shipment) -> Verdict:
        """See `Carrier.carry`."""
        key = self._key()
        if not key:
            return self._kept("unsealed", "the bus takes sealed payloads only: let this agent join, to get its key")
        try:
            return await self._carry(shipment, key)
        except BusTooLargeError as error:
            self._telemetry.messages.add(1, "too_large")
            return Verdict(Fate.REFUSED, str(error))
        except BusFullError as error:
            return self._kept("full", f"{error}: no server takes what is there")
        except (BusError, BusUnsuitableError, WireError) as error:
            self._telemetry.connected.set(0)
            return self._kept("unavailable", str(error))

    async def _carry(self, shipment: Shipment, key: bytes) -> Verdict:
        until = self._clock.monotonic() + self._timeout_seconds
        if not self._is_listening:
            await self._bus.listen(self._topics.answers(self._identity.id), self._hear)
            self._is_listening = True
        salt = self._random.randbytes(SALT_BYTES)
        address = self._identity.addresses[0] if self._identity.addresses else ""
        message = seal_payload(shipment.body, self._identity.id, address, key, salt, self._mode)
        await self._put(message, until)
        self._telemetry.connected.set(1)
        answer = await self._wait_answer(salt, key, until)
        if answer is None:
            return self._kept("unanswered", f"{self.url} has it, and no server answers in {self._timeout_seconds:g} s")
        return answer

    async def _put(self, message: bytes, until: float) -> None:
        """Put it; where the bus is full, once more when a server has answered an earlier one."""
        self._heard.clear()
        for attempt in range(PUTS_MAX):
            try:
                await self._bus.put(self._topics.rounds(self._identity.id), message)
            except BusFullError:
                if attempt + 1 == PUTS_MAX or not await self._wait(until):
                    raise
            else:
                return

    async def _wait_answer(self, salt: bytes, key: bytes, until: float) -> Verdict | None:
        while await self._wait(until):
            try:
                found = open_answer(self._heard.popleft(), self._identity.id, salt, key)
            except WireError:
                self._telemetry.ignored.add()
                continue
            if found is not None:
                return self._judge(*found)
        return None

    def _judge(self, answer: BusAnswer, is_sealed: bool) -> Verdict:
        headers = CIMultiDict({"Retry-After": str(round(answer.retry_after_seconds)), "Content-Type": "text/plain"})
        verdict = judge(Response(answer.status, CIMultiDictProxy(headers), answer.body.encode(), self.url))
        if not is_sealed and verdict.fate is not Fate.KEPT:
            return self._kept("unsealed", f"an answer of {answer.status} that nobody has sealed is not believed")
        self._telemetry.messages.add(1, verdict.fate.value)
        return verdict

    def _kept(self, outcome: str, reason: str) -> Verdict:
        self._telemetry.messages.add(1, outcome)
        return Verdict(Fate.KEPT, reason)

    def _hear(self, answer: bytes) -> None:
        self._heard.append(answer)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self, until: float) -> bool:
        """Whether something was heard by then."""
        seconds = until - self._clock.monotonic()
        if not self._heard and seconds > 0:
            self._waiting = asyncio.get_running_loop().create_future()
            timer = asyncio.ensure_future(self._clock.sleep(seconds))
            try:
                await asyncio.wait({self._waiting, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                self._waiting = None
        return bool(self._heard)

    async def close(self) -> None:
        """See `Carrier.close`."""
        self._is_listening = False
        await self._bus.close()
