"""Runs `.test` scripts: loads their samples into a setting, asks it their queries, and compares as the scripts demand.

A *setting* is a query engine over an empty store; it is made anew for every script and on `clear`. Every instant query runs
again pinned with `@` at other times, and as a range around its time: its answer must not change.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from nunchi.model.histogram import CUSTOM_SCHEMA, Histogram
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.query.errors import ParseError, QueryError, Unsupported
from nunchi.query.syntax import EVERYTHING, parse, print_node
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    MatrixSelector,
    Node,
    Parenthesis,
    Subquery,
    Unary,
    walk,
)
from nunchi.query.syntax.nodes import VectorSelector as Selector
from nunchi.testing.comparison import Mismatch, compare_scalar, compare_series, describe_points
from nunchi.testing.scalar_engine.histograms import spans_of
from nunchi.testing.script_text import (
    Clear,
    Eval,
    Expectation,
    Load,
    Remark,
    ScriptError,
    expected_points,
    parse_script,
)

UNPINNABLE: Final = frozenset(
    (
        *("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"),
        *("predict_linear", "time", "timestamp", "start", "end", "range", "step"),
    )
)
_EDGE_CALL = re.compile(r"\b(?:start|end|range|step)\s*\(\s*\)", re.IGNORECASE)
_MINUTE_MS: Final = 60_000

Value: TypeAlias = "float | Histogram"


@dataclass(frozen=True, slots=True)
class LoadedSample:
    """One sample; `start_timestamp_ms` 0 means unknown."""

    timestamp_ms: int
    value: float | Histogram
    start_timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class LoadedSeries:
    """One series to append."""

    labels: Labels
    samples: tuple[LoadedSample, ...]


SeriesPoints: TypeAlias = tuple[Labels, list[tuple[int, "float | Histogram"]]]


@dataclass(slots=True)
class Answer:
    """What a setting says: a scalar, a string, or series in their order; and its remarks as they are shown."""

    scalar: float | None = None
    string: str | None = None
    series: list[SeriesPoints] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


class Setting(Protocol):
    """An engine over a store of its own. All experimental features are on, delayed name removal too."""

    def append(self, series: Sequence[LoadedSeries]) -> None:
        """Store samples; they are visible at once."""
        ...

    def instant(self, expression: str, at_ms: int) -> Answer:
        """Evaluate at one time; raises `QueryError`."""
        ...

    def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        """Evaluate at each step, both ends included; raises `QueryError`."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One eval that did not go as the script says."""

    path: str
    line: int
    expression: str
    wanted: str
    given: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.expression}\n    wanted: {self.wanted}\n    given:  {self.given}"


@dataclass(slots=True)
class Report:
    """What came of the scripts."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [str(failure) for failure in self.failures]
        return "\n".join([*lines, f"{self.passed} passed, {len(self.failures)} failed"])


def run_files(paths: Iterable[Path], make_setting: Callable[[], Setting]) -> Report:
    """Run every script; a script that cannot be read counts as one failure."""
    report = Report()
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            report.failures.append(Failure(str(path), 0, "", "a script", f"{error}"))
            continue
        run_text(text, str(path), make_setting, report)
    return report


def run_text(text: str, name: str, make_setting: Callable[[], Setting], report: Report) -> None:
    """Run one script and note what came of it."""
    setting = make_setting()
    try:
        for command in parse_script(text, name):
            match command:
                case Clear():
                    setting = make_setting()
                case Load():
                    try:
                        setting.append(samples_of(command))
                    except QueryError as error:
                        report.failures.append(Failure(name, command.line, "load", "samples stored", str(error)))
                case Eval():
                    failure = _run_eval(command, name, setting)
                    if failure is None:
                        report.passed += 1
                    else:
                        report.failures.append(failure)
    except ScriptError as error:
        report.failures.append(Failure(name, 0, "", "a script that can be read", str(error)))


# Loading.


def samples_of(command: Load) -> list[LoadedSeries]:
    """The samples that a `load` stands for."""
    loaded = []
    for line, start_times in command.series:
        samples = []
        for position, literal in enumerate(line.literals):
            if literal.value is None:
                continue
            at_ms = position * command.step_ms
            offset = start_times[position] if start_times else None
            samples.append(LoadedSample(at_ms, literal.value, 0 if offset is None else at_ms + offset))
        loaded.append(LoadedSeries(line.labels, tuple(samples)))
    return [*loaded, *_custom_bucket_series(loaded)] if command.with_custom_buckets else loaded


@dataclass(slots=True)
class _Classic:
    """The parts of one classic histogram at one time."""

    cumulative: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    sum: float = 0.0

    def histogram(self) -> Histogram:
        bounds = sorted(self.cumulative)
        finite = [bound for bound in bounds if bound != float("inf")]
        total = self.count if self.count is not None else self.cumulative[bounds[-1]] if bounds else 0.0
        counts: dict[int, float] = {}
        previous = 0.0
        for index, bound in enumerate(finite):
            counts[index] = self.cumulative[bound] - previous
            previous = self.cumulative[bound]
        counts[len(finite)] = self.cumulative.get(float("inf"), total) - previous
        spans, buckets = spans_of(counts)
        return Histogram(
            CUSTOM_SCHEMA, total, self.sum, positive_spans=spans, positive_buckets=buckets, custom_values=tuple(finite)
        )


def _custom_bucket_series(loaded: list[LoadedSeries]) -> list[LoadedSeries]:
    """Classic histograms once more, as native ones with custom buckets."""
    parts: dict[Labels, dict[int, _Classic]] = {}
    for series in loaded:
        base, _, suffix = series.labels.metric_name.rpartition("_")
        if suffix not in {"bucket", "count", "sum"}:
            continue
        labels = series.labels.merge({METRIC_NAME: base}).drop("le")
        try:
            bound = float(series.labels.get("le")) if suffix == "bucket" else 0.0
        except ValueError:
            continue
        for sample in series.samples:
            assert not isinstance(sample.value, Histogram)
            classic = parts.setdefault(labels, {}).setdefault(sample.timestamp_ms, _Classic())
            if suffix == "bucket":
                classic.cumulative[bound] = sample.value
            elif suffix == "count":
                classic.count = sample.value
            else:
                classic.sum = sample.value
    return [
        LoadedSeries(
            labels, tuple(LoadedSample(at_ms, classic.histogram()) for at_ms, classic in sorted(times.items()))
        )
        for labels, times in parts.items()
        if any(classic.cumulative for classic in times.values())
    ]


# Evaluating.


def _run_eval(command: Eval, name: str, setting: Setting) -> Failure | None:
    """The first thing that is not as the script says, if any."""

    def failure(expression: str, wanted: str, given: str) -> Failure:
        return Failure(name, command.line, expression, wanted, given)

    fails = command.expectations.get(Remark.FAIL, [])
    try:
        answer = _ask(command, setting, command.expression, command.start_ms)
    except QueryError as error:
        message = error.message if isinstance(error, ParseError) else str(error)
        is_met = any(expectation.is_met_by(message) or expectation.is_met_by(str(error)) for expectation in fails)
        if is_met and not isinstance(error, Unsupported):
            return None
        wanted = f"an error: {', '.join(map(str, fails))}" if fails else _wanted(command)
        return failure(command.expression, wanted, f"{type(error).__name__}: {error}")
    if fails:
        return failure(command.expression, f"an error: {', '.join(map(str, fails))}", _given(answer))
    try:
        _check_remarks(command, answer)
        _check_values(command, answer)
    except Mismatch as mismatch:
        return failure(command.expression, mismatch.wanted, mismatch.given)
    if not command.is_instant or command.matrix_times is not None or command.string is not None:
        return None
    for expression, at_ms in [
        (command.expression, command.start_ms),
        *pinned_variants(command.expression, command.start_ms),
    ]:
        try:
            if at_ms != command.start_ms or expression != command.expression:
                _check_values(command, setting.instant(expression, at_ms), at_ms)
            if not command.is_ordered and not _EDGE_CALL.search(expression):
                around = setting.range(expression, at_ms - _MINUTE_MS, at_ms + _MINUTE_MS, _MINUTE_MS)
                _check_values(command, _at_time(command, around, at_ms), at_ms)
        except QueryError as error:
            return failure(f"{expression} at {at_ms} ms", _wanted(command), f"{type(error).__name__}: {error}")
        except Mismatch as mismatch:
            return failure(f"{expression} at {at_ms} ms", mismatch.wanted, mismatch.given)
    return None


def _ask(command: Eval, setting: Setting, expression: str, at_ms: int) -> Answer:
    if command.is_instant:
        return setting.instant(expression, at_ms)
    return setting.range(expression, command.start_ms, command.end_ms, command.step_ms)


def _at_time(command: Eval, answer: Answer, at_ms: int) -> Answer:
    """The answer of a range query at one of its times, as an instant query would give it."""
    _check_sorted(answer)
    found = [(labels, [point for point in points if point[0] == at_ms]) for labels, points in answer.series]
    found = [(labels, points) for labels, points in found if points]
    if command.scalar is None or not found:
        return Answer(series=found)
    value = found[0][1][0][1]
    return Answer(scalar=value if isinstance(value, float) else None)


def _check_remarks(command: Eval, answer: Answer) -> None:
    for remark, given in ((Remark.WARN, answer.warnings), (Remark.INFO, answer.infos)):
        wanted = command.expectations.get(remark, [])
        if remark in command.forbidden and given:
            raise Mismatch(f"no {remark.value}", f"{given}")
        for expectation in wanted:
            if not any(expectation.is_met_by(message) for message in given):
                raise Mismatch(f"{remark.value}: {expectation}", f"{given}")
        for message in given if wanted else ():
            if not any(expectation.is_met_by(message) for expectation in wanted):
                raise Mismatch(f"{remark.value}: only {', '.join(map(str, wanted))}", f"{given}")


def _check_values(command: Eval, answer: Answer, at_ms: int | None = None) -> None:
    if command.string is not None:
        if answer.string != command.string:
            raise Mismatch(repr(command.string), _given(answer))
        return
    if command.scalar is not None:
        compare_scalar(command.scalar, answer.scalar, _given(answer))
        return
    if not command.is_instant:
        _check_sorted(answer)
    wanted = expected_points(command)
    if at_ms is not None:
        wanted = [(line, [(at_ms, literal) for _, literal in points]) for line, points in wanted]
    if answer.scalar is not None or answer.string is not None:
        raise Mismatch(_wanted(command), _given(answer))
    compare_series([(line.labels, points) for line, points in wanted], answer.series, is_ordered=command.is_ordered)


def _check_sorted(answer: Answer) -> None:
    labels = [labels for labels, _ in answer.series]
    if labels != sorted(labels):
        raise Mismatch("series sorted by their labels", ", ".join(map(str, labels)))


def _wanted(command: Eval) -> str:
    if command.scalar is not None:
        return repr(command.scalar)
    if command.string is not None:
        return repr(command.string)
    series = [
        (line.labels, [(at, literal.value) for at, literal in points]) for line, points in expected_points(command)
    ]
    return describe_points(series)


def _given(answer: Answer) -> str:
    if answer.scalar is not None:
        return repr(answer.scalar)
    return repr(answer.string) if answer.string is not None else describe_points(answer.series)


# Variants.


def pinned_variants(expression: str, at_ms: int) -> list[tuple[str, int]]:
    """The expression with every selector pinned to its time, and times at which it must give the same answer."""
    node = parse(expression, EVERYTHING)
    if any(isinstance(inner, Call) and inner.function.name in UNPINNABLE for inner in walk(node)):
        return []
    text = print_node(pin(node, at_ms))
    if at_ms == 0:
        return [(text, at) for at in (-1000, 0, 1000)]
    return [(text, at) for at in (-10 * at_ms, 0, at_ms // 5, at_ms, 10 * at_ms)]


def pin(node: Node, at_ms: int) -> Node:
    """The tree with `@` on every selector and subquery that has no time of its own and stands in no pinned subquery."""
    match node:
        case Selector():
            return node if isinstance(node.at, int) else replace(node, at=at_ms)
        case MatrixSelector():
            selector = pin(node.selector, at_ms)
            assert isinstance(selector, Selector)
            return replace(node, selector=selector)
        case Subquery():
            return node if isinstance(node.at, int) else replace(node, at=at_ms)
        case Unary() | Parenthesis():
            return replace(node, expression=pin(node.expression, at_ms))
        case Binary():
            return replace(node, left=pin(node.left, at_ms), right=pin(node.right, at_ms))
        case Aggregation():
            parameter = None if node.parameter is None else pin(node.parameter, at_ms)
            return replace(node, expression=pin(node.expression, at_ms), parameter=parameter)
        case Call():
            return replace(node, arguments=tuple(pin(argument, at_ms) for argument in node.arguments))
        case _:
            return node


__all__ = [
    "Answer",
    "Expectation",
    "Failure",
    "LoadedSample",
    "LoadedSeries",
    "Report",
    "Setting",
    "run_files",
    "run_text",
]
