"""From an alert group's flush to its receivers: an ordered list of stages, each takes alerts and gives those that go on.

    inhibition ▸ active times ▸ mute times ▸ silences ▸ for each integration: deduplicate ▸ send ▸ log

Invariant: the end of an alert that a receiver was told of is never swallowed: inhibition and silences let it through, muted
times keep it until they are over, a failed sending keeps it for the next flush.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.errors import FailureReason, SendError
from nunchi.notify.inhibition import Inhibitor
from nunchi.notify.notification import Notification
from nunchi.notify.notification_log import LogKey, NotificationCause, NotificationLog
from nunchi.notify.receiver import Receiver
from nunchi.notify.route import RouteOptions
from nunchi.notify.silences import Silences
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.notify.time_intervals import NamedIntervalsSettings

RETRY_INITIAL_SECONDS = 0.5
RETRY_SECONDS_MAX = 60.0


@dataclass(slots=True)
class Flush:
    """One alert group on its way to its receiver. `held` are the fingerprints of ends that cannot be told now."""

    group_key: str
    group_labels: Labels
    options: RouteOptions
    alerts: tuple[Alert, ...]
    now_ms: int
    deadline: float
    held: set[int] = field(default_factory=set)


class Stage(Protocol):
    """One step: which alerts go on. It may note in `flush.held` which ends are to be told later."""

    def run(self, flush: Flush, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts that go on."""
        ...


class AlertMuteStage:
    """Keeps back single alerts, for inhibition and silences; ends that receivers wait for pass."""

    def __init__(
        self,
        reason: str,
        is_muted: Callable[[Labels, int], bool],
        log: NotificationLog,
        telemetry: NotifyTelemetry,
    ) -> None:
        self._reason = reason
        self._is_muted = is_muted
        self._log = log
        self._telemetry = telemetry

    def run(self, flush: Flush, alerts: Sequence[Alert]) -> list[Alert]:
        """See `Stage.run`."""
        passed: list[Alert] = []
        for alert in alerts:
            if not self._is_muted(alert.labels, flush.now_ms):
                passed.append(alert)
                continue
            was_told = self._log.was_told_firing(flush.group_key, flush.options.receiver, alert.fingerprint)
            if was_told and alert.is_resolved(flush.now_ms):
                passed.append(alert)
                continue
            if was_told:
                self._log.extend(flush.group_key, flush.options.receiver, flush.options.repeat_interval_ms)
            self._telemetry.suppressed.add(1, self._reason)
        return passed


class TimeMuteStage:
    """Keeps back everything while the route is muted; ends that receivers wait for are told when it is over."""

    def __init__(
        self,
        reason: str,
        is_muted: Callable[[RouteOptions, datetime], bool],
        log: NotificationLog,
        telemetry: NotifyTelemetry,
    ) -> None:
        self._reason = reason
        self._is_muted = is_muted
        self._log = log
        self._telemetry = telemetry

    def run(self, flush: Flush, alerts: Sequence[Alert]) -> list[Alert]:
        """See `Stage.run`."""
        if not alerts or not self._is_muted(flush.options, datetime.fromtimestamp(flush.now_ms / 1000, UTC)):
            return list(alerts)
        receiver = flush.options.receiver
        for alert in alerts:
            if alert.is_resolved(flush.now_ms) and self._log.was_told_firing(
                flush.group_key, receiver, alert.fingerprint
            ):
                flush.held.add(alert.fingerprint)
        self._log.extend(flush.group_key, receiver, flush.options.repeat_interval_ms)
        self._telemetry.suppressed.add(len(alerts), self._reason)
        return []


def mute_stages(
    inhibitor: Inhibitor,
    intervals: Mapping[str, NamedIntervalsSettings],
    silences: Silences,
    log: NotificationLog,
    telemetry: NotifyTelemetry,
) -> tuple[Stage, ...]:
    """What may keep alerts from a receiver, in order."""

    def is_inactive(options: RouteOptions, now: datetime) -> bool:
        names = options.active_time_intervals
        return bool(names) and not any(intervals[name].contains(now) for name in names)

    def is_muted(options: RouteOptions, now: datetime) -> bool:
        return any(intervals[name].contains(now) for name in options.mute_time_intervals)

    def is_silenced(labels: Labels, now_ms: int) -> bool:
        return bool(silences.muting(labels, now_ms))

    return (
        AlertMuteStage("inhibition", inhibitor.is_muted, log, telemetry),
        TimeMuteStage("active_time_interval", is_inactive, log, telemetry),
        TimeMuteStage("mute_time_interval", is_muted, log, telemetry),
        AlertMuteStage("silence", is_silenced, log, telemetry),
    )


@dataclass(frozen=True, slots=True)
class Integration:
    """One place of a named receiver."""

    receiver_name: str
    index: int
    receiver: Receiver


class Pipeline:
    """All stages of one set of settings; `run` may be called for many groups at once."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        integrations: Mapping[str, tuple[Integration, ...]],
        notification_log: NotificationLog,
        clock: Clock,
        random: Random,
        telemetry: NotifyTelemetry,
        log: Logger,
        external_url: str,
    ) -> None:
        self._stages = stages
        self._integrations = integrations
        self._notification_log = notification_log
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._log = log
        self._external_url = external_url
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, flush: Flush) -> bool:
        """Take a flush through all stages; False where a receiver did not get what it should know."""
        alerts: list[Alert] = list(flush.alerts)
        for stage in self._stages:
            alerts = stage.run(flush, alerts)
        if not alerts:
            return True
        self._running += 1
        self._idle.clear()
        try:
            integrations = self._integrations.get(flush.options.receiver, ())
            results = await asyncio.gather(*(self._deliver(flush, alerts, one) for one in integrations))
            return all(results)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def close(self) -> None:
        """Give back the receivers' connections once nothing is being sent."""
        await self._idle.wait()
        for integrations in self._integrations.values():
            for integration in integrations:
                await integration.receiver.close()

    async def _deliver(self, flush: Flush, alerts: list[Alert], integration: Integration) -> bool:
        """Deduplicate ▸ send ▸ log, for one integration."""
        receiver = integration.receiver
        key = LogKey(flush.group_key, integration.receiver_name, receiver.kind, integration.index)
        resolved = frozenset(alert.fingerprint for alert in alerts if alert.is_resolved(flush.now_ms))
        firing = frozenset(alert.fingerprint for alert in alerts) - resolved
        cause = self._cause(key, firing, resolved, flush, sends_resolved=receiver.sends_resolved)
        if cause is None:
            return True
        told = [alert for alert in alerts if receiver.sends_resolved or alert.fingerprint in firing]
        if told:
            notification = Notification(
                integration.receiver_name,
                flush.group_key,
                flush.group_labels,
                tuple(told),
                cause,
                flush.now_ms,
                self._external_url,
            )
            if not await self._send(receiver, notification, flush.deadline):
                return False
        self._notification_log.put(key, firing, resolved, flush.options.repeat_interval_ms)
        return True

    def _cause(
        self, key: LogKey, firing: frozenset[int], resolved: frozenset[int], flush: Flush, *, sends_resolved: bool
    ) -> NotificationCause | None:
        entry = self._notification_log.find(key)
        if entry is None:
            return NotificationCause.FIRST if firing else None
        repeat_ms = flush.options.repeat_interval_ms
        return entry.cause(firing, resolved, flush.now_ms, repeat_ms, sends_resolved=sends_resolved)

    async def _send(self, receiver: Receiver, notification: Notification, deadline: float) -> bool:
        """Try until it is taken, is refused for good, or the deadline passes."""
        backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, self._random)
        self._telemetry.notifications.add(1, receiver.kind)
        while True:
            begun = self._clock.monotonic()
            self._telemetry.requests.add(1, receiver.kind)
            try:
                await receiver.send(notification, max(0.001, deadline - begun))
            except SendError as error:
                self._telemetry.requests_failed.add(1, receiver.kind)
                delay = max(backoff.next(), error.retry_after_seconds)
                is_last = not error.is_retryable or self._clock.monotonic() + delay >= deadline
                self._report(receiver, notification, error, is_last=is_last)
                if is_last:
                    return False
                await self._clock.sleep(delay)
            else:
                return True
            finally:
                self._telemetry.latency.observe(self._clock.monotonic() - begun, receiver.kind)

    def _report(self, receiver: Receiver, notification: Notification, error: SendError, *, is_last: bool) -> None:
        values = {
            "receiver": notification.receiver,
            "integration": receiver.kind,
            "group": notification.group_key,
            "error": error,
        }
        if is_last:
            reason = error.reason if not error.is_retryable else _deadline_or(error.reason)
            self._telemetry.failed.add(1, receiver.kind, reason.value)
            self._log.warning("notification failed", alerts=len(notification.alerts), **values)
        else:
            self._log.debug("notification attempt failed, will try again", **values)


def _deadline_or(reason: FailureReason) -> FailureReason:
    return FailureReason.DEADLINE_EXCEEDED if reason is FailureReason.OTHER else reason
