"""Writing expositions: metric families as Prometheus text 0.0.4 or as OpenMetrics 1.0.0. Standard library only.

Invariant: what is written here reads back to the same labels and the same bits of every value but NaN; OpenMetrics output
passes the strict reading of `openmetrics.py` wherever the samples themselves allow it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nunchi.kit.telemetry import Instrument, Telemetry
from nunchi.model.metadata import MetricType
from nunchi.wire.exposition_format import ExpositionFormat
from nunchi.wire.go_floats import format_float

__all__ = ["ExpositionFormat", "Family", "Sample", "format_families", "format_telemetry", "telemetry_families"]

LabelPairs = Sequence[tuple[str, str]]

_PLAIN_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TEXT_TYPES = {
    MetricType.COUNTER: "counter",
    MetricType.GAUGE: "gauge",
    MetricType.HISTOGRAM: "histogram",
    MetricType.SUMMARY: "summary",
    MetricType.INFO: "gauge",
    MetricType.STATESET: "gauge",
}  # what text 0.0.4 has no word for is untyped


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: its whole name (`x_bucket`, not `x`), labels in the order to be shown, value, and a time if it has one."""

    name: str
    labels: LabelPairs
    value: float
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one metric family. The name of a counter's family is that of its samples, `_total` included."""

    name: str
    type: MetricType
    help: str
    samples: Sequence[Sample]
    unit: str = ""


def format_families(families: Iterable[Family], exposition_format: ExpositionFormat = ExpositionFormat.TEXT) -> bytes:
    """A whole exposition. Families without samples are left out."""
    is_open = exposition_format is ExpositionFormat.OPEN_METRICS
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += _open_metrics_head(family) if is_open else _text_head(family)
            lines += [_format_sample(sample, is_open=is_open) for sample in family.samples]
    if is_open:
        lines.append("# EOF\n")
    return "".join(lines).encode(errors="replace")  # a lone surrogate must not cost the exposition


def format_telemetry(telemetry: Telemetry, exposition_format: ExpositionFormat = ExpositionFormat.TEXT) -> bytes:
    """Our own instruments, by name."""
    return format_families(telemetry_families(telemetry), exposition_format)


def telemetry_families(telemetry: Telemetry) -> Iterator[Family]:
    """Our own instruments as families, by name."""
    return map(_family_of, telemetry.instruments())


def _family_of(instrument: Instrument) -> Family:
    samples = [Sample(name, labels, value) for name, labels, value in instrument.samples()]
    return Family(instrument.name, MetricType(instrument.type), instrument.help_text, samples)


def _text_head(family: Family) -> list[str]:
    name = _format_name(family.name)
    head = [f"# TYPE {name} {_TEXT_TYPES.get(family.type, 'untyped')}\n"]
    if family.help:
        head.insert(0, f"# HELP {name} {_escape_help(family.help)}\n")
    return head


def _open_metrics_head(family: Family) -> list[str]:
    name, kind = family.name, family.type
    if kind is MetricType.COUNTER:
        # Without its suffix a counter's samples are nobody's: it is shown as what it can be.
        kind = kind if name.endswith("_total") else MetricType.UNKNOWN
        name = name.removesuffix("_total") if kind is MetricType.COUNTER else name
    elif kind is MetricType.INFO:
        name = name.removesuffix("_info")
    shown = _format_name(name)
    head = [f"# TYPE {shown} {kind.value}\n"]
    if family.unit and name.endswith(f"_{family.unit}"):
        head.append(f"# UNIT {shown} {family.unit}\n")
    if family.help:
        head.append(f"# HELP {shown} {_escape(family.help)}\n")
    return head


def _format_sample(sample: Sample, *, is_open: bool) -> str:
    labels = ",".join(
        f'{name if _PLAIN_LABEL.fullmatch(name) else _quote(name)}="{_escape(value)}"' for name, value in sample.labels
    )
    if _PLAIN_METRIC.fullmatch(sample.name):
        series = f"{sample.name}{{{labels}}}" if labels else sample.name
    else:
        series = f"{{{_quote(sample.name)}{',' if labels else ''}{labels}}}"
    if sample.timestamp_ms is None:
        return f"{series} {format_float(sample.value)}\n"
    time = _format_seconds(sample.timestamp_ms) if is_open else str(sample.timestamp_ms)
    return f"{series} {format_float(sample.value)} {time}\n"


def _format_seconds(timestamp_ms: int) -> str:
    sign = "-" if timestamp_ms < 0 else ""
    seconds, milliseconds = divmod(abs(timestamp_ms), 1000)
    return f"{sign}{seconds}.{milliseconds:03d}"


def _format_name(name: str) -> str:
    return name if _PLAIN_METRIC.fullmatch(name) else _quote(name)


def _quote(text: str) -> str:
    return f'"{_escape(text)}"'


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escape(text: str) -> str:
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text
