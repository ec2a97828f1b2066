"""Events and service checks as they come from StatsD, until they are spooled.

A service check that says what it said a moment ago is not told again. Invariant: what waits is bounded, and what is dropped is
counted.
"""

from collections import deque

from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock
from nunchi.wire.happenings import HAPPENINGS_MAX, EventReport, ServiceCheckReport
from nunchi.wire.statsd_records import Event, ServiceCheck

WAITING_MAX = 1000
KNOWN_MAX = 1000
TOLD_AGAIN_SECONDS = 60.0


class HappeningQueue:
    """What came and is not spooled yet."""

    def __init__(self, clock: Clock, telemetry: StatsdTelemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._events: deque[EventReport] = deque()
        self._service_checks: deque[ServiceCheckReport] = deque()
        self._told: dict[tuple[object, ...], tuple[int, str, float]] = {}

    def __len__(self) -> int:
        return len(self._events) + len(self._service_checks)

    def add_event(self, event: Event) -> None:
        """Something happened; beyond the bound it is dropped and counted."""
        if len(self) >= WAITING_MAX:
            self._telemetry.dropped.add(1, "events_max")
            return
        self._events.append(
            EventReport(
                1000 * event.timestamp_s or self._clock.now_ms(), event.title, event.text, event.host,
                event.aggregation_key, event.priority, event.source, event.alert_type, list(event.tags),
            )
        )  # fmt: skip

    def add_service_check(self, check: ServiceCheck) -> None:
        """A service tells how it fares; the same again counts once a minute."""
        key = check.name, check.host, check.tags
        now = self._clock.monotonic()
        state, message, told_at = self._told.pop(key, (-1, "", 0.0))
        is_news = (state, message) != (check.state, check.message) or now - told_at >= TOLD_AGAIN_SECONDS
        self._told[key] = check.state, check.message, now if is_news else told_at
        if len(self._told) > KNOWN_MAX:
            del self._told[next(iter(self._told))]
        if not is_news:
            return
        if len(self) >= WAITING_MAX:
            self._telemetry.dropped.add(1, "service_checks_max")
            return
        at_ms = 1000 * check.timestamp_s or self._clock.now_ms()
        self._service_checks.append(
            ServiceCheckReport(at_ms, check.name, check.state, check.host, check.message, list(check.tags))
        )

    def take(self) -> tuple[list[EventReport], list[ServiceCheckReport]]:
        """As much as one body holds, oldest first."""
        events = [self._events.popleft() for _ in range(min(len(self._events), HAPPENINGS_MAX))]
        room = min(len(self._service_checks), HAPPENINGS_MAX - len(events))
        return events, [self._service_checks.popleft() for _ in range(room)]
