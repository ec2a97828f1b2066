"""Whether a text is OpenMetrics 1.0.0, held to every rule of the specification. Scrapes are more lenient: `exposition.py`.

The grammar of single lines is in `openmetrics_grammar.py`; here are families, metrics and points: what must stand together,
in which order, and which values a type allows. Standard library only.
Invariant: a text that passes could be read back into metric families without a guess.
"""

import math
from dataclasses import dataclass, field

from nunchi.wire.errors import OpenMetricsError
from nunchi.wire.openmetrics_grammar import Descriptor, SampleLine, parse_descriptor, parse_number, parse_sample

__all__ = ["OpenMetricsError", "Summary", "validate"]

# The endings of sample names, by type of family; "" is the family's own name.
SUFFIXES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "info": ("_info",),
    "stateset": ("",),
    "summary": ("", "_count", "_sum", "_created"),
    "unknown": ("",),
}
WITHOUT_UNIT = frozenset({"info", "stateset"})
WITH_EXEMPLARS = frozenset({("counter", "_total"), ("histogram", "_bucket"), ("gaugehistogram", "_bucket")})
NEVER_NAN = frozenset({"_total", "_bucket", "_count", "_gcount", "_sum", "_gsum"})
NEVER_NEGATIVE = frozenset({"_total", "_bucket", "_count", "_gcount", "_sum"})
WITH_POINTS = frozenset({"histogram", "gaugehistogram", "counter"})  # whose points are judged when they are complete


@dataclass(frozen=True, slots=True)
class Summary:
    """What a valid text holds."""

    families: int
    samples: int


@dataclass(slots=True)
class Point:
    """The samples of one metric at one time; buckets as (threshold, count) in their order."""

    timestamp: float | None
    values: dict[str, float] = field(default_factory=dict)
    buckets: list[tuple[float, float]] = field(default_factory=list)
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)


@dataclass(slots=True)
class Family:
    """The family that is being read."""

    name: str
    type: str = ""
    unit: str | None = None
    help: str | None = None
    has_samples: bool = False
    metrics: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    metric: tuple[tuple[str, str], ...] | None = None
    point: Point | None = None

    @property
    def kind(self) -> str:
        """The type; `unknown` where none is declared."""
        return self.type or "unknown"


def validate(text: bytes) -> Summary:
    """Raises `OpenMetricsError` at the first line that breaks a rule."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise OpenMetricsError(text.count(b"\n", 0, error.start) + 1, "the text is not valid UTF-8") from None
    lines = decoded.split("\n")
    if lines[-1] == "":
        lines.pop()
    if "# EOF" not in lines:
        raise OpenMetricsError(len(lines), "# EOF is missing as the last line: the text is cut off, or not OpenMetrics")
    validator = Validator()
    for number, line in enumerate(lines, 1):
        try:
            if line == "# EOF":
                validator.end()
                if number != len(lines):
                    raise OpenMetricsError(number + 1, "text follows after # EOF")
            else:
                validator.take(line)
        except ValueError as error:
            raise OpenMetricsError(number, str(error)) from None
    return Summary(validator.families, validator.samples)


class Validator:
    """Takes lines in their order; raises `ValueError`. What a line completes is judged then: it carries the blame."""

    def __init__(self) -> None:
        self.families = 0
        self.samples = 0
        self._family: Family | None = None
        self._names: dict[str, str] = {}  # of families and of all their possible samples, to the family

    def take(self, line: str) -> None:
        """The next line but EOF."""
        if not line:
            raise ValueError("the line is empty")
        if line.startswith("#"):
            self._describe(parse_descriptor(line))
        else:
            self._sample(parse_sample(line))

    def end(self) -> None:
        """The last line was taken."""
        self._close()

    def _describe(self, line: Descriptor) -> None:
        family = self._family
        if family is None or family.name != line.family:
            family = self._open(line.family)
        if family.has_samples:
            raise ValueError(f"{line.keyword} of {line.family} stands behind its samples")
        match line.keyword:
            case "TYPE":
                if family.type:
                    raise ValueError(f"a second TYPE of {line.family}")
                if line.text not in SUFFIXES:
                    raise ValueError(f"the type {line.text!r} does not exist")
                family.type = line.text
            case "UNIT":
                if family.unit is not None:
                    raise ValueError(f"a second UNIT of {line.family}")
                if line.text and not line.family.endswith(f"_{line.text}"):
                    raise ValueError(f"the name {line.family} does not end in its unit _{line.text}")
                family.unit = line.text
            case _:
                if family.help is not None:
                    raise ValueError(f"a second HELP of {line.family}")
                family.help = line.text
        if family.unit and family.kind in WITHOUT_UNIT:
            raise ValueError(f"{line.family} is of type {family.kind}, which has no unit")

    def _open(self, name: str) -> Family:
        self._close()
        self._family = Family(name)
        self.families += 1
        return self._family

    def _close(self) -> None:
        """The family is complete: its last point is judged, and its names are taken."""
        family = self._family
        if family is None:
            return
        _close_point(family)
        for suffix in {"", *SUFFIXES[family.kind]}:
            self._claim(family.name + suffix, family.name)
        self._family = None

    def _claim(self, name: str, family: str) -> None:
        holder = self._names.setdefault(name, family)
        if holder != family:
            raise ValueError(f"{name} belongs to the family {holder} and to {family}")
        if name == family and f"{family} " in self._names:
            raise ValueError(f"the family {family} is interrupted by another and begins again")
        if name == family:
            self._names[f"{family} "] = family  # no metric name has a space: the mark that it was closed

    def _sample(self, line: SampleLine) -> None:
        family = self._family
        suffix = _suffix_of(line.name, family) if family else None
        if family is None or suffix is None:
            if line.name in self._names:
                raise ValueError(f"{line.name} belongs to the family {self._names[line.name]}, which has ended")
            family, suffix = self._open(line.name), ""
        family.has_samples = True
        self.samples += 1
        _check_value(family, suffix, line)
        _check_labels(family, suffix, line)
        _enter_point(family, suffix, line)


def _suffix_of(name: str, family: Family) -> str | None:
    for suffix in SUFFIXES[family.kind]:
        if name == family.name + suffix:
            return suffix
    return None


def _check_value(family: Family, suffix: str, line: SampleLine) -> None:
    value, kind = line.value, family.kind
    if suffix in NEVER_NAN and math.isnan(value):
        raise ValueError(f"{line.name} counts or sums: it cannot be NaN")
    if suffix in NEVER_NEGATIVE and value < 0:
        raise ValueError(f"{line.name} only grows: it cannot be negative")
    if kind == "summary" and not suffix and value < 0:
        raise ValueError("a quantile cannot be negative")
    if kind == "stateset" and value not in {0, 1}:
        raise ValueError("a state is 0 or 1")
    if kind == "info" and value != 1:
        raise ValueError("an info metric is 1")
    if line.has_exemplar and (kind, suffix) not in WITH_EXEMPLARS:
        raise ValueError(f"{line.name} of type {kind} has no exemplars; buckets and totals have")


def _check_labels(family: Family, suffix: str, line: SampleLine) -> None:
    kind = family.kind
    if suffix == "_bucket":
        text = line.labels.get("le", "")
        threshold = parse_number(text) if text else math.nan
        if math.isnan(threshold) or (math.isinf(threshold) and threshold > 0 and text != "+Inf"):
            raise ValueError(f"the bucket needs a label le with a threshold, +Inf for the last one, not {text!r}")
    elif kind == "summary" and not suffix:
        text = line.labels.get("quantile", "")
        if not text or not 0 <= parse_number(text) <= 1:
            raise ValueError(f"the quantile needs a label quantile between 0 and 1, not {text!r}")
    elif kind == "stateset" and family.name not in line.labels:
        raise ValueError(f"a state stands in a label called as its family, {family.name}")


def _enter_point(family: Family, suffix: str, line: SampleLine) -> None:
    """Put a sample where it belongs: same metric and time as before, or the next."""
    own = {"_bucket": "le", "": {"summary": "quantile", "stateset": family.name}.get(family.kind, "")}.get(suffix, "")
    metric = tuple(sorted((name, value) for name, value in line.labels.items() if name != own))
    point = family.point
    if metric != family.metric or point is None:
        _close_point(family)
        if metric in family.metrics:
            raise ValueError(f"the metric {dict(metric)} of {family.name} is interrupted by another and begins again")
        family.metrics.add(metric)
        family.metric = metric
        point = family.point = Point(line.timestamp)
    elif (line.timestamp is None) != (point.timestamp is None):
        raise ValueError("some samples of the metric have a timestamp and some have none")
    elif line.timestamp is not None and point.timestamp is not None and line.timestamp != point.timestamp:
        if line.timestamp < point.timestamp:
            raise ValueError("the timestamps of the metric go backwards")
        _close_point(family)
        point = family.point = Point(line.timestamp)
    series = (suffix, tuple(sorted(line.labels.items())))
    if series in point.seen and line.timestamp is None:
        raise ValueError(f"{line.name} with the same labels stands here twice")
    point.seen.add(series)
    if suffix == "_bucket":
        _enter_bucket(point, parse_number(line.labels["le"]), line.value)
    else:
        point.values[suffix] = line.value


def _enter_bucket(point: Point, threshold: float, count: float) -> None:
    if point.buckets:
        threshold_before, count_before = point.buckets[-1]
        if threshold <= threshold_before:
            raise ValueError("the thresholds of the buckets do not increase")
        if count < count_before:
            raise ValueError("the counts of the buckets decrease")
    point.buckets.append((threshold, count))


def _close_point(family: Family) -> None:
    """A point is complete: what its type demands of all its samples together."""
    point, family.point = family.point, None
    if point is None or family.kind not in WITH_POINTS:
        return
    values = point.values
    if family.kind == "counter":
        if "_total" not in values:
            raise ValueError(f"a metric of the counter {family.name} has no _total")
        return
    count, total = ("_gcount", "_gsum") if family.kind == "gaugehistogram" else ("_count", "_sum")
    if not point.buckets or point.buckets[-1][0] != math.inf:
        raise ValueError(f"a metric of {family.name} has no bucket +Inf as its last one")
    if count in values and values[count] != point.buckets[-1][1]:
        raise ValueError(f"the {count} of a metric of {family.name} is not the count of its bucket +Inf")
    if (count in values) != (total in values):
        raise ValueError(f"a metric of {family.name} has {count} without {total}, or the other way round")
    is_negative = point.buckets[0][0] < 0
    if is_negative and "_sum" in values:
        raise ValueError(f"{family.name} has thresholds below zero: it cannot have a _sum")
    if not is_negative and values.get("_gsum", 0) < 0:
        raise ValueError(f"the _gsum of {family.name} is negative, its thresholds are not")
