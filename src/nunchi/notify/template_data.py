"""A notification as templates and webhooks see it: Alertmanager's data model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from nunchi.kit.template.moment import ZERO_TIME, Moment
from nunchi.kit.template.values import Exposed, Function, Record, TextMap, methods_of
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.notification import Notification

ALERT_NAME = "alertname"
_QUOTED = re.compile(r"[\\.+*?()|\[\]{}^$]")


class TextPairs(Exposed, list[Record]):
    """Names and values in order; prints as `name=value, …`."""

    methods: ClassVar[Mapping[str, Function]] = methods_of(
        Names=lambda pairs: [pair.fields["Name"] for pair in pairs],
        Values=lambda pairs: [pair.fields["Value"] for pair in pairs],
        String=lambda pairs: str(pairs),  # noqa: PLW0108 (`str` itself has no signature to read)
    )

    def __str__(self) -> str:
        return ", ".join(f"{pair.fields['Name']}={pair.fields['Value']}" for pair in self)


class KeyValues(Exposed, TextMap):
    """Labels or annotations; keys are members, methods sort and reduce them."""

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.sorted_items())

    def sorted_items(self) -> list[tuple[str, str]]:
        """By name, the alert's name first."""
        return sorted(self.items(), key=lambda item: (item[0] != ALERT_NAME, item[0]))

    def sorted_pairs(self) -> TextPairs:
        """For loops in templates."""
        return TextPairs(TextPair({"Name": name, "Value": value}) for name, value in self.sorted_items())

    def remove(self, names: list) -> "KeyValues":  # type: ignore[type-arg]  # a plain type is what Function.of reads
        """Without some names."""
        return KeyValues({name: value for name, value in self.items() if name not in names})


KeyValues.methods = methods_of(
    SortedPairs=KeyValues.sorted_pairs,
    Remove=KeyValues.remove,
    Names=lambda values: [name for name, _ in values.sorted_items()],
    Values=lambda values: [value for _, value in values.sorted_items()],
    String=lambda values: str(values),  # noqa: PLW0108 (`str` itself has no signature to read)
)


class TextPair(Record):
    """`.Name` and `.Value`."""

    members: ClassVar[Mapping[str, Callable[[Record], object]]] = {
        "Name": lambda pair: pair.fields["Name"],
        "Value": lambda pair: pair.fields["Value"],
    }


@dataclass(frozen=True, slots=True)
class AlertData(Exposed):
    """One alert."""

    status: str
    labels: KeyValues
    annotations: KeyValues
    starts_at: datetime
    ends_at: datetime
    generator_url: str
    fingerprint: str

    members: ClassVar[Mapping[str, Callable[["AlertData"], object]]] = {
        "Status": lambda alert: alert.status,
        "Labels": lambda alert: alert.labels,
        "Annotations": lambda alert: alert.annotations,
        "StartsAt": lambda alert: Moment(alert.starts_at),
        "EndsAt": lambda alert: Moment(alert.ends_at),
        "GeneratorURL": lambda alert: alert.generator_url,
        "Fingerprint": lambda alert: alert.fingerprint,
    }

    def __str__(self) -> str:
        times = f"{Moment(self.starts_at)} {Moment(self.ends_at)}"
        return f"{{{self.status} {self.labels} {self.annotations} {times} {self.generator_url} {self.fingerprint}}}"

    @classmethod
    def of(cls, alert: Alert, now_ms: int) -> "AlertData":
        """How an alert looks at a time."""
        return cls(
            "resolved" if alert.is_resolved(now_ms) else "firing",
            KeyValues(alert.labels.pairs),
            KeyValues(alert.annotations.pairs),
            _moment(alert.starts_at_ms),
            _moment(alert.ends_at_ms),
            alert.generator_url,
            f"{alert.fingerprint:016x}",
        )


class AlertList(Exposed, list[AlertData]):
    """Alerts in order; `.Firing` and `.Resolved` are the parts of it."""

    methods: ClassVar[Mapping[str, Function]] = methods_of(
        Firing=lambda alerts: AlertList(alert for alert in alerts if alert.status == "firing"),
        Resolved=lambda alerts: AlertList(alert for alert in alerts if alert.status == "resolved"),
    )

    def __str__(self) -> str:
        return f"[{' '.join(map(str, self))}]"


@dataclass(frozen=True, slots=True)
class NotificationData(Exposed):
    """One notification."""

    receiver: str
    status: str
    alerts: AlertList
    group_labels: KeyValues
    common_labels: KeyValues
    common_annotations: KeyValues
    external_url: str
    cause: str

    members: ClassVar[Mapping[str, Callable[["NotificationData"], object]]] = {
        "Receiver": lambda data: data.receiver,
        "Status": lambda data: data.status,
        "Alerts": lambda data: data.alerts,
        "GroupLabels": lambda data: data.group_labels,
        "CommonLabels": lambda data: data.common_labels,
        "CommonAnnotations": lambda data: data.common_annotations,
        "ExternalURL": lambda data: data.external_url,
        "NotificationReason": lambda data: data.cause,
    }

    @classmethod
    def of(cls, notification: Notification, alerts: Sequence[Alert] | None = None) -> "NotificationData":
        """All of a notification, or as if it had only some of its alerts."""
        chosen = notification.alerts if alerts is None else alerts
        shown = AlertList(AlertData.of(alert, notification.now_ms) for alert in chosen)
        return cls(
            _QUOTED.sub(r"\\\g<0>", notification.receiver),
            "firing" if any(alert.status == "firing" for alert in shown) else "resolved",
            shown,
            KeyValues(notification.group_labels.pairs),
            _common([alert.labels for alert in chosen]),
            _common([alert.annotations for alert in chosen]),
            notification.external_url,
            notification.cause.value,
        )


def _moment(timestamp_ms: int) -> datetime:
    if not timestamp_ms:
        return ZERO_TIME
    return datetime.fromtimestamp(timestamp_ms // 1000, UTC).replace(microsecond=timestamp_ms % 1000 * 1000)


def _common(sets: Sequence[Labels]) -> KeyValues:
    """What all label sets agree on."""
    if not sets:
        return KeyValues()
    common = set(sets[0].pairs)
    for labels in sets[1:]:
        common &= set(labels.pairs)
    return KeyValues(sorted(common))
