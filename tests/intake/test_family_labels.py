"""`__type__` and `__unit__` as labels of scraped series."""

import pytest

from nunchi.admission.door import Door
from nunchi.intake.scrape.family_labels import FamilyLabels
from nunchi.intake.scrape.report import REPORT_NAMES
from nunchi.intake.scrape.series import SampleRules, TargetSeries
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.relabel import Relabeller, RelabelRule
from nunchi.wire.exposition import ExpositionFormat

TARGET = Labels({"instance": "i"})
REPORT = [1.0, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "family", "name", "is_part"),
    [
        (MetricType.COUNTER, "a", "a_total", True),
        (MetricType.COUNTER, "a_total", "a_total", True),
        (MetricType.GAUGE, "a", "a", True),
        (MetricType.GAUGE, "a", "a_total", False),
        (MetricType.HISTOGRAM, "a", "a_bucket", True),
        (MetricType.HISTOGRAM, "a", "a", True),
        (MetricType.SUMMARY, "a", "a_bucket", False),
        (MetricType.SUMMARY, "a", "a_sum", True),
        (MetricType.GAUGE_HISTOGRAM, "a", "a_gcount", True),
        (MetricType.INFO, "a", "a_info", True),
        (MetricType.STATESET, "a", "a", True),
    ],
)
def test_a_series_has_the_type_of_the_family_of_which_it_is_a_part(kind: MetricType, family: str, name: str, is_part):
    known = FamilyLabels()
    known.learn({family: Metadata(kind, unit="seconds")})
    labels = {"__name__": name}
    known.add(labels)
    assert labels == {"__name__": name, **({"__type__": kind.value, "__unit__": "seconds"} if is_part else {})}


def test_an_unknown_type_and_a_unit_that_is_not_said_leave_what_the_exposition_says():
    known = FamilyLabels()
    known.learn({"a": Metadata(MetricType.UNKNOWN, unit="bytes"), "b": Metadata(MetricType.GAUGE)})
    for name, expected in (("a", ("own", "bytes")), ("b", ("gauge", "own")), ("c", ("own", "own"))):
        labels = {"__name__": name, "__type__": "own", "__unit__": "own"}
        known.add(labels)
        assert (labels["__type__"], labels["__unit__"]) == expected


def test_only_a_change_of_labels_that_were_given_is_told():
    known = FamilyLabels()
    assert not known.learn({"a": Metadata(MetricType.GAUGE)})
    known.add({"__name__": "a"})
    assert not known.learn({"b": Metadata(MetricType.GAUGE), "a": Metadata(MetricType.GAUGE, "words")})
    assert known.learn({"a": Metadata(MetricType.COUNTER)})


@pytest.fixture
def scrape(door: Door, clock):
    """Scrapes OpenMetrics with these rules, ten seconds apart."""
    made: list[TargetSeries] = []
    moment_ms = clock.now_ms() - 1_000_000

    def scrape(text: str, **rules) -> None:
        nonlocal moment_ms
        if not made:
            made.append(TargetSeries(TARGET, SampleRules(with_family_labels=True, **rules), REPORT_NAMES))
        moment_ms += 10_000
        scraped = made[0].read(text.encode() + b"# EOF\n", ExpositionFormat.OPEN_METRICS)
        door.append("scrape", *made[0].batches(moment_ms, scraped, REPORT))
        made[0].settle(scraped)

    return scrape


def exposed(store) -> dict[str, list[float | str]]:
    """The values of all series but the report's."""
    return {
        labels: [value for _, value in samples]
        for labels, samples in store.samples().items()
        if labels.partition("{")[0] not in REPORT_NAMES
    }


TYPED = "# TYPE wait_seconds counter\n# UNIT wait_seconds seconds\n"


def test_scraped_series_have_them_and_relabelling_sees_them(scrape, store):
    rule = RelabelRule(source_labels=("__type__",), target_label="kind")
    scrape(TYPED + "wait_seconds_total 1\n# TYPE b unknown\nb 2\n", relabelling=Relabeller([rule]))
    assert set(exposed(store)) == {
        'wait_seconds_total{__type__="counter", __unit__="seconds", instance="i", kind="counter"}',
        'b{instance="i"}',
    }


def test_another_type_ends_the_series_and_begins_another(scrape, store):
    for text in ("# TYPE a gauge\na 1\nb 1\n", "# TYPE a counter\na_total 2\nb 2\n", "# TYPE a gauge\na 3\nb 3\n"):
        scrape(text)
    scrape("# TYPE a stateset\na 4\nb 4\n")
    ended = "stale"
    found = exposed(store)
    assert found['b{instance="i"}'] == [1, 2, 3, 4]
    assert found['a{__type__="gauge", instance="i"}'] == [1, ended, 3, ended]
    assert found['a_total{__type__="counter", instance="i"}'] == [2, ended]
    assert found['a{__type__="stateset", instance="i"}'] == [4]
