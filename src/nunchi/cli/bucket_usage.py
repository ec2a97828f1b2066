"""How well the buckets of classic histograms are used: what `nunchi query analyze` works out. Pure."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BucketUsage:
    """Of one histogram series: how many of its buckets gained observations between two scrapes."""

    metric: str
    labels: dict[str, str]
    scrapes: int
    buckets: int
    least: int
    mean: float
    most: int


def bucket_usage(result: list[dict[str, Any]]) -> list[BucketUsage]:
    """The usage of each histogram in the samples of `…_bucket` series, a matrix; the least used first."""
    histograms: dict[tuple[tuple[str, str], ...], dict[float, dict[float, float]]] = defaultdict(dict)
    for series in result:
        labels = dict(series["metric"])
        bound = labels.pop("le", "")
        try:
            upper = float(bound)
        except ValueError:
            continue
        histograms[tuple(sorted(labels.items()))][upper] = {at: float(v) for at, v in series.get("values", ())}
    usages = [_usage(dict(labels), buckets) for labels, buckets in histograms.items()]
    return sorted((usage for usage in usages if usage.scrapes), key=lambda usage: usage.mean / usage.buckets)


def _usage(labels: dict[str, str], buckets: dict[float, dict[float, float]]) -> BucketUsage:
    bounds = sorted(buckets)
    times = sorted(set.intersection(*(set(values) for values in buckets.values())))
    populated = []
    for before, after in itertools.pairwise(times):
        gains = [buckets[bound][after] - buckets[bound][before] for bound in bounds]
        if min(gains) < 0:  # a reset: what was gained is not known
            continue
        own = (gain - below for gain, below in zip(gains, [0.0, *gains], strict=False))
        populated.append(sum(gain > 0 for gain in own))
    metric = labels.pop("__name__", "").removesuffix("_bucket")
    mean = sum(populated) / len(populated) if populated else 0.0
    return BucketUsage(
        metric, labels, len(populated), len(bounds), min(populated, default=0), mean, max(populated, default=0)
    )
