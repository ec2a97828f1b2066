"""The text of `.test` scripts: commands `load`, `clear` and `eval`, each a line and the lines below it up to an empty one.

Parsing only; `scripts` runs them. A line whose first sign is `#` counts as empty; `clear`
needs no empty line around it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError
from nunchi.query.syntax.literals import parse_number, unquote
from nunchi.testing.series_notation import Literal, SeriesLine, parse_series_line

_INSTANT = re.compile(r"eval(?:_(?P<kind>fail|warn|ordered|info))?\s+instant\s+at\s+(?P<at>\S+)\s+(?P<expression>.+)")
_RANGE = re.compile(
    r"eval(?:_(?P<kind>fail|warn|info))?\s+range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)"
    r"\s+step\s+(?P<step>\S+)\s+(?P<expression>.+)"
)
_LOAD = re.compile(r"load(?P<nhcb>_with_nhcb)?\s+(?P<step>\S+)")
_EXPECT = re.compile(
    r"expect\s+(?P<what>ordered|fail|warn|no_warn|info|no_info)(?:\s+(?P<how>msg|regex):\s*(?P<text>.*))?"
)
_EXPECT_STRING = re.compile(r"expect\s+string\s+(?P<text>\"(?:[^\"\\]|\\.)*\"|`[^`]*`|'(?:[^'\\]|\\.)*')")
_EXPECT_MATRIX = re.compile(
    r"expect\s+range\s+vector\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+)"
)
_EXPECTED_FAIL = re.compile(r"expected_fail_(?P<how>message|regexp)\s+(?P<text>.*)")
_START_TIME = r"[+-]?(?:(?:[0-9]+(?:ms|[smhdwy]))+|0(?![0-9a-z]))"
_START_TIMES = re.compile(
    rf"(?P<first>_|{_START_TIME})(?:(?P<step>{_START_TIME})(?=x))?(?:x(?P<times>[0-9]+))?(?=\s|$)"
)


class ScriptError(InputError):
    """A script that cannot be read; the message begins with file and line, `text` is that line."""

    def __init__(self, name: str, line: int, text: str, reason: str) -> None:
        super().__init__(f"{name}:{line}: {reason}")
        self.line = line
        self.text = text
        self.reason = reason


class _BadLine(Exception):  # noqa: N818 (what was found)
    """Which line of a command cannot be read, from 0, and why."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


@contextmanager
def _reading(offset: int) -> Iterator[None]:
    """Whatever is wrong in the block is wrong with this line of the command."""
    try:
        yield
    except re.error as error:
        raise _BadLine(offset, f"not a regular expression: {error}") from None
    except (ValueError, InputError) as error:
        raise _BadLine(offset, str(error)) from None


class Remark(Enum):
    """What an `expect` line is about."""

    FAIL = "fail"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A remark or an error that must come: exactly this text, or one that the pattern finds, or any."""

    text: str | None = None
    pattern: re.Pattern[str] | None = None

    def is_met_by(self, message: str) -> bool:
        """Whether a message is what was expected."""
        if self.pattern is not None:
            return self.pattern.search(message) is not None
        return self.text is None or self.text == message.strip()

    def __str__(self) -> str:
        if self.pattern is not None:
            return f"something that matches {self.pattern.pattern!r}"
        return "anything" if self.text is None else repr(self.text)


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget all samples."""

    line: int


@dataclass(frozen=True, slots=True)
class Load:
    """Samples to append: per series its values, one a step, and its start timestamps relative to them (None: unknown)."""

    line: int
    step_ms: int
    series: tuple[tuple[SeriesLine, tuple[int | None, ...]], ...]
    with_custom_buckets: bool


@dataclass(slots=True)
class Eval:
    """A query and what is expected of it. `start_ms == end_ms` and `step_ms == 0`: an instant query."""

    line: int
    expression: str
    start_ms: int
    end_ms: int
    step_ms: int
    expectations: dict[Remark, list[Expectation]] = field(default_factory=dict)
    forbidden: set[Remark] = field(default_factory=set)
    is_ordered: bool = False
    scalar: float | None = None
    string: str | None = None
    matrix_times: tuple[int, int, int] | None = None
    series: list[tuple[SeriesLine, int]] = field(default_factory=list)

    @property
    def is_instant(self) -> bool:
        """Whether it is evaluated at one time only."""
        return self.step_ms == 0

    def expect(self, remark: Remark, expectation: Expectation) -> None:
        """Note one more expectation."""
        self.expectations.setdefault(remark, []).append(expectation)


Command: TypeAlias = Clear | Load | Eval


def parse_script(text: str, name: str) -> Iterator[Command]:
    """The commands of a script, one by one; raises `ScriptError`."""
    lines = [line.strip() for line in text.split("\n")]
    lines = ["" if line.startswith("#") else line for line in lines]
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end] and not _is_clear(lines[at]) and not _is_clear(lines[end]):
            end += 1
        try:
            with _reading(0):
                command = _command(lines[at:end], at + 1)
        except _BadLine as error:
            bad = at + error.offset
            raise ScriptError(name, bad + 1, lines[bad], str(error)) from None
        yield command
        at = end


def _is_clear(line: str) -> bool:
    return line.lower() == "clear"


def _command(lines: list[str], number: int) -> Command:
    word = lines[0].split()[0].lower()
    if word == "clear":
        return Clear(number)
    if word.startswith("load"):
        return _load(lines, number)
    if word.startswith("eval"):
        return _eval(lines, number)
    raise ValueError(f"no such command: {word}")


def _load(lines: list[str], number: int) -> Load:
    head = _LOAD.fullmatch(lines[0])
    if head is None:
        raise ValueError("write `load <step>` or `load_with_nhcb <step>`")
    series: dict[object, tuple[SeriesLine, tuple[int | None, ...]]] = {}
    pending: SeriesLine | None = None
    for offset, text in enumerate(lines[1:], 1):
        with _reading(offset):
            line = parse_series_line(text)
            if line.start_times:
                pending = line
                continue
            start_times: tuple[int | None, ...] = ()
            if pending is not None:
                start_times = _start_times(pending.start_times)
                if pending.labels != line.labels or len(start_times) != len(line.literals):
                    raise ValueError(f"start timestamps of {pending.labels} must stand right before as many values")
                pending = None
            series[line.labels] = (line, start_times)
    return Load(number, parse_duration(head["step"]), tuple(series.values()), head["nhcb"] is not None)


def _start_times(text: str) -> tuple[int | None, ...]:
    times: list[int | None] = []
    for word in text.split():
        match = _START_TIMES.fullmatch(word)
        if match is None:
            raise ValueError(f"not a start timestamp: {word}")
        count = int(match["times"] or 0)
        if match["first"] == "_":
            times.extend([None] * max(count, 1))
            continue
        first, step = _signed_duration(match["first"]), _signed_duration(match["step"] or "0")
        times.extend(first + step * position for position in range(count + 1))
    return tuple(times)


def _signed_duration(text: str) -> int:
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text.removeprefix("+"))


def _eval(lines: list[str], number: int) -> Eval:
    instant, ranged = _INSTANT.fullmatch(lines[0]), _RANGE.fullmatch(lines[0])
    if instant is not None:
        at_ms = parse_duration(instant["at"])
        command = Eval(number, instant["expression"], at_ms, at_ms, 0)
        kind = instant["kind"]
    elif ranged is not None:
        start_ms, end_ms = parse_duration(ranged["start"]), parse_duration(ranged["end"])
        command = Eval(number, ranged["expression"], start_ms, end_ms, parse_duration(ranged["step"]))
        kind = ranged["kind"]
    else:
        raise ValueError(
            "write `eval instant at <time> <expression>` or `eval range from <time> to <time> step <step> …`"
        )
    if kind == "ordered":
        command.is_ordered = True
    elif kind:
        command.expect(Remark(kind), Expectation())
    for position, text in enumerate(lines[1:]):
        with _reading(position + 1):
            if _expect_line(command, text):
                continue
            value = _bare_number(text)
            if value is not None:
                command.scalar = value
                break
            line = parse_series_line(text)
            is_single = command.is_instant and command.matrix_times is None
            if is_single and len(line.literals) != 1:
                raise ValueError(f"an instant query has one value a series, not {len(line.literals)}")
            command.series.append((line, position))
    return command


def _bare_number(text: str) -> float | None:
    sign = -1.0 if text.startswith("-") else 1.0
    try:
        return sign * parse_number(text.lstrip("+-"))
    except ValueError:
        return None


def _expect_line(command: Eval, text: str) -> bool:
    """Whether a line is an expectation; it is noted then."""
    if (match := _EXPECT_STRING.fullmatch(text)) is not None:
        command.string = unquote(match["text"])
    elif (match := _EXPECT_MATRIX.fullmatch(text)) is not None:
        start, end, step = (parse_duration(match[name]) for name in ("start", "end", "step"))
        command.matrix_times = (start, end, step)
        command.start_ms = command.end_ms = end
    elif (match := _EXPECTED_FAIL.fullmatch(text)) is not None:
        is_exact = match["how"] == "message"
        expectation = Expectation(match["text"].strip()) if is_exact else Expectation(None, re.compile(match["text"]))
        command.expectations[Remark.FAIL] = [expectation]
    elif (match := _EXPECT.fullmatch(text)) is not None:
        what, how, wanted = match["what"], match["how"], match["text"]
        if what == "ordered":
            command.is_ordered = True
        elif what.startswith("no_"):
            command.forbidden.add(Remark(what.removeprefix("no_")))
        elif how == "regex":
            command.expect(Remark(what), Expectation(None, re.compile(wanted.strip())))
        else:
            command.expect(Remark(what), Expectation(wanted.strip() if how else None))
    else:
        return False
    return True


def expected_points(command: Eval) -> list[tuple[SeriesLine, list[tuple[int, Literal]]]]:
    """The series that an eval expects, each with its points."""
    if command.matrix_times is not None:
        start, _, step = command.matrix_times
    else:
        start, step = command.start_ms, command.step_ms
    return [
        (line, [(start + i * step, literal) for i, literal in enumerate(line.literals) if literal.value is not None])
        for line, _ in command.series
    ]
