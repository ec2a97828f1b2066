"""The series notation of `.test` scripts and rule tests: `metric{label="value"} 1+2x3 _ stale {{count:3 sum:5}}x2`.

Item by item: `_` is a gap and `_xN` are N of them; `stale` is the staleness marker; `axN` are N+1 times `a`; `a+bxN` are N+1
values, each by `b` more than the one before; histograms stand in double braces and take the same suffixes.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from nunchi.kit.errors import InputError
from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, add
from nunchi.model.labels import Labels
from nunchi.model.staleness import STALE
from nunchi.query.errors import ParseError
from nunchi.query.syntax.parser import parse_labels

VALUES_MAX: Final = 1_000_000

_SERIES = re.compile(
    r"""\s*(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)?\s*(?P<braces>\{(?!\{)(?:[^"'`}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\})?"""
)
_NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN])"
_FLOATS = re.compile(rf"(?P<first>{_NUMBER}|stale)(?:(?P<step>{_NUMBER})(?=x))?(?:x(?P<times>[0-9]+))?(?=\s|$)")
_GAPS = re.compile(r"_(?:x(?P<times>[0-9]+))?(?=\s|$)")
_HISTOGRAMS = re.compile(
    r"\{\{(?P<first>[^}]*)\}\}(?:(?P<sign>[+-])\{\{(?P<step>[^}]*)\}\}(?=x))?(?:x(?P<times>[0-9]+))?(?=\s|$)"
)
_FIELD = re.compile(r"\s*(?P<key>[a-z_]+):(?P<value>\[[^\]]*\]|[^\s\[\]]+)")
_KEYS: Final = frozenset(
    (
        *("schema", "sum", "count", "z_bucket", "z_bucket_w", "custom_values", "buckets", "offset"),
        *("n_buckets", "n_offset", "counter_reset_hint"),
    )
)


class NotationError(InputError):
    """A series line that cannot be read."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written; `hint_given` tells whether a histogram's reset hint was written too. None is a gap."""

    value: float | Histogram | None
    hint_given: bool = False


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One line: whose values, and which. `has_start_times`: the values are start timestamps (`@st` behind the labels)."""

    labels: Labels
    literals: tuple[Literal, ...]
    start_times: str = field(default="")


def parse_series_line(line: str) -> SeriesLine:
    """A whole line; raises `NotationError`."""
    labels, rest = split_series(line)
    if rest.startswith("@st") and (len(rest) == 3 or rest[3].isspace()):
        return SeriesLine(labels, (), start_times=rest[3:].strip() or " ")
    return SeriesLine(labels, parse_values(rest))


def split_series(line: str) -> tuple[Labels, str]:
    """The label set at the start of a line, and what follows it."""
    match = _SERIES.match(line)
    assert match is not None
    text = match.group(0).strip()
    if not text:
        raise NotationError(f"a series must begin with a metric name or labels in braces: {line!r}")
    try:
        return parse_labels(text), line[match.end() :].strip()
    except ParseError as error:
        raise NotationError(f"series {text!r}: {error.message}") from None


def parse_values(text: str) -> tuple[Literal, ...]:
    """The values of a line; raises `NotationError`."""
    literals: list[Literal] = []
    at = 0
    text = text.strip()
    while at < len(text):
        gap, floats = _GAPS.match(text, at), _FLOATS.match(text, at)
        histograms = _HISTOGRAMS.match(text, at)
        match = gap or floats or histograms
        if match is None:
            raise NotationError(f"not a value of the series notation: {text[at : at + 40]!r}")
        times = int(match.group("times") or (1 if gap else 0))
        if len(literals) + times >= VALUES_MAX:
            raise NotationError(f"more than {VALUES_MAX} values in one line")
        if gap:
            literals.extend([Literal(None)] * times)
        elif floats:
            literals.extend(_floats(floats.group("first"), floats.group("step"), times))
        else:
            literals.extend(_histograms(match, times))
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return tuple(literals)


def _floats(first: str, step: str | None, times: int) -> list[Literal]:
    value = STALE if first == "stale" else float(first)
    if step is None:
        return [Literal(value)] * (times + 1)
    increment = float(step)
    literals = [Literal(value)]
    for _ in range(times):
        value += increment
        literals.append(Literal(value))
    return literals


def _histograms(match: re.Match[str], times: int) -> list[Literal]:
    first, hint_given = parse_histogram(match.group("first"))
    if match.group("step") is None:
        return [Literal(first, hint_given)] * (times + 1)
    step, _ = parse_histogram(match.group("step"))
    if step.schema < first.schema:
        raise NotationError(f"cannot add a histogram of schema {step.schema} to one of schema {first.schema}")
    literals = [Literal(first, hint_given)]
    for _ in range(times):
        try:
            combined = add(first, step, 1.0 if match.group("sign") == "+" else -1.0)
        except IncompatibleError:
            raise NotationError("exponential and custom buckets cannot be added") from None
        first = combined.histogram
        literals.append(Literal(first, hint_given))
    return literals


def parse_histogram(text: str) -> tuple[Histogram, bool]:
    """The histogram between `{{` and `}}`, and whether a reset hint was written; raises `NotationError`."""
    fields: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        match = _FIELD.match(text, at)
        if match is None or match.group("key") not in _KEYS:
            raise NotationError(f"not a field of a histogram: {text[at:].strip()!r}")
        if match.group("key") in fields:
            raise NotationError(f"field {match.group('key')} of a histogram is given twice")
        fields[match.group("key")] = match.group("value")
        at = match.end()
    try:
        return _histogram_of(fields), "counter_reset_hint" in fields
    except ValueError as error:
        raise NotationError(f"histogram {{{{{text}}}}}: {error}") from None


def _histogram_of(fields: dict[str, str]) -> Histogram:
    def number(key: str) -> float:
        return float(fields.get(key, "0"))

    def numbers(key: str) -> tuple[float, ...]:
        return tuple(float(word) for word in fields.get(key, "[]").strip("[]").split())

    positive, negative = numbers("buckets"), numbers("n_buckets")
    return Histogram(
        schema=int(fields.get("schema", "0")),
        count=number("count"),
        sum=number("sum"),
        zero_threshold=number("z_bucket_w"),
        zero_count=number("z_bucket"),
        positive_spans=(BucketSpan(int(fields.get("offset", "0")), len(positive)),) if positive else (),
        positive_buckets=positive,
        negative_spans=(BucketSpan(int(fields.get("n_offset", "0")), len(negative)),) if negative else (),
        negative_buckets=negative,
        custom_values=numbers("custom_values"),
        reset_hint=ResetHint(fields.get("counter_reset_hint", "unknown")),
    )
