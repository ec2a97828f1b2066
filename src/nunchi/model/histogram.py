"""A native histogram as one sample: counts per bucket, sum, and how the buckets are cut. Arithmetic: `histogram_arithmetic`.

Exponential buckets (schema −4 to 8): bucket `i` of the positive side holds observations in (b^(i−1), b^i], b = 2^(2^−schema);
the negative side mirrors it; the zero bucket holds [−zero_threshold, zero_threshold]. Custom buckets (`CUSTOM_SCHEMA`): bucket
`i` ends at `custom_values[i]`, the one behind the last at +Inf, and there is neither a zero bucket nor a negative side.

Invariant: a side has as many counts as its spans are long; counts are absolute, never differences.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

CUSTOM_SCHEMA = -53
SCHEMA_MIN = -4
SCHEMA_MAX = 8


class ResetHint(Enum):
    """What is known of a counter reset between the sample before and this one."""

    UNKNOWN = "unknown"
    RESET = "reset"
    NOT_RESET = "not_reset"
    GAUGE = "gauge"


class BucketSpan(NamedTuple):
    """Consecutive buckets. `offset` counts from the end of the span before; for the first it is the index itself."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram of float counts."""

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive_spans: tuple[BucketSpan, ...] = ()
    positive_buckets: tuple[float, ...] = ()
    negative_spans: tuple[BucketSpan, ...] = ()
    negative_buckets: tuple[float, ...] = ()
    custom_values: tuple[float, ...] = ()
    reset_hint: ResetHint = ResetHint.UNKNOWN

    @property
    def has_custom_buckets(self) -> bool:
        """Whether the bounds are listed rather than computed."""
        return self.schema == CUSTOM_SCHEMA

    def positive(self) -> Iterator[tuple[int, float]]:
        """Index and count of each bucket of the positive side, ascending; empty buckets within spans included."""
        return zip(bucket_indices(self.positive_spans), self.positive_buckets, strict=True)

    def negative(self) -> Iterator[tuple[int, float]]:
        """Index and count of each bucket of the negative side, from zero outwards."""
        return zip(bucket_indices(self.negative_spans), self.negative_buckets, strict=True)


def bucket_indices(spans: Iterable[BucketSpan]) -> Iterator[int]:
    """The indices of the buckets of one side, ascending."""
    index = 0
    for span in spans:
        index += span.offset
        yield from range(index, index + span.length)
        index += span.length


def spans_over(indices: Iterable[int]) -> tuple[BucketSpan, ...]:
    """As few spans as cover ascending indices exactly."""
    spans: list[BucketSpan] = []
    end = 0
    for index in indices:
        if spans and index == end:
            spans[-1] = BucketSpan(spans[-1].offset, spans[-1].length + 1)
        else:
            spans.append(BucketSpan(index - end, 1))
        end = index + 1
    return tuple(spans)
