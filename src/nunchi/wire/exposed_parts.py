"""Which part of which metric a sample of an exposition is: a total, a bucket, a sum, when it was created.

Invariant: what is said follows from the sample's labels and the types of families alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import MetricType

CREATED: Final = "_created"
BUCKET: Final = "_bucket"
_SUFFIXES: Final = {
    MetricType.COUNTER: ("_total", CREATED),
    MetricType.HISTOGRAM: (BUCKET, "_count", "_sum", CREATED),
    MetricType.SUMMARY: ("_count", "_sum", CREATED),
}
_BOUNDS: Final = {BUCKET: "le", "": "quantile"}


@dataclass(frozen=True, slots=True)
class Part:
    """One sample of a metric: `metric` has the family's name and no bound."""

    metric: Labels
    kind: MetricType
    suffix: str
    bound: str = ""


def part_of(labels: Labels, types: Mapping[str, MetricType]) -> Part | None:
    """The part that a sample is of a counter, histogram or summary; None where it is of none."""
    name = labels.metric_name
    base, underscore, ending = name.rpartition("_")
    for family, suffix in ((base, underscore + ending), (name, "")):
        kind = types.get(family)
        if kind in _SUFFIXES and (suffix in _SUFFIXES[kind] or not suffix):
            bound = _BOUNDS.get(suffix, "")
            pairs = {own: value for own, value in labels.pairs if own != bound}
            return Part(Labels({**pairs, METRIC_NAME: family}), kind, suffix, dict(labels.pairs).get(bound, ""))
    return None
