"""The samples that the `load` of a script stands for; `load_with_nhcb` gives classic histograms as native ones too."""

from dataclasses import dataclass, field

from nunchi.model.histogram import CUSTOM_SCHEMA, Histogram
from nunchi.model.histogram_arithmetic import spans_of
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.testing.script_text import Load


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
