"""An alerting rule: one alert for each element of a query's result, and the states that it goes through.

    (returned) ─▶ pending ──held for `for`──▶ firing ──not returned for `keep_firing_for`──▶ inactive ──15 min──▶ forgotten
                     └──not returned──▶ forgotten

Invariant: states change only in `_advance`, once an evaluation, by the evaluation's time alone.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from nunchi.kit.template.values import TextMap
from nunchi.model.alert import ALERT_NAME, Alert, AlertState
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.query.syntax import STABLE, ParserSettings, parse
from nunchi.rules.dependencies import Reads, reads_of
from nunchi.rules.errors import RuleError
from nunchi.rules.evaluation import Evaluation
from nunchi.rules.files import RuleSettings
from nunchi.rules.output import Output, SeriesColumns, SeriesRegister, elements_of
from nunchi.rules.status import AlertStatus, RuleHealth, RuleKind, RuleStatus
from nunchi.rules.template_functions import QueryWantedError, table_link
from nunchi.rules.templates import AlertData, expand, parse_templates

ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"
ALERT_STATE = "alertstate"
RESOLVED_RETENTION_MS = 15 * 60 * 1000
ALERTS_A_TURN = 100  # how many are rendered before others may run


@dataclass(frozen=True, slots=True, eq=False)
class AlertColumns:
    """Where an alert's series are in the layout of a register."""

    register: SeriesRegister
    pending: int
    firing: int
    for_state: int


@dataclass(slots=True)
class ActiveAlert:
    """One alert of the rule; changed in place. Times are milliseconds since the epoch, 0 where something has not happened."""

    labels: Labels
    annotations: Labels
    value: float
    active_at_ms: int
    state: AlertState = AlertState.PENDING
    fired_at_ms: int = 0
    resolved_at_ms: int = 0
    keep_firing_since_ms: int = 0
    last_sent_at_ms: int = 0
    valid_until_ms: int = 0
    columns: "AlertColumns | None" = None

    def needs_sending(self, now_ms: int, resend_delay_ms: int) -> bool:
        """Whether a sink should hear of it now: firing or resolved, and not told lately."""
        if self.state is AlertState.PENDING:
            return False
        if self.resolved_at_ms > self.last_sent_at_ms:
            return True
        return self.last_sent_at_ms + resend_delay_ms <= now_ms


class AlertingRule:
    """One `alert:` entry of a rule file."""

    kind = RuleKind.ALERTING
    writes = frozenset((ALERTS, ALERTS_FOR_STATE))

    def __init__(
        self,
        settings: RuleSettings,
        group_labels: dict[str, str],
        parser: ParserSettings = STABLE,
        *,
        is_restored: bool,
    ) -> None:
        self.settings = settings
        self.name = settings.alert
        self.labels = Labels({**group_labels, **settings.labels})
        self.annotations = Labels(settings.annotations)
        self.reads: Reads = reads_of(parse(settings.expr, parser))
        self.hold_ms = settings.hold.ms if settings.hold else 0
        self.keep_firing_ms = settings.keep_firing_for.ms if settings.keep_firing_for else 0
        self.is_restored = is_restored
        self.active: dict[Labels, ActiveAlert] = {}
        self._label_texts = parse_templates({**group_labels, **settings.labels})
        self._annotation_texts = parse_templates(settings.annotations)

    def identity(self) -> tuple[str, str, Labels]:
        """What stays the same when the rule's expression, times or annotations are edited."""
        return "alert", self.name, self.labels

    async def evaluate(self, evaluation: Evaluation) -> Output:
        """Ask, move every alert on, and give the cells of `ALERTS` and `ALERTS_FOR_STATE`.

        Raises `RuleError` or `QueryError`; then no state has changed, except that exceeding the limit forgets all alerts.
        """
        table, values = elements_of(await evaluation.ask(self.settings.expr))
        found: dict[Labels, ActiveAlert] = {}
        for place, value in enumerate(values.tolist()):
            if place % ALERTS_A_TURN == ALERTS_A_TURN - 1:
                await asyncio.sleep(0)
            alert = await self._alert(table.labels(place), value, evaluation)
            if alert.labels in found:
                raise RuleError("vector contains metrics with the same labelset after applying alert labels")
            found[alert.labels] = alert
        self._advance(found, evaluation.at_ms)
        live = [alert for alert in self.active.values() if alert.state is not AlertState.INACTIVE]
        limit = evaluation.limit
        if limit and len(live) > limit:
            self.active = {}
            raise RuleError(f"exceeded limit of {limit} with {len(live)} alerts: raise the group's limit or aggregate")
        return self._output(live, evaluation.columns) if self.is_restored else Output()

    async def _alert(self, labels: Labels, value: float, evaluation: Evaluation) -> ActiveAlert:
        """A new pending alert for one element; what its templates ask is asked as it comes up."""
        external_url = evaluation.surroundings.external_url
        data = AlertData(TextMap(labels.pairs), evaluation.external_labels, external_url, value)
        while True:
            try:
                set_labels = expand(self._label_texts, data, evaluation.functions, evaluation.report)
                annotations = expand(self._annotation_texts, data, evaluation.functions, evaluation.report)
                break
            except QueryWantedError as wanted:
                await evaluation.answer(wanted.expression)
        own_labels = {**data.labels, **set_labels, ALERT_NAME: self.name, METRIC_NAME: ""}
        return ActiveAlert(Labels(own_labels), Labels(annotations), value, evaluation.at_ms)

    def _advance(self, found: dict[Labels, ActiveAlert], at_ms: int) -> None:
        """Move every alert to its next state; `found` is what the query returned now."""
        for labels, alert in found.items():
            known = self.active.get(labels)
            if known is not None and known.state is not AlertState.INACTIVE:
                known.value, known.annotations = alert.value, alert.annotations
            else:
                self.active[labels] = alert
        for labels, alert in list(self.active.items()):
            if labels in found:
                alert.keep_firing_since_ms = 0
                self._hold(alert, at_ms)
            elif not self._keeps_firing(alert, at_ms):
                self._end(labels, alert, at_ms)

    def _hold(self, alert: ActiveAlert, at_ms: int) -> None:
        """Pending to firing once held long enough; back where a longer hold duration was configured since."""
        is_held = at_ms - alert.active_at_ms >= self.hold_ms
        if alert.state is AlertState.PENDING and is_held:
            alert.state, alert.fired_at_ms = AlertState.FIRING, at_ms
        elif alert.state is AlertState.FIRING and not is_held:
            alert.state, alert.fired_at_ms = AlertState.PENDING, 0

    def _keeps_firing(self, alert: ActiveAlert, at_ms: int) -> bool:
        if alert.state is not AlertState.FIRING or not self.keep_firing_ms:
            return False
        if not alert.keep_firing_since_ms:
            alert.keep_firing_since_ms = at_ms
        return at_ms - alert.keep_firing_since_ms < self.keep_firing_ms

    def _end(self, labels: Labels, alert: ActiveAlert, at_ms: int) -> None:
        """Not returned: forget what never fired and what was resolved long ago, resolve what fired."""
        is_old = alert.resolved_at_ms and at_ms - alert.resolved_at_ms > RESOLVED_RETENTION_MS
        if alert.state is AlertState.PENDING or is_old:
            del self.active[labels]
        if alert.state is not AlertState.INACTIVE:
            alert.state, alert.resolved_at_ms = AlertState.INACTIVE, at_ms

    def _output(self, live: list[ActiveAlert], columns: SeriesColumns) -> Output:
        written: list[int] = []
        values: list[float] = []
        for alert in live:
            if alert.columns is None or alert.columns.register is not columns.register:
                alert.columns = _columns(alert, columns)
            written.append(alert.columns.pending if alert.state is AlertState.PENDING else alert.columns.firing)
            written.append(alert.columns.for_state)
            values += (1.0, float(alert.active_at_ms // 1000))
        return Output(np.array(written, np.int32), np.array(values, np.float64))

    def sendable(self, at_ms: int, resend_delay_ms: int, interval_ms: int, external_url: str) -> list[Alert]:
        """What a sink should hear of now; remembers that it was told. Ends of firing alerts lie four evaluations ahead."""
        generator_url = external_url.rstrip("/") + table_link(self.settings.expr)
        alerts = []
        for alert in self.active.values():
            if not alert.needs_sending(at_ms, resend_delay_ms):
                continue
            alert.last_sent_at_ms = at_ms
            alert.valid_until_ms = at_ms + 4 * max(interval_ms, resend_delay_ms)
            ends_at_ms = alert.resolved_at_ms or alert.valid_until_ms
            alerts.append(Alert(alert.labels, alert.annotations, alert.fired_at_ms, ends_at_ms, generator_url, at_ms))
        return alerts

    def take_over(self, other: "AlertingRule") -> None:
        """Continue with the alerts of the rule that this one replaces."""
        self.active = other.active
        self.is_restored = other.is_restored

    def state(self) -> AlertState:
        """The most urgent state of any alert."""
        states = {alert.state for alert in self.active.values()}
        for state in (AlertState.FIRING, AlertState.PENDING):
            if state in states:
                return state
        return AlertState.INACTIVE

    def status(self, health: RuleHealth, last_error: str, seconds: float, at_ms: int) -> RuleStatus:
        """The rule and its pending and firing alerts as others see them."""
        alerts = tuple(
            AlertStatus(
                alert.labels,
                alert.annotations,
                alert.state,
                alert.active_at_ms,
                alert.keep_firing_since_ms,
                alert.value,
            )
            for alert in self.active.values()
            if alert.state is not AlertState.INACTIVE
        )
        return RuleStatus(
            self.kind,
            self.name,
            self.settings.expr,
            self.labels,
            health,
            last_error,
            seconds,
            at_ms,
            alerts,
            self.state(),
            self.annotations,
            self.hold_ms / 1000,
            self.keep_firing_ms / 1000,
        )


def _columns(alert: ActiveAlert, columns: SeriesColumns) -> AlertColumns:
    """A column appears in the store only once it is written to, so that all three may be reserved."""
    pending, firing, for_state = columns.find_each(
        alert.labels.merge(changes)
        for changes in (
            {METRIC_NAME: ALERTS, ALERT_STATE: AlertState.PENDING.value},
            {METRIC_NAME: ALERTS, ALERT_STATE: AlertState.FIRING.value},
            {METRIC_NAME: ALERTS_FOR_STATE},
        )
    ).tolist()
    return AlertColumns(columns.register, pending, firing, for_state)
