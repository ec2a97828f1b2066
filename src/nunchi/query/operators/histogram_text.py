"""A native histogram as people read it, and as it becomes a label value: `{count:2, sum:3, (1,2]:2}`."""

import math

from nunchi.model.histogram import Histogram
from nunchi.model.histogram_arithmetic import all_buckets
from nunchi.query.operators.go_format import format_shortest


def describe_histogram(histogram: Histogram) -> str:
    """A histogram as a label value."""
    parts = [f"count:{format_shortest(histogram.count)}", f"sum:{format_shortest(histogram.sum)}"]
    for bucket in all_buckets(histogram):
        if bucket.count == 0:
            continue
        is_zero = bucket.lower < 0 < bucket.upper and not histogram.has_custom_buckets
        left = "[" if is_zero or bucket.upper <= 0 or math.isinf(bucket.lower) else "("
        right = ")" if bucket.upper <= 0 and not histogram.has_custom_buckets else "]"
        parts.append(
            f"{left}{format_shortest(bucket.lower)},{format_shortest(bucket.upper)}{right}:{format_shortest(bucket.count)}"
        )
    return "{" + ", ".join(parts) + "}"
