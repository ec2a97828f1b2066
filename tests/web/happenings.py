"""Events and service checks for the pages: the real routes over records in memory."""

import random

from tests.web.sources import HOSTILE as HOSTILE_TEXTS

from nunchi.admission.door import Door
from nunchi.intake.receive.happenings import HappeningRoutes
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.happenings import HappeningBook
from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Route
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.memory import MemoryStore
from nunchi.storage.records import Records
from nunchi.wire.happenings import EventReport, Happenings, ServiceCheckReport

MINUTE_MS = 60_000
HOSTILE = HOSTILE_TEXTS["markup"]


class WebHappenings:
    """The book and its routes."""

    def __init__(self, clock: Clock) -> None:
        records, log, telemetry = Records(None, clock), logger("test"), Telemetry()
        records.open()
        self.clock = clock
        self.book = HappeningBook(records, clock)
        agents = AgentBook(records, clock, random.Random(1), telemetry, log)
        registry = AgentRegistry(Door(MemoryStore(clock).appender, clock, telemetry), clock, telemetry, log)
        self._routes = HappeningRoutes(self.book, agents, registry, telemetry)

    def routes(self) -> list[Route]:
        return self._routes.routes()

    def fill(self) -> None:
        """A deployment and what came of it."""
        now_ms = self.clock.now_ms()
        tags = [("env", "production"), ("service", "shop")]
        canary = [("env", "production"), ("env", "canary")]

        def event(minutes_ago: int, title: str, text: str, host: str, kind: str, source: str = "") -> EventReport:
            at_ms = now_ms - minutes_ago * MINUTE_MS
            return EventReport(at_ms, title, text, host, source=source, alert_type=kind, tags=tags)

        events = [
            event(40, "shop 4.2 is deployed", "by ann, from main", "web-1", "success", "ci"),
            event(31, "Migration takes longer than 60 s", "orders: 1.2 M rows\nindex by customer", "db-1", "warning"),
            event(30, "Checkout fails", "ConnectionError: db-1:5432 refuses connections", "web-1", "error", "shop"),
            EventReport(now_ms - 12 * MINUTE_MS, "Cache is warm", "", "web-2", priority="low", tags=canary),
        ]
        checks = [
            ServiceCheckReport(now_ms - 30 * MINUTE_MS, "shop.database", 2, "web-1", "3 of 5 connections are refused", tags),
            ServiceCheckReport(now_ms - 4 * MINUTE_MS, "shop.queue", 1, "web-2", "1,204 orders wait", tags),
            ServiceCheckReport(now_ms - 90 * MINUTE_MS, "shop.http", 0, "web-1", "", tags),
            ServiceCheckReport(now_ms - 90 * MINUTE_MS, "mail.smtp", 3, "", "no answer yet", []),
        ]  # fmt: skip
        self.book.take(Happenings("a" * 32, "web-1", 1, 0, events, checks))

    def put_hostile(self) -> None:
        """Texts that no page may take for its own."""
        tags = [(HOSTILE, HOSTILE)]
        event = EventReport(self.clock.now_ms(), HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, tags)
        check = ServiceCheckReport(self.clock.now_ms(), HOSTILE, 2, HOSTILE, HOSTILE, tags)
        self.book.take(Happenings("b" * 32, HOSTILE, 1, 0, [event], [check]))
