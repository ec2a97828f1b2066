"""From samples as sent to series as delivered: which slot each goes to, how long it stays, what is shown of it.

Counters and observations are cumulative, gauges keep their last value, a set shows the distinct members of the last whole
interval, so that two readers see the same. Of a counter nobody sees less than before, whatever is taken from it.
Invariant: all slots together show at most `series_max` samples; a metric name has one type, whoever comes second with another
is dropped and counted.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field

from nunchi.agent.emission import Emission, LabelPairs
from nunchi.agent.statsd.happenings import HappeningQueue
from nunchi.agent.statsd.kernels.aggregation import Aggregator
from nunchi.agent.statsd.mapping import Mapped, Mapping, clean_name
from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock
from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.model.labels import METRIC_NAME
from nunchi.model.metadata import MetricType
from nunchi.wire.go_floats import format_float
from nunchi.wire.statsd import StatsdKind, StatsdReader, StatsdSeries
from nunchi.wire.statsd_records import Event, ServiceCheck

MEMBERS_MAX = 1_000_000
READER_SERIES_FACTOR = 4  # tags in another order are another series as sent
EVENTS_MAX = 1000
SERVICE_CHECKS_MAX = 1000
NO_SLOT = -1
WINDOW_AGES_MAX = 200
NATIVE_WEIGHT = 8  # of a native histogram, in samples: what it takes in memory and on the wire
ZERO_THRESHOLD = 2.0**-128  # the kernel's
MILLISECOND = 0.001
OWN_LABELS = frozenset({METRIC_NAME, "job", "le", "quantile"})  # what senders cannot say without confusing others
SERVICE_CHECK_STATE = "statsd_service_check_state"


@dataclass(slots=True, eq=False)
class Shown:
    """One slot: what it is called, and how long it may be silent. `series` is the first that it was made for."""

    slot: int
    series: StatsdSeries
    kind: StatsdKind
    mapped: Mapped
    name: str
    labels: LabelPairs
    type: MetricType
    weight: int
    parts: tuple[tuple[str, LabelPairs], ...] = ()  # names and labels of buckets or quantiles

    @property
    def is_native(self) -> bool:
        """Whether it is shown as one native histogram."""
        return self.type is MetricType.HISTOGRAM and not self.parts


@dataclass(slots=True)
class Family:
    """A metric name in use, by how many slots."""

    type: MetricType
    names: tuple[str, ...]
    slots: int = 0


@dataclass(slots=True)
class StatsdRecords:
    """The newest events, and the last word on each service check."""

    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    service_checks: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[ServiceCheck, float]] = field(
        default_factory=dict
    )


class StatsdAggregation:
    """All of one agent's StatsD. Texts come in on the event loop, `emit` is called from a check's thread."""

    def __init__(
        self,
        settings: StatsdSettings,
        mapping: Mapping,
        seed: int,
        clock: Clock,
        telemetry: StatsdTelemetry,
        window_step_seconds: float = 60.0,
        queue: HappeningQueue | None = None,
    ) -> None:
        """`window_step_seconds` is how often `rotate_windows` will be called; events and service checks go to `queue` too."""
        self._queue = queue
        self._mapping = mapping
        self._clock = clock
        self._telemetry = telemetry
        self.window_step_seconds = window_step_seconds
        self._series_max = settings.series_max
        self._seed = seed
        self._reader = self._new_reader(settings)
        self._aggregator = Aggregator(settings.signed_gauges == "relative", MEMBERS_MAX)
        self._lock = threading.Lock()
        self._shown: dict[tuple[str, LabelPairs, MetricType], Shown] = {}
        self._families: dict[str, Family] = {}
        self._owners: dict[str, str] = {}  # sample name → family
        self._weight = 0
        self._is_reader_full = False
        self._events: dict[tuple[str, str], int] = {}
        self.records = StatsdRecords()
        telemetry.series.observe_with(lambda: len(self._shown))

    def take(self, text: bytes) -> None:
        """Read and apply one text of lines."""
        with self._lock:
            found = self._reader.read(text)
            for series in found.new_series:
                self._bind(series)
            dropped_before, unbound_before = self._aggregator.members_dropped, self._aggregator.unbound
            self._aggregator.apply(found.samples, self._clock.monotonic())
            for event in found.events:
                self._take_event(event)
            for service_check in found.service_checks:
                self._take_service_check(service_check)
        telemetry = self._telemetry
        telemetry.lines.add(found.lines)
        if found.overflow:
            self._is_reader_full = True
            telemetry.dropped.add(found.overflow, "series_max")
        if self._aggregator.unbound > unbound_before:
            telemetry.dropped.add(self._aggregator.unbound - unbound_before, "refused_series")
        if self._aggregator.members_dropped > dropped_before:
            telemetry.dropped.add(self._aggregator.members_dropped - dropped_before, "set_members_max")
        if found.malformed:
            telemetry.count_malformed(found.malformed, found.example)

    def _take_event(self, event: Event) -> None:
        key = event.alert_type, event.priority
        self._events[key] = self._events.get(key, 0) + 1
        self.records.events.append(event)
        if self._queue is not None:
            self._queue.add_event(event)

    def _take_service_check(self, service_check: ServiceCheck) -> None:
        if self._queue is not None:
            self._queue.add_service_check(service_check)
        known = self.records.service_checks
        key = service_check.name, service_check.tags
        known.pop(key, None)
        known[key] = service_check, self._clock.monotonic()
        if len(known) > SERVICE_CHECKS_MAX:
            del known[next(iter(known))]
            self._telemetry.dropped.add(1, "service_checks_max")

    def apply(self, settings: StatsdSettings, mapping: Mapping, window_step_seconds: float) -> None:
        """Go on by other settings. What is shown as before, under the same options, keeps what was counted."""
        with self._lock:
            self._mapping = mapping
            self.window_step_seconds = window_step_seconds
            self._series_max = settings.series_max
            self._aggregator.set_relative_gauges(settings.signed_gauges == "relative")
            self._aggregator.unbind_all()
            self._reader = self._new_reader(settings)
            for key, shown in list(self._shown.items()):
                mapped = mapping.lookup(shown.series.name, shown.kind)
                if mapped is not None and self._is_shown_alike(shown, mapped):
                    shown.mapped = mapped
                else:
                    self._free(self._shown.pop(key))

    def _is_shown_alike(self, shown: Shown, mapped: Mapped) -> bool:
        """Whether a slot is what a rule would make of the series that it was made for."""
        if (mapped.name, type_of(shown.kind, mapped), mapped.scale) != (shown.name, shown.type, shown.mapped.scale):
            return False
        if shown.type is MetricType.HISTOGRAM and mapped.histogram != shown.mapped.histogram:
            return False
        if shown.type is MetricType.SUMMARY and mapped.summary != shown.mapped.summary:
            return False
        return self._labels(shown.series, mapped) == shown.labels

    def _new_reader(self, settings: StatsdSettings) -> StatsdReader:
        series_max = settings.series_max * READER_SERIES_FACTOR
        return StatsdReader(self._seed, series_max, with_container=settings.container_label)

    # Series.

    def _bind(self, series: StatsdSeries) -> None:
        mapped = self._mapping.lookup(series.name, series.kind)
        if mapped is None:
            self._telemetry.refused.add(1, "mapping")
            self._aggregator.bind(series.series, NO_SLOT)
            return
        labels = self._labels(series, mapped)
        shown = self._shown_of(series, mapped, labels)
        scale = mapped.scale * (MILLISECOND if series.kind is StatsdKind.TIMER else 1.0)
        self._aggregator.bind(series.series, NO_SLOT if shown is None else shown.slot, scale)

    def _labels(self, series: StatsdSeries, mapped: Mapped) -> LabelPairs:
        sent = labels_of(series.tags, OWN_LABELS)
        if series.container:
            sent.setdefault("container_id", series.container)
        own = labels_of(mapped.labels, OWN_LABELS)
        return tuple(sorted({**own, **sent}.items() if mapped.honor_labels else {**sent, **own}.items()))

    def _shown_of(self, series: StatsdSeries, mapped: Mapped, labels: LabelPairs) -> Shown | None:
        """The slot's record, made where there is none; None where it may not be made."""
        kind = series.kind
        type_ = type_of(kind, mapped)
        key = mapped.name, labels, type_
        shown = self._shown.get(key)
        if shown is not None:
            return shown
        names = sample_names(mapped.name, type_)
        family = self._families.get(mapped.name) or Family(type_, names)
        if family.type is not type_ or any(self._owners.get(name, mapped.name) != mapped.name for name in names):
            self._telemetry.refused.add(1, "type_conflict")
            return None
        parts = parts_of(mapped, labels, type_)
        weight = weight_of(type_, parts)
        if self._weight + weight > self._series_max:
            self._telemetry.refused.add(1, "series_max")
            return None
        self._weight += weight
        family.slots += 1
        self._families[mapped.name] = family
        self._owners.update(dict.fromkeys(names, mapped.name))
        slot = self._add_slot(kind, mapped, type_)
        shown = Shown(slot, series, kind, mapped, mapped.name, labels, type_, weight, parts)
        self._shown[key] = shown
        return shown

    def _add_slot(self, kind: StatsdKind, mapped: Mapped, type_: MetricType) -> int:
        if type_ is MetricType.HISTOGRAM:
            options = mapped.histogram
            if options.is_native:
                return self._aggregator.add_native(options.schema, options.native_buckets_max)
            return self._aggregator.add_buckets(options.buckets)
        if type_ is MetricType.SUMMARY:
            ages = math.ceil(mapped.summary.max_age.seconds / self.window_step_seconds)
            return self._aggregator.add_quantiles(min(max(1, ages), WINDOW_AGES_MAX))
        if type_ is MetricType.COUNTER:
            return self._aggregator.add_counter()
        return self._aggregator.add_set() if kind is StatsdKind.SET else self._aggregator.add_gauge()

    # Time.

    def rotate_sets(self) -> None:
        """An interval has ended."""
        with self._lock:
            self._aggregator.rotate_sets()

    def rotate_windows(self) -> None:
        """A step of the quantiles' windows has ended."""
        with self._lock:
            self._aggregator.rotate_windows()

    def expire(self) -> None:
        """Give up what has been silent for longer than its rule allows, and let the reader begin anew where it must."""
        now = self._clock.monotonic()
        with self._lock:
            gone = [
                key
                for key, shown in self._shown.items()
                if shown.mapped.ttl_seconds and now - self._aggregator.seen_at(shown.slot) > shown.mapped.ttl_seconds
            ]
            for key in gone:
                self._free(self._shown.pop(key))
            for check, (_, seen_at) in list(self.records.service_checks.items()):
                if self._mapping.ttl_seconds and now - seen_at > self._mapping.ttl_seconds:
                    del self.records.service_checks[check]
            if gone or self._is_reader_full:
                self._is_reader_full = False
                self._aggregator.unbind_all()
                self._reader.forget()

    def _free(self, shown: Shown) -> None:
        self._aggregator.free(shown.slot)
        self._weight -= shown.weight
        family = self._families[shown.name]
        family.slots -= 1
        if not family.slots:
            del self._families[shown.name]
            for name in family.names:
                del self._owners[name]

    # What is shown.

    def emit(self, emission: Emission) -> None:
        """Everything there is, as samples of a check's run."""
        with self._lock:
            emission.samples_max = max(emission.samples_max, self._series_max + SERVICE_CHECKS_MAX + len(self._events))
            for shown in self._shown.values():
                emission.types[shown.name] = shown.type
                if shown.mapped.help:
                    emission.helps[shown.name] = shown.mapped.help
                if shown.is_native:
                    emission.histograms.append((shown.name, shown.labels, self._histogram_of(shown)))
                else:
                    emission.samples.extend(self._samples_of(shown))
            for (alert_type, priority), count in self._events.items():
                emission.counter("statsd_events_total", count, alert_type=alert_type, priority=priority)
            for service_check, _ in self.records.service_checks.values():
                labels = labels_of(service_check.tags, OWN_LABELS | {"check"})
                labels["check"] = service_check.name
                emission.add(MetricType.GAUGE, SERVICE_CHECK_STATE, service_check.state, labels)

    def _samples_of(self, shown: Shown) -> Iterator[tuple[str, LabelPairs, float]]:
        aggregator, slot = self._aggregator, shown.slot
        if not shown.parts:
            yield shown.name, shown.labels, aggregator.value(slot)
            return
        if shown.type is MetricType.HISTOGRAM:
            values = aggregator.bucket_counts(slot)
        else:
            values = aggregator.quantiles(slot, [one.quantile for one in shown.mapped.summary.quantiles])
        for (name, labels), value in zip(shown.parts, values, strict=True):
            yield name, labels, value
        total, count = aggregator.observations(slot)
        yield f"{shown.name}_sum", shown.labels, total
        yield f"{shown.name}_count", shown.labels, count

    def _histogram_of(self, shown: Shown) -> Histogram:
        schema, zeros, above_spans, above, below_spans, below = self._aggregator.native(shown.slot)
        total, count = self._aggregator.observations(shown.slot)
        return Histogram(
            schema, count, total, ZERO_THRESHOLD, zeros,
            tuple(BucketSpan(*span) for span in above_spans), tuple(above),
            tuple(BucketSpan(*span) for span in below_spans), tuple(below),
        )  # fmt: skip


def labels_of(tags: Sequence[tuple[str, str]], own: frozenset[str]) -> dict[str, str]:
    """Tags as labels; those that would say what only we can say are `exported_…`."""
    named = ((clean_name(key), value) for key, value in tags)
    return {f"exported_{name}" if name in own else name: value for name, value in named}


def weight_of(type_: MetricType, parts: Sized) -> int:
    """What a slot counts for, in samples."""
    if parts:
        return len(parts) + 2
    return NATIVE_WEIGHT if type_ is MetricType.HISTOGRAM else 1


def type_of(kind: StatsdKind, mapped: Mapped) -> MetricType:
    """As what a series is shown."""
    if kind is StatsdKind.COUNTER:
        return MetricType.COUNTER
    if kind in {StatsdKind.GAUGE, StatsdKind.SET}:
        return MetricType.GAUGE
    return MetricType.HISTOGRAM if mapped.observer_type == "histogram" else MetricType.SUMMARY


def sample_names(name: str, type_: MetricType) -> tuple[str, ...]:
    """The names that the samples of a family have."""
    if type_ is MetricType.HISTOGRAM:
        return name, f"{name}_bucket", f"{name}_sum", f"{name}_count"
    if type_ is MetricType.SUMMARY:
        return name, f"{name}_sum", f"{name}_count"
    return (name,)


def parts_of(mapped: Mapped, labels: LabelPairs, type_: MetricType) -> tuple[tuple[str, LabelPairs], ...]:
    """Names and labels of the buckets of a classic histogram, or of the quantiles of a summary."""
    if type_ is MetricType.HISTOGRAM and not mapped.histogram.is_native:
        bounds = [*map(format_float, mapped.histogram.buckets), "+Inf"]
        return tuple((f"{mapped.name}_bucket", (*labels, ("le", bound))) for bound in bounds)
    if type_ is MetricType.SUMMARY:
        shares = (format_float(one.quantile) for one in mapped.summary.quantiles)
        return tuple((mapped.name, (*labels, ("quantile", share))) for share in shares)
    return ()
