"""Alerts as they come in: checked, given times, merged with what is known of them, kept until long after their end.

Invariant: at most `alerts_max` alerts are kept; what does not fit is dropped, counted, and said.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.model.alert import Alert
from nunchi.notify.telemetry import NotifyTelemetry

ALERTS_MAX = 100_000
RESOLVED_KEPT_MS = 30 * 60_000

Subscriber = Callable[[Alert], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alert that was not taken, and why."""

    alert: Alert
    reason: str


class Inbox:
    """All alerts that are known. Subscribers hear of every change at once, in the order of subscription."""

    def __init__(
        self,
        clock: Clock,
        telemetry: NotifyTelemetry,
        log: Logger,
        resolve_timeout_ms: int = 300_000,
        alerts_max: int = ALERTS_MAX,
    ) -> None:
        self.resolve_timeout_ms = resolve_timeout_ms
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._alerts_max = alerts_max
        self._alerts: dict[int, Alert] = {}
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, *subscribers: Subscriber) -> None:
        """These hear of changes from now on, and nobody else."""
        self._subscribers = subscribers

    def put(self, alerts: Iterable[Alert]) -> list[Refusal]:
        """Take alerts; valid ones are taken even where others are not."""
        now_ms = self._clock.now_ms()
        refused: list[Refusal] = []
        for given in alerts:
            alert = self._completed(given, now_ms)
            reason = _invalid(alert)
            known = self._alerts.get(alert.fingerprint)
            if not reason and known is None and len(self._alerts) >= self._alerts_max:
                reason = f"more than {self._alerts_max} alerts"
                self._telemetry.limited.add(1)
            if reason:
                refused.append(Refusal(alert, reason))
                self._telemetry.invalid.add(1)
                continue
            self._telemetry.received.add(1, "resolved" if alert.is_resolved(now_ms) else "firing")
            if known is not None and _overlap(known, alert):
                alert = known.merge(alert, now_ms)
            self._alerts[alert.fingerprint] = alert
            for subscriber in self._subscribers:
                subscriber(alert)
        if refused:
            self._log.warning("alerts refused", alerts=len(refused), first_reason=refused[0].reason)
        return refused

    def alerts(self) -> list[Alert]:
        """Every alert that is kept, resolved ones included."""
        return list(self._alerts.values())

    def count(self, *, is_resolved: bool) -> int:
        """How many alerts have ended, or have not."""
        now_ms = self._clock.now_ms()
        return sum(alert.is_resolved(now_ms) is is_resolved for alert in self._alerts.values())

    def expire(self) -> None:
        """Forget alerts that ended long ago."""
        limit_ms = self._clock.now_ms() - RESOLVED_KEPT_MS
        for fingerprint in [key for key, alert in self._alerts.items() if alert.is_resolved(limit_ms)]:
            del self._alerts[fingerprint]

    def _completed(self, alert: Alert, now_ms: int) -> Alert:
        starts_at_ms = alert.starts_at_ms or alert.ends_at_ms or now_ms
        if alert.ends_at_ms:
            return replace(alert, starts_at_ms=starts_at_ms, updated_at_ms=now_ms)
        ends_at_ms = now_ms + self.resolve_timeout_ms
        return replace(alert, starts_at_ms=starts_at_ms, ends_at_ms=ends_at_ms, updated_at_ms=now_ms, is_timeout=True)


def _invalid(alert: Alert) -> str:
    if not len(alert.labels):
        return "the alert has no labels"
    if alert.ends_at_ms < alert.starts_at_ms:
        return "the alert ends before it starts"
    return ""


def _overlap(known: Alert, alert: Alert) -> bool:
    """Whether both speak of one stretch of activity."""
    return (
        known.starts_at_ms < alert.ends_at_ms < known.ends_at_ms
        or known.starts_at_ms < alert.starts_at_ms < known.ends_at_ms
    )
