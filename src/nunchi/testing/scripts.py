"""Runs `.test` scripts: loads their samples into a setting, asks it their queries, and compares as the scripts demand.

A *setting* is a query engine over an empty store; it is made anew for every script and on `clear`. Every instant query runs
again pinned with `@` at other times, and as a range around its time: its answer must not change.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.query.errors import ParseError, QueryError, Unsupported
from nunchi.testing.comparison import Mismatch, compare_scalar, compare_series, describe_points
from nunchi.testing.script_loading import LoadedSample, LoadedSeries, samples_of
from nunchi.testing.script_text import Clear, Eval, Load, Remark, ScriptError, expected_points, parse_script
from nunchi.testing.script_variants import pinned_variants

_EDGE_CALL = re.compile(r"\b(?:start|end|range|step)\s*\(\s*\)", re.IGNORECASE)
_MINUTE_MS: Final = 60_000
_SHOWN_MAX: Final = 500  # characters of an expression

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
        place = f"{self.path}:{self.line}" if self.line else self.path
        shown = f": {shorten(self.expression)}" if self.expression else ""
        return f"{place}{shown}\n    wanted: {self.wanted}\n    given:  {self.given}"


@dataclass(slots=True)
class Report:
    """What came of the scripts."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [str(failure) for failure in self.failures]
        return "\n".join([*lines, f"{self.passed} passed, {len(self.failures)} failed"])


def shorten(text: str) -> str:
    """A text of a bearable length, with a word about what was left out."""
    if len(text) <= _SHOWN_MAX:
        return text
    return f"{text[:_SHOWN_MAX]}… ({len(text)} characters)"


def run_files(paths: Iterable[Path], make_setting: Callable[[], Setting]) -> Report:
    """Run every script; a script that cannot be read counts as one failure."""
    report = Report()
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the file is no text in UTF-8"
            report.failures.append(Failure(str(path), 0, "", "a script", reason or str(error)))
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
        given = f"{error.reason}; the rest of the file was not run"
        report.failures.append(Failure(name, error.line, error.text, "a line that can be read", given))


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


__all__ = [
    "Answer",
    "Failure",
    "LoadedSample",
    "LoadedSeries",
    "Report",
    "Setting",
    "run_files",
    "run_text",
]
