"""What a target's expositions become: rows over one layout, with staleness markers for what is gone.

One `TargetSeries` a target. In steady state, the same series in the same order, a scrape costs a comparison of two arrays
here, whatever its number of series; only new series are looked at one by one, once.
Invariant: the first columns of the layout are the report's; `_present` are the columns that owe a marker once they vanish.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.admission.door import series_stages
from nunchi.admission.limits import NO_LIMITS, SeriesLimits
from nunchi.admission.passage import REFUSED, Passage
from nunchi.intake.scrape.errors import ScrapeError, ScrapeLimitError
from nunchi.intake.scrape.family_labels import FamilyLabels
from nunchi.intake.scrape.interpretation import HistogramRules, Interpreter
from nunchi.model.batch import Batch
from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata
from nunchi.model.names import NameScheme
from nunchi.model.relabel import Relabeller
from nunchi.model.staleness import STALE
from nunchi.wire.exposition import NO_TIMESTAMP, Exposition, ExpositionError, ExpositionFormat

EXPORTED_PREFIX = "exported_"
UNUSED_COLUMNS_MAX = 1000
_NONE: NDArray[np.int32] = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class SampleRules:
    """How a job's expositions become series; a change of these judges all series again.

    with_family_labels  type and unit of their family are labels of series
    """

    relabelling: Relabeller = field(default_factory=Relabeller)
    limits: SeriesLimits = NO_LIMITS
    scheme: NameScheme = NameScheme.UTF8
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    samples_max: int = 0
    histograms: HistogramRules = field(default_factory=HistogramRules)
    with_family_labels: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What follows from the sequence of series alone, kept from one scrape to the next.

    series   int32[n], the reader's numbers, as scraped
    kept     positions that have a column; None: all of them
    columns  int32[kept], followed by the report's
    present  int32, ascending: the distinct columns that owe a marker once they vanish
    distinct int32, ascending: all distinct columns
    """

    series: NDArray[np.int32]
    kept: NDArray[np.int64] | None
    columns: NDArray[np.int32]
    present: NDArray[np.int32]
    distinct: NDArray[np.int32]
    duplicates: int
    relabelled: int


@dataclass(frozen=True, slots=True, eq=False)
class Scraped:
    """One exposition, judged. `timestamps` is None where no sample has one of its own; exemplars have their columns."""

    shape: Shape
    values: NDArray[np.float64]
    timestamps: NDArray[np.int64] | None
    metadata: Mapping[str, Metadata]
    samples: int
    samples_kept: int
    series_added: int
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None
    starts: NDArray[np.int64] | None = None
    exemplars: Sequence[tuple[int, Exemplar]] = ()


def _with_columns(exemplars: Sequence[tuple[int, Exemplar]], shape: Shape) -> list[tuple[int, Exemplar]]:
    """Exemplars by sample become exemplars by column; those of samples that are not kept fall out."""
    found = []
    for sample, exemplar in exemplars:
        place = sample if shape.kept is None else int(np.searchsorted(shape.kept, sample))
        if shape.kept is None or (place < len(shape.kept) and shape.kept[place] == sample):
            found.append((int(shape.columns[place]), exemplar))
    return found


def _timed(exemplars: Sequence[tuple[int, Exemplar]], timestamp_ms: int) -> list[tuple[int, Exemplar]]:
    """Those without a time have the scrape's; each series' in the order in which they are judged."""
    timed = [
        (column, replace(one, timestamp_ms=timestamp_ms) if one.timestamp_ms == NO_TIMESTAMP else one)
        for column, one in exemplars
    ]
    return sorted(timed, key=lambda pair: (pair[1].timestamp_ms, pair[1].value))


def merge_labels(exposed: Labels, target: Labels, honored_empty: Sequence[str] | None = None) -> dict[str, str]:
    """The labels of a sample: the target's win, and a clashing exposed one is renamed.

    With `honored_empty` (names exposed with an empty value) the exposed win instead, even the empty ones.
    """
    labels = dict(exposed.pairs)
    if honored_empty is not None:
        for name, value in target.pairs:
            if name not in honored_empty:
                labels.setdefault(name, value)
        return labels
    clashing = []
    for name, value in target.pairs:
        existing = labels.get(name, "")
        if existing:
            clashing.append((name, existing))
        labels[name] = value
    for name, value in sorted(clashing, key=lambda pair: len(pair[0])):
        renamed = EXPORTED_PREFIX + name
        while labels.get(renamed):
            renamed = EXPORTED_PREFIX + renamed
        labels[renamed] = value
    return labels


def _kept(numbers: NDArray[np.int32] | None, kept: NDArray[np.int64] | None) -> NDArray[np.int32] | None:
    return numbers if numbers is None or kept is None else numbers[kept]


def _kept_starts(starts: NDArray[np.int64] | None, kept: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    return starts if starts is None or kept is None else starts[kept]


def _padded_starts(starts: NDArray[np.int64] | None, size: int) -> NDArray[np.int64] | None:
    """Starts of cells, where cells without a start follow."""
    return None if starts is None else np.concatenate((starts, np.zeros(size - len(starts), np.int64)))


def _padded(numbers: NDArray[np.int32] | None, size: int) -> NDArray[np.int32] | None:
    """Which cells are histograms, where plain numbers follow."""
    if numbers is None:
        return None
    return np.concatenate((numbers, np.full(size - len(numbers), FLOAT, np.int32)))


class TargetSeries:
    """The series of one target, and which of them were there last time."""

    def __init__(self, target_labels: Labels, rules: SampleRules, report_names: Sequence[str]) -> None:
        self._target_labels = target_labels
        self._report_keys = [target_labels.merge({METRIC_NAME: name}).key() for name in report_names]
        self.rules = rules
        self.metadata: dict[str, Metadata] = {}
        self._begin([])

    def _begin(self, present_keys: list[bytes]) -> None:
        rules = self.rules
        self._interpreter = Interpreter(rules.histograms)
        self._family_labels = FamilyLabels() if rules.with_family_labels else None
        self._passage = Passage(series_stages(rules.relabelling, rules.scheme, rules.limits))
        columns = self._passage.columns_of(self._report_keys + present_keys)
        self._report_columns = columns[: len(self._report_keys)]
        self._present = np.sort(columns[len(self._report_keys) :])
        self._counted = self._present
        self._shape: Shape | None = None

    def renew(self, rules: SampleRules, report_names: Sequence[str]) -> None:
        """Judge everything again by other rules; what was present still gets its marker when it does not come back."""
        self.rules = rules
        self._report_keys = [self._target_labels.merge({METRIC_NAME: name}).key() for name in report_names]
        self._forget_unused()

    def _forget_unused(self) -> None:
        layout = self._passage.layout
        self._begin([layout.key(column) for column in self._present.tolist()])

    # One scrape: read, then batches, then settle.

    def read(self, body: bytes, exposition_format: ExpositionFormat) -> Scraped:
        """Parse and judge a body; raises `ScrapeError`, and then nothing of it counts."""
        if self._interpreter.numbers_anew(exposition_format):
            self._forget_unused()
        try:
            exposition = self._interpret(body, exposition_format)
        except ExpositionError as error:
            raise ScrapeError(str(error)) from error
        rules = self.rules
        if exposition.new_series:
            self._passage.admit(self._merged(exposition))
        timestamps = exposition.timestamps if rules.honor_timestamps and exposition.has_timestamps else None
        shape = self._shape
        if timestamps is not None or shape is None or shape.series is not exposition.series:
            shape = self._shape_of(exposition.series, timestamps)
        kept = shape.kept
        samples_kept = len(exposition.series) - shape.relabelled
        if rules.samples_max and samples_kept > rules.samples_max:
            raise ScrapeLimitError(
                f"sample limit exceeded: {samples_kept} samples after relabelling, {rules.samples_max} allowed"
            )
        return Scraped(
            shape=shape,
            values=exposition.values if kept is None else exposition.values[kept],
            timestamps=timestamps if timestamps is None or kept is None else timestamps[kept],
            metadata=exposition.metadata,
            samples=len(exposition.series),
            samples_kept=samples_kept,
            series_added=0 if shape is self._shape else len(np.setdiff1d(shape.distinct, self._counted, True)),
            histogram_of=_kept(exposition.histogram_of, kept),
            histograms=exposition.histograms,
            starts=_kept_starts(exposition.starts, kept),
            exemplars=_with_columns(exposition.exemplars, shape),
        )

    def _interpret(self, body: bytes, exposition_format: ExpositionFormat) -> Exposition:
        """The samples of a body; a family that is not what it was makes all series new."""
        exposition = self._interpreter.read(body, exposition_format)
        if self._family_labels is not None and self._family_labels.learn(exposition.metadata):
            self._forget_unused()
            exposition = self._interpreter.read(body, exposition_format)
            self._family_labels.learn(exposition.metadata)
        return exposition

    def batches(self, timestamp_ms: int, scraped: Scraped | None, report: Sequence[float]) -> list[Batch]:
        """The rows of one scrape, markers and report included; `scraped` None means that it failed."""
        layout, report_values = self._passage.layout, np.array(report, np.float64)
        if scraped is None:
            columns, values = np.concatenate((self._present, self._report_columns)), report_values
            if len(self._present):
                values = np.concatenate((np.full(len(self._present), STALE), report_values))
            return [Batch.row(layout, timestamp_ms, columns, values)]
        shape = scraped.shape
        columns, values = shape.columns, np.concatenate((scraped.values, report_values))
        gone = _NONE if shape is self._shape else self._gone(shape)
        if len(gone):
            columns = np.concatenate((columns, gone))
            values = np.concatenate((values, np.full(len(gone), STALE)))
        histogram_of = _padded(scraped.histogram_of, len(columns))
        starts = _padded_starts(scraped.starts, len(columns))
        exemplars = _timed(scraped.exemplars, timestamp_ms)
        if scraped.timestamps is None:
            batch = Batch.row(layout, timestamp_ms, columns, values, scraped.metadata)
            changed = replace(batch, histogram_of=histogram_of, histograms=scraped.histograms, starts=starts)
            return [replace(changed, exemplars=exemplars)]
        times = np.full(len(columns), timestamp_ms, np.int64)
        own = scraped.timestamps != NO_TIMESTAMP
        times[: len(own)][own] = scraped.timestamps[own]
        order = np.argsort(times, kind="stable")
        numbers = None if histogram_of is None else histogram_of[order]
        return [
            Batch.cells(
                layout, times[order], columns[order], values[order], scraped.metadata,
                histogram_of=numbers, histograms=scraped.histograms,
                starts=None if starts is None else starts[order], exemplars=exemplars,
            )
        ]  # fmt: skip

    def end_batches(self, timestamp_ms: int) -> list[Batch]:
        """Markers for everything, the report too: the target is no more."""
        columns = np.concatenate((self._present, self._report_columns))
        return [Batch.row(self._passage.layout, timestamp_ms, columns, np.full(len(columns), STALE))]

    def settle(self, scraped: Scraped | None) -> None:
        """What was batched is stored: it is now the last scrape."""
        if scraped is None:
            self._present, self._shape = _NONE, None
            return
        self.metadata.update(scraped.metadata)
        if scraped.shape is self._shape:
            return
        self._present = scraped.shape.present
        if scraped.samples:
            self._counted = scraped.shape.distinct
        self._shape = scraped.shape if scraped.timestamps is None else None
        if len(self._passage.layout) > 2 * len(self._present) + len(self._report_keys) + UNUSED_COLUMNS_MAX:
            self._forget_unused()

    # What is done only when something changed.

    def _merged(self, exposition: Exposition) -> Iterator[tuple[int, dict[str, str]]]:
        honor, empty = self.rules.honor_labels, exposition.empty_labels
        for number, labels in exposition.new_series:
            merged = merge_labels(labels, self._target_labels, empty.get(number, ()) if honor else None)
            if self._family_labels is not None:
                self._family_labels.add(merged)
            yield number, merged

    def _shape_of(self, series: NDArray[np.int32], timestamps: NDArray[np.int64] | None) -> Shape:
        columns = self._passage.take(series)
        if len(columns) and columns.min() <= REFUSED:
            refused = int(series[int(np.argmin(columns))])
            raise ScrapeLimitError(self._passage.refusal(refused))
        keep = columns >= 0
        relabelled = len(columns) - int(np.count_nonzero(keep))
        repeated = self._repeated(series)
        if timestamps is not None:
            repeated &= timestamps == NO_TIMESTAMP
        duplicates = int(np.count_nonzero(repeated & keep))
        keep &= ~repeated
        kept = None if keep.all() else np.flatnonzero(keep)
        columns = columns if kept is None else columns[kept]
        owing = columns
        if timestamps is not None and not self.rules.track_timestamps_staleness:
            owing = columns[(timestamps if kept is None else timestamps[kept]) == NO_TIMESTAMP]
        present = np.unique(owing)
        return Shape(
            series=series,
            kept=kept,
            columns=np.concatenate((columns, self._report_columns)),
            present=present,
            distinct=present if owing is columns else np.unique(columns),
            duplicates=duplicates,
            relabelled=relabelled,
        )

    @staticmethod
    def _repeated(series: NDArray[np.int32]) -> NDArray[np.bool_]:
        """bool[n]: whether the same series stood earlier in the exposition."""
        positions = np.arange(len(series), dtype=np.int64)
        if not len(series):
            return positions.astype(bool)
        first = np.zeros(int(series.max()) + 1, np.int64)
        first[series[::-1]] = positions[::-1]
        repeated: NDArray[np.bool_] = first[series] != positions
        return repeated

    def _gone(self, shape: Shape) -> NDArray[np.int32]:
        return np.setdiff1d(self._present, shape.present, assume_unique=True)
