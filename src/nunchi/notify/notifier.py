"""nunchi's own notifications: what an Alertmanager does, as one part of the process.

Invariant: settings are applied as a whole or not at all; alerts, silences and the notification log survive applying.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.model.alert import Alert
from nunchi.notify.alert_group import AlertGroup
from nunchi.notify.dispatcher import Dispatcher
from nunchi.notify.inbox import Inbox, Refusal
from nunchi.notify.inhibition import Inhibitor
from nunchi.notify.notification_log import NotificationLog
from nunchi.notify.pipeline import Integration, Pipeline, mute_stages
from nunchi.notify.receiver_registry import make_receiver
from nunchi.notify.route import Route, build_routes
from nunchi.notify.settings import NotifySettings
from nunchi.notify.silences import Silences, SilenceState
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.notify.templates import TemplateSet, load_templates

MAINTENANCE_SECONDS = 60.0


def check_support(settings: NotifySettings, folder: Path, clock: Clock) -> None:
    """Raise the `InputError` with which `Notifier.apply` would refuse settings that are well-formed."""
    load_templates(settings.templates, folder, clock)
    make_integrations(settings, folder, clock)


def make_integrations(settings: NotifySettings, folder: Path, clock: Clock) -> dict[str, tuple[Integration, ...]]:
    """What sends, by the receiver's name; raises an `InputError` for what cannot send here."""
    return {
        receiver.name: tuple(
            Integration(receiver.name, index, make_receiver(receiver.name, kind, one, settings.global_, folder, clock))
            for kind, index, one in receiver.kinds()
        )
        for receiver in settings.receivers
    }


@dataclass(frozen=True, slots=True)
class AlertStanding:
    """Where an alert goes, and what keeps it back now: ids of silences, fingerprints of alerts that inhibit it."""

    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...]
    inhibited_by: tuple[str, ...]

    @property
    def is_kept_back(self) -> bool:
        """Whether anything keeps it back."""
        return bool(self.silenced_by or self.inhibited_by)


class Notifier:
    """A `kit.supervision.Part` and a sink of alerts. Without settings it only remembers what it is sent."""

    name = "notify"

    def __init__(
        self, clock: Clock, random: Random, telemetry: NotifyTelemetry, log: Logger, external_url: str
    ) -> None:
        self.silences = Silences(clock, random)
        self.settings: NotifySettings | None = None
        self.templates: TemplateSet | None = None
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._log = log
        self._external_url = external_url
        self._notification_log = NotificationLog(clock)
        self._inbox = Inbox(clock, telemetry, log)
        self._inhibitor = Inhibitor(())
        self._dispatcher = Dispatcher(clock, telemetry, log)
        self._pipeline: Pipeline | None = None
        self._routes: Route | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def apply(self, settings: NotifySettings, folder: Path) -> None:
        """Work by these settings; relative paths are below `folder`. Raises an `InputError`, then nothing has changed."""
        assert settings.route is not None, "checked when the settings were loaded"
        templates = load_templates(settings.templates, folder, self._clock)
        routes = build_routes(settings.route)
        integrations = make_integrations(settings, folder, self._clock)
        alerts = self._inbox.alerts()
        inhibitor = Inhibitor(settings.inhibit_rules, alerts)
        intervals = {one.name: one for one in (*settings.mute_time_intervals, *settings.time_intervals)}
        stages = mute_stages(inhibitor, intervals, self.silences, self._notification_log, self._telemetry)
        pipeline = Pipeline(
            stages,
            integrations,
            self._notification_log,
            self._clock,
            self._random,
            self._telemetry,
            self._log,
            self._external_url,
        )
        self._replace_pipeline(pipeline)
        self.settings, self._inhibitor, self.templates = settings, inhibitor, templates
        self._routes = routes
        self._inbox.resolve_timeout_ms = settings.global_.resolve_timeout.ms
        self._inbox.subscribe(inhibitor.take, self._dispatcher.take)
        self._dispatcher.apply(routes, pipeline, alerts)
        self._telemetry.receivers.set(len(settings.receivers))
        self._telemetry.integrations.set(sum(map(len, integrations.values())))
        self._telemetry.inhibition_rules.set(len(settings.inhibit_rules))

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take alerts from rules; what is refused is counted and logged."""
        self._inbox.put(alerts)

    def put(self, alerts: Sequence[Alert]) -> list[Refusal]:
        """Take alerts from outside, and say which were refused."""
        return self._inbox.put(alerts)

    def alerts(self) -> list[Alert]:
        """Every alert that is known."""
        return self._inbox.alerts()

    def groups(self) -> list[AlertGroup]:
        """Every alert group."""
        return self._dispatcher.groups()

    def standing(self, alert: Alert) -> AlertStanding:
        """How an alert fares at present."""
        now_ms = self._clock.now_ms()
        routes = self._routes.match(alert.labels) if self._routes is not None else []
        return AlertStanding(
            tuple(dict.fromkeys(route.options.receiver for route in routes)),
            tuple(silence.id for silence in self.silences.muting(alert.labels, now_ms)),
            tuple(f"{source.fingerprint:016x}" for source in self._inhibitor.sources(alert.labels, now_ms)),
        )

    async def start(self) -> None:
        """Nothing is needed."""

    async def run(self) -> None:
        """Notify until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatcher.run(), name="dispatcher")
            tasks.create_task(self._maintain(), name="maintenance")

    async def stop(self) -> None:
        """Close connections."""
        if self._pipeline is not None:
            await self._pipeline.close()
        await asyncio.gather(*self._closing)

    def _replace_pipeline(self, pipeline: Pipeline) -> None:
        former, self._pipeline = self._pipeline, pipeline
        if former is not None:
            task = asyncio.get_running_loop().create_task(former.close(), name="closing receivers")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _maintain(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            self._inbox.expire()
            self._inhibitor.expire(now_ms)
            self._notification_log.expire()
            self.silences.expire()
            for state in SilenceState:
                self._telemetry.silences.set(self.silences.count(state), state.value)
            self._telemetry.alerts.set(self._inbox.count(is_resolved=False), "active")
            await self._clock.sleep(MAINTENANCE_SECONDS)
