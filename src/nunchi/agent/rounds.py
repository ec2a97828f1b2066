"""From what checks found at one moment to one row: series get columns of a layout, their values become an array.

Invariant: a round's cells name columns of its own layout, each at most once; a series without a name, or with a label that has
none, is in no layout, since a server takes nothing of a payload that has one. Layouts only grow; once most of one's columns are
no longer in use, a new one is begun, so that hosts with short-lived series do not carry their dead for ever.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import LabelPairs
from nunchi.agent.schedule import Outcome
from nunchi.model.histogram import Histogram
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout

COLUMNS_SPARE_MAX = 1000
NO_COLUMN = -1  # of a series that cannot be named
METADATA_INTERVAL_MS = 600_000  # a server that was restarted knows all types again after so long
SUCCESS, DURATION = "node_scrape_collector_success", "node_scrape_collector_duration_seconds"


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One row: `values[i]` belongs to column `columns[i]`. `metadata` has the metric families that are new or due again.

    `histograms` belong to the last cells, whose values stand for nothing. `replaces`: values that the server has for this
    time already give way to these.
    """

    timestamp_ms: int
    layout: Layout
    columns: "array[int]"
    values: "array[float]"
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    replaces: bool = False
    histograms: tuple[Histogram, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def slice(self, begin: int, end: int) -> "Round":
        """Some of its cells; what it says of metric families goes with the first."""
        metadata = {} if begin else self.metadata
        numbers = len(self.values) - len(self.histograms)
        return Round(
            self.timestamp_ms, self.layout, self.columns[begin:end], self.values[begin:end], metadata, self.replaces,
            self.histograms[max(0, begin - numbers) : max(0, end - numbers)],
        )  # fmt: skip


class Aggregation:
    """Makes rounds. `labels` are added to every series that has none of the name; the check's job is added as `job`."""

    def __init__(self, labels: Mapping[str, str], accounting: Accounting) -> None:
        self._labels = dict(labels)
        self._accounting = accounting
        self._layout = Layout()
        self._metadata: dict[str, Metadata] = {}
        self._metadata_due_ms = 0
        self._columns: dict[tuple[str, str, LabelPairs], int] = {}
        self._columns_before: array[int] = array("i")

    def apply(self, labels: Mapping[str, str]) -> None:
        """Add these labels from now on."""
        if dict(labels) != self._labels:
            self._labels = dict(labels)
            self._begin_layout()

    def round(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> Round:
        """One row of everything. Of two samples of one series the first counts; the others are dropped."""
        if len(self._columns) > 2 * len(self._columns_before) + COLUMNS_SPARE_MAX:
            self._begin_layout()
        columns: array[int] = array("i")
        values: array[float] = array("d")
        types = {SUCCESS: MetricType.GAUGE, DURATION: MetricType.GAUGE}
        helps: dict[str, str] = {}
        for outcome in outcomes:
            types.update(outcome.emission.types)
            helps.update(outcome.emission.helps)
            for name, labels, value in outcome.emission.samples:
                columns.append(self._column(outcome.job, name, labels))
                values.append(value)
        for outcome in outcomes:
            if outcome.job == "node":
                labels = (("collector", outcome.name),)
                columns.append(self._column("node", SUCCESS, labels))
                values.append(1.0 if outcome.is_success else 0.0)
                if not math.isnan(outcome.duration_seconds):
                    columns.append(self._column("node", DURATION, labels))
                    values.append(outcome.duration_seconds)
        histograms = {
            self._column(outcome.job, name, labels): histogram
            for outcome in outcomes
            for name, labels, histogram in outcome.emission.histograms
        }
        return self._finish(
            timestamp_ms, columns, values, histograms, self._changed_metadata(timestamp_ms, types, helps)
        )

    def _finish(
        self, timestamp_ms: int, columns: "array[int]", values: "array[float]", histograms: Mapping[int, Histogram],
        metadata: Mapping[str, Metadata],
    ) -> Round:  # fmt: skip
        columns.extend(histograms)
        values.extend([0.0] * len(histograms))
        self._accounting.collected.add(len(columns))
        if NO_COLUMN in columns:
            columns, values, histograms = self._named(columns, values, histograms)
        if columns == self._columns_before:
            columns = self._columns_before  # steady state: rounds that wait share one array
        elif len(set(columns)) < len(columns):
            first: dict[int, float] = {}
            for column, value in zip(columns, values, strict=True):
                first.setdefault(column, value)
            self._accounting.dropped.add(len(columns) - len(first), "duplicate")
            histograms = {
                column: own for column, own in histograms.items() if column not in columns[: -len(histograms)]
            }
            columns, values = array("i", first), array("d", first.values())
        self._columns_before = columns
        return Round(timestamp_ms, self._layout, columns, values, metadata, histograms=tuple(histograms.values()))

    def _named(
        self, columns: "array[int]", values: "array[float]", histograms: Mapping[int, Histogram]
    ) -> "tuple[array[int], array[float], Mapping[int, Histogram]]":
        """The cells of series that can be named; the others are dropped."""
        kept = [at for at, column in enumerate(columns) if column != NO_COLUMN]
        self._accounting.dropped.add(len(columns) - len(kept), "no_name")
        return (
            array("i", (columns[at] for at in kept)),
            array("d", (values[at] for at in kept)),
            {column: own for column, own in histograms.items() if column != NO_COLUMN},
        )

    def _changed_metadata(
        self, timestamp_ms: int, types: Mapping[str, MetricType], helps: Mapping[str, str]
    ) -> Mapping[str, Metadata]:
        if timestamp_ms >= self._metadata_due_ms:
            self._metadata_due_ms = timestamp_ms + METADATA_INTERVAL_MS
            self._metadata = {}
        changed = {}
        for name, kind in types.items():
            known, help_text = self._metadata.get(name), helps.get(name, "")
            if known is None or known.type is not kind or known.help != help_text:
                changed[name] = Metadata(kind, help_text)
        self._metadata.update(changed)
        changed.pop("", None)
        return changed

    def _column(self, job: str, name: str, labels: LabelPairs) -> int:
        column = self._columns.get((job, name, labels))
        if column is None:
            own = {**self._labels, **dict(labels), "job": job, METRIC_NAME: name}
            if not name or "" in own:
                self._columns[job, name, labels] = NO_COLUMN
                return NO_COLUMN
            key = Labels((label, clean(value)) for label, value in own.items()).key()
            column = self._columns[job, name, labels] = self._layout.append(key)
        return column

    def _begin_layout(self) -> None:
        self._layout = Layout()
        self._columns = {}
        self._columns_before = array("i")


def clean(text: str) -> str:
    """A text that UTF-8 can write: the kernel's names are bytes, and not all bytes are text."""
    return text.encode(errors="replace").decode()
