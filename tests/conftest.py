"""For all tests: Hypothesis judges results, not the clock; a busy machine fails no example."""

from hypothesis import settings

settings.register_profile("nunchi", deadline=None)
settings.load_profile("nunchi")
