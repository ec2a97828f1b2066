"""StatsD as a part of the agent: there from the start or from the reload that asks for it, then until the end.

Invariant: nothing of StatsD is imported before some settings ask for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nunchi.agent.schedule import CheckInstance
from nunchi.agent.settings import AgentSettings

if TYPE_CHECKING:
    from nunchi.agent.forwarder.happenings import HappeningDelivery
    from nunchi.agent.statsd.statsd import Statsd

DEADLINE_SECONDS = 5.0

Change = Callable[[], Awaitable[None]]


class StatsdPart:
    """A `Part`. `build` makes what listens, and what delivers its events where there is a server."""

    name = "agent.statsd"

    def __init__(
        self, build: "Callable[[AgentSettings], tuple[Statsd, HappeningDelivery | None]]", settings: AgentSettings
    ) -> None:
        """Raises InputError where the mapping rules cannot be used."""
        self._build = build
        self._statsd: Statsd | None = None
        self._delivery: HappeningDelivery | None = None
        self._instance: CheckInstance | None = None
        self._is_wanted = asyncio.Event()
        self._is_delivering = False
        if settings.statsd is not None:
            self._statsd, self._delivery = build(settings)
            self._show(self._statsd, settings)

    def plan(self, settings: AgentSettings) -> Change:
        """Check settings; what is returned puts them in force. Raises InputError where they cannot be right."""
        if self._statsd is None and settings.statsd is None:
            return _nothing
        if self._statsd is None:
            self._statsd, self._delivery = self._build(settings)
        statsd = self._statsd
        plan = statsd.plan(settings.statsd, settings.interval.seconds)

        async def change() -> None:
            await statsd.apply(plan)
            self._show(statsd, settings)

        return change

    def _show(self, statsd: "Statsd", settings: AgentSettings) -> None:
        interval_seconds = settings.interval.seconds
        if settings.statsd is None:
            self._instance = None
        elif self._instance is None or self._instance.interval_seconds != interval_seconds:
            self._instance = CheckInstance(statsd.check.name, statsd.check, interval_seconds, DEADLINE_SECONDS)
        self._is_wanted.set()

    def instances(self) -> tuple[CheckInstance, ...]:
        """The check that shows what StatsD has, where it is wanted."""
        return () if self._instance is None else (self._instance,)

    def places(self) -> list[tuple[str, str]]:
        """Where it listens, as URLs, and where it cannot: then with the reason."""
        return [] if self._statsd is None else self._statsd.places()

    async def start(self) -> None:
        """Nothing to take: sockets are opened by `run`."""

    async def run(self) -> None:
        """Listen and deliver once that is wanted, until cancelled."""
        await self._is_wanted.wait()
        assert self._statsd is not None
        if self._delivery is None:
            await self._statsd.run()
            return
        if not self._is_delivering:
            await self._delivery.start()
            self._is_delivering = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._statsd.run(), name="agent.statsd.listen")
            group.create_task(self._delivery.run(), name="agent.statsd.deliver")

    async def stop(self) -> None:
        """Spool what is not delivered; `run` has closed what it opened."""
        if self._delivery is not None and self._is_delivering:
            await self._delivery.stop()
            self._is_delivering = False


async def _nothing() -> None:
    """Nothing is to change."""
