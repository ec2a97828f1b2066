"""`nunchi.kit.http_compression`: what an Accept-Encoding header accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.http_compression import accepted_coding


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("GZIP ; Q=0.3", "gzip"),
        ("gzip;q=high", None),
    ],
)
def test_the_best_of_what_is_accepted_is_chosen(header: str, coding: str | None) -> None:
    assert accepted_coding(header) == coding


@given(st.text(max_size=40))
def test_any_header_has_an_answer(header: str) -> None:
    assert accepted_coding(header) in {None, "gzip", "zstd"}
