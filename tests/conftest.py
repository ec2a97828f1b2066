"""For all tests: what is logged, and Hypothesis that judges results, not the clock: a busy machine fails no example."""

import io
from collections.abc import Iterator

import pytest
from hypothesis import settings

from nunchi.kit.logs import configure

settings.register_profile("nunchi", deadline=None)
settings.load_profile("nunchi")


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """Everything that is logged during the test."""
    stream = io.StringIO()
    configure("debug", "logfmt", stream)
    yield stream
    configure("error", "logfmt")
