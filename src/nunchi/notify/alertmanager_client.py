"""Sends alerts to Alertmanagers outside: one bounded queue each, batches by `POST /api/v2/alerts`.

Invariant: an Alertmanager that is slow or away delays nobody else, and of its queue the oldest alerts give way, counted;
every alert is told again by its rule within the resend delay, so a failed batch is not tried again here.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClient, HttpClientError
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.kit.template.moment import format_rfc3339
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.relabel import Relabeller
from nunchi.notify.alertmanager_settings import AlertmanagerSettings

QUEUE_ALERTS_MAX = 10_000
BATCH_ALERTS_MAX = 256
ANSWER_BYTES_MAX = 64 * 1024
PATH = "api/v2/alerts"


class ClientTelemetry:
    """Under the names that dashboards for Prometheus ask for."""

    def __init__(self, telemetry: Telemetry) -> None:
        counter, gauge = telemetry.counter, telemetry.gauge
        self.sent = counter("prometheus_notifications_sent_total", "Alerts sent.", "alertmanager")
        self.errors = counter("prometheus_notifications_errors_total", "Alerts whose sending failed.", "alertmanager")
        self.dropped = counter("prometheus_notifications_dropped_total", "Alerts dropped, by cause.", "reason")
        self.latency = telemetry.histogram(
            "prometheus_notifications_latency_seconds", "How long sending a batch took.", "alertmanager"
        )
        self.queue_length = gauge("prometheus_notifications_queue_length", "Alerts waiting.", "alertmanager")
        self.queue_capacity = gauge("prometheus_notifications_queue_capacity", "How many may wait.")
        self.known = gauge("prometheus_notifications_alertmanagers_discovered", "Alertmanagers known.")
        self.queue_capacity.set(QUEUE_ALERTS_MAX)


class AlertmanagerPeer:
    """One Alertmanager: its queue, and the task that empties it."""

    def __init__(
        self,
        url: str,
        settings: AlertmanagerSettings,
        client: HttpClient,
        clock: Clock,
        telemetry: ClientTelemetry,
        log: Logger,
    ) -> None:
        self.url = url
        self._settings = settings
        self._relabeller = Relabeller(settings.alert_relabel_configs)
        self._client = client
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._queue: deque[Alert] = deque()
        self._filled = asyncio.Event()
        self._was_failing = False

    def put(self, alerts: Iterable[Alert]) -> None:
        """Queue alerts; the oldest give way where there are too many."""
        for alert in alerts:
            labels = relabelled(alert.labels, self._relabeller)
            if labels is None:
                continue
            if len(self._queue) >= QUEUE_ALERTS_MAX:
                self._queue.popleft()
                self._telemetry.dropped.add(1, "queue_full")
            self._queue.append(alert if labels is alert.labels else replace(alert, labels=labels))
        if self._queue:
            self._filled.set()
        self._telemetry.queue_length.set(len(self._queue), self.url)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self.send_batch()

    async def send_batch(self) -> None:
        """Send what is oldest in the queue, at most one batch."""
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_ALERTS_MAX))]
        if not batch:
            return
        begun = self._clock.monotonic()
        failure = await self._post(batch)
        self._telemetry.latency.observe(self._clock.monotonic() - begun, self.url)
        self._telemetry.sent.add(len(batch), self.url)
        self._telemetry.queue_length.set(len(self._queue), self.url)
        if failure:
            self._telemetry.errors.add(len(batch), self.url)
            self._telemetry.dropped.add(len(batch), "send_failed")
            self._log.warning("alerts not taken", alertmanager=self.url, alerts=len(batch), reason=failure)
        elif self._was_failing:
            self._log.info("alerts are taken again", alertmanager=self.url)
        self._was_failing = bool(failure)

    async def drain(self) -> None:
        """Send what still waits; gives up at the first failure."""
        while self._queue:
            await self.send_batch()
            if self._was_failing:
                self._telemetry.dropped.add(len(self._queue), "stopped")
                self._queue.clear()

    async def _post(self, batch: Sequence[Alert]) -> str:
        """The reason of a failure, empty for success."""
        try:
            answer = await self._client.request(
                "POST",
                self.url,
                headers={"Content-Type": "application/json"},
                body=encode_alerts(batch),
                timeout_seconds=self._settings.timeout_seconds,
                body_bytes_max=ANSWER_BYTES_MAX,
            )
        except HttpClientError as error:
            return str(error)
        return (
            ""
            if 200 <= answer.status < 300
            else f"answered {answer.status}: {answer.body[:200].decode(errors='replace')}"
        )


class AlertmanagerClient:
    """A `kit.supervision.Part` and a sink of alerts: everything goes to every Alertmanager."""

    name = "alertmanagers"

    def __init__(self, clock: Clock, telemetry: ClientTelemetry, log: Logger) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._peers: list[AlertmanagerPeer] = []
        self._clients: list[HttpClient] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_running = False

    def apply(self, settings: Sequence[AlertmanagerSettings], folder: Path) -> None:
        """Send to these from now on; what waits for the former ones is still sent."""
        former = (self._peers, self._clients, self._tasks)
        self._peers, self._clients, self._tasks = [], [], []
        for one in settings:
            client = HttpClient(self._clock, one.http, folder=folder)
            self._clients.append(client)
            for url in alertmanager_urls(one):
                if url not in [peer.url for peer in self._peers]:
                    self._peers.append(AlertmanagerPeer(url, one, client, self._clock, self._telemetry, self._log))
        self._telemetry.known.set(len(self._peers))
        if self._is_running:
            self._start_peers()
        if former[1]:
            task = asyncio.get_running_loop().create_task(_retire(*former), name="alertmanagers before reload")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Queue alerts for every Alertmanager."""
        for peer in self._peers:
            peer.put(alerts)

    def urls(self) -> list[str]:
        """Where alerts are sent to."""
        return [peer.url for peer in self._peers]

    async def start(self) -> None:
        """Nothing is needed."""

    async def run(self) -> None:
        """Send until cancelled."""
        self._is_running = True
        try:
            self._start_peers()
            await asyncio.Event().wait()
        finally:
            self._is_running = False
            await _cancel(self._tasks)
            self._tasks = []

    async def stop(self) -> None:
        """Send what waits, as long as peers take it."""
        await asyncio.gather(*(peer.drain() for peer in self._peers), *self._retiring)
        for client in self._clients:
            await client.close()

    def _start_peers(self) -> None:
        self._tasks = [asyncio.create_task(peer.run(), name=f"alerts to {peer.url}") for peer in self._peers]


async def _retire(peers: list[AlertmanagerPeer], clients: list[HttpClient], tasks: list[asyncio.Task[None]]) -> None:
    await _cancel(tasks)
    await asyncio.gather(*(peer.drain() for peer in peers))
    for client in clients:
        await client.close()


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def alertmanager_urls(settings: AlertmanagerSettings) -> list[str]:
    """Where to post alerts: every target that relabelling keeps."""
    relabeller = Relabeller(settings.relabel_configs)
    urls: list[str] = []
    for group in settings.groups:
        for address in group.targets:
            path = "/" + "/".join(part for part in (settings.path_prefix.strip("/"), PATH) if part)
            labels = {
                **group.labels,
                "__address__": address,
                "__scheme__": settings.scheme,
                "__alerts_path__": path,
            }
            if not relabeller.apply(labels) or not labels.get("__address__"):
                continue
            urls.append(f"{labels['__scheme__']}://{labels['__address__']}{labels['__alerts_path__']}")
    return urls


def relabelled(labels: Labels, relabeller: Relabeller) -> Labels | None:
    """The labels after relabelling, None where the alert is dropped."""
    if not relabeller:
        return labels
    changed = dict(labels.pairs)
    return Labels(changed) if relabeller.apply(changed) else None


def encode_alerts(alerts: Iterable[Alert]) -> bytes:
    """The body of `POST /api/v2/alerts`."""
    return json.dumps([_encodable(alert) for alert in alerts], ensure_ascii=False, separators=(",", ":")).encode()


def _encodable(alert: Alert) -> Mapping[str, object]:
    encoded: dict[str, object] = {"labels": dict(alert.labels.pairs), "annotations": dict(alert.annotations.pairs)}
    for name, timestamp_ms in (("startsAt", alert.starts_at_ms), ("endsAt", alert.ends_at_ms)):
        if timestamp_ms:
            moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC).replace(microsecond=timestamp_ms % 1000 * 1000)
            encoded[name] = format_rfc3339(moment)
    if alert.generator_url:
        encoded["generatorURL"] = alert.generator_url
    return encoded
