"""What a receiver gets to send: the alerts of one group at one time, and why now."""

from dataclasses import dataclass

from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.notification_log import NotificationCause


@dataclass(frozen=True, slots=True)
class Notification:
    """Alerts are sorted; of those that fire `ends_at_ms` is 0, so that none ends while it is being sent."""

    receiver: str
    group_key: str
    group_labels: Labels
    alerts: tuple[Alert, ...]
    cause: NotificationCause
    now_ms: int
    external_url: str
