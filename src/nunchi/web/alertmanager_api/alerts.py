"""`/api/v2/alerts` and `/api/v2/alerts/groups`: alerts that are known, why some are kept back, and alerts from outside."""

from collections.abc import Callable, Iterable

import msgspec
from aiohttp import web

from nunchi.kit.http_route import Access, Route
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.matchers import all_match
from nunchi.notify.notifier import AlertStanding
from nunchi.web.alertmanager_api.answers import (
    BAD_REQUEST,
    Moment,
    Refused,
    is_wished,
    names,
    read_body,
    read_filters,
    read_receiver,
    route,
    shown_labels,
    shown_moment,
    timestamp_ms,
)
from nunchi.web.contracts import NotifySource

Keep = Callable[[Alert, AlertStanding], bool]


class ToldAlert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert as a program tells it."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    generator_url: str = msgspec.field(name="generatorURL", default="")

    def alert(self) -> Alert:
        """The same as the model has it; labels without a value are none."""
        labels = Labels({name: value for name, value in self.labels.items() if value})
        begin_ms, end_ms = timestamp_ms(self.starts_at), timestamp_ms(self.ends_at)
        return Alert(labels, Labels(self.annotations), begin_ms, end_ms, self.generator_url)


class AlertEndpoints:
    """Endpoints about alerts."""

    def __init__(self, source: NotifySource, now_ms: Callable[[], int]) -> None:
        self._source = source
        self._now_ms = now_ms

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            route("GET", "alerts", self.alerts),
            route("POST", "alerts", self.take, Access.INGEST),
            route("GET", "alerts/groups", self.groups),
        ]

    async def alerts(self, request: web.Request) -> object:
        """Alerts that have not ended, by fingerprint."""
        return self._shown(self._source.alerts(), _keeper(request))

    async def groups(self, request: web.Request) -> object:
        """The same as they are notified together; groups of which nothing is left to show are left out."""
        keep, receiver = _keeper(request), read_receiver(request)
        shown: list[dict[str, object]] = []
        for group in self._source.groups():
            name = group.route.options.receiver
            alerts = self._shown(group.alerts(), keep) if receiver is None or receiver.matches(name) else []
            if alerts:
                shown.append({"labels": shown_labels(group.labels), "receiver": {"name": name}, "alerts": alerts})
        return shown

    async def take(self, request: web.Request) -> None:
        """Take alerts; what is wrong with some is said after the others were taken."""
        told = await read_body(request, list[ToldAlert])
        refusals = self._source.put([one.alert() for one in told])
        if refusals:
            raise Refused(BAD_REQUEST, "; ".join(sorted({refusal.reason for refusal in refusals})))

    def _shown(self, alerts: Iterable[Alert], keep: Keep) -> list[dict[str, object]]:
        now_ms = self._now_ms()
        standings = [(alert, self._source.standing(alert)) for alert in alerts if not alert.is_resolved(now_ms)]
        kept = [(alert, standing) for alert, standing in standings if keep(alert, standing)]
        return [_show(alert, standing) for alert, standing in sorted(kept, key=lambda pair: pair[0].fingerprint)]


def _keeper(request: web.Request) -> Keep:
    filters, receiver = read_filters(request), read_receiver(request)
    with_active, with_silenced, with_inhibited = (
        is_wished(request, name) for name in ("active", "silenced", "inhibited")
    )

    def keep(alert: Alert, standing: AlertStanding) -> bool:
        return (
            (with_active or standing.is_kept_back)
            and (with_silenced or not standing.silenced_by)
            and (with_inhibited or not standing.inhibited_by)
            and (receiver is None or any(map(receiver.matches, standing.receivers)))
            and all_match(filters, alert.labels)
        )

    return keep


def _show(alert: Alert, standing: AlertStanding) -> dict[str, object]:
    status: dict[str, object] = {
        "state": "suppressed" if standing.is_kept_back else "active",
        "silencedBy": standing.silenced_by,
        "inhibitedBy": standing.inhibited_by,
        "mutedBy": [],
    }
    return {
        "labels": shown_labels(alert.labels),
        "annotations": shown_labels(alert.annotations),
        "startsAt": shown_moment(alert.starts_at_ms),
        "endsAt": shown_moment(alert.ends_at_ms),
        "updatedAt": shown_moment(alert.updated_at_ms),
        "fingerprint": f"{alert.fingerprint:016x}",
        "generatorURL": alert.generator_url,
        "receivers": names(standing.receivers),
        "status": status,
    }
