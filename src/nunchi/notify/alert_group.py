"""Alerts that are notified together: who is in the group, and when it is flushed next.

Invariant: an alert leaves its group only once its end was told or nobody waits for it, and never while it has changed.
"""

from dataclasses import replace
from functools import cmp_to_key

from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.route import Route


class AlertGroup:
    """One group of one route; `due` is monotonic time."""

    def __init__(self, route: Route, labels: Labels, due: float) -> None:
        self.route = route
        self.labels = labels
        self.key = f"{route.key}:{_format(labels)}"
        self.due = due
        self.is_flushing = False
        self.has_flushed = False
        self._alerts: dict[int, Alert] = {}

    def put(self, alert: Alert, now_ms: int) -> bool:
        """Add or update an alert; True where the group should be flushed at once, because the alert is older than the wait."""
        self._alerts[alert.fingerprint] = alert
        return not self.has_flushed and alert.starts_at_ms + self.route.options.group_wait_ms < now_ms

    def alerts(self) -> list[Alert]:
        """Who is in the group, in the order of notifications."""
        return sorted(self._alerts.values(), key=cmp_to_key(_compare))

    def is_empty(self) -> bool:
        """Whether nobody is in the group."""
        return not self._alerts

    def frozen_alerts(self, now_ms: int) -> tuple[Alert, ...]:
        """The alerts as they are at this time: those that fire have no end, so that time cannot resolve them meanwhile."""
        return tuple(alert if alert.is_resolved(now_ms) else replace(alert, ends_at_ms=0) for alert in self.alerts())

    def forget_told(self, told: tuple[Alert, ...], held: set[int], now_ms: int) -> None:
        """Remove the alerts whose end was told, unless they have changed since or are held back."""
        for alert in told:
            if alert.is_resolved(now_ms) and alert.fingerprint not in held:
                present = self._alerts.get(alert.fingerprint)
                if present is alert:
                    del self._alerts[alert.fingerprint]


def _format(labels: Labels) -> str:
    return str(labels) if len(labels) else "{}"


def _compare(left: Alert, right: Alert) -> int:
    """By job, instance, then labels; who lacks a label comes later for the first two, earlier for the others."""
    for name in ("job", "instance"):
        mine, theirs = left.labels.get(name), right.labels.get(name)
        if mine != theirs:
            if not (mine and theirs):
                return 1 if not mine else -1
            return -1 if mine < theirs else 1
    return _compare_labels(left.labels, right.labels)


def _compare_labels(left: Labels, right: Labels) -> int:
    if len(left) != len(right):
        return len(left) - len(right)
    for name in sorted({*left, *right}):
        mine, theirs = left.get(name), right.get(name)
        if mine != theirs:
            return -1 if mine < theirs else 1
    return 0
