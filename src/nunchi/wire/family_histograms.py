"""`io.prometheus.client.Histogram`: the classic and the native part of one histogram of a protobuf exposition.

Invariant: a native part that is given on has as many counts as its spans are long, and none below zero.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nunchi.model.histogram import SCHEMA_MAX, SCHEMA_MIN, BucketSpan, Histogram, ResetHint
from nunchi.wire.protobuf_fields import Damaged, Value, bytes_of, doubles, fields, integers, number_of, zigzag

BUCKETS_MAX = 100_000  # of one native histogram
INFINITE: Final = float("inf")


@dataclass(slots=True)
class _Side:
    """One side of a native histogram as it is sent."""

    spans: list[BucketSpan] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)

    def add_span(self, data: bytes) -> None:
        found = {1: 0, 2: 0}
        for number, value in fields(data):
            if number in found and isinstance(value, int):
                found[number] = value
        self.spans.append(BucketSpan(zigzag(found[1]), found[2]))

    def buckets(self) -> tuple[float, ...]:
        counts = [float(total) for total in np.cumsum(self.deltas).tolist()] if self.deltas else self.counts
        width = sum(span.length for span in self.spans)
        if width > BUCKETS_MAX or width != len(counts):
            raise Damaged(f"a native histogram has {len(counts)} buckets, and spans of {width}")
        if any(span.length < 0 or (at and span.offset < 0) for at, span in enumerate(self.spans)):
            raise Damaged("the spans of a native histogram overlap")
        if any(not count >= 0 for count in counts):
            raise Damaged("a bucket of a native histogram counts less than nothing")
        return tuple(counts)


@dataclass(slots=True)
class HistogramMessage:
    """`io.prometheus.client.Histogram`, classic and native parts."""

    count: float = 0.0
    sum: float = 0.0
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    is_float: bool = False
    buckets: list[tuple[float, float]] = field(default_factory=list)
    positive: _Side = field(default_factory=_Side)
    negative: _Side = field(default_factory=_Side)
    exemplars: int = 0

    @classmethod
    def parse(cls, data: bytes) -> "HistogramMessage":
        """That of a message's bytes; raises `Damaged`."""
        found = cls()
        for number, value in fields(data):
            found.take(number, value)
        return found

    def take(self, number: int, value: Value) -> None:
        """One field."""
        match number:
            case 1:
                self.count = self.count or number_of(value, "sample_count")
            case 4:
                self.count, self.is_float = number_of(value, "sample_count_float"), True
            case 2:
                self.sum = number_of(value, "sample_sum")
            case 3:
                self._take_bucket(bytes_of(value, "a bucket"))
            case 5:
                self.schema = zigzag(int(number_of(value, "schema")))
            case 6:
                self.zero_threshold = number_of(value, "zero_threshold")
            case 7:
                self.zero_count = self.zero_count or number_of(value, "zero_count")
            case 8:
                self.zero_count, self.is_float = number_of(value, "zero_count_float"), True
            case 9 | 12:
                (self.negative if number == 9 else self.positive).add_span(bytes_of(value, "a span"))
            case 10 | 13:
                side = self.negative if number == 10 else self.positive
                side.deltas.extend(zigzag(each) for each in integers(value))
            case 11 | 14:
                (self.negative if number == 11 else self.positive).counts.extend(doubles(value))
            case 16:
                self.exemplars += 1

    def _take_bucket(self, data: bytes) -> None:
        count, bound = 0.0, INFINITE
        for number, value in fields(data):
            if number in (1, 4):
                count = count or number_of(value, "cumulative_count")
            elif number == 2:
                bound = number_of(value, "upper_bound")
            elif number == 3:
                self.exemplars += 1
        self.buckets.append((bound, count))

    @property
    def is_native(self) -> bool:
        """Whether it has a native part; one without observations has a span of nothing."""
        return bool(self.positive.spans or self.negative.spans or self.zero_threshold > 0 or self.zero_count > 0)

    def native(self, *, is_gauge: bool) -> Histogram:
        """The native part; raises `Damaged`."""
        if not SCHEMA_MIN <= self.schema <= SCHEMA_MAX:
            raise Damaged(f"a native histogram has schema {self.schema}, not one of {SCHEMA_MIN} to {SCHEMA_MAX}")
        positive, negative = self.positive.buckets(), self.negative.buckets()
        return Histogram(
            self.schema, self.count, self.sum, self.zero_threshold, self.zero_count,
            tuple(self.positive.spans), positive, tuple(self.negative.spans), negative,
            reset_hint=ResetHint.GAUGE if is_gauge else ResetHint.UNKNOWN,
        )  # fmt: skip
