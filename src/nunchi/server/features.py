"""The names that `--enable-feature` takes: all of Prometheus's, so that a command line which starts it starts nunchi as well.

Invariant: none is swallowed silently: what a name changes is built here, or the log says why it changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from nunchi.kit.errors import InputError
from nunchi.kit.logs import Logger

AUTO_RELOAD: Final = "auto-reload-config"
DELAYED_NAMES: Final = "promql-delayed-name-removal"
EXPERIMENTAL_FUNCTIONS: Final = "promql-experimental-functions"
EXTENDED_SELECTORS: Final = "promql-extended-range-selectors"
EXTRA_REPORT: Final = "extra-scrape-metrics"
FAMILY_LABELS: Final = "type-and-unit-labels"
FILL_MODIFIERS: Final = "promql-binop-fill-modifiers"
START_STORAGE: Final = "st-storage"
STEP_STATISTICS: Final = "promql-per-step-stats"

_ALWAYS: Final = "it is always on"
_ENCODING: Final = "blocks, log and runs have a form of their own"
_GO: Final = "it steers the runtime of Go"
_LATER: Final = "not in this version"
_NO_OTLP: Final = "this version receives no OTLP"
_SETTING: Final = "the setting {} decides"


class FeatureError(InputError):
    """A feature that is not known, or that another program has."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One name of Prometheus's: what it does here, or why it has no effect."""

    name: str
    effect: str = ""
    reason: str = ""


FEATURES: Final = (
    Feature(EXPERIMENTAL_FUNCTIONS, "experimental functions and aggregations are read"),
    Feature(EXTENDED_SELECTORS, "`anchored` and `smoothed` are read"),
    Feature(FILL_MODIFIERS, "`fill`, `fill_left` and `fill_right` are read"),
    Feature(DELAYED_NAMES, "metric names are dropped when a query ends"),
    Feature(STEP_STATISTICS, "`stats=all` shows the samples of each step"),
    Feature(START_STORAGE, "scrapes keep created timestamps as the starts of samples"),
    Feature(EXTRA_REPORT, "`extra_scrape_metrics` is on unless the configuration says otherwise"),
    Feature(FAMILY_LABELS, "series of scrapes carry the type and unit of their family as `__type__` and `__unit__`"),
    Feature(AUTO_RELOAD, "the same as `--config.auto-reload`"),
    Feature("auto-gomaxprocs", reason=_GO),
    Feature("auto-gomemlimit", reason=_GO),
    Feature("concurrent-rule-eval", reason="groups are evaluated side by side, the rules of a group in their order"),
    Feature("created-timestamp-zero-ingestion", reason=f"{_LATER}: {START_STORAGE} keeps created timestamps"),
    Feature("delayed-compaction", reason="compaction has a schedule of its own"),
    Feature("exemplar-storage", reason=_SETTING.format("storage.exemplars.max_exemplars")),
    Feature("expand-external-labels", reason=_ALWAYS),
    Feature("fast-startup", reason="samples are taken and answered while older ones are loaded"),
    Feature("histograms-st-encoding", reason=_ENCODING),
    Feature("memory-snapshot-on-shutdown", reason="what is in memory is sealed on the way down as it is"),
    Feature("metadata-wal-records", reason=_ALWAYS),
    Feature("native-histograms", reason=_SETTING.format("scrape_native_histograms")),
    Feature("new-service-discovery-manager", reason=_ALWAYS),
    Feature("no-default-scrape-port", reason=_ALWAYS),
    Feature("old-ui", reason="the pages are nunchi's own"),
    Feature("ooo-native-histograms", reason=_SETTING.format("storage.tsdb.out_of_order_time_window")),
    Feature("otlp-deltatocumulative", reason=_NO_OTLP),
    Feature("otlp-native-delta-ingestion", reason=_NO_OTLP),
    Feature("otlp-write-receiver", reason=_NO_OTLP),
    Feature("promql-at-modifier", reason=_ALWAYS),
    Feature("promql-duration-expr", reason=_ALWAYS),
    Feature("promql-negative-offset", reason=_ALWAYS),
    Feature("remote-write-receiver", reason="remote write is always received"),
    Feature("search-api", reason=_LATER),
    Feature("st-synthesis", reason=f"{_LATER}: only starts that targets tell are kept, with {START_STORAGE}"),
    Feature("use-start-timestamps", reason="starts are used wherever they are stored"),
    Feature("use-uncached-io", reason="blocks are written and read in one way"),
    Feature("xor2-encoding", reason=_ENCODING),
)
_BY_NAME: Final = {feature.name: feature for feature in FEATURES}
_OF_AGENTS: Final = "agent"


def split_features(texts: Iterable[str]) -> frozenset[str]:
    """The features of flags, each with several names between commas; raises `FeatureError`."""
    named = frozenset(name.strip() for text in texts for name in text.split(",") if name.strip())
    for name in sorted(named - _BY_NAME.keys()):
        if name == _OF_AGENTS:
            raise FeatureError("--enable-feature: agents are a program of their own: nunchi agent")
        near = get_close_matches(name, _BY_NAME)
        known = near or [feature.name for feature in FEATURES if feature.effect]
        raise FeatureError(
            f'--enable-feature: "{name}" is not known; {"near it are" if near else "there are"} {", ".join(known)}'
        )
    return named


def tell_without_effect(features: frozenset[str], log: Logger) -> None:
    """Say which features change nothing here, and why."""
    for name in sorted(features):
        feature = _BY_NAME[name]
        if feature.reason:
            log.warning("feature has no effect", feature=name, reason=feature.reason)
