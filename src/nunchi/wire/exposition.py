"""Reading what targets serve: Prometheus text 0.0.4 and 1.0.0, OpenMetrics 0.0.1 and 1.0.0, as leniently as a scrape does.

A target's reader keeps the layout of its last body and matches the next one line by line (`kernels/exposition.pyx`), so in
steady state a line costs a comparison and a number, and Python sees only new series and metadata lines that moved. The
strict reading of OpenMetrics is in `openmetrics.py`.
Invariants: one bad line fails the whole exposition and leaves the reader as it was; at most `REMEMBERED_RATIO` times the
lines of a body, and `REMEMBERED_LINES_MIN`, are remembered.

Where it differs from Prometheus on purpose: a NUL where a line begins is an error, not the silent end of the exposition,
and timestamps beyond int64 milliseconds are errors.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.staleness import NORMAL_NAN_BITS
from nunchi.wire.errors import ExpositionError
from nunchi.wire.exemplars import read_exemplar
from nunchi.wire.exposition_format import ExpositionFormat
from nunchi.wire.go_floats import format_canonical, parse_float
from nunchi.wire.kernels.exposition import (
    ERRORS,
    HISTOGRAM_CONTEXT,
    NO_TIMESTAMP,
    SUMMARY_CONTEXT,
    ExpositionScanner,
)

__all__ = ["NO_TIMESTAMP", "Exposition", "ExpositionError", "ExpositionFormat", "ExpositionReader"]

REMEMBERED_RATIO = 4
REMEMBERED_LINES_MIN = 1024
ABSENT_READS_MAX = 16  # a line absent from so many bodies is the first to be forgotten
LINE_SHOWN_BYTES_MAX = 120

_QUOTED = rb'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(
    rb"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|" + _QUOTED + rb")[ \t]*(?:=[ \t]*" + _QUOTED + rb")?[ \t]*,?", re.DOTALL
)
_PLAIN_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"]*)"')
_BLANKS = b" \t"
_METADATA = re.compile(
    rb"#[ \t]+(HELP|TYPE)[ \t]+(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|" + _QUOTED + rb")(?:.(.*))?", re.DOTALL
)
_OPEN_METRICS_METADATA = re.compile(
    rb"# (HELP|TYPE|UNIT) (?:([a-zA-Z_:][a-zA-Z0-9_:]*)|" + _QUOTED + rb") (.*)", re.DOTALL
)
_ESCAPE = re.compile(rb'\\([\\"n])')
_HELP_ESCAPE = re.compile(rb"\\([\\n])")
_ESCAPED = {b"\\": b"\\", b'"': b'"', b"n": b"\n"}

_TEXT_TYPES = {
    "counter": MetricType.COUNTER,
    "gauge": MetricType.GAUGE,
    "histogram": MetricType.HISTOGRAM,
    "summary": MetricType.SUMMARY,
    "untyped": MetricType.UNKNOWN,
}
_OPEN_METRICS_TYPES = {kind.value: kind for kind in MetricType}
_CANONICAL_LABELS = {HISTOGRAM_CONTEXT: "le", SUMMARY_CONTEXT: "quantile"}


@dataclass(frozen=True, slots=True, eq=False)
class Exposition:
    """The samples of one body, in its order.

    series      int32[n]: ids. An id is one series text for as long as the reader remembers it, and dense from 0; it may be
                given to another series, listed in `new_series`, once its own was absent from two bodies. Two texts may
                mean equal labels (another order, another spelling): they have two ids
    values      float64[n]; NaN is always the ordinary one
    timestamps  int64[n], milliseconds; `NO_TIMESTAMP` where the line has none
    new_series  (id, labels) of series that the reader did not know
    metadata    of metric families, by name as exposed, where it is new or has changed
    is_steady   the same lines in the same order as the body before: `series` is then the very same array
    exemplars   (sample, exemplar); the time of one without a time is `NO_TIMESTAMP` where the sample has none either
    empty_labels  of new series, the names exposed with an empty value, which `Labels` leaves out
    histogram_of  int32[n], numbers of `histograms`, `FLOAT` where the sample is a number; None: all are numbers
    starts      int64[n], since when each sample counts, milliseconds, 0 where unknown; None: all unknown
    """

    series: NDArray[np.int32]
    values: NDArray[np.float64]
    timestamps: NDArray[np.int64]
    new_series: list[tuple[int, Labels]]
    metadata: dict[str, Metadata]
    has_timestamps: bool
    is_steady: bool
    exemplars: list[tuple[int, Exemplar]] = field(default_factory=list)
    empty_labels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None
    starts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)


class ExpositionReader:
    """One target's reader. Not for two threads at once; the scanning itself runs without the interpreter's lock."""

    def __init__(self) -> None:
        # The interpreter's own secret per process: a target cannot aim at one slot of the table.
        self._scanner = ExpositionScanner(hash("nunchi exposition") & 0xFFFFFFFFFFFFFFFF)
        self._families: dict[str, Metadata] = {}
        self._series = np.empty(0, np.int32)
        self._no_timestamps = np.empty(0, np.int64)

    def read(self, body: bytes, format: ExpositionFormat = ExpositionFormat.TEXT) -> Exposition:  # noqa: A002 (the word)
        """The samples of a body; raises `ExpositionError` with the line's number, and then nothing has changed."""
        scanner = self._scanner
        error = scanner.scan(body, format is ExpositionFormat.OPEN_METRICS)
        if error:
            raise self._error(body, scanner.error_offset, ERRORS[error])
        families = dict(self._families) if scanner.changed_metadata() else self._families
        try:
            new_series, empty_labels = self._parse_new_series(body)
            metadata = self._parse_changed_metadata(body, format, families)
        except ExpositionError:
            scanner.rollback()
            raise
        scanner.commit()
        self._families = families
        exposition = self._exposition(body, new_series, metadata, empty_labels)
        self._forget(format)
        return exposition

    def _exposition(
        self,
        body: bytes,
        new_series: list[tuple[int, Labels]],
        metadata: dict[str, Metadata],
        empty_labels: dict[int, tuple[str, ...]],
    ) -> Exposition:
        scanner = self._scanner
        count = scanner.sample_count
        values = np.empty(count, np.float64)
        scanner.write_values(values)
        values.view(np.uint64)[np.isnan(values)] = NORMAL_NAN_BITS
        if not scanner.is_steady:
            self._series = np.empty(count, np.int32)
            scanner.write_series(self._series)
            self._series.flags.writeable = False
        if scanner.has_timestamps:
            timestamps = np.empty(count, np.int64)
            scanner.write_timestamps(timestamps)
        else:
            if len(self._no_timestamps) != count:
                self._no_timestamps = np.full(count, NO_TIMESTAMP, np.int64)
                self._no_timestamps.flags.writeable = False
            timestamps = self._no_timestamps
        return Exposition(
            self._series,
            values,
            timestamps,
            new_series,
            metadata,
            scanner.has_timestamps,
            scanner.is_steady,
            self._exemplars(body, timestamps),
            empty_labels,
        )

    def _exemplars(self, body: bytes, timestamps: NDArray[np.int64]) -> list[tuple[int, Exemplar]]:
        found = []
        for sample, begin, end in self._scanner.exemplars:
            text = body[begin:end].partition(b"#")[2].strip(_BLANKS)
            labels, brace, rest = text.rpartition(b"}")
            try:
                pairs = parse_series(labels + brace)
            except ValueError:
                continue
            exemplar = read_exemplar(Labels(pairs), rest, int(timestamps[sample]))
            if exemplar is not None:
                found.append((sample, exemplar))
        return found

    def _parse_new_series(self, body: bytes) -> tuple[list[tuple[int, Labels]], dict[int, tuple[str, ...]]]:
        new_series: list[tuple[int, Labels]] = []
        empty_labels: dict[int, tuple[str, ...]] = {}
        for series, begin, end, context in self._scanner.new_series():
            try:
                pairs = parse_series(
                    body[begin:end], _CANONICAL_LABELS.get(context & (HISTOGRAM_CONTEXT | SUMMARY_CONTEXT))
                )
                new_series.append((series, Labels(pairs)))
            except ValueError as error:
                raise self._error(body, begin, str(error)) from None
            if empty := tuple(name for name, value in pairs if not value):
                empty_labels[series] = empty
        return new_series, empty_labels

    def _parse_changed_metadata(
        self,
        body: bytes,
        grammar: ExpositionFormat,
        families: dict[str, Metadata],
    ) -> dict[str, Metadata]:
        changed = {}
        for begin, end in self._scanner.changed_metadata():
            try:
                name = parse_metadata(body[begin:end], grammar, families)
            except ValueError as error:
                raise self._error(body, begin, str(error)) from None
            if families[name] != self._families.get(name):
                changed[name] = families[name]
        return changed

    def _forget(self, grammar: ExpositionFormat) -> None:
        """Keep to the bound: first what was absent for long, then all that the last two bodies did not have."""
        scanner = self._scanner
        lines_max = REMEMBERED_RATIO * scanner.line_count + REMEMBERED_LINES_MIN
        if scanner.remembered <= lines_max:
            return
        scanner.forget(ABSENT_READS_MAX)
        if scanner.remembered > lines_max // 2:
            scanner.forget(2)
        families: dict[str, Metadata] = {}
        for line in scanner.metadata_lines():
            parse_metadata(line, grammar, families)
        self._families = families

    @staticmethod
    def _error(body: bytes, offset: int, what: str) -> ExpositionError:
        line = body.count(b"\n", 0, offset) + 1
        end = body.find(b"\n", offset)
        shown = body[offset : len(body) if end < 0 else end]
        if not shown:
            return ExpositionError(line, what)
        text = shown[:LINE_SHOWN_BYTES_MAX].decode(errors="backslashreplace")
        return ExpositionError(line, f"{what}: {text}{'…' if len(shown) > LINE_SHOWN_BYTES_MAX else ''}")


def parse_series(text: bytes, canonical_label: str | None = None) -> list[tuple[str, str]]:
    """The labels, metric name among them, of a series' text whose shape the scanner has found good.

    Raises `ValueError` for what is not UTF-8 and for empty names. `canonical_label` (`le`, `quantile`) is written as Go
    writes floats.
    """
    name, brace, inside = text[:-1].partition(b"{") if text.endswith(b"}") else (text, b"", b"")
    pairs = [(METRIC_NAME, name.strip(_BLANKS).decode())] if name else []
    if not brace:
        return pairs
    plain = _PLAIN_PAIR.findall(_decode(inside)) if b"\\" not in inside else []
    if 2 * len(plain) == inside.count(b'"'):  # all that is quoted is a value of a plain name
        pairs += plain
    else:
        pairs += _parse_quoted_pairs(inside)
    if canonical_label is not None:
        pairs = [(name, _canonicalise(value) if name == canonical_label else value) for name, value in pairs]
    return pairs


def _parse_quoted_pairs(inside: bytes) -> list[tuple[str, str]]:
    """Labels with quoted names or escapes between them, and the metric name if it stands there."""
    pairs = []
    for match in _PAIR.finditer(inside):
        plain_name, quoted_name, quoted_value = match.groups()
        name = _unescape(plain_name if quoted_name is None else quoted_name)
        if not name:
            raise ValueError("a name is empty")
        pairs.append((METRIC_NAME, name) if quoted_value is None else (name, _unescape(quoted_value)))
    return pairs


def parse_metadata(line: bytes, grammar: ExpositionFormat, families: dict[str, Metadata]) -> str:
    """Take a HELP, TYPE or UNIT line into `families`; returns the family's name, raises `ValueError`."""
    is_strict = grammar is ExpositionFormat.OPEN_METRICS
    match = (_OPEN_METRICS_METADATA if is_strict else _METADATA).fullmatch(line)
    if match is None:
        raise ValueError("HELP, TYPE and UNIT are followed by a metric name and a text")
    keyword, plain_name, quoted_name, rest = match.groups(default=b"")
    name = _unescape(quoted_name or plain_name)
    known = families.get(name, Metadata())
    if keyword == b"HELP":
        escape = _ESCAPE if is_strict else _HELP_ESCAPE
        families[name] = Metadata(known.type, _unescape(rest, escape), known.unit)
    elif keyword == b"TYPE":
        kind = (_OPEN_METRICS_TYPES if is_strict else _TEXT_TYPES).get(_unescape(rest))
        if kind is None:
            raise ValueError(f"metric type {rest.decode(errors='backslashreplace')!r} does not exist in this format")
        families[name] = Metadata(kind, known.help, known.unit)
    else:
        unit = _unescape(rest)
        if unit and not name.endswith(f"_{unit}"):
            raise ValueError(f"the unit {unit!r} is not the ending of the metric name {name!r}")
        families[name] = Metadata(known.type, known.help, unit)
    return name


def _unescape(text: bytes, escape: re.Pattern[bytes] = _ESCAPE) -> str:
    if b"\\" in text:
        text = escape.sub(lambda match: _ESCAPED[match[1]], text)
    return _decode(text)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError("the text is not valid UTF-8") from None


def _canonicalise(text: str) -> str:
    try:
        return format_canonical(parse_float(text))
    except ValueError:
        return text
