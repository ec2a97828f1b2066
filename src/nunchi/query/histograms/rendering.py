"""Results with native histograms as Prometheus's API writes them: `histogram` and `histograms` beside `value` and `values`."""

from collections.abc import Iterator, Sequence

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import negative_buckets, positive_buckets
from nunchi.query.histograms.grid import Value
from nunchi.query.kernels.render import format_number

# How a bucket's bounds count: (a, b], [a, b), (a, b), [a, b].
OPEN_LEFT, OPEN_RIGHT, OPEN, CLOSED = range(4)


def bucket_rows(histogram: Histogram) -> Iterator[tuple[int, float, float, float]]:
    """(kind of bounds, lower, upper, count) of the populated buckets by ascending bounds."""
    for bucket in reversed(negative_buckets(histogram)):
        yield OPEN_RIGHT, bucket.lower, bucket.upper, bucket.count
    if histogram.zero_count != 0:
        yield CLOSED, -histogram.zero_threshold, histogram.zero_threshold, histogram.zero_count
    for bucket in positive_buckets(histogram):
        is_first = histogram.has_custom_buckets and bucket.index == 0
        yield CLOSED if is_first else OPEN_LEFT, bucket.lower, bucket.upper, bucket.count


def histogram_json(histogram: Histogram) -> str:
    """One histogram."""
    buckets = ",".join(
        f'[{kind},"{format_number(lower)}","{format_number(upper)}","{format_number(count)}"]'
        for kind, lower, upper, count in bucket_rows(histogram)
        if count != 0
    )
    shown = f',"buckets":[{buckets}]' if buckets else ""
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
