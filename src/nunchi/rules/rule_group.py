"""A rule group: its rules in order at one time, one row to the store, alerts to the sink.

What a rule wrote is visible to the rules after it: where a rule may read a name that is still unwritten, the row is written
first; else all rules of an evaluation share one.
Invariant: a rule that fails leaves the others alone, and the series that it wrote before are marked stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nunchi.kit.clock import Clock
from nunchi.kit.errors import NunchiError
from nunchi.kit.logs import Logger
from nunchi.model.labels import Labels
from nunchi.query.errors import QueryError
from nunchi.query.syntax import STABLE, ParserSettings
from nunchi.rules.alerting import AlertingRule
from nunchi.rules.dependencies import may_read
from nunchi.rules.errors import RuleError
from nunchi.rules.evaluation import Evaluation
from nunchi.rules.evaluator import Evaluator
from nunchi.rules.files import RuleGroupSettings, RuleSettings
from nunchi.rules.output import Output, SeriesColumns, SeriesRegister, batch_of
from nunchi.rules.recording import RecordingRule
from nunchi.rules.restore import RestoreLimits, restore
from nunchi.rules.schedule import Schedule
from nunchi.rules.sink import AlertSink
from nunchi.rules.status import RuleGroupStatus, RuleHealth
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.storage.contracts import Store

RESEND_DELAY_MS = 60_000

Rule = RecordingRule | AlertingRule


@dataclass(frozen=True, slots=True)
class GroupDefaults:
    """What counts where a group does not say it itself."""

    interval_ms: int = 60_000
    query_offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Connections:
    """What every group talks to. `parser`: the PromQL that the evaluator speaks."""

    evaluator: Evaluator
    store: Store
    sink: AlertSink
    clock: Clock
    telemetry: RuleTelemetry
    log: Logger
    resend_delay_ms: int = RESEND_DELAY_MS
    restore_limits: RestoreLimits = field(default_factory=RestoreLimits)
    parser: ParserSettings = STABLE


@dataclass(slots=True)
class RuleRun:
    """A rule and how its evaluations went."""

    rule: Rule
    columns: SeriesColumns
    health: RuleHealth = RuleHealth.UNKNOWN
    last_error: str = ""
    seconds: float = 0.0
    at_ms: int = 0


@dataclass(slots=True)
class _Row:
    """Cells gathered in one evaluation and not written yet, and the metric names among them."""

    outputs: list[Output] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class RuleGroup:
    """One group of a rule file, with the state of its rules."""

    def __init__(
        self,
        settings: RuleGroupSettings,
        file: str,
        defaults: GroupDefaults,
        surroundings: Surroundings,
        connections: Connections,
        *,
        is_restored: bool,
    ) -> None:
        self.settings = settings
        self.file = file
        self.defaults = defaults
        self.surroundings = surroundings
        self.interval_ms = settings.interval.ms if settings.interval else defaults.interval_ms
        offset = settings.query_offset
        self.query_offset_ms = defaults.query_offset_ms if offset is None else offset.ms
        self.schedule = Schedule.of(file, settings.name, self.interval_ms)
        self.iterations_missed = 0
        self._connections = connections
        self._register = SeriesRegister()
        self._runs = [
            RuleRun(
                _rule(one, settings.labels, connections.parser, is_restored=is_restored), SeriesColumns(self._register)
            )
            for one in settings.rules
        ]
        self._abandoned: list[Labels] = []
        self._restore_after = 0 if is_restored else 2
        self._seconds = 0.0
        self._at_ms = 0

    @property
    def key(self) -> str:
        """What identifies the group, also as the label `rule_group` of telemetry."""
        return f"{self.file};{self.settings.name}"

    def is_same(self, other: "RuleGroup") -> bool:
        """Whether nothing about the groups differs but their state."""
        return (self.settings, self.file, self.defaults, self.surroundings) == (
            other.settings,
            other.file,
            other.defaults,
            other.surroundings,
        )

    async def evaluate(self, at_ms: int) -> None:
        """Evaluate all rules for one time, write, tell the sink. Raises `WorldError` where the store did not take the row."""
        clock, telemetry = self._connections.clock, self._connections.telemetry
        begun = clock.monotonic()
        row = _Row()
        for run in self._runs:
            if may_read(run.rule.reads, row.names):
                self._write(row, at_ms)
            await self._evaluate_rule(run, row, at_ms)
        self._mark_abandoned(row)
        written = self._write(row, at_ms)
        self._restore_when_due(at_ms)
        self._compact_register()
        self._seconds, self._at_ms = clock.monotonic() - begun, at_ms
        telemetry.evaluated(self.key, at_ms, self._seconds, written)

    async def _evaluate_rule(self, run: RuleRun, row: _Row, at_ms: int) -> None:
        clock, telemetry = self._connections.clock, self._connections.telemetry
        begun = clock.monotonic()
        try:
            output = await run.rule.evaluate(self._evaluation(run, at_ms))
        except (QueryError, RuleError) as error:
            self._note_failure(run, error)
            output = Output()
        else:
            if run.health is RuleHealth.ERROR:
                self._connections.log.info("rule works again", rule_group=self.key, rule=run.rule.name)
            run.health, run.last_error = RuleHealth.OK, ""
            self._send(run.rule, at_ms)
        run.seconds, run.at_ms = clock.monotonic() - begun, at_ms
        telemetry.rule_evaluated(self.key, run.seconds)
        cells = run.columns.with_stale(output)
        if len(cells.columns):
            row.outputs.append(cells)
            row.names |= run.rule.writes

    def _note_failure(self, run: RuleRun, error: NunchiError) -> None:
        """Every failure is counted; the log hears of it when it begins, not in every evaluation."""
        self._connections.telemetry.rule_failed(self.key)
        if run.health is not RuleHealth.ERROR:
            self._connections.log.warning(
                "rule failed, and is tried again in every evaluation",
                rule_group=self.key,
                rule=run.rule.name,
                error=error,
            )
        run.health, run.last_error = RuleHealth.ERROR, str(error)

    def _evaluation(self, run: RuleRun, at_ms: int) -> Evaluation:
        def report(reason: str) -> None:
            self._connections.log.warning("template failed", rule_group=self.key, rule=run.rule.name, reason=reason)

        return Evaluation(
            self._connections.evaluator,
            at_ms,
            self.query_offset_ms,
            max(self.settings.limit, 0),
            self.surroundings,
            run.columns,
            report,
        )

    def _send(self, rule: Rule, at_ms: int) -> None:
        if isinstance(rule, AlertingRule):
            alerts = rule.sendable(
                at_ms, self._connections.resend_delay_ms, self.interval_ms, self.surroundings.external_url
            )
            if alerts:
                self._connections.sink.send(alerts)

    def _write(self, row: _Row, at_ms: int) -> int:
        """Append what was gathered as one row; returns the number of cells."""
        if not row.outputs:
            return 0
        batch = batch_of(self._register.layout, at_ms - self.query_offset_ms, row.outputs)
        row.outputs, row.names = [], set()
        appender = self._connections.store.appender()
        try:
            result = appender.append(batch)
            appender.commit()
        except BaseException:
            appender.rollback()
            raise
        if result.rejected:
            reasons = {reason.value: count for reason, count in result.rejected.items()}
            self._connections.telemetry.rejected(self.key, reasons)
            self._connections.log.warning("results rejected by the store", rule_group=self.key, reasons=reasons)
        return len(batch)

    def _mark_abandoned(self, row: _Row) -> None:
        """Series of rules that a reload has removed end now."""
        if self._abandoned:
            columns = SeriesColumns(self._register)
            columns.live = np.unique(columns.find_each(self._abandoned))
            live = np.concatenate([np.empty(0, np.int32), *(run.columns.live for run in self._runs)])
            columns.live = np.setdiff1d(columns.live, live)
            row.outputs.append(columns.with_stale(Output()))
            self._abandoned = []

    def _restore_when_due(self, at_ms: int) -> None:
        """After the second evaluation: the first has no data yet that recording rules must write."""
        if self._restore_after:
            self._restore_after -= 1
            if not self._restore_after:
                for run in self._runs:
                    if isinstance(run.rule, AlertingRule):
                        self._restore_rule(run.rule, at_ms)

    def _restore_rule(self, rule: AlertingRule, at_ms: int) -> None:
        try:
            restore(rule, self._connections.store.querier, at_ms, self._connections.restore_limits)
        except NunchiError as error:
            rule.is_restored = True
            self._connections.log.warning("alert state not restored", rule_group=self.key, rule=rule.name, error=error)

    def _compact_register(self) -> None:
        if self._register.is_sparse(sum(len(run.columns.live) for run in self._runs)):
            self._register = SeriesRegister()
            for run in self._runs:
                run.columns.move(self._register)

    def miss(self, count: int) -> None:
        """Slots passed without an evaluation."""
        self.iterations_missed += count
        self._connections.telemetry.missed(self.key, count)

    def take_over(self, other: "RuleGroup") -> None:
        """Continue where the group that this one replaces stopped: alerts, live series, times of rules that are the same."""
        waiting: dict[tuple[str, str, Labels], list[RuleRun]] = {}
        for theirs in other._runs:  # noqa: SLF001 (of the same class)
            waiting.setdefault(theirs.rule.identity(), []).append(theirs)
        for mine in self._runs:
            same = waiting.get(mine.rule.identity())
            if same:
                self._take_over_rule(mine, same.pop(0))
        for left in waiting.values():
            for theirs in left:
                self._abandoned += theirs.columns.live_labels()
        self._abandoned += other._abandoned  # noqa: SLF001 (of the same class)
        self.iterations_missed = other.iterations_missed
        self._restore_after = other._restore_after  # noqa: SLF001 (of the same class)
        self._seconds, self._at_ms = other._seconds, other._at_ms  # noqa: SLF001 (of the same class)

    @staticmethod
    def _take_over_rule(mine: RuleRun, theirs: RuleRun) -> None:
        mine.columns.live = mine.columns.find_each(theirs.columns.live_labels())
        if isinstance(mine.rule, AlertingRule) and isinstance(theirs.rule, AlertingRule):
            mine.rule.take_over(theirs.rule)

    def end(self, at_ms: int) -> None:
        """The group is gone for good: everything that it wrote becomes stale."""
        row = _Row([run.columns.with_stale(Output()) for run in self._runs])
        self._mark_abandoned(row)
        row.outputs = [output for output in row.outputs if len(output.columns)]
        self._write(row, at_ms)

    def status(self) -> RuleGroupStatus:
        """The group as others see it."""
        rules = tuple(run.rule.status(run.health, run.last_error, run.seconds, run.at_ms) for run in self._runs)
        return RuleGroupStatus(
            self.settings.name,
            self.file,
            self.interval_ms / 1000,
            self.settings.limit,
            self._seconds,
            self._at_ms,
            self.iterations_missed,
            rules,
        )

    def rules(self) -> Sequence[Rule]:
        """The rules in order."""
        return [run.rule for run in self._runs]


def _rule(settings: RuleSettings, group_labels: dict[str, str], parser: ParserSettings, *, is_restored: bool) -> Rule:
    if settings.record:
        return RecordingRule(settings, group_labels, parser)
    return AlertingRule(settings, group_labels, parser, is_restored=is_restored)
