"""Quantiles, fractions and sums of many native histograms at once: what one by one gives, to the bit."""

import math
import random
import struct

import numpy as np
import pytest

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.query.compensated import Sum
from nunchi.query.histograms.bounds import ShapeBounds
from nunchi.query.histograms.dense import sums_of
from nunchi.testing.scalar_engine.native_statistics import native_fraction, native_quantile

RANKS = (-0.1, 0.0, 1e-9, 0.1, 0.5, 0.9, 0.999, 1.0, 1.1, math.nan)
BORDERS = (-math.inf, -3.0, -0.0005, 0.0, 0.0005, 0.7, 1.0, 2.0, 64.0, math.inf, math.nan)


def bits(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("d", value)


def side(chance: random.Random, first: int) -> tuple[tuple[BucketSpan, ...], tuple[float, ...]]:
    lengths = [chance.randint(1, 3) for _ in range(chance.randint(0, 3))]
    spans = tuple(BucketSpan(first if not at else chance.randint(1, 3), length) for at, length in enumerate(lengths))
    return spans, tuple(chance.choice((0.0, 1.0, 0.1, 3.7, 1e6)) for _ in range(sum(lengths)))


def histogram(chance: random.Random) -> Histogram:
    if chance.random() < 0.3:
        counts = tuple(float(chance.randint(0, 5)) for _ in range(4))
        bounds = chance.choice(((-1.0, 0.5, 2.0), (1.0, 2.0, 4.0)))
        return Histogram(
            CUSTOM_SCHEMA, sum(counts) + chance.choice((0.0, 2.0)), chance.choice((7.5, math.nan)),
            positive_spans=(BucketSpan(0, 4),), positive_buckets=counts, custom_values=bounds,
        )  # fmt: skip
    positive_spans, positive = side(chance, chance.randint(-4, 4))
    negative_spans, negative = side(chance, chance.randint(-4, 4))
    zero = chance.choice((0.0, 2.0))
    count = sum(positive) + sum(negative) + zero + chance.choice((0.0, 0.0, 2.0))
    return Histogram(
        chance.randint(-2, 5), count, chance.choice((7.5, -3.0, math.nan)), chance.choice((0.0, 0.001)), zero,
        positive_spans, positive, negative_spans, negative,
    )  # fmt: skip


@pytest.fixture(scope="module")
def histograms() -> list[Histogram]:
    """Empty ones, sides alone, gaps, all schemas' kinds, observations that are NaN."""
    chance = random.Random(5)
    return [Histogram(), *(histogram(chance) for _ in range(400))]


@pytest.mark.parametrize("rank", RANKS)
def test_quantiles_at_once_are_those_of_each(histograms: list[Histogram], rank: float) -> None:
    numbers = np.arange(len(histograms), dtype=np.int32)[::-1].copy()
    bounds = ShapeBounds(HistogramColumns.of(histograms), numbers)
    found = bounds.quantiles(np.full(len(numbers), rank)).tolist()
    assert list(map(bits, found)) == [bits(native_quantile(rank, histograms[number])) for number in numbers.tolist()]


@pytest.mark.parametrize("lower", BORDERS)
@pytest.mark.parametrize("upper", BORDERS)
def test_fractions_at_once_are_those_of_each(histograms: list[Histogram], lower: float, upper: float) -> None:
    numbers = np.arange(len(histograms), dtype=np.int32)
    bounds = ShapeBounds(HistogramColumns.of(histograms), numbers)
    found = bounds.fractions(np.full(len(numbers), lower), np.full(len(numbers), upper)).tolist()
    assert list(map(bits, found)) == [bits(native_fraction(lower, upper, one)) for one in histograms]


def test_sums_are_compensated_column_by_column() -> None:
    chance = np.random.default_rng(3)
    odd = np.array([1e308, -1e308, math.inf, math.nan, 1e-300, 0.1, 1e16, -1e16, 1.0])
    matrix, cells = chance.choice(odd, (300, 5)), np.sort(chance.integers(0, 40, 300))
    found = sums_of(matrix, cells, 41)
    for cell in range(41):
        for column in range(5):
            total = Sum()
            for value in matrix[cells == cell, column].tolist():
                total.add(value)
            assert bits(float(found[cell, column])) == bits(total.value)
