"""`/metrics` for who would rather scrape than be pushed to: fresh values each time, and what the agent counts of itself.

Invariant: a scrape never makes two runs of one check instance at once, and waits no longer than the checks' deadlines.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiohttp import web

from nunchi.agent.emission import LabelPairs
from nunchi.agent.emission import Sample as EmittedSample
from nunchi.agent.schedule import Outcome, Schedule
from nunchi.kit.http_route import Access, Route
from nunchi.kit.telemetry import Telemetry
from nunchi.model.histogram import Histogram
from nunchi.model.metadata import MetricType
from nunchi.wire.exposition_format import ExpositionFormat
from nunchi.wire.exposition_text import Family, Sample, format_families, telemetry_families
from nunchi.wire.go_floats import format_float

PART_SUFFIXES = ("_bucket", "_sum", "_count")


class Exporter:
    """Serves what the schedule's checks find."""

    def __init__(self, schedule: Schedule, telemetry: Telemetry) -> None:
        self._schedule = schedule
        self._telemetry = telemetry

    def routes(self) -> list[Route]:
        """What it serves."""
        return [Route("GET", "/metrics", self.show_metrics, Access.READ)]

    async def show_metrics(self, request: web.Request) -> web.Response:
        """An exposition in the format that is asked for."""
        exposition_format = ExpositionFormat.of_accept(request.headers.get("Accept"))
        families = merge_families(await self._schedule.collect())
        body = format_families([*families, *telemetry_families(self._telemetry)], exposition_format)
        return web.Response(body=body, headers={"Content-Type": exposition_format.content_type})


def merge_families(outcomes: Sequence[Outcome]) -> list[Family]:
    """All outcomes as families sorted by name, with how each check fared; of two samples of one series the first is shown."""
    types: dict[str, MetricType] = {}
    helps: dict[str, str] = {}
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for outcome in outcomes:
        types.update(outcome.emission.types)
        helps.update(outcome.emission.helps)
        add_samples(samples, outcome.emission.samples)
        for found in outcome.emission.histograms:
            add_samples(samples, classic_samples(*found))
    for name, value_of in (
        ("node_scrape_collector_duration_seconds", lambda outcome: outcome.duration_seconds),
        ("node_scrape_collector_success", lambda outcome: float(outcome.is_success)),
    ):
        types[name] = MetricType.GAUGE
        fared = [
            (name, (("collector", outcome.name),), value_of(outcome)) for outcome in outcomes if outcome.job == "node"
        ]
        add_samples(samples, (sample for sample in fared if not math.isnan(sample[2])))
    families: dict[str, list[Sample]] = {}
    for name in sorted(samples):
        shown = [Sample(name, labels, value) for labels, value in sorted(samples[name].items())]
        families.setdefault(family_name(name, types), []).extend(shown)
    return [
        Family(name, types.get(name, MetricType.UNKNOWN), helps.get(name, ""), families[name])
        for name in sorted(families)
    ]


def classic_samples(name: str, labels: LabelPairs, histogram: Histogram) -> Iterator[EmittedSample]:
    """A native histogram as text can say it: buckets up to powers of two, whose counts are exact, sum and count."""
    passed = sum(histogram.negative_buckets) + histogram.zero_count
    counts: dict[int, float] = {}
    for index, count in histogram.positive():
        power = -(-index >> histogram.schema) if histogram.schema > 0 else index << -histogram.schema
        counts[power] = counts.get(power, 0.0) + count
    for power, count in sorted(counts.items()):
        passed += count
        if power < sys.float_info.max_exp:
            yield f"{name}_bucket", (*labels, ("le", format_float(2.0**power))), passed
    yield f"{name}_bucket", (*labels, ("le", "+Inf")), histogram.count
    yield f"{name}_sum", labels, histogram.sum
    yield f"{name}_count", labels, histogram.count


def family_name(name: str, types: Mapping[str, MetricType]) -> str:
    """The family that a sample is of: its own name, or that of the histogram or summary it is a part of."""
    for suffix in PART_SUFFIXES:
        if name not in types and name.removesuffix(suffix) in types:
            return name.removesuffix(suffix)
    return name


def add_samples(samples: dict[str, dict[tuple[tuple[str, str], ...], float]], found: Iterable[EmittedSample]) -> None:
    """Put samples below their names, by their labels."""
    for name, labels, value in found:
        samples.setdefault(name, {}).setdefault(tuple(sorted(labels)), value)
