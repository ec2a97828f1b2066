"""Classic histograms that become native, created timestamps that become starts, and fewer buckets where they are wanted."""

import math

import numpy as np
import pytest

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.wire.classic_histograms import ClassicConverter
from nunchi.wire.created_timestamps import CreatedTimestamps
from nunchi.wire.exposition import Exposition, ExpositionFormat, ExpositionReader
from nunchi.wire.histogram_resolution import TooManyBuckets, coarsen, schema_of_factor

HISTOGRAM = """# TYPE h histogram
h_bucket{x="1",le="0.5"} 1
h_bucket{x="1",le="2"} 4
h_bucket{x="1",le="+Inf"} 6
h_sum{x="1"} 9.5
h_count{x="1"} 6
"""


class Reading:
    """A reader of texts with a converter behind it; labels are remembered over bodies."""

    def __init__(self, *stages: ClassicConverter | CreatedTimestamps) -> None:
        self.reader = ExpositionReader()
        self.stages = stages
        self.names: dict[int, Labels] = {}

    def read(self, text: str, form: ExpositionFormat = ExpositionFormat.TEXT) -> Exposition:
        exposition = self.reader.read(text.encode(), form)
        for stage in self.stages:
            exposition = stage.apply(exposition)
        self.names |= dict(exposition.new_series)
        return exposition

    def samples(self, text: str) -> dict[Labels, float | Histogram]:
        exposition = self.read(text)
        found: dict[Labels, float | Histogram] = {}
        for place, number in enumerate(exposition.series.tolist()):
            at = FLOAT if exposition.histogram_of is None else int(exposition.histogram_of[place])
            value: float | Histogram = float(exposition.values[place])
            if at != FLOAT:
                assert exposition.histograms is not None
                value = exposition.histograms.histogram(at)
            found[self.names[number]] = value
        return found


CONVERTED = Histogram(CUSTOM_SCHEMA, 6.0, 9.5, 0.0, 0.0, (BucketSpan(0, 3),), (1.0, 3.0, 2.0), custom_values=(0.5, 2.0))


def test_a_classic_histogram_becomes_one_of_custom_buckets():
    found = Reading(ClassicConverter(keeps_classic=False)).samples("a 1\n" + HISTOGRAM)
    assert found == {Labels.of("a"): 1.0, Labels.of("h", x="1"): CONVERTED}


def test_classic_series_are_kept_beside_where_they_are_wanted():
    found = Reading(ClassicConverter(keeps_classic=True)).samples(HISTOGRAM)
    assert found[Labels.of("h", x="1")] == CONVERTED
    assert len(found) == 6


def test_without_its_type_nothing_is_a_histogram():
    found = Reading(ClassicConverter(keeps_classic=False)).samples(HISTOGRAM.partition("\n")[2])
    assert len(found) == 5
    assert all(isinstance(value, float) for value in found.values())


def test_a_steady_body_keeps_the_array_of_series_and_tells_of_nothing_new():
    reading = Reading(ClassicConverter(keeps_classic=False))
    first, second = reading.read(HISTOGRAM), reading.read(HISTOGRAM.replace("9.5", "10.5"))
    assert second.series is first.series
    assert not second.new_series
    assert second.histograms is not None
    assert second.histograms.histogram(0).sum == 10.5


def test_a_histogram_whose_counts_decrease_becomes_nothing_and_comes_back():
    reading = Reading(ClassicConverter(keeps_classic=False))
    broken = HISTOGRAM.replace('le="2"} 4', 'le="2"} 0') + HISTOGRAM.replace('x="1"', 'x="2"').partition("\n")[2]
    assert set(reading.samples(broken)) == {Labels.of("h", x="2")}
    assert set(reading.samples(HISTOGRAM)) == {Labels.of("h", x="1")}


def test_only_damaged_histograms_leave_an_exposition_without_samples():
    exposition = Reading(ClassicConverter(keeps_classic=False)).read("# TYPE h histogram\nh_sum 3\n")
    assert len(exposition) == len(exposition.series) == len(exposition.timestamps) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\n', (3.0, 0.0, (2.0, 1.0))),
        ('# TYPE h histogram\nh_bucket{le="1"} 2\nh_count 2.5\nh_sum 1\n', (2.5, 1.0, (2.0, 0.5))),
        ("# TYPE h histogram\nh_count 3\nh_sum 4\n", (3.0, 4.0, (3.0,))),
    ],
)
def test_what_is_missing_of_a_histogram_follows_from_the_rest(text, expected):
    found = Reading(ClassicConverter(keeps_classic=False)).samples(text)[Labels.of("h")]
    assert isinstance(found, Histogram)
    assert (found.count, found.sum, found.positive_buckets) == expected


OPEN = """# TYPE a counter
a_total{x="1"} 3
a_created{x="1"} 1500.25
a_total{x="2"} 4
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_count 1
h_created 70
# TYPE g gauge
g_created 5
# EOF
"""


def test_created_samples_become_starts_of_the_samples_of_their_metric():
    reading = Reading(CreatedTimestamps())
    first = reading.read(OPEN, ExpositionFormat.OPEN_METRICS)
    names = [reading.names[number].metric_name for number in first.series.tolist()]
    assert names == ["a_total", "a_total", "h_bucket", "h_bucket", "h_count", "g_created"]
    assert first.starts is not None
    assert first.starts.tolist() == [1_500_250, 0, 70_000, 70_000, 70_000, 0]
    assert set(reading.names.values()) == {reading.names[number] for number in first.series.tolist()}
    second = reading.read(OPEN.replace("1500.25", "1600"), ExpositionFormat.OPEN_METRICS)
    assert second.series is first.series
    assert second.starts is not None
    assert second.starts[0] == 1_600_000


def test_starts_pass_conversion():
    reading = Reading(CreatedTimestamps(), ClassicConverter(keeps_classic=False))
    found = reading.read(OPEN, ExpositionFormat.OPEN_METRICS)
    assert found.starts is not None
    assert dict(zip((reading.names[n].metric_name for n in found.series.tolist()), found.starts.tolist(), strict=True)) == {
        "a_total": 0, "g_created": 0, "h": 70_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "schema"), [(0, 8), (1, 8), (1.002, 8), (1.1, 2), (2, 0), (4, -1), (1000, -4), (math.inf, -4)]
)
def test_the_finest_schema_whose_bounds_lie_a_factor_apart(factor, schema):
    assert schema_of_factor(factor) == schema


FINE = Histogram(1, 6.0, 9.5, 0.0, 0.0, (BucketSpan(0, 4),), (1.0, 1.0, 1.0, 3.0))


def test_histograms_of_too_many_buckets_lose_resolution_first():
    columns = HistogramColumns.of([FINE, CONVERTED], [True, True])
    assert coarsen(columns, 8, 4) is columns
    (coarse, custom) = coarsen(columns, 8, 3).histograms()
    assert (coarse.schema, coarse.count, sum(coarse.positive_buckets)) == (0, 6.0, 6.0)
    assert custom == CONVERTED
    assert coarsen(columns, 0, 0).histogram(0) == coarse
    assert coarsen(columns, 0, 0).is_integer.all()
    with pytest.raises(TooManyBuckets, match="3 buckets, 2 allowed"):
        coarsen(columns, 8, 2)
    scattered = Histogram(-4, 2.0, 1.0, 0.0, 0.0, (BucketSpan(-2, 1), BucketSpan(3, 1)), (1.0, 1.0))
    with pytest.raises(TooManyBuckets):
        coarsen(HistogramColumns.of([scattered]), 8, 1)
    assert np.array_equal(coarsen(columns, 0, 0).offsets, [0, *np.cumsum([len(coarse.positive_buckets), 3])])
