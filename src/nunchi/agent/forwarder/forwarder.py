"""The part that delivers: takes rounds in, sends what the spool gives it, waits after failures.

Invariant: one payload is under way at a time, and nothing but the server's word or the spool's bounds ends a payload.
"""

import asyncio
from collections.abc import Sequence
from random import Random

from nunchi.agent.accounting import Accounting
from nunchi.agent.forwarder.delivery import Delivery
from nunchi.agent.forwarder.spool import RoundSpool, Shipment
from nunchi.agent.forwarder.verdict import Fate, Verdict
from nunchi.agent.own_metrics import own_outcome
from nunchi.agent.rounds import Aggregation, Round
from nunchi.agent.schedule import Outcome
from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry

RETRY_INITIAL_SECONDS = 0.5
RETRY_SECONDS_MAX = 30.0
FAREWELL_SECONDS_MAX = 0.5


class Forwarder:
    """A `Part` and a `RoundSink`."""

    name = "agent.forwarder"

    def __init__(
        self,
        aggregation: Aggregation,
        spool: RoundSpool,
        delivery: Delivery,
        accounting: Accounting,
        telemetry: Telemetry,
        clock: Clock,
        random: Random,
        log: Logger,
    ) -> None:
        self._aggregation = aggregation
        self._spool = spool
        self._delivery = delivery
        self._accounting = accounting
        self._telemetry = telemetry
        self._clock = clock
        self._backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, random)
        self._log = log
        self._has_rounds = asyncio.Event()
        self._is_server_lost = False
        self.last_error = ""

    @property
    def url(self) -> str:
        """Where rounds go, for messages."""
        return self._delivery.url

    def put(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> None:
        """See `RoundSink.put`."""
        self._spool.put(self._aggregation.round(timestamp_ms, [*outcomes, own_outcome(self._telemetry)]))
        self._has_rounds.set()

    def put_rounds(self, rounds: Sequence[Round]) -> None:
        """Deliver rounds that somebody else has made, as one payload; must not wait."""
        self._accounting.collected.add(sum(map(len, rounds)))
        self._spool.put(*rounds)
        self._has_rounds.set()

    async def start(self) -> None:
        """Open the spool; the first connection is made when there is something to send. Raises DiskLocked."""
        self._spool.open()
        if len(self._spool):
            self._log.info("samples of earlier starts wait for the server", samples=self._accounting.queued)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            shipment = self._spool.take()
            if shipment is None:
                self._has_rounds.clear()
                await self._has_rounds.wait()
                continue
            verdict = await self._send(shipment)
            if verdict.fate is Fate.KEPT:
                await self._clock.sleep(max(self._backoff.next(), verdict.retry_after_seconds))
            else:
                self._backoff.reset()

    async def stop(self) -> None:
        """Offer what is left once more, if the server answered the last time; then close the connections."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS_MAX):
                while not self._is_server_lost:
                    shipment = self._spool.take()
                    if shipment is None:
                        break
                    await self._send(shipment)
        except TimeoutError:
            self._log.info("the server did not take the last rounds in time")
        self._spool.close()
        if self._accounting.queued:
            self._log.warning("samples wait in the spool for the next start", samples=self._accounting.queued)
        await self._delivery.close()

    async def _send(self, shipment: Shipment) -> Verdict:
        try:
            verdict = await self._delivery.push(shipment)
        except BaseException:
            self._spool.keep(shipment)
            raise
        self.last_error = verdict.reason
        self._log.debug("payload sent", samples=shipment.samples, fate=verdict.fate.value, reason=verdict.reason)
        match verdict.fate:
            case Fate.ACCEPTED:
                self._accept(shipment, verdict)
            case Fate.REFUSED:
                self._refuse(shipment, verdict)
            case Fate.KEPT:
                self._keep(shipment, verdict)
        return verdict

    def _accept(self, shipment: Shipment, verdict: Verdict) -> None:
        self._spool.accept(shipment)
        self._accounting.duplicates.add(min(verdict.duplicate, shipment.samples))
        for reason, samples in verdict.rejected.items():
            self._accounting.rejected.add(max(0, samples), reason)
        if self._is_server_lost:
            self._is_server_lost = False
            self._log.info("the server takes rounds again", url=self._delivery.url, queued=self._accounting.queued)

    def _refuse(self, shipment: Shipment, verdict: Verdict) -> None:
        self._is_server_lost = False
        if not self._spool.split(shipment):
            self._log.error(
                "samples refused by the server are dropped", samples=shipment.samples, reason=verdict.reason
            )
            self._spool.reject(shipment, "refused", verdict.reason)

    def _keep(self, shipment: Shipment, verdict: Verdict) -> None:
        self._spool.keep(shipment)
        if not self._is_server_lost:
            self._is_server_lost = True
            self._log.warning("the server does not take rounds: they are kept", reason=verdict.reason)
