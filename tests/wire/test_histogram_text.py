"""Histograms as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.wire.histogram_text import format_histogram, parse_histogram

COUNTS = st.floats(0, 1e300)


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    sides = []
    for _ in range(2):
        spans = tuple(draw(st.lists(st.builds(BucketSpan, st.integers(-50, 50), st.integers(0, 4)), max_size=3)))
        width = sum(span.length for span in spans)
        sides.append((spans, tuple(draw(st.lists(COUNTS, min_size=width, max_size=width)))))
    (above, positive), (below, negative) = sides
    return Histogram(
        draw(st.integers(-4, 8) | st.just(CUSTOM_SCHEMA)), draw(COUNTS), draw(st.floats(allow_nan=False)), draw(COUNTS),
        draw(COUNTS), above, positive, below, negative, tuple(draw(st.lists(st.floats(allow_nan=False), max_size=3))),
        draw(st.sampled_from(ResetHint)),
    )  # fmt: skip


@given(histograms(), st.booleans())
def test_what_is_formatted_parses_back(histogram: Histogram, is_integer: bool) -> None:
    assert parse_histogram(format_histogram(histogram, is_integer=is_integer)) == (histogram, is_integer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "is not a histogram"),
        ("{count:1,sum:1}", "no schema"),
        ("{count:1,sum:1,schema:0,colour:3}", "no field 'colour'"),
        ("{count:[1],sum:1,schema:0}", "no field 'count' of this form"),
        ("{count:1,sum:1,schema:0,positive_spans:[0:2],positive_buckets:[1]}", "as many buckets as its spans"),
        ("{count:x,sum:1,schema:0}", "not a decimal number"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_histogram(text)
