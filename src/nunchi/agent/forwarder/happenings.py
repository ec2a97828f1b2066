"""Events and service checks to the server: numbered, spooled on disk beside the rounds, and sent until they were taken.

Invariant: what was spooled is sent in its order, under the numbers it got then, until the server has it or the spool's bounds
end it.
"""

import asyncio
from random import Random

import msgspec

from nunchi.agent.forwarder.verdict import Fate, judge
from nunchi.agent.identity import Identity
from nunchi.agent.server_link import ServerLink
from nunchi.agent.statsd.happenings import HappeningQueue
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClientError
from nunchi.kit.logs import Logger
from nunchi.kit.spool import Record, Spool, SpoolLimits
from nunchi.wire.happenings import PATH, Happenings

SPOOL_LIMITS = SpoolLimits(16 << 20, 7 * 24 * 3600.0, memory_bytes_max=2 << 20)
PUT_SECONDS = 1.0
RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX = 1.0, 60.0
ANSWER_BYTES_MAX = 64 << 10
FAREWELL_SECONDS_MAX = 0.5


class HappeningDelivery:
    """A `Part`. One body is under way at a time."""

    name = "agent.statsd.happenings"

    def __init__(
        self, queue: HappeningQueue, spool: Spool, link: ServerLink, identity: Identity, clock: Clock, random: Random,
        telemetry: StatsdTelemetry, log: Logger,
    ) -> None:  # fmt: skip
        self._queue = queue
        self._spool = spool
        self._link = link
        self._identity = identity
        self._clock = clock
        self._backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, random)
        self._telemetry = telemetry
        self._log = log
        self._next_number = 0
        self._retry_at = 0.0
        self._is_refused = False

    async def start(self) -> None:
        """Find what earlier starts left. Raises DiskLocked."""
        self._spool.open()

    async def run(self) -> None:
        """Spool what is new and deliver what is spooled until cancelled."""
        while True:
            self.put_waiting()
            while self._clock.monotonic() >= self._retry_at and await self.deliver_oldest():
                pass
            await self._clock.sleep(PUT_SECONDS)

    async def stop(self) -> None:
        """Spool what is left, and offer it once if the server listened the last time."""
        self.put_waiting()
        try:
            async with asyncio.timeout(FAREWELL_SECONDS_MAX):
                while self._clock.monotonic() >= self._retry_at and await self.deliver_oldest():
                    pass
        except TimeoutError:
            self._log.info("the server did not take the last events in time")
        self._spool.close()

    def put_waiting(self) -> None:
        """Number and spool everything new."""
        identity = self._identity
        while len(self._queue):
            events, checks = self._queue.take()
            body = Happenings(identity.id, identity.name, identity.epoch, self._next_number, events, checks)
            self._next_number += len(body)
            self._spool.put(msgspec.json.encode(body), len(body))

    async def deliver_oldest(self) -> bool:
        """Send one body; False where nothing waits or the server does not take it now."""
        record = self._spool.take()
        if record is None:
            return False
        try:
            fate, reason, seconds = await self._send(record)
        except BaseException:
            self._spool.keep(record.id)
            raise
        if fate is Fate.KEPT:
            self._spool.keep(record.id)
            self._retry_at = self._clock.monotonic() + max(seconds, self._backoff.next())
            if not self._is_refused:
                self._log.info("the server does not take events: they are kept", reason=reason)
            self._is_refused = True
            return False
        self._backoff.reset()
        self._is_refused = False
        if fate is Fate.REFUSED:
            self._spool.reject(record.id)
            self._telemetry.dropped.add(record.weight, "happenings_refused")
            self._log.error("events refused by the server are dropped", events=record.weight, reason=reason)
        else:
            self._spool.accept(record.id)
            self._telemetry.delivered.add(record.weight)
        return True

    async def _send(self, record: Record) -> tuple[Fate, str, float]:
        try:
            response = await self._link.request(
                "POST", PATH, record.content, "application/json", body_bytes_max=ANSWER_BYTES_MAX
            )
        except HttpClientError as error:
            return Fate.KEPT, str(error), 0.0
        verdict = judge(response)
        return verdict.fate, verdict.reason, verdict.retry_after_seconds
