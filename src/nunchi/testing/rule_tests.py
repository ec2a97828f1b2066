"""Runs rule tests: real rule groups over the real engine and a store in memory, evaluated from the start to the last question.

At each evaluation the samples up to then are stored, then all groups are evaluated in their order, whatever their own
intervals; alerts are asked at the last evaluation before their time, expressions at their time after all evaluations.
Invariant: nothing here reads a clock; a test gives the same findings every time.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from nunchi.kit.durations import format_duration
from nunchi.kit.errors import InputError, NunchiError
from nunchi.kit.logs import logger
from nunchi.kit.settings import load_file
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import ALERT_NAME, Alert, AlertState
from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.errors import ExecutionError, ParseError
from nunchi.query.limits import Limits
from nunchi.query.syntax import STABLE, ParserSettings, parse_labels
from nunchi.query.values import Scalar, Vector
from nunchi.rules.alerting import AlertingRule
from nunchi.rules.files import RuleFile, find_rule_files, load_rule_file
from nunchi.rules.rule_group import Connections, GroupDefaults, RuleGroup
from nunchi.rules.status import RuleHealth
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.comparison import describe, is_same_histogram
from nunchi.testing.engine_setting import batch_of
from nunchi.testing.rule_test_files import AlertTest, ExpressionTest, RuleTest, RuleTestFile
from nunchi.testing.script_loading import LoadedSample
from nunchi.testing.series_notation import parse_series_line, parse_values

EVALUATIONS_MAX: Final = 10_000_000
_FAR_FUTURE_SECONDS: Final = 10.0**12
_FOREVER_MS: Final = 2**61

Sample = tuple[Labels, float | Histogram]


class RuleTestError(InputError):
    """A test that cannot be run: a series, a time or a rule file that cannot be read."""


@dataclass(slots=True)
class RuleTestReport:
    """What came of the tests: how many were as they should, and each finding with the file and the test it belongs to."""

    passed: int = 0
    failed: int = 0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*self.findings, f"{self.passed} passed, {self.failed} failed"])


@dataclass(frozen=True, slots=True)
class RuleTestOptions:
    """parser: the PromQL of rules and tests; chosen: which tests run, by name; ignores_unknown: fields of rule files."""

    parser: ParserSettings = STABLE
    chosen: Callable[[str], bool] = lambda _: True
    ignores_unknown: bool = False


def run_rule_tests(paths: Iterable[Path], options: RuleTestOptions) -> RuleTestReport:
    """Run all tests of these files; raises `InputError` for a file that is no file of rule tests."""
    report = RuleTestReport()
    for path in paths:
        file = load_file(RuleTestFile, path)
        for place, test in enumerate(file.tests):
            if not options.chosen(test.name):
                continue
            try:
                groups = _load_rules(file, path.absolute().parent, options)
                findings = asyncio.run(_Run(file, test, groups, options.parser).findings())
            except InputError as error:
                findings = [str(error)]
            name = f'test "{test.name}"' if test.name else f"test {place + 1}"
            report.passed += not findings
            report.failed += bool(findings)
            report.findings += [f"{path}: {name}: {finding}" for finding in findings]
    return report


def _load_rules(file: RuleTestFile, folder: Path, options: RuleTestOptions) -> list[RuleFile]:
    paths = find_rule_files(file.rule_files, folder)
    return [load_rule_file(path, options.parser, ignores_unknown=options.ignores_unknown) for path in paths]


class _Evaluator:
    """Implements `rules.evaluator.Evaluator` over the engine, without waiting."""

    def __init__(self, engine: Engine, store: MemoryStore) -> None:
        self._engine = engine
        self._store = store

    async def evaluate(self, expression: str, at_ms: int) -> Vector | Scalar:
        """See `Evaluator.evaluate`."""
        value = self._engine.instant(self._store.querier, expression, at_ms).value
        if isinstance(value, Vector | Scalar):
            return value
        raise ExecutionError(f"a vector or a scalar is needed; {expression} gives a {type(value).__name__.lower()}")


class _NoSink:
    """Implements `AlertSink`: alerts are read off the rules."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """See `AlertSink.send`."""


class _Run:
    """One test being run."""

    def __init__(self, file: RuleTestFile, test: RuleTest, rules: Sequence[RuleFile], parser: ParserSettings) -> None:
        self._file = file
        self._test = test
        self._start_ms = _time_of(test.start_timestamp)
        self._interval_ms = file.evaluation_interval.ms
        if test.end_ms // self._interval_ms >= EVALUATIONS_MAX:
            raise RuleTestError(f"more than {EVALUATIONS_MAX} evaluations: raise evaluation_interval")
        clock = VirtualClock(_FAR_FUTURE_SECONDS)
        self._store = MemoryStore(clock, retention_ms=_FOREVER_MS)
        self._engine = Engine(
            EngineSettings(limits=Limits(samples_max=0), parser=parser, subquery_step_ms=self._interval_ms)
        )
        self._evaluator = _Evaluator(self._engine, self._store)
        telemetry = RuleTelemetry(Telemetry())
        connections = Connections(
            self._evaluator,
            self._store,
            _NoSink(),
            clock,
            telemetry,
            logger("rules"),
            parser=self._engine.settings.parser,
        )
        around = Surroundings(Labels(test.external_labels), test.external_url)
        defaults = GroupDefaults(self._interval_ms)
        groups = [
            RuleGroup(group, one.path, defaults, around, connections, is_restored=True)
            for one in rules
            for group in one.groups
        ]
        order = {name: place for place, name in enumerate(file.group_eval_order)}
        self._groups = sorted(groups, key=lambda group: order.get(group.settings.name, -1))
        self._waiting = [_samples_of(test, place, self._start_ms, file) for place in range(len(test.input_series))]

    async def findings(self) -> list[str]:
        """What is not as the test says; an evaluation that fails ends the test."""
        findings: list[str] = []
        questions = sorted(self._test.alert_tests, key=lambda one: one.eval_time.ms)
        for after_ms in range(0, self._test.end_ms + 1, self._interval_ms):
            broken = await self._evaluate(after_ms)
            if broken:
                return [*findings, *broken]
            while questions and questions[0].eval_time.ms < after_ms + self._interval_ms:
                findings += self._ask_alerts(questions.pop(0))
        for question in self._test.expression_tests:
            findings += await self._ask_expression(question)
        return findings

    async def _evaluate(self, after_ms: int) -> list[str]:
        """Store what is due and evaluate all groups; which rules failed."""
        at_ms = self._start_ms + after_ms
        self._append_until(at_ms)
        broken: list[str] = []
        for group in self._groups:
            try:
                await group.evaluate(at_ms)
            except NunchiError as error:
                broken.append(f"at {format_duration(after_ms)}: group {group.settings.name}: {error}")
            broken += [
                f"at {format_duration(after_ms)}: rule {rule.name}: {rule.last_error}"
                for rule in group.status().rules
                if rule.health is RuleHealth.ERROR
            ]
        return broken

    def _append_until(self, at_ms: int) -> None:
        appender = self._store.appender()
        for place, (labels, samples) in enumerate(self._waiting):
            count = 0
            while count < len(samples) and samples[count].timestamp_ms <= at_ms:
                count += 1
            if count:
                appender.append(batch_of(labels, samples[:count]))
                self._waiting[place] = (labels, samples[count:])
        appender.commit()

    def _ask_alerts(self, question: AlertTest) -> list[str]:
        given = [
            (alert.labels, alert.annotations)
            for group in self._groups
            for rule in group.rules()
            if isinstance(rule, AlertingRule) and rule.name == question.alert
            for alert in rule.active.values()
            if alert.state is AlertState.FIRING
        ]
        wanted = [
            (Labels({**alert.labels, ALERT_NAME: question.alert}), Labels(alert.annotations))
            for alert in question.alerts
        ]
        if sorted(given, key=_order) == sorted(wanted, key=_order):
            return []
        what = f"at {format_duration(question.eval_time.ms)}: alert {question.alert}"
        return [_finding(what, map(_describe_alert, wanted), map(_describe_alert, given))]

    async def _ask_expression(self, question: ExpressionTest) -> list[str]:
        what = f"at {format_duration(question.eval_time.ms)}: {question.expression}"
        try:
            wanted = _expected(question)
            value = await self._evaluator.evaluate(question.expression, self._start_ms + question.eval_time.ms)
        except InputError as error:
            return [f"{what}: {error}"]
        given: list[Sample]
        if isinstance(value, Scalar):
            given = [(Labels(), value.value)]
        else:
            given = [(value.labels.labels(row), value.points(row)[0][1]) for row in range(len(value))]
        wanted.sort(key=_order)
        given.sort(key=_order)
        if len(wanted) == len(given) and all(map(self._is_same, wanted, given)):
            return []
        return [_finding(what, map(_describe_sample, wanted), map(_describe_sample, given))]

    def _is_same(self, wanted: Sample, given: Sample) -> bool:
        left, right = wanted[1], given[1]
        if wanted[0] != given[0] or isinstance(left, Histogram) is not isinstance(right, Histogram):
            return False
        if isinstance(left, Histogram) and isinstance(right, Histogram):
            return is_same_histogram(left, right, with_hint=True)
        assert isinstance(left, float)
        assert isinstance(right, float)
        if left == right or (math.isnan(left) and math.isnan(right)):
            return True
        return self._file.fuzzy_compare and right in {math.nextafter(left, math.inf), math.nextafter(left, -math.inf)}


def _time_of(text: str) -> int:
    """Milliseconds of a start_timestamp; none means 0."""
    try:
        if not text:
            return 0
        if text.replace(".", "", 1).isdigit():
            return round(float(text) * 1000)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("it has no time zone")
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise RuleTestError(
            f'start_timestamp: "{text}" is no time: write seconds or 2026-01-31T00:00:00Z ({error})'
        ) from None


def _samples_of(test: RuleTest, place: int, start_ms: int, file: RuleTestFile) -> tuple[Labels, list[LoadedSample]]:
    """One input series, and its samples in the order of time."""
    one = test.input_series[place]
    interval_ms = (test.interval or file.evaluation_interval).ms
    line = parse_series_line(f"{one.series} {one.values}")
    samples = [
        LoadedSample(start_ms + number * interval_ms, literal.value)
        for number, literal in enumerate(line.literals)
        if literal.value is not None
    ]
    return line.labels, samples


def _expected(question: ExpressionTest) -> list[Sample]:
    """The samples that a test wants; raises `InputError`."""
    samples: list[Sample] = []
    for one in question.samples:
        try:
            labels = parse_labels(one.labels) if one.labels.strip() else Labels()
        except ParseError as error:
            raise RuleTestError(f"labels {one.labels!r}: {error.message}") from None
        value: float | Histogram = one.value
        if one.histogram:
            literals = parse_values(one.histogram)
            if len(literals) != 1 or not isinstance(literals[0].value, Histogram):
                raise RuleTestError(f"histogram {one.histogram!r}: write one histogram in double braces")
            value = literals[0].value
        samples.append((labels, value))
    return samples


def _order(item: tuple[Labels, object]) -> tuple[object, str]:
    return item[0].pairs, str(item[1])


def _describe_sample(sample: Sample) -> str:
    return f"{sample[0]} {describe(sample[1])}"


def _describe_alert(alert: tuple[Labels, Labels]) -> str:
    return f"{alert[0]} with {alert[1]}"


def _finding(what: str, wanted: Iterable[str], given: Iterable[str]) -> str:
    return f"{what}\n    wanted: {'; '.join(wanted) or 'nothing'}\n    given:  {'; '.join(given) or 'nothing'}"
