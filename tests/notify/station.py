"""A notifier on a virtual clock whose receivers remember what they were sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify import notifier as notifier_module
from nunchi.notify.errors import FailureReason, SendError
from nunchi.notify.notification import Notification
from nunchi.notify.notifier import Notifier
from nunchi.notify.settings import parse_notify_settings
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.testing.clock import VirtualClock

HOUR = 3600


@dataclass
class Sent:
    """One notification as it arrived, `at` in seconds since the station opened."""

    at: float
    receiver: str
    firing: list[str]
    resolved: list[str]
    cause: str


class RememberingReceiver:
    """Takes everything, or fails as it is told."""

    def __init__(self, station: "Station", kind: str, sends_resolved: bool) -> None:
        self.kind = kind
        self.sends_resolved = sends_resolved
        self._station = station

    async def send(self, notification: Notification, timeout_seconds: float) -> None:
        station = self._station
        station.attempts.append((station.elapsed(), notification.receiver))
        if station.failures.get(notification.receiver):
            raise station.failures[notification.receiver].pop(0)
        names = {True: [], False: []}
        for alert in notification.alerts:
            names[alert.is_resolved(notification.now_ms)].append(alert.labels.get("instance") or alert.name)
        station.notifications.append(notification)
        station.sent.append(
            Sent(station.elapsed(), notification.receiver, names[False], names[True], notification.cause.value)
        )

    async def close(self) -> None:
        """Nothing is open."""


class Station:
    """The notifier, its clock, and everything that was sent."""

    def __init__(self, now_seconds: float = 1_700_000_000.0) -> None:
        self.clock = VirtualClock(now_seconds)
        self.telemetry = Telemetry()
        self.metrics = NotifyTelemetry(self.telemetry)
        self.notifier = Notifier(self.clock, Random(1), self.metrics, logger("notify"), "http://nunchi.example")
        self.sent: list[Sent] = []
        self.notifications: list[Notification] = []
        self.attempts: list[tuple[float, str]] = []
        self.failures: dict[str, list[SendError]] = {}
        self._begun = self.clock.monotonic()

    def elapsed(self) -> float:
        return round(self.clock.monotonic() - self._begun, 3)

    def apply(self, text: str) -> None:
        self.notifier.apply(parse_notify_settings(text, "alertmanager.yml"), Path())

    def fire(self, name: str, *, minutes: float = 24 * 60, started_ago: float = 0, **labels: str) -> None:
        now_ms = self.clock.now_ms()
        starts = now_ms - round(started_ago * 1000)
        self.notifier.send(
            [Alert(Labels.of(alertname=name, **labels), Labels(), starts, now_ms + round(minutes * 60_000))]
        )

    def resolve(self, name: str, **labels: str) -> None:
        now_ms = self.clock.now_ms()
        self.notifier.send([Alert(Labels.of(alertname=name, **labels), Labels(), now_ms - 60_000, now_ms)])

    def times(self, receiver: str = "") -> list[float]:
        return [sent.at for sent in self.sent if not receiver or sent.receiver == receiver]

    def story(self) -> list[tuple[float, str, str]]:
        """(time, firing instances, resolved instances) of each notification."""
        return [(sent.at, " ".join(sent.firing), " ".join(sent.resolved)) for sent in self.sent]


@contextlib.asynccontextmanager
async def opened(
    text: str, monkeypatch: pytest.MonkeyPatch, now_seconds: float = 1_700_000_000.0
) -> AsyncIterator[Station]:
    """A running station; every kind of receiver is replaced by one that remembers."""
    station = Station(now_seconds)

    def make(name, kind, settings, shared, folder, clock):
        return RememberingReceiver(station, kind, settings.send_resolved is not False)

    monkeypatch.setattr(notifier_module, "make_receiver", make)
    station.apply(text)
    task = asyncio.create_task(station.notifier.run())
    try:
        yield station
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def failure(*, is_retryable: bool, reason: FailureReason = FailureReason.SERVER_ERROR) -> SendError:
    return SendError("refused by the test", reason, is_retryable=is_retryable)
