"""From what checks found at one moment to one row: series get columns of a layout, their values become an array.

Invariant: a round's cells name columns of its own layout, each at most once. Layouts only grow; once most of one's columns are
no longer in use, a new one is begun, so that hosts with short-lived series do not carry their dead for ever.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nunchi.agent.accounting import Accounting
from nunchi.agent.emission import LabelPairs
from nunchi.agent.schedule import Outcome
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import MetricType
from nunchi.model.series_group import Layout

COLUMNS_SPARE_MAX = 1000
SUCCESS, DURATION = "node_scrape_collector_success", "node_scrape_collector_duration_seconds"


class RoundLayout:
    """A layout, and the types of the metric families in it."""

    def __init__(self) -> None:
        self.layout = Layout()
        self.types: dict[str, MetricType] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One row: `values[i]` belongs to column `columns[i]`."""

    timestamp_ms: int
    layout: RoundLayout
    columns: "array[int]"
    values: "array[float]"

    def __len__(self) -> int:
        return len(self.values)

    def slice(self, begin: int, end: int) -> "Round":
        """Some of its cells."""
        return Round(self.timestamp_ms, self.layout, self.columns[begin:end], self.values[begin:end])


class Aggregation:
    """Makes rounds. `labels` are added to every series; the check's job is added as `job`."""

    def __init__(self, labels: Mapping[str, str], accounting: Accounting) -> None:
        self._labels = dict(labels)
        self._accounting = accounting
        self._layout = RoundLayout()
        self._columns: dict[tuple[str, str, LabelPairs], int] = {}
        self._columns_before: array[int] = array("i")

    def round(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> Round:
        """One row of everything. Of two samples of one series the first counts; the others are dropped."""
        if len(self._columns) > 2 * len(self._columns_before) + COLUMNS_SPARE_MAX:
            self._begin_layout()
        columns: array[int] = array("i")
        values: array[float] = array("d")
        for outcome in outcomes:
            self._layout.types.update(outcome.emission.types)
            for name, labels, value in outcome.emission.samples:
                columns.append(self._column(outcome.job, name, labels))
                values.append(value)
        for name in (SUCCESS, DURATION):
            self._layout.types[name] = MetricType.GAUGE
        for outcome in outcomes:
            if outcome.job == "node":
                labels = (("collector", outcome.name),)
                columns.append(self._column("node", SUCCESS, labels))
                values.append(1.0 if outcome.is_success else 0.0)
                if not math.isnan(outcome.duration_seconds):
                    columns.append(self._column("node", DURATION, labels))
                    values.append(outcome.duration_seconds)
        return self._finish(timestamp_ms, columns, values)

    def _finish(self, timestamp_ms: int, columns: "array[int]", values: "array[float]") -> Round:
        self._accounting.collected.add(len(columns))
        if columns == self._columns_before:
            columns = self._columns_before  # steady state: rounds that wait share one array
        elif len(set(columns)) < len(columns):
            first: dict[int, float] = {}
            for column, value in zip(columns, values, strict=True):
                first.setdefault(column, value)
            self._accounting.dropped.add(len(columns) - len(first), "duplicate")
            columns, values = array("i", first), array("d", first.values())
        self._columns_before = columns
        return Round(timestamp_ms, self._layout, columns, values)

    def _column(self, job: str, name: str, labels: LabelPairs) -> int:
        column = self._columns.get((job, name, labels))
        if column is None:
            key = Labels({**dict(labels), **self._labels, "job": job, METRIC_NAME: name}).key()
            column = self._columns[job, name, labels] = self._layout.layout.append(key)
        return column

    def _begin_layout(self) -> None:
        self._layout = RoundLayout()
        self._columns = {}
        self._columns_before = array("i")
