"""Puts alerts into groups by route, and flushes each group when it is due.

Invariant: a group is never flushed twice at once; every flush ends within `max(group_interval, FLUSH_SECONDS_MIN)`.
"""

import asyncio
import heapq
import itertools
from collections.abc import Iterable
from typing import TypeAlias

from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.waiting import wait_event
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.alert_group import AlertGroup
from nunchi.notify.pipeline import Flush, Pipeline
from nunchi.notify.route import Route
from nunchi.notify.telemetry import NotifyTelemetry

FLUSH_SECONDS_MIN = 10.0
GROUPS_MAX = 50_000
IDLE_SECONDS = 3600.0

GroupKey: TypeAlias = tuple[str, Labels]


class Dispatcher:
    """Lives as long as the notifier; `apply` changes routes and pipeline under it."""

    def __init__(self, clock: Clock, telemetry: NotifyTelemetry, log: Logger, groups_max: int = GROUPS_MAX) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._groups_max = groups_max
        self._routes: Route | None = None
        self._pipeline: Pipeline | None = None
        self._groups: dict[GroupKey, AlertGroup] = {}
        self._due: list[tuple[float, int, AlertGroup]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def apply(self, routes: Route, pipeline: Pipeline, alerts: Iterable[Alert]) -> None:
        """Route everything anew. Groups that are the same keep their time of flushing; what is being sent goes on."""
        former = self._groups
        self._routes, self._pipeline, self._groups, self._due = routes, pipeline, {}, []
        by_id = {route.id: route for route in routes.walk()}
        waiting = [alert for group in former.values() for alert in group.alerts()]
        for key, group in former.items():
            route = by_id.get(key[0])
            if route is not None and route.options == group.route.options:
                group.route = route
                self._groups[key] = group
                self._schedule(group, group.due)
        for alert in itertools.chain(waiting, alerts):
            self.take(alert)
        self._wake.set()

    def take(self, alert: Alert) -> None:
        """Put an alert into its groups."""
        if self._routes is None:
            return
        for route in self._routes.match(alert.labels):
            self._put(route, route.group_labels(alert.labels), alert)

    def groups(self) -> list[AlertGroup]:
        """Every group that has alerts, by route and labels."""
        found = [group for group in self._groups.values() if not group.is_empty()]
        return sorted(found, key=lambda group: (group.route.id, group.labels))

    async def run(self) -> None:
        """Flush groups when they are due, until cancelled; what is being sent then is given up."""
        try:
            while True:
                self._flush_due()
                delay = self._due[0][0] - self._clock.monotonic() if self._due else IDLE_SECONDS
                self._wake.clear()
                await wait_event(self._wake, min(delay, IDLE_SECONDS), self._clock)
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _put(self, route: Route, labels: Labels, alert: Alert) -> None:
        key = (route.id, labels)
        group = self._groups.get(key)
        now_ms = self._clock.now_ms()
        if group is None:
            if len(self._groups) >= self._groups_max:
                self._telemetry.alert_groups_dropped.add(1)
                self._log.error("alert dropped: too many groups", groups=len(self._groups), alert=alert.labels)
                return
            group = AlertGroup(route, labels, self._clock.monotonic() + route.options.group_wait_ms / 1000)
            self._groups[key] = group
            self._schedule(group, group.due)
        if group.put(alert, now_ms) and group.due > self._clock.monotonic():
            self._schedule(group, self._clock.monotonic())

    def _schedule(self, group: AlertGroup, due: float) -> None:
        group.due = due
        is_first = not self._due or due < self._due[0][0]
        heapq.heappush(self._due, (due, next(self._order), group))
        if is_first:
            self._wake.set()

    def _flush_due(self) -> None:
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            due, _, group = heapq.heappop(self._due)
            key = (group.route.id, group.labels)
            if group.due != due or self._groups.get(key) is not group:
                continue
            if group.is_empty() and not group.is_flushing:
                del self._groups[key]
                continue
            self._schedule(group, now + group.route.options.group_interval_ms / 1000)
            if not group.is_flushing and self._pipeline is not None:
                group.has_flushed = group.is_flushing = True
                task = asyncio.create_task(self._flush(group, self._pipeline), name=f"notify {group.key}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._telemetry.alert_groups.set(len(self._groups))

    async def _flush(self, group: AlertGroup, pipeline: Pipeline) -> None:
        now_ms = self._clock.now_ms()
        options = group.route.options
        seconds = max(options.group_interval_ms / 1000, FLUSH_SECONDS_MIN)
        alerts = group.frozen_alerts(now_ms)
        flush = Flush(group.key, group.labels, options, alerts, now_ms, self._clock.monotonic() + seconds)
        try:
            if await pipeline.run(flush):
                group.forget_told(alerts, flush.held, now_ms)
        except Exception as error:
            self._log.exception("BUG: flush failed", group=group.key, error=error)
        finally:
            group.is_flushing = False
