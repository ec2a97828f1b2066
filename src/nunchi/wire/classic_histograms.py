"""Classic histograms of an exposition become native ones with custom buckets, one sample in place of many.

What follows from the sequence of series is worked out once and kept while it stays; then a body is converted by arrays.
A histogram that is exposed natively too is left as it is. One whose counts decrease becomes nothing, as with Prometheus.
Invariant: series given on have even numbers, twice the reader's; converted ones have odd numbers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan
from nunchi.model.histogram_columns import FLOAT, HistogramColumns, Shape
from nunchi.model.labels import Labels
from nunchi.model.metadata import MetricType
from nunchi.model.staleness import ABSENT
from nunchi.wire.created_timestamps import NONE, SeriesKnown
from nunchi.wire.exposed_parts import BUCKET, CREATED, part_of
from nunchi.wire.exposition import Exposition
from nunchi.wire.go_floats import parse_float

NUMBERS_RATIO = 4
NUMBERS_MIN = 1024

Longs = NDArray[np.int64]


@dataclass(slots=True)
class _Group:
    """Where the samples of one classic histogram stand."""

    metric: Labels
    buckets: dict[float, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)

    def has(self, suffix: str, bound: float) -> bool:
        return bound in self.buckets if suffix == BUCKET else suffix in self.others

    def places(self) -> list[int]:
        """Of the finite buckets, ascending, and of what counts all; empty where nothing counts."""
        finite = [self.buckets[bound] for bound in sorted(self.buckets) if not math.isinf(bound)]
        whole = self.others.get("_count", self.buckets.get(math.inf, finite[-1] if finite else NONE))
        return [] if whole == NONE else [*finite, whole]

    def shape(self) -> Shape:
        bounds = tuple(bound for bound in sorted(self.buckets) if not math.isinf(bound))
        return Shape(CUSTOM_SCHEMA, 0.0, (BucketSpan(0, len(bounds) + 1),), (), bounds)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """`members[offsets[i]:offsets[i + 1]]` are the cumulative counts of histogram `i`; `sums[i]` its sum, or `NONE`."""

    source: NDArray[np.int32]
    kept: Longs
    series: NDArray[np.int32]
    shapes: tuple[Shape, ...]
    shape_of: NDArray[np.int32]
    members: Longs
    offsets: Longs
    sums: Longs
    group_of: dict[int, int]

    def left_out(self) -> Longs:
        """Positions that are not kept."""
        return np.setdiff1d(np.arange(len(self.source)), self.kept, assume_unique=True)


class ClassicConverter:
    """One target's. `keeps_classic`: the classic series are given on beside."""

    def __init__(self, *, keeps_classic: bool) -> None:
        self._keeps_classic = keeps_classic
        self._known = SeriesKnown()
        self._numbers: dict[Labels, int] = {}
        self._plan: _Plan | None = None

    def apply(self, exposition: Exposition) -> Exposition:
        """The exposition with its classic histograms converted."""
        plan = self._plan
        new_series: list[tuple[int, Labels]] = []
        empty: dict[int, tuple[str, ...]] = {}
        if self._known.take(exposition) or plan is None or plan.source is not exposition.series:
            plan, new_series = self._new_plan(exposition)
            self._plan = plan
            told, empty = self._known.tell(exposition.series[plan.kept])
            new_series += [(2 * number, labels) for number, labels in told]
        empty_labels = {2 * number: names for number, names in empty.items()}
        if not len(plan.sums):
            kept_alone = exposition if len(plan.kept) == len(exposition) else _without(exposition, plan.left_out())
            return replace(kept_alone, series=plan.series, new_series=new_series, empty_labels=empty_labels)
        converted, is_sound = _convert(plan, exposition.values)
        firsts, kept = plan.members[plan.offsets[:-1]], len(plan.kept)
        places = np.concatenate((plan.kept, firsts))
        values = exposition.values[places]
        values[kept:] = ABSENT
        histogram_of = np.full(len(places), FLOAT, np.int32)
        if exposition.histogram_of is not None:
            histogram_of[:kept] = exposition.histogram_of[plan.kept]
        native = [] if exposition.histograms is None else [exposition.histograms]
        histogram_of[kept:] = np.arange(len(firsts)) + sum(map(len, native))
        changed = replace(
            exposition, series=plan.series, values=values, timestamps=exposition.timestamps[places],
            new_series=new_series, empty_labels=empty_labels,
            histogram_of=histogram_of, histograms=HistogramColumns.concatenate([*native, converted]),
            starts=None if exposition.starts is None else exposition.starts[places],
            exemplars=_placed(exposition.exemplars, plan),
        )  # fmt: skip
        return changed if is_sound.all() else _without(changed, kept + np.flatnonzero(~is_sound))

    def _new_plan(self, exposition: Exposition) -> tuple[_Plan, list[tuple[int, Labels]]]:
        numbers = exposition.series.tolist()
        native: set[Labels] = set()
        if exposition.histogram_of is not None:
            native = {self._known.labels[numbers[at]] for at in np.flatnonzero(exposition.histogram_of != FLOAT)}
        groups, taken = self._groups(numbers, native)
        kept = [at for at in range(len(numbers)) if self._keeps_classic or at not in taken]
        if len(self._numbers) > NUMBERS_RATIO * len(groups) + NUMBERS_MIN:
            self._numbers = {}
        fresh = [group.metric for group in groups if group.metric not in self._numbers]
        new_series = [(2 * self._numbers.setdefault(m, len(self._numbers)) + 1, m) for m in dict.fromkeys(fresh)]
        own = [2 * self._numbers[group.metric] + 1 for group in groups]
        shapes: dict[Shape, int] = {}
        places = [group.places() for group in groups]
        series = np.concatenate((2 * exposition.series[kept], np.array(own, np.int32))).astype(np.int32)
        plan = _Plan(
            source=exposition.series,
            kept=np.array(kept, np.int64),
            series=series,
            shape_of=np.array([shapes.setdefault(group.shape(), len(shapes)) for group in groups], np.int32),
            shapes=tuple(shapes),
            members=np.array([at for each in places for at in each], np.int64),
            offsets=np.cumsum([0, *map(len, places)], dtype=np.int64),
            sums=np.array([group.others.get("_sum", NONE) for group in groups], np.int64),
            group_of={at: number for number, group in enumerate(groups) for at in group.buckets.values()},
        )
        return plan, new_series

    def _groups(self, numbers: list[int], native: set[Labels]) -> tuple[list[_Group], set[int]]:
        """Classic histograms, and which samples belong to them; one that has a part already begins anew."""
        groups: list[_Group] = []
        open_groups: dict[Labels, _Group] = {}
        taken: set[int] = set()
        for at, number in enumerate(numbers):
            part = part_of(self._known.labels[number], self._known.types)
            if part is None or part.kind is not MetricType.HISTOGRAM or part.suffix in {"", CREATED}:
                continue
            bound = _bound(part.bound) if part.suffix == BUCKET else 0.0
            if part.metric in native or math.isnan(bound):
                continue
            group = open_groups.get(part.metric)
            if group is None or group.has(part.suffix, bound):
                group = open_groups[part.metric] = _Group(part.metric)
                groups.append(group)
            taken.add(at)
            if part.suffix == BUCKET:
                group.buckets[bound] = at
            else:
                group.others[part.suffix] = at
        return [group for group in groups if group.places()], taken


def _bound(text: str) -> float:
    try:
        return parse_float(text)
    except ValueError:
        return math.nan


def _convert(plan: _Plan, values: NDArray[np.float64]) -> tuple[HistogramColumns, NDArray[np.bool_]]:
    """The histograms, at least one, and bool[n]: whose counts do not decrease."""
    cumulative, firsts = values[plan.members], plan.offsets[:-1]
    buckets = np.diff(cumulative, prepend=0.0)
    buckets[firsts] = cumulative[firsts]
    sums = np.where(plan.sums == NONE, 0.0, values[plan.sums])
    count = len(firsts)
    is_whole = np.logical_and.reduceat(cumulative == np.floor(cumulative), firsts)
    is_sound = np.logical_and.reduceat(buckets >= 0, firsts)
    columns = HistogramColumns(
        plan.shapes, plan.shape_of, cumulative[plan.offsets[1:] - 1], sums, np.zeros(count), np.zeros(count, np.uint8),
        is_whole, plan.offsets, buckets,
    )  # fmt: skip
    return columns, is_sound


def _placed(exemplars: Iterable[tuple[int, Exemplar]], plan: _Plan) -> list[tuple[int, Exemplar]]:
    """Exemplars where their samples stand now; those of buckets with the histogram, where they have a time."""
    place_of = {at: place for place, at in enumerate(plan.kept.tolist())}
    found = []
    for at, one in exemplars:
        if at in place_of:
            found.append((place_of[at], one))
        if at in plan.group_of and one.has_timestamp:
            found.append((len(plan.kept) + plan.group_of[at], one))
    return found


def _without(exposition: Exposition, places: Longs) -> Exposition:
    """The exposition without some samples; their histograms stay, unused."""
    stays = np.ones(len(exposition.series), np.bool_)
    stays[places] = False
    moved = np.cumsum(stays) - 1
    return replace(
        exposition, series=exposition.series[stays], values=exposition.values[stays],
        timestamps=exposition.timestamps[stays], is_steady=False,
        histogram_of=None if exposition.histogram_of is None else exposition.histogram_of[stays],
        starts=None if exposition.starts is None else exposition.starts[stays],
        exemplars=[(int(moved[at]), one) for at, one in exposition.exemplars if stays[at]],
    )  # fmt: skip
