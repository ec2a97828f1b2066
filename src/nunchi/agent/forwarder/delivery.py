"""Delivering payloads, over HTTP unless told otherwise: a way is tried, and what came of it is counted.

Invariant: a payload has one verdict a time that it is sent; no answer is the verdict that keeps it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from nunchi.agent.accounting import Accounting
from nunchi.agent.forwarder.spool import Shipment
from nunchi.agent.forwarder.verdict import Fate, Verdict, judge
from nunchi.agent.server_link import ServerLink
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClientError
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.payload_encoder import CONTENT_TYPE

PUSH_PATH = "/api/v1/push"
ANSWER_BYTES_MAX = 64 << 10


class Carrier(Protocol):
    """The way that brings whatever is to be brought."""

    @property
    def url(self) -> str:
        """Where it leads, for messages."""
        ...

    async def carry(self, shipment: Shipment) -> Verdict:
        """Send a payload and judge the answer; no answer keeps it."""
        ...

    async def close(self) -> None:
        """Close connections; a later payload opens new ones."""
        ...


class HttpCarrier:
    """A `Carrier` over HTTP."""

    def __init__(self, link: ServerLink) -> None:
        self._link = link

    @property
    def url(self) -> str:
        """See `Carrier.url`."""
        return self._link.url

    async def carry(self, shipment: Shipment) -> Verdict:
        """See `Carrier.carry`."""
        try:
            response = await self._link.request(
                "POST", PUSH_PATH, shipment.body, CONTENT_TYPE, body_bytes_max=ANSWER_BYTES_MAX
            )
        except HttpClientError as error:
            return Verdict(Fate.KEPT, str(error))
        return judge(response)

    async def close(self) -> None:
        """See `Carrier.close`."""
        await self._link.close()


class FastWay(Protocol):
    """A way that is tried before the carrier."""

    async def push(self, shipment: Shipment, push_by_carrier: "Push") -> Verdict:
        """Send a payload; what it cannot bring goes by the carrier."""
        ...

    def close(self) -> None:
        """Send no more."""
        ...


Push = Callable[[Shipment], Awaitable[Verdict]]


class Delivery:
    """Sends one payload at a time; over the fast way first, while there is one."""

    def __init__(self, carrier: Carrier, accounting: Accounting, clock: Clock, telemetry: Telemetry) -> None:
        self._carrier = carrier
        self._accounting = accounting
        self._clock = clock
        self._fast: FastWay | None = None
        self._pushes = telemetry.counter("agent_pushes_total", "Payloads sent, by what became of them.", "outcome")
        self._bytes = telemetry.counter("agent_push_bytes_total", "Bytes of payloads sent, compressed.")
        self._duration = telemetry.histogram("agent_push_duration_seconds", "From sending a payload to its answer.")

    @property
    def url(self) -> str:
        """Where payloads go, for messages."""
        return self._carrier.url

    def take_fast(self, way: FastWay | None) -> None:
        """Try this way first from now on; None: the carrier alone."""
        before, self._fast = self._fast, way
        if before is not None:
            before.close()

    async def push(self, shipment: Shipment) -> Verdict:
        """Send a payload and judge the answer."""
        if self._fast is None:
            return await self.push_by_carrier(shipment)
        return await self._fast.push(shipment, self.push_by_carrier)

    async def push_by_carrier(self, shipment: Shipment) -> Verdict:
        """Send a payload by the carrier alone."""
        began = self._clock.monotonic()
        self._accounting.sent.add(shipment.samples)
        verdict = await self._carrier.carry(shipment)
        self._bytes.add(len(shipment.body))
        self._duration.observe(self._clock.monotonic() - began)
        self._pushes.add(1, verdict.fate.value)
        return verdict

    async def close(self) -> None:
        """Close the connections."""
        self.take_fast(None)
        await self._carrier.close()
