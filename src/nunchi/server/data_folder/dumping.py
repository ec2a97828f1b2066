"""`dump` and `export`: samples as lines, as they come, or as OpenMetrics that import reads back.

Export declares a type only where the lines keep OpenMetrics's rules for it; histograms and summaries stand metric after
metric, point after point. Invariant: what import makes of an export has every bit of every sample, staleness markers
included; NaN is NaN.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.names import NameScheme
from nunchi.model.staleness import STALE_BITS
from nunchi.server.data_folder.progress import Progress
from nunchi.server.data_folder.sample_lines import lines_of, series_text, time_texts, value_texts
from nunchi.server.data_folder.series import Matchers, SeriesSamples, metric_names, series_of_metric
from nunchi.storage.contracts import Store
from nunchi.wire.go_floats import parse_float

Write = Callable[[str], object]
# The endings of the samples of a family, by its type, and the label that tells its parts.
PARTS: Mapping[MetricType, tuple[str, ...]] = {
    MetricType.HISTOGRAM: ("_bucket", "_count", "_sum", "_created"),
    MetricType.GAUGE_HISTOGRAM: ("_bucket", "_gcount", "_gsum"),
    MetricType.SUMMARY: ("", "_count", "_sum", "_created"),
}
PART_LABELS = {MetricType.HISTOGRAM: "le", MetricType.GAUGE_HISTOGRAM: "le", MetricType.SUMMARY: "quantile"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: series that match any of the selectors, samples within [start_ms, end_ms]."""

    selectors: Sequence[Matchers]
    start_ms: int
    end_ms: int
    keeps_staleness: bool = True


def dump(store: Store, request: Request, write: Write, progress: Progress) -> int:
    """Write every sample as a line; returns how many."""
    querier = store.querier()
    written = 0
    try:
        progress.begin("dumping", store.statistics().samples, "samples")
        for name in metric_names(querier, request.selectors, request.start_ms, request.end_ms):
            for series in series_of_metric(querier, name, request.selectors, request.start_ms, request.end_ms):
                write("".join(lines_of(series)))
                written += len(series)
                progress.advance(len(series), len(series))
    finally:
        querier.close()
    return written


@dataclass(frozen=True, slots=True)
class Family:
    """The metrics that are exported together, and what is declared of them."""

    name: str
    metrics: tuple[str, ...]
    metadata: Metadata


def export(store: Store, request: Request, write: Write, progress: Progress) -> int:
    """Write OpenMetrics; returns how many samples."""
    querier = store.querier()
    written = 0
    try:
        progress.begin("exporting", store.statistics().samples, "samples")
        names = metric_names(querier, request.selectors, request.start_ms, request.end_ms)
        for family in families_of(names, store.metadata()):
            series = (
                _without_staleness(one) if not request.keeps_staleness else one
                for metric in family.metrics
                for one in series_of_metric(querier, metric, request.selectors, request.start_ms, request.end_ms)
            )
            write(_head(family))
            lines = _points(family, list(series)) if family.metadata.type in PARTS else _plain(series)
            for text, samples in lines:
                write(text)
                written += samples
                progress.advance(samples, samples)
        write("# EOF\n")
    finally:
        querier.close()
    return written


def families_of(names: Sequence[str], metadata: Mapping[str, Metadata]) -> list[Family]:
    """Metrics in families, by what is known of them; what no type explains stands alone and is `unknown`."""
    left = dict.fromkeys(names)
    families: list[Family] = []
    for name in names:
        if name not in left:
            continue
        family = _family_of(name, left, metadata)
        for metric in family.metrics:
            del left[metric]
        families.append(family)
    return families


def _family_of(name: str, left: Mapping[str, None], metadata: Mapping[str, Metadata]) -> Family:
    known = metadata.get(name, Metadata())
    base = name.removesuffix("_total")
    if name.endswith("_total") and base not in left:
        of_base = metadata.get(base, Metadata())
        if MetricType.COUNTER in {known.type, of_base.type}:
            chosen = known if known.type is MetricType.COUNTER else of_base
            return Family(base, (name,), replace(chosen, unit=_fitting_unit(chosen, base)))
    for kind, endings in PARTS.items():
        for ending in endings:
            base = name.removesuffix(ending)
            if not name.endswith(ending) or metadata.get(base, Metadata()).type is not kind:
                continue
            if "" not in endings and base in left:
                continue
            parts = tuple(base + other for other in endings if base + other in left)
            return Family(base, parts, replace(metadata[base], unit=_fitting_unit(metadata[base], base)))
    kind = MetricType.GAUGE if known.type is MetricType.GAUGE else MetricType.UNKNOWN
    return Family(name, (name,), replace(known, type=kind, unit=_fitting_unit(known, name)))


def _fitting_unit(known: Metadata, name: str) -> str:
    return known.unit if known.unit and name.endswith(f"_{known.unit}") else ""


def _head(family: Family) -> str:
    if not family.name or not NameScheme.LEGACY.is_metric_name(family.name):
        return ""
    lines = [f"# TYPE {family.name} {family.metadata.type.value}\n"]
    if family.metadata.unit:
        lines.append(f"# UNIT {family.name} {family.metadata.unit}\n")
    if family.metadata.help:
        text = family.metadata.help.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        lines.append(f"# HELP {family.name} {text}\n")
    return "".join(lines)


def _plain(series: Iterator[SeriesSamples]) -> Iterator[tuple[str, int]]:
    for one in series:
        yield "".join(lines_of(one)), len(one)


def _points(family: Family, series: list[SeriesSamples]) -> Iterator[tuple[str, int]]:
    """The parts of each metric side by side, time after time."""
    label = PART_LABELS[family.metadata.type]
    metrics: dict[Labels, list[SeriesSamples]] = {}
    for one in series:
        metrics.setdefault(one.labels.drop(METRIC_NAME, label), []).append(one)
    for parts in metrics.values():
        parts.sort(key=lambda part: _rank(part.labels, label))
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable").tolist()
        texts = [f"{series_text(part.labels)} {value}" for part in parts for value in value_texts(part)]
        moments = time_texts(times)
        yield "".join(f"{texts[place]} {moments[place]}\n" for place in order), len(order)


def _rank(labels: Labels, label: str) -> tuple[bool, float, str]:
    try:
        return label not in labels, parse_float(labels.get(label, "0")), labels.metric_name
    except ValueError:
        return True, 0.0, labels.metric_name


def _without_staleness(series: SeriesSamples) -> SeriesSamples:
    stale = series.values.view(np.uint64) == STALE_BITS
    if series.histogram_of is not None and series.histograms is not None:
        is_histogram = series.histogram_of >= 0
        stale[is_histogram] = series.histograms.is_stale()[series.histogram_of[is_histogram]]
    if not stale.any():
        return series
    histogram_of = None if series.histogram_of is None else series.histogram_of[~stale]
    return replace(series, times=series.times[~stale], values=series.values[~stale], histogram_of=histogram_of)
