"""Webhooks: the alerts as JSON, payload version 4.

A 2xx answer is success; 429 and 5xx are worth another attempt, everything else is final.
"""

import json
from pathlib import Path
from typing import Any

from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClient, HttpClientError, HttpClientSettings, Response
from nunchi.kit.http_errors import HttpTimeoutError
from nunchi.kit.template.moment import format_rfc3339
from nunchi.notify.errors import FailureReason, SendError
from nunchi.notify.notification import Notification
from nunchi.notify.receiver_settings import WebhookSettings
from nunchi.notify.template_data import AlertData, NotificationData

ANSWER_BYTES_MAX = 64 * 1024
ANSWER_SHOWN_MAX = 200
URL_BYTES_MAX = 64 * 1024


class Webhook:
    """Implements `Receiver`."""

    kind = "webhook"

    def __init__(self, settings: WebhookSettings, shared: HttpClientSettings, folder: Path, clock: Clock) -> None:
        self.sends_resolved = settings.send_resolved is not False
        self._settings = settings
        self._folder = folder
        self._client = HttpClient(clock, settings.http_config or shared, folder=folder)

    async def send(self, notification: Notification, timeout_seconds: float) -> None:
        """See `Receiver.send`."""
        if self._settings.timeout:
            timeout_seconds = min(timeout_seconds, self._settings.timeout.seconds)
        try:
            answer = await self._client.request(
                "POST",
                self._url(),
                headers={"Content-Type": "application/json"},
                body=encode_payload(notification, self._settings.max_alerts),
                timeout_seconds=timeout_seconds,
                body_bytes_max=ANSWER_BYTES_MAX,
            )
        except HttpTimeoutError as error:
            raise SendError(str(error), FailureReason.DEADLINE_EXCEEDED, is_retryable=True) from error
        except HttpClientError as error:
            raise SendError(str(error), FailureReason.OTHER, is_retryable=True) from error
        _judge(answer)

    async def close(self) -> None:
        """See `Receiver.close`."""
        await self._client.close()

    def _url(self) -> str:
        if self._settings.url:
            return self._settings.url.reveal()
        path = self._folder / self._settings.url_file
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(URL_BYTES_MAX).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SendError(
                f"url_file {path} cannot be read: {error}", FailureReason.OTHER, is_retryable=True
            ) from error


def encode_payload(notification: Notification, alerts_max: int = 0) -> bytes:
    """The body; `alerts_max` 0 means all alerts."""
    kept = notification.alerts[:alerts_max] if alerts_max else notification.alerts
    data = NotificationData.of(notification, kept)
    payload: dict[str, Any] = {
        "receiver": data.receiver,
        "status": data.status,
        "alerts": [_alert(alert) for alert in data.alerts],
        "groupLabels": dict(data.group_labels),
        "commonLabels": dict(data.common_labels),
        "commonAnnotations": dict(data.common_annotations),
        "externalURL": data.external_url,
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": len(notification.alerts) - len(kept),
        "notification_reason": data.cause,
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _alert(alert: AlertData) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": format_rfc3339(alert.starts_at),
        "endsAt": format_rfc3339(alert.ends_at),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _judge(answer: Response) -> None:
    """Raise `SendError` unless the answer is 2xx."""
    status = answer.status
    if 200 <= status < 300:
        return
    reason = FailureReason.CLIENT_ERROR if 400 <= status < 500 else FailureReason.OTHER
    if status in (401, 403):
        reason = FailureReason.AUTHENTICATION
    elif status == 429:
        reason = FailureReason.RATE_LIMITED
    elif status >= 500:
        reason = FailureReason.SERVER_ERROR
    asked = answer.headers.get("Retry-After", "")
    raise SendError(
        f"answered {status}: {answer.body[:ANSWER_SHOWN_MAX].decode(errors='replace')}",
        reason,
        is_retryable=status == 429 or status >= 500,
        retry_after_seconds=float(asked) if asked.isdigit() and len(asked) < 6 else 0.0,
    )
