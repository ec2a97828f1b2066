"""A native histogram as one value of a text line: `{count:17,sum:3.5,schema:1,…}`, as OpenMetrics 2 proposes it.

Spans are `offset:length`, counts absolute, what is empty is left out; `custom_values`, `hint` and `counts` are ours, for
what the proposal does not say.
Invariant: `parse_histogram(format_histogram(h)) == h`, and whether its counts are whole numbers.
"""

import re
from collections.abc import Iterable, Sequence

from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.wire.go_floats import format_float, parse_float

_VALUE = re.compile(r"\{((?:[a-z_]+:(?:\[[^\]{}]*\]|[^,\[\]{}]+),?)+)\}")
_FIELD = re.compile(r"([a-z_]+):(?:\[([^\]]*)\]|([^,\[\]]+))")
_LISTS = frozenset({"positive_spans", "positive_buckets", "negative_spans", "negative_buckets", "custom_values"})
_PLAIN = frozenset({"count", "sum", "schema", "zero_threshold", "zero_count", "hint", "counts"})
FLOAT_COUNTS = "float"


def format_histogram(histogram: Histogram, *, is_integer: bool) -> str:
    """The text of a histogram."""
    fields = [
        f"count:{format_float(histogram.count)}",
        f"sum:{format_float(histogram.sum)}",
        f"schema:{histogram.schema}",
        f"zero_threshold:{format_float(histogram.zero_threshold)}",
        f"zero_count:{format_float(histogram.zero_count)}",
    ]
    lists: tuple[tuple[str, Iterable[str]], ...] = (
        ("positive_spans", _span_texts(histogram.positive_spans)),
        ("positive_buckets", map(format_float, histogram.positive_buckets)),
        ("negative_spans", _span_texts(histogram.negative_spans)),
        ("negative_buckets", map(format_float, histogram.negative_buckets)),
        ("custom_values", map(format_float, histogram.custom_values)),
    )
    for name, texts in lists:
        if joined := ",".join(texts):
            fields.append(f"{name}:[{joined}]")
    if histogram.reset_hint is not ResetHint.UNKNOWN:
        fields.append(f"hint:{histogram.reset_hint.value}")
    if not is_integer:
        fields.append(f"counts:{FLOAT_COUNTS}")
    return "{" + ",".join(fields) + "}"


def parse_histogram(text: str) -> tuple[Histogram, bool]:
    """The histogram of a text, and whether its counts are whole numbers; raises `ValueError`."""
    match = _VALUE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a histogram: write {{count:…,sum:…,schema:…}}")
    found: dict[str, str] = {}
    for name, listed, plain in _FIELD.findall(match[1]):
        if name not in (_LISTS if not plain else _PLAIN):
            raise ValueError(f"a histogram has no field {name!r} of this form")
        found[name] = plain or listed
    for needed in ("count", "sum", "schema"):
        if needed not in found:
            raise ValueError(f"the histogram has no {needed}")
    above, below = _parse_spans(found.get("positive_spans", "")), _parse_spans(found.get("negative_spans", ""))
    histogram = Histogram(
        int(found["schema"]),
        parse_float(found["count"]),
        parse_float(found["sum"]),
        parse_float(found.get("zero_threshold", "0")),
        parse_float(found.get("zero_count", "0")),
        above,
        _parse_floats(found.get("positive_buckets", "")),
        below,
        _parse_floats(found.get("negative_buckets", "")),
        _parse_floats(found.get("custom_values", "")),
        ResetHint(found.get("hint", ResetHint.UNKNOWN.value)),
    )
    sides = ((above, histogram.positive_buckets), (below, histogram.negative_buckets))
    if any(sum(span.length for span in spans) != len(buckets) for spans, buckets in sides):
        raise ValueError("the histogram does not have as many buckets as its spans cover")
    return histogram, found.get("counts") != FLOAT_COUNTS


def _span_texts(spans: Sequence[BucketSpan]) -> Iterable[str]:
    return (f"{span.offset}:{span.length}" for span in spans)


def _parse_spans(text: str) -> tuple[BucketSpan, ...]:
    pairs = (part.split(":") for part in text.split(",") if part)
    return tuple(BucketSpan(int(offset), int(length)) for offset, length in pairs)


def _parse_floats(text: str) -> tuple[float, ...]:
    return tuple(parse_float(part) for part in text.split(",") if part)
