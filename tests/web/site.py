"""A whole web over real sockets: its routes, the real engine, a memory store full of synthetic samples, canned sources.

python -m tests.web.site      serves it at a free port until interrupted, for looking at pages while changing them
"""

import asyncio
import contextlib
import math
import sys
from collections.abc import AsyncIterator, Callable
from random import Random

from tests.web.clouds import Clouds
from tests.web.fleet import Fleet
from tests.web.happenings import WebHappenings
from tests.web.sources import HOSTILE, INSTANCE, Agents, Nothing, Rules, Status, Targets
from tests.web.synthetic import fill, host, put

from nunchi.kit.clock import Clock, SystemClock
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.notify.notifier import Notifier
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.query.engine import Engine
from nunchi.query.result_cache import ResultCache
from nunchi.query.runner import QueryRunner
from nunchi.storage.memory import MemoryStore
from nunchi.web.wiring import WebParts, web_routes

PAST_SECONDS = 1500
GAP = (700, 580)  # seconds ago, from and to: nothing was heard
FEED_SECONDS = 1.0


class Site:
    """Everything that a test may want to touch, and the server in front of it."""

    def __init__(self, clock: Clock, sources: Callable[[int], tuple[object, object, object]]) -> None:
        now_ms = clock.now_ms()
        self.clock = clock
        self.store = MemoryStore(clock)
        self.status = Status(now_ms)
        self.runner = QueryRunner(Engine(), clock)
        targets, agents, rules = sources(now_ms)
        self.clouds, self.fleet = Clouds(clock), Fleet(clock)
        self.happenings = WebHappenings(clock)
        if sources is not empty:
            self.happenings.fill()
            self.clouds.fill()
            self.fleet.fill()
        if sources is hostile:
            self.clouds.put_hostile()
            self.happenings.put_hostile()
            self.fleet.put_hostile()
        telemetry = NotifyTelemetry(Telemetry())
        self.notifier = Notifier(clock, Random(1), telemetry, logger("notify"), "http://127.0.0.1:9190")
        self.parts = WebParts(
            store=self.store,
            queries=self.runner,
            targets=targets,
            agents=agents,
            rules=rules,
            status=self.status,
            alertmanager_urls=lambda: ["http://127.0.0.1:9093/api/v2/alerts"],
            reload=self.status.reload,
            clock=clock,
            results=ResultCache(self.store, clock.now_ms),
            own_instance=INSTANCE,
            quit_process=self.quit,
            notifier=self.notifier,
        )
        self.quits = 0
        self.booted = clock.now() - PAST_SECONDS - 3 * 86400
        self.server: HttpServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def quit(self) -> None:
        """Remember that somebody wanted the process to end."""
        self.quits += 1

    async def start(self, policy: HttpPolicy | None = None) -> None:
        """Serve, at the same port as before where it was stopped."""
        routes = [*self.clouds.routes(), *self.fleet.routes(), *self.happenings.routes(), *web_routes(self.parts)]
        address = f"127.0.0.1:{self.port}"
        self.server = HttpServer("web", address, routes, policy or HttpPolicy(), self.clock, Telemetry(), logger("web"))
        await self.server.start()
        self.port = int(self.server.url.rpartition(":")[2])

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()
            self.server = None

    def fill(self, past_seconds: float) -> None:
        """The past of two hosts, with a gap."""
        self.fleet.put_history(self.store)
        now = self.clock.now()
        gap = (now - GAP[0], now - GAP[1])
        fill(
            self.store,
            (INSTANCE, "db-1.example"),
            self.booted,
            (now - past_seconds, now - 1),
            1.0 if past_seconds < 60 else 5.0,
            gap,
        )

    def put_hostile(self) -> None:
        """Series whose labels attack whoever shows them."""
        series = [(Labels.of("hostile_series", instance=INSTANCE, **HOSTILE), 1.0)]
        series.append((Labels({"__name__": HOSTILE["markup"], "instance": INSTANCE}), math.inf))
        hostile_host = [
            (labels.merge({"instance": HOSTILE["markup"]}), v) for labels, v in self._host(self.clock.now())
        ]
        put(self.store, self.clock.now(), [*series, *hostile_host])

    async def feed(self) -> None:
        """New samples every second."""
        while True:
            now = self.clock.now()
            put(self.store, now, self._host(now))
            await self.clock.sleep(FEED_SECONDS)

    def _host(self, now: float) -> list[tuple[Labels, float]]:
        return list(host(INSTANCE, now, self.booted))


def healthy(now_ms: int) -> tuple[object, object, object]:
    return Targets(now_ms), Agents(now_ms), Rules(now_ms)


def hostile(now_ms: int) -> tuple[object, object, object]:
    return Targets(now_ms, hostile=True), Agents(now_ms), Rules(now_ms, hostile=True)


def empty(_: int) -> tuple[object, object, object]:
    return Nothing(), Nothing(), Nothing()


@contextlib.asynccontextmanager
async def serving(
    sources: Callable[[int], tuple[object, object, object]] = healthy,
    *,
    filled: bool = True,
    past_seconds: float = PAST_SECONDS,
    clock: Clock | None = None,
    policy: HttpPolicy | None = None,
) -> AsyncIterator[Site]:
    """A site that answers; filled sites are fed until the end."""
    site = Site(clock or SystemClock(), sources)
    feeding = None
    if filled:
        site.fill(past_seconds)
        if sources is hostile:
            site.put_hostile()
        feeding = asyncio.create_task(site.feed())
    await site.start(policy)
    try:
        yield site
    finally:
        if feeding is not None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        await site.stop()
        await site.runner.close()


async def main() -> None:
    async with serving(hostile if "hostile" in sys.argv else healthy) as site:
        sys.stdout.write(f"{site.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
