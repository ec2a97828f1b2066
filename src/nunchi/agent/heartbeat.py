"""AgentInfo: every 10 seconds the agent tells its server who it is, how it fares, and every 4 hours what its host is made of.

Invariant: a heartbeat that is not heard costs nothing but itself; collection and delivery do not wait for it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from nunchi.agent.inventory import Part, read_inventory
from nunchi.agent.root import Root
from nunchi.agent.server_link import ServerLink
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClientError
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry

PATH = "/api/nunchi/v1/agents/info"
INTERVAL_SECONDS = 10.0
UNKNOWN_INTERVAL_SECONDS = 2.0
INVENTORY_SECONDS = 4 * 3600.0
ANSWER_BYTES_MAX = 64 << 10

Info = Callable[[], dict[str, Any]]
ChangeKey = Callable[[], Awaitable[None]]


class InfoAnswer(msgspec.Struct, frozen=True):
    """What the server says to a heartbeat; what is missing is not asked for."""

    is_heard: bool = True  # false: it knows no such agent yet, whose first round is still on its way
    wants_inventory: bool = False
    rotate_key: bool = False


class Heartbeat:
    """A part. `info` is what is told each time; `change_key` is called when the server asks for that."""

    name = "agent.heartbeat"

    def __init__(
        self,
        link: ServerLink,
        info: Info,
        root: Root,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
        change_key: ChangeKey | None = None,
    ) -> None:
        self.last_error = ""
        self._link = link
        self._info = info
        self._root = root
        self._clock = clock
        self._log = log
        self._inventory_due_at = 0.0
        self._is_known = True
        self._change_key = change_key
        self._beats = telemetry.counter(
            "agent_heartbeats_total", "Times the server was told who this agent is.", "outcome"
        )

    async def start(self) -> None:
        """Nothing to take."""

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self.beat()
            interval_seconds = INTERVAL_SECONDS if self._is_known else UNKNOWN_INTERVAL_SECONDS
            await self._clock.sleep(max(1.0, interval_seconds - (self._clock.monotonic() - began)))

    async def stop(self) -> None:
        """Nothing to give back."""

    async def beat(self) -> None:
        """Tell once."""
        info = self._info()
        now = self._clock.monotonic()
        has_inventory = now >= self._inventory_due_at
        if has_inventory:
            inventory: dict[str, Part] = read_inventory(self._root)
            info = {**info, "inventory": inventory}
        try:
            response = await self._link.request(
                "POST", PATH, msgspec.json.encode(info), "application/json", body_bytes_max=ANSWER_BYTES_MAX
            )
        except HttpClientError as error:
            self._fail("unheard", str(error))
            return
        if not 200 <= response.status < 300:
            self._fail("refused", f"{response.url} answers {response.status}")
            return
        if self.last_error:
            self._log.info("the server hears this agent again")
        self.last_error = ""
        self._beats.add(1, "heard")
        if has_inventory:
            self._inventory_due_at = now + INVENTORY_SECONDS
        try:
            answer = msgspec.json.decode(response.body or b"{}", type=InfoAnswer)
        except msgspec.MsgspecError:
            return
        self._is_known = answer.is_heard
        if answer.wants_inventory or not answer.is_heard:
            self._inventory_due_at = 0.0
        if answer.rotate_key and self._change_key is not None:
            await self._change_key()

    def _fail(self, outcome: str, reason: str) -> None:
        self._beats.add(1, outcome)
        if not self.last_error:
            self._log.info("the server does not hear this agent", reason=reason)
        self.last_error = reason
