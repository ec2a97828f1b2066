"""What the scalar evaluator passes around: plain lists of plain objects."""

from dataclasses import dataclass, field
from typing import TypeAlias

from nunchi.model.histogram import Histogram
from nunchi.model.labels import METRIC_NAME, Labels

TYPE_LABEL = "__type__"
UNIT_LABEL = "__unit__"

Value: TypeAlias = "float | Histogram"


@dataclass(frozen=True, slots=True)
class Point:
    """A sample: when, what, and since when it counts (0: unknown)."""

    timestamp_ms: int
    value: float | Histogram
    start_timestamp_ms: int = 0


@dataclass(slots=True)
class Element:
    """One series of an instant vector. `drops_name`: the metric name is to go at the end of the query.

    `sample_ms` and `start_ms` are the sample's own times, known right behind a selector only.
    """

    labels: Labels
    value: float | Histogram
    drops_name: bool = False
    sample_ms: int | None = None
    start_ms: int = 0


@dataclass(slots=True)
class Window:
    """One series of a range vector: the samples in (start_ms, end_ms], and for extended selectors those around."""

    labels: Labels
    points: list[Point]
    start_ms: int
    end_ms: int
    drops_name: bool = False
    before: Point | None = None
    after: Point | None = None

    @property
    def floats(self) -> list[Point]:
        """The samples that are numbers."""
        return [point for point in self.points if not isinstance(point.value, Histogram)]

    @property
    def histograms(self) -> list[Point]:
        """The samples that are histograms."""
        return [point for point in self.points if isinstance(point.value, Histogram)]

    @property
    def numbers(self) -> list[float]:
        """The values that are numbers."""
        return [point.value for point in self.points if not isinstance(point.value, Histogram)]


@dataclass(slots=True)
class Series:
    """A stored series, samples by ascending time."""

    labels: Labels
    points: list[Point] = field(default_factory=list)


def without_name(labels: Labels) -> Labels:
    """The labels that remain when a function changes what the values mean."""
    return labels.drop(METRIC_NAME, TYPE_LABEL, UNIT_LABEL)
