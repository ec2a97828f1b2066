"""The names that `--enable-feature` takes."""

import io
from pathlib import Path

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.server.features import FEATURES, FeatureError, split_features, tell_without_effect
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import assemble, scrape_features
from nunchi.server.world import World

OF_PROMETHEUS = [
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "auto-reload-config",
    "concurrent-rule-eval",
    "created-timestamp-zero-ingestion",
    "delayed-compaction",
    "exemplar-storage",
    "expand-external-labels",
    "extra-scrape-metrics",
    "fast-startup",
    "histograms-st-encoding",
    "memory-snapshot-on-shutdown",
    "metadata-wal-records",
    "native-histograms",
    "new-service-discovery-manager",
    "no-default-scrape-port",
    "old-ui",
    "ooo-native-histograms",
    "otlp-deltatocumulative",
    "otlp-native-delta-ingestion",
    "otlp-write-receiver",
    "promql-at-modifier",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "promql-duration-expr",
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-negative-offset",
    "promql-per-step-stats",
    "remote-write-receiver",
    "search-api",
    "st-storage",
    "st-synthesis",
    "type-and-unit-labels",
    "use-start-timestamps",
    "use-uncached-io",
    "xor2-encoding",
]


def test_every_feature_of_prometheus_is_taken():
    assert split_features([",".join(OF_PROMETHEUS)]) == set(OF_PROMETHEUS) == {feature.name for feature in FEATURES}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_has_an_effect_or_a_reason_for_having_none(log_text: io.StringIO, feature):
    assert bool(feature.effect) != bool(feature.reason)
    tell_without_effect(frozenset([feature.name]), logger("test"))
    said = log_text.getvalue()
    assert (f"feature={feature.name}" in said) == bool(feature.reason)


def test_a_server_says_once_what_has_no_effect(log_text: io.StringIO, tmp_path: Path):
    flags = ServerFlags(storage_tsdb_path=tmp_path, enable_feature=("old-ui,st-storage", "old-ui"))
    assemble(flags, World(), Telemetry())
    (line,) = [line for line in log_text.getvalue().splitlines() if "feature has no effect" in line]
    assert line.endswith("""feature=old-ui reason="the pages are nunchi's own\"""")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "promql-experimental-function",
            '"promql-experimental-function" is not known; near it are promql-experimental',
        ),
        ("magic", '"magic" is not known; there are promql-experimental-functions, '),
        ("agent", "agents are a program of their own: nunchi agent"),
    ],
)
def test_an_unknown_feature_is_refused_with_those_near_it(name: str, message: str):
    with pytest.raises(FeatureError, match=message):
        split_features([f"old-ui,{name}"])


def test_scrapes_follow_the_features():
    assert scrape_features(split_features([])).extra_report is False
    found = scrape_features(split_features(["extra-scrape-metrics,st-storage"]))
    assert (found.extra_report, found.with_starts, found.family_labels) == (True, True, False)
    assert scrape_features(split_features(["type-and-unit-labels"])).family_labels
