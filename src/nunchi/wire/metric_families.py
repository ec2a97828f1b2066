"""Reading what targets serve as protobuf: length-delimited `io.prometheus.client.MetricFamily`, native histograms among them.

A reader gives the same `Exposition` as the one of the texts. What it remembers of a series is keyed by the bytes of its labels,
so that in steady state labels are not read again. Fields that it does not know are passed over; exemplars are counted.
Invariant: every length is checked against the message around it; one damaged message fails the whole exposition.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS
from nunchi.wire.errors import ExpositionError
from nunchi.wire.exposition import NO_TIMESTAMP, Exposition
from nunchi.wire.family_histograms import INFINITE, HistogramMessage
from nunchi.wire.go_floats import format_canonical
from nunchi.wire.protobuf_fields import Damaged, bytes_of, fields, number_of, signed, varint

REMEMBERED_RATIO = 4
REMEMBERED_MIN = 1024

_TYPES: Final = (
    MetricType.COUNTER, MetricType.GAUGE, MetricType.SUMMARY, MetricType.UNKNOWN, MetricType.HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM,
)  # fmt: skip
_PLAIN: Final = {2: MetricType.GAUGE, 3: MetricType.COUNTER, 5: MetricType.UNKNOWN}
_SUMMARY, _HISTOGRAM, _TIMESTAMP = 4, 7, 6


Key = tuple[str, bytes, str, float]


@dataclass(slots=True)
class _Body:
    """What was read of one body so far."""

    series: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    histogram_of: list[int] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    are_integer: list[bool] = field(default_factory=list)
    metadata: dict[str, Metadata] = field(default_factory=dict)
    new_series: list[tuple[int, Labels]] = field(default_factory=list)
    empty_labels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    exemplars: int = 0


class FamilyReader:
    """One target's reader. Not for two threads at once.

    with_native   native parts of histograms are read; else their classic parts alone
    with_classic  classic parts are read too where there is a native one
    """

    def __init__(self, *, with_native: bool = False, with_classic: bool = False) -> None:
        self._with_native = with_native
        self._with_classic = with_classic
        self._numbers: dict[Key, int] = {}
        self._families: dict[str, Metadata] = {}
        self._last: Exposition | None = None

    def read(self, body: bytes) -> Exposition:
        """The samples of a body; raises `ExpositionError` with the number of the metric family, and then nothing changed."""
        numbers = dict(self._numbers)
        found, at, family = _Body(), 0, 0
        try:
            while at < len(body):
                family += 1
                length, at = varint(body, at, len(body))
                if length > len(body) - at:
                    raise Damaged("it is longer than the body")
                self._read_family(body[at : at + length], found, numbers)
                at += length
        except (Damaged, UnicodeDecodeError) as error:
            said = "the text is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise ExpositionError(family, f"metric family {family} of a protobuf exposition: {said}") from None
        changed = {name: known for name, known in found.metadata.items() if self._families.get(name) != known}
        self._families = found.metadata
        self._numbers = numbers if len(numbers) <= REMEMBERED_RATIO * len(found.series) + REMEMBERED_MIN else {}
        return self._exposition(found, changed)

    def _exposition(self, found: _Body, changed: dict[str, Metadata]) -> Exposition:
        values = np.array(found.values, np.float64)
        is_nan = np.isnan(values) & (np.array(found.histogram_of, np.int32) == FLOAT)
        values.view(np.uint64)[is_nan] = NORMAL_NAN_BITS
        series, last = np.array(found.series, np.int32), self._last
        is_steady = last is not None and not found.new_series and np.array_equal(series, last.series)
        if is_steady and last is not None:
            series = last.series
        timestamps = np.array(found.timestamps, np.int64)
        columns = HistogramColumns.of(found.histograms, found.are_integer) if found.histograms else None
        self._last = Exposition(
            series, values, timestamps, found.new_series, changed, bool((timestamps != NO_TIMESTAMP).any()), is_steady,
            [], found.empty_labels,
            None if columns is None else np.array(found.histogram_of, np.int32), columns,
        )  # fmt: skip
        return self._last

    def _read_family(self, data: bytes, found: _Body, numbers: dict[Key, int]) -> None:
        name, help_text, unit, kind = "", "", "", 0
        metrics: list[bytes] = []
        for number, value in fields(data):
            if number == 1:
                name = bytes_of(value, "name").decode()
            elif number == 2:
                help_text = bytes_of(value, "help").decode()
            elif number == 3:
                kind = int(number_of(value, "type"))
            elif number == 4:
                metrics.append(bytes_of(value, "metric"))
            elif number == 5:
                unit = bytes_of(value, "unit").decode()
        if not name or kind >= len(_TYPES):
            raise Damaged(f"type {kind} does not exist" if name else "it has no name")
        found.metadata[name] = Metadata(_TYPES[kind], help_text, unit)
        for metric in metrics:
            _Metric(name, _TYPES[kind], found, numbers).read(metric, self._with_native, self._with_classic)


class _Metric:
    """One metric of a family: its labels as they were sent, and its samples."""

    def __init__(self, name: str, kind: MetricType, found: _Body, numbers: dict[Key, int]) -> None:
        self._name = name
        self._kind = kind
        self._found = found
        self._numbers = numbers
        self._labels = b""
        self._timestamp = NO_TIMESTAMP

    def read(self, data: bytes, with_native: bool, with_classic: bool) -> None:
        """Its samples, in the order of a text exposition."""
        labels, bodies = [], []
        for number, value in fields(data):
            if number == 1:
                labels.append(bytes_of(value, "a label"))
            elif number == _TIMESTAMP:
                self._timestamp = signed(int(number_of(value, "timestamp_ms")))
            elif number in _PLAIN or number in (_SUMMARY, _HISTOGRAM):
                bodies.append((number, bytes_of(value, "a value")))
        self._labels = b"".join(struct.pack("<I", len(each)) + each for each in labels)
        for number, body in bodies:
            if number == _SUMMARY:
                self._read_summary(body)
            elif number == _HISTOGRAM:
                self._read_histogram(body, with_native, with_classic)
            else:
                self._read_plain(body)

    def _read_plain(self, body: bytes) -> None:
        amount = 0.0
        for number, value in fields(body):
            if number == 1:
                amount = number_of(value, "value")
            elif number == 2:
                self._found.exemplars += 1
        self._add("", amount)

    def _read_summary(self, body: bytes) -> None:
        count = total = 0.0
        for number, value in fields(body):
            if number == 1:
                count = number_of(value, "sample_count")
            elif number == 2:
                total = number_of(value, "sample_sum")
            elif number == 3:
                parts = dict(fields(bytes_of(value, "a quantile")))
                place = number_of(parts.get(1, 0.0), "quantile")
                self._add("", number_of(parts.get(2, 0.0), "value"), "quantile", place)
        self._add("_sum", total)
        self._add("_count", count)

    def _read_histogram(self, body: bytes, with_native: bool, with_classic: bool) -> None:
        message = HistogramMessage.parse(body)
        self._found.exemplars += message.exemplars
        is_native = with_native and message.is_native
        if is_native:
            histogram = message.native(is_gauge=self._kind is MetricType.GAUGE_HISTOGRAM)
            self._add("", ABSENT, histogram=histogram, is_integer=not message.is_float)
        if is_native and not (with_classic and message.buckets):
            return
        for bound, count in message.buckets:
            self._add("_bucket", count, "le", bound)
        if not message.buckets or message.buckets[-1][0] != INFINITE:
            self._add("_bucket", message.count, "le", INFINITE)
        self._add("_sum", message.sum)
        self._add("_count", message.count)

    def _add(
        self,
        suffix: str,
        value: float,
        label: str = "",
        bound: float = 0.0,
        histogram: Histogram | None = None,
        *,
        is_integer: bool = False,
    ) -> None:
        found = self._found
        key = (self._name, self._labels, f"{suffix}{{{label}" if histogram is None else "native", bound)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            self._name_series(number, suffix, label, bound)
        found.series.append(number)
        found.values.append(value)
        found.timestamps.append(self._timestamp)
        found.histogram_of.append(FLOAT if histogram is None else len(found.histograms))
        if histogram is not None:
            found.histograms.append(histogram)
            found.are_integer.append(is_integer)

    def _name_series(self, number: int, suffix: str, label: str, bound: float) -> None:
        pairs = [(METRIC_NAME, self._name + suffix)]
        at = 0
        while at < len(self._labels):
            (length,) = struct.unpack_from("<I", self._labels, at)
            parts = dict(fields(self._labels[at + 4 : at + 4 + length]))
            name, value = (bytes_of(parts.get(place, b""), "a label").decode() for place in (1, 2))
            if not name:
                raise Damaged("a label has no name")
            pairs.append((name, value))
            at += 4 + length
        if label:
            pairs.append((label, format_canonical(bound)))
        self._found.new_series.append((number, Labels(pairs)))
        if empty := tuple(name for name, value in pairs if not value):
            self._found.empty_labels[number] = empty
