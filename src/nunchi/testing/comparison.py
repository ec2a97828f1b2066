"""When two answers are the same: labels exactly, numbers to 1e-6 of their size, histograms bucket by bucket."""

import math
import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import compact
from nunchi.model.labels import Labels
from nunchi.model.staleness import is_stale
from nunchi.testing.series_notation import Literal

TOLERANCE: Final = 1e-6
_NORMAL_MIN: Final[float] = struct.unpack("<d", struct.pack("<Q", 0x0010000000000000))[0]
_FLOAT_MAX: Final = 1.7976931348623157e308

Points: TypeAlias = Sequence[tuple[int, "float | Histogram"]]


class Mismatch(Exception):  # noqa: N818 (not an error of the program: the finding of a comparison)
    """Two answers that are not the same."""

    def __init__(self, wanted: str, given: str) -> None:
        super().__init__(f"wanted {wanted}, given {given}")
        self.wanted = wanted
        self.given = given


def is_close(wanted: float, given: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two numbers are the same: relative to their size, any NaN like any other, the staleness marker like itself."""
    if math.isnan(wanted) or math.isnan(given):
        return is_stale(wanted) == is_stale(given) and math.isnan(wanted) and math.isnan(given)
    if wanted == given:
        return True
    if math.isinf(wanted) or math.isinf(given):
        return False
    distance, size = abs(wanted - given), abs(wanted) + abs(given)
    if wanted == 0 or given == 0 or size < _NORMAL_MIN:
        return distance < tolerance * _NORMAL_MIN
    return distance / min(size, _FLOAT_MAX) < tolerance


def is_same_histogram(wanted: Histogram, given: Histogram, *, with_hint: bool, tolerance: float = TOLERANCE) -> bool:
    """Whether two histograms are the same; empty buckets do not count."""
    wanted, given = compact(wanted), compact(given)
    numbers = [
        (wanted.count, given.count),
        (wanted.sum, given.sum),
        (wanted.zero_count, given.zero_count),
        *_paired(wanted.positive_buckets, given.positive_buckets),
        *_paired(wanted.negative_buckets, given.negative_buckets),
    ]
    return (
        wanted.schema == given.schema
        and wanted.zero_threshold == given.zero_threshold
        and wanted.positive_spans == given.positive_spans
        and wanted.negative_spans == given.negative_spans
        and wanted.custom_values == given.custom_values
        and (not with_hint or wanted.reset_hint is given.reset_hint)
        and all(is_close(left, right, tolerance) for left, right in numbers)
    )


def _paired(left: tuple[float, ...], right: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(left, right, strict=True)) if len(left) == len(right) else [(0.0, 1.0)]


def is_same(wanted: Literal, given: "float | Histogram") -> bool:
    """Whether a value is what was written."""
    if isinstance(wanted.value, Histogram) or isinstance(given, Histogram):
        both = isinstance(wanted.value, Histogram) and isinstance(given, Histogram)
        return both and is_same_histogram(wanted.value, given, with_hint=wanted.hint_given)  # type: ignore[arg-type] # `both` says so
    return wanted.value is not None and is_close(wanted.value, given)


def compare_scalar(wanted: float, given: float | None, shown: str) -> None:
    """Raises `Mismatch` where a number is not the one wanted."""
    if given is None or not is_close(wanted, given):
        raise Mismatch(repr(wanted), shown)


def compare_series(
    wanted: Sequence[tuple[Labels, Sequence[tuple[int, Literal]]]],
    given: Sequence[tuple[Labels, Points]],
    *,
    is_ordered: bool,
) -> None:
    """Raises `Mismatch` where series or their points are not the ones wanted."""

    def mismatch() -> Mismatch:
        plain = [(labels, [(at, literal.value) for at, literal in points]) for labels, points in wanted]
        return Mismatch(describe_points(plain), describe_points(given))

    if is_ordered and [labels for labels, _ in wanted] != [labels for labels, _ in given]:
        raise mismatch()
    found = dict(given)
    if len(found) != len(given) or {labels for labels, points in wanted if points} != set(found):
        raise mismatch()
    for labels, points in wanted:
        if not points:
            continue
        values = found[labels]
        if [at for at, _ in points] != [at for at, _ in values]:
            raise mismatch()
        if not all(is_same(literal, value) for (_, literal), (_, value) in zip(points, values, strict=True)):
            raise mismatch()


def describe_points(series: Sequence[tuple[Labels, Sequence[tuple[int, "float | Histogram | None"]]]]) -> str:
    """Series and points on a line, for people."""
    if not series:
        return "nothing"
    return "; ".join(
        f"{labels} {' '.join(f'{describe(value)}@{at / 1000:g}' for at, value in points)}" for labels, points in series
    )


def describe(value: "float | Histogram | None") -> str:
    """A value as the series notation writes it."""
    if value is None:
        return "_"
    if not isinstance(value, Histogram):
        return "stale" if is_stale(value) else repr(value)
    histogram = compact(value)
    fields = {
        "schema": histogram.schema,
        "count": histogram.count,
        "sum": histogram.sum,
        "z_bucket": histogram.zero_count,
        "z_bucket_w": histogram.zero_threshold,
        "custom_values": list(histogram.custom_values),
        "positive": dict(histogram.positive()),
        "negative": dict(histogram.negative()),
    }
    written = " ".join(f"{name}:{value}" for name, value in fields.items() if value)
    return f"{{{{{written} counter_reset_hint:{histogram.reset_hint.value}}}}}"
