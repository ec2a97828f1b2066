"""Results with native histograms as Prometheus's API writes them: `histogram` and `histograms` beside `value` and `values`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import Shape
from nunchi.query.histograms.bounds import sides_of
from nunchi.query.histograms.grid import Value
from nunchi.query.kernels.render import format_number

# How a bucket's bounds count: (a, b], [a, b), (a, b), [a, b].
OPEN_LEFT, OPEN_RIGHT, OPEN, CLOSED = range(4)
ROW_BORDER: Final = '"],'


@lru_cache(maxsize=1024)
def _bounds_texts(shape: Shape) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """What stands before the count of each bucket: of the negative side, from zero outwards, of zero, of the positive side."""

    def text(kind: int, lower: float, upper: float) -> str:
        return f'[{kind},"{format_number(lower)}","{format_number(upper)}","'

    above, below = sides_of(shape)
    is_custom = shape.has_custom_buckets
    return (
        tuple(text(OPEN_RIGHT, bucket.lower, bucket.upper) for bucket in below),
        text(CLOSED, -shape.zero_threshold, shape.zero_threshold),
        tuple(
            text(CLOSED if is_custom and bucket.index == 0 else OPEN_LEFT, bucket.lower, bucket.upper)
            for bucket in above
        ),
    )


def histogram_json(histogram: Histogram) -> str:
    """One histogram, its populated buckets by ascending bounds."""
    below, zero, above = _bounds_texts(Shape.of(histogram))
    zero_count, negative, positive = histogram.zero_count, histogram.negative_buckets, histogram.positive_buckets
    rows = [bounds + format_number(count) for bounds, count in zip(below, negative, strict=True) if count != 0]
    rows.reverse()
    if zero_count != 0:
        rows.append(zero + format_number(zero_count))
    rows += [bounds + format_number(count) for bounds, count in zip(above, positive, strict=True) if count != 0]
    shown = f',"buckets":[{ROW_BORDER.join(rows)}"]]' if rows else ""
    return f'{{"count":"{format_number(histogram.count)}","sum":"{format_number(histogram.sum)}"{shown}}}'


def series_json(metric: str, points: Sequence[tuple[str, Value]], *, is_vector: bool) -> str:
    """One series of a result; `metric` is its label set, times are texts already."""
    numbers = [f'[{time},"{format_number(value)}"]' for time, value in points if not isinstance(value, Histogram)]
    histograms = [f"[{time},{histogram_json(value)}]" for time, value in points if isinstance(value, Histogram)]
    if is_vector:
        one = f'"histogram":{histograms[0]}' if histograms else f'"value":{numbers[0]}'
        return f'{{"metric":{metric},{one}}}'
    parts = [f'"metric":{metric}']
    parts += [f'"values":[{",".join(numbers)}]'] if numbers else []
    parts += [f'"histograms":[{",".join(histograms)}]'] if histograms else []
    return f"{{{','.join(parts)}}}"
