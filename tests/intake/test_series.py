import numpy as np
import pytest

from nunchi.admission.door import Door
from nunchi.admission.limits import SeriesLimits
from nunchi.intake.scrape.errors import ScrapeError, ScrapeLimitError
from nunchi.intake.scrape.interpretation import HistogramRules
from nunchi.intake.scrape.report import REPORT_NAMES
from nunchi.intake.scrape.series import SampleRules, Scraped, TargetSeries, merge_labels
from nunchi.model.exemplar import Exemplar
from nunchi.model.labels import Labels
from nunchi.model.names import NameScheme
from nunchi.model.relabel import Relabeller, RelabelRule
from nunchi.testing.clock import VirtualClock
from nunchi.wire.exposition import ExpositionFormat

TARGET = Labels({"instance": "i", "job": "j"})
REPORT = [1.0, 0.5, 0.0, 0.0, 0.0]
STALE = "stale"


class Scraper:
    """Scrapes texts into a store, ten seconds apart."""

    def __init__(self, door: Door, store, clock: VirtualClock, **rules) -> None:
        self.series = TargetSeries(TARGET, SampleRules(**rules), REPORT_NAMES)
        self.door, self.store = door, store
        self.now_ms = clock.now_ms() - 1_000_000

    def scrape(self, text: str | None) -> Scraped | None:
        self.now_ms += 10_000
        scraped = None if text is None else self.series.read(text.encode(), ExpositionFormat.TEXT)
        self.door.append("scrape", *self.series.batches(self.now_ms, scraped, REPORT))
        self.series.settle(scraped)
        return scraped

    def values(self, name: str) -> list[float | str]:
        return self.store.values(name)


@pytest.fixture
def scraper(door, store, clock):
    return lambda **rules: Scraper(door, store, clock, **rules)


def test_samples_get_the_targets_labels_and_the_report_follows(scraper, store) -> None:
    scraper().scrape('a 1\nb{x="y"} 2\n')
    assert set(store.samples()) == {
        'a{instance="i", job="j"}',
        'b{instance="i", job="j", x="y"}',
        *(f'{name}{{instance="i", job="j"}}' for name in REPORT_NAMES),
    }


@pytest.mark.parametrize(
    ("exposed", "honored_empty", "expected"),
    [
        ({"job": "own"}, None, {"job": "j", "instance": "i", "exported_job": "own"}),
        ({"job": "own", "exported_job": "x"}, None,
         {"job": "j", "instance": "i", "exported_job": "x", "exported_exported_job": "own"}),
        ({"job": "own"}, (), {"job": "own", "instance": "i"}),
        ({}, ("job",), {"instance": "i"}),
        ({}, None, {"job": "j", "instance": "i"}),
    ],
)  # fmt: skip
def test_clashing_labels_are_renamed_or_honored(exposed, honored_empty, expected) -> None:
    assert merge_labels(Labels(exposed), TARGET, honored_empty) == expected


def test_an_exposed_empty_label_wins_when_labels_are_honored(scraper, store) -> None:
    scraper(honor_labels=True).scrape('a{job=""} 1\n')
    assert list(store.samples("a")) == ['a{instance="i"}']


def test_a_series_that_is_gone_gets_a_marker_once_and_may_come_back(scraper) -> None:
    one = scraper()
    for text in ("a 1\nb 2\n", "a 1\n", "a 1\n", "a 1\nb 3\n"):
        one.scrape(text)
    assert one.values("b") == [2, STALE, 3]
    assert one.values("a") == [1, 1, 1, 1]


def test_a_failed_scrape_marks_everything_but_the_report(scraper) -> None:
    one = scraper()
    one.scrape("a 1\nb 2\n")
    one.scrape(None)
    one.scrape(None)
    one.scrape("a 3\n")
    assert one.values("a") == [1, STALE, 3]
    assert one.values("b") == [2, STALE]
    assert len(one.values("up")) == 4


def test_the_end_of_a_target_marks_the_report_too(scraper, door) -> None:
    one = scraper()
    one.scrape("a 1\n")
    door.append("scrape", *one.series.end_batches(one.now_ms + 10_000))
    assert one.values("a") == [1, STALE]
    assert one.values("up") == [1, STALE]


def test_added_series_are_those_that_the_last_good_scrape_did_not_have(scraper) -> None:
    one = scraper()
    added = [scraped.series_added if (scraped := one.scrape(text)) else None
             for text in ("a 1\nb 1\n", "a 1\nb 1\n", None, "a 1\nb 1\n", "b 1\nc 1\n", "a 1\n")]  # fmt: skip
    assert added == [2, 0, None, 0, 1, 1]


def test_an_unchanged_exposition_keeps_its_shape(scraper) -> None:
    one = scraper()
    first, second, third = (one.scrape(text) for text in ("a 1\nb 1\n", "a 2\nb 2\n", "b 2\na 2\n"))
    assert second.shape is first.shape
    assert third.shape is not first.shape
    assert one.values("a") == [1, 2, 2]


def test_own_timestamps_are_kept_and_owe_no_marker(scraper) -> None:
    one = scraper()
    own_ms = one.now_ms + 4000
    one.scrape(f"a 1 {own_ms}\nb 2\n")
    one.scrape("b 2\n")
    assert one.store.samples("a") == {'a{instance="i", job="j"}': [(own_ms, 1.0)]}
    assert one.values("b") == [2, 2]


def test_own_timestamps_owe_a_marker_when_they_are_tracked(scraper) -> None:
    one = scraper(track_timestamps_staleness=True)
    one.scrape(f"a 1 {one.now_ms + 4000}\n")
    one.scrape("b 2\n")
    assert one.values("a") == [1, STALE]


def test_own_timestamps_may_be_ignored(scraper) -> None:
    one = scraper(honor_timestamps=False)
    one.scrape(f"a 1 {one.now_ms + 4000}\n")
    assert [time for time, _ in next(iter(one.store.samples("a").values()))] == [one.now_ms]


def test_a_series_twice_with_own_timestamps_is_two_samples(scraper) -> None:
    one = scraper()
    scraped = one.scrape(f"a 1 {one.now_ms + 1000}\na 2 {one.now_ms + 2000}\n")
    assert scraped.shape.duplicates == 0
    assert one.values("a") == [1, 2]


def test_the_first_of_a_series_given_twice_counts(scraper) -> None:
    one = scraper()
    scraped = one.scrape("a 1\na 2\nb 3\n")
    assert (scraped.samples, scraped.shape.duplicates) == (3, 1)
    assert one.values("a") == [1]
    assert one.values("b") == [3]


def test_two_spellings_of_one_series_are_one_column(scraper, door) -> None:
    one = scraper()
    one.scrape('a{x="1",y="2"} 1\na{y="2",x="1"} 2\n')
    assert one.values("a") == [1]


def test_metric_relabelling_drops_and_counts(scraper) -> None:
    rules = Relabeller([RelabelRule(source_labels=("__name__",), regex="go_.*", action="drop")])
    one = scraper(relabelling=rules)
    for _ in range(2):
        scraped = one.scrape("go_a 1\nb 2\ngo_c 3\n")
        assert (scraped.samples, scraped.samples_kept, scraped.shape.relabelled) == (3, 1, 2)
    assert not one.store.samples("go_a")
    assert one.values("b") == [2, 2]


def test_the_report_is_not_relabelled(scraper) -> None:
    one = scraper(relabelling=Relabeller([RelabelRule(source_labels=("__name__",), regex="up", action="drop")]))
    one.scrape("a 1\n")
    assert one.values("up") == [1]


def test_the_sample_limit_counts_what_relabelling_leaves_and_fails_the_scrape(scraper) -> None:
    rules = Relabeller([RelabelRule(source_labels=("__name__",), regex="a", action="drop")])
    one = scraper(relabelling=rules, samples_max=2)
    one.scrape("a 1\nb 1\nc 1\n")
    with pytest.raises(ScrapeLimitError, match="sample limit exceeded: 3 samples"):
        one.scrape("a 1\nb 1\nc 1\nd 1\n")


@pytest.mark.parametrize("again", [1, 2])
def test_a_label_limit_fails_every_scrape_that_breaks_it(scraper, again: int) -> None:
    one = scraper(limits=SeriesLimits(labels_max=4))
    one.scrape('a{x="1"} 1\n')
    for _ in range(again):
        with pytest.raises(
            ScrapeLimitError, match=r"label_limit exceeded \(metric: a, number of labels: 5, limit: 4\)"
        ):
            one.scrape('a{x="1"} 1\na{x="1",y="2"} 1\n')


def test_a_name_of_another_scheme_fails_the_scrape(scraper) -> None:
    one = scraper(scheme=NameScheme.LEGACY)
    with pytest.raises(ScrapeLimitError, match="invalid metric name"):
        one.scrape('{"größe"} 1\n')


def test_a_bad_line_fails_the_scrape_with_its_number(scraper) -> None:
    one = scraper()
    with pytest.raises(ScrapeError, match="line 2"):
        one.scrape("a 1\n???\n")


def test_nan_is_a_value_and_no_marker(scraper) -> None:
    one = scraper()
    one.scrape("a NaN\n")
    assert np.isnan(one.values("a")[0])


def test_a_target_that_exposes_the_reports_names_does_not_disturb_it(scraper) -> None:
    one = scraper()
    one.scrape("up 7\n")
    assert one.values("up") == [7]
    assert one.values("scrape_duration_seconds") == [0.5]


def test_a_target_whose_series_always_change_keeps_a_bounded_layout(scraper) -> None:
    one = scraper()
    for round_number in range(60):
        one.scrape("".join(f'a{{x="{round_number}-{number}"}} 1\n' for number in range(100)))
    assert len(one.series._passage.layout) < 1500
    assert all(values[1:] == [(values[0][0] + 10_000, STALE)] for values in list(one.store.samples("a").values())[:-100]
               if len(values) > 1)  # fmt: skip
    assert sum(len(values) == 2 for values in one.store.samples("a").values()) == 59 * 100


def test_other_rules_judge_again_and_what_falls_away_is_marked(scraper) -> None:
    one = scraper()
    one.scrape("a 1\nb 2\n")
    drop = Relabeller([RelabelRule(source_labels=("__name__",), regex="b", action="drop")])
    one.series.renew(SampleRules(relabelling=drop), REPORT_NAMES)
    one.scrape("a 1\nb 2\n")
    assert one.values("a") == [1, 1]
    assert one.values("b") == [2, STALE]


def test_an_exposition_without_samples_marks_all(scraper) -> None:
    one = scraper()
    one.scrape("a 1\n")
    one.scrape("# nothing today\n")
    assert one.values("a") == [1, STALE]


def test_metadata_is_remembered(scraper) -> None:
    one = scraper()
    one.scrape("# HELP a What a is.\n# TYPE a counter\na 1\n")
    one.scrape("# HELP a What a is.\n# TYPE a counter\na 2\n")
    assert one.series.metadata["a"].help == "What a is."
    assert one.store.metadata()["a"].type.value == "counter"


def test_exemplars_go_to_their_series_with_the_time_of_the_scrape_where_they_have_none(door, store, clock) -> None:
    rules = SampleRules(
        relabelling=Relabeller([RelabelRule(source_labels=("__name__",), regex="b_total", action="drop")])
    )
    series = TargetSeries(TARGET, rules, REPORT_NAMES)
    now_ms = clock.now_ms()
    body = '# TYPE a counter\nb_total 1 # {t="0"} 1\na_total 2 # {t="1"} 0.5 1.5\nc_total 3 # {t="2",s="}#"} 4\n# EOF\n'
    scraped = series.read(body.encode(), ExpositionFormat.OPEN_METRICS)
    (batch,) = series.batches(now_ms, scraped, REPORT)
    found = [(batch.layout.labels(column).metric_name, exemplar) for column, exemplar in batch.exemplars]
    assert found == [
        ("a_total", Exemplar(Labels({"t": "1"}), 0.5, 1500)),
        ("c_total", Exemplar(Labels({"t": "2", "s": "}#"}), 4.0, now_ms, has_timestamp=False)),
    ]


def test_histograms_and_starts_go_with_the_samples_of_a_scrape() -> None:
    rules = SampleRules(histograms=HistogramRules(converts_classic=True, with_starts=True))
    series = TargetSeries(TARGET, rules, REPORT_NAMES)
    text = (
        b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 3\nh_sum 4\nh_created 70\n'
        b"# TYPE a counter\na_total 1\n# EOF\n"
    )
    for _ in range(2):
        scraped = series.read(text, ExpositionFormat.OPEN_METRICS)
        (batch,) = series.batches(1_000_000, scraped, [0.0] * len(REPORT_NAMES))
        series.settle(scraped)
        names = [Labels.from_key(batch.layout.key(column)).metric_name for column in batch.columns.tolist()]
        assert names[:2] == ["a_total", "h"]
        assert batch.starts is not None
        assert batch.starts.tolist() == [0, 70_000, *[0] * len(REPORT_NAMES)]
        assert batch.histograms is not None
        assert batch.histograms.histogram(0).positive_buckets == (1.0, 2.0)


def test_too_many_buckets_fail_the_scrape_and_the_next_one_is_whole() -> None:
    rules = SampleRules(histograms=HistogramRules(converts_classic=True, buckets_max=2))
    series = TargetSeries(TARGET, rules, REPORT_NAMES)
    text = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="2"} 1\nh_bucket{le="+Inf"} 3\na 1\n'
    with pytest.raises(ScrapeLimitError, match="native_histogram_bucket_limit exceeded: 3 buckets, 2 allowed"):
        series.read(text, ExpositionFormat.TEXT)
    scraped = series.read(text.replace(b'h_bucket{le="2"} 1\n', b""), ExpositionFormat.TEXT)
    (batch,) = series.batches(1000, scraped, [0.0] * len(REPORT_NAMES))
    names = [Labels.from_key(batch.layout.key(column)).metric_name for column in batch.columns.tolist()]
    assert names[:2] == ["a", "h"]
