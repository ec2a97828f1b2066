"""From the series that CloudWatch has to the questions that are asked: choice by dimensions and tags, names and labels.

Invariant: pure; what a query becomes depends on the configuration and the inventory alone, so that the same series has the same
labels in every round.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nunchi.agent.clippers.aws.association import Association
from nunchi.agent.clippers.aws.names import dimension_label, metric_name, tag_label
from nunchi.agent.clippers.aws.queries import Query, Span
from nunchi.agent.cloud.exchange import Dimensions, Resource
from nunchi.agent.cloud.samples import CloudSeries
from nunchi.wire.cloud_configuration import MetricSettings, MetricsJob

NO_RESOURCE = "global"


class SeriesChoice:
    """Chooses and names the series of one account in one region."""

    def __init__(self, account: str, account_id: str, region: str, association: Association) -> None:
        self._place = (("account_alias", account), ("account_id", account_id), ("region", region))
        self._association = association

    def queries(self, job: MetricsJob, metric: MetricSettings, found: Iterable[Dimensions]) -> Iterator[Query]:
        """One query a statistic for each series that the job wants."""
        names = frozenset(job.dimension_names)
        patterns = {tag: re.compile(pattern) for tag, pattern in job.tag_filters.items()}
        nil_to_zero = job.nil_to_zero if metric.nil_to_zero is None else metric.nil_to_zero
        for dimensions in found:
            if names and frozenset(name for name, _ in dimensions) != names:
                continue
            resource = self._association.find(job.namespace, dimensions)
            if patterns and not has_tags(resource, patterns):
                continue
            labels = self.labels(dimensions, resource, job.tag_labels)
            for statistic in metric.statistics or job.statistics:
                series = CloudSeries(metric_name(job.namespace, metric.name, statistic), labels)
                yield Query(job.namespace, metric.name, dimensions, statistic, series, nil_to_zero)

    def labels(
        self, dimensions: Dimensions, resource: Resource | None, tag_labels: Sequence[str]
    ) -> tuple[tuple[str, str], ...]:
        """The labels of a series."""
        tags = resource.tags if resource else {}
        return (
            ("name", resource.id if resource else NO_RESOURCE),
            *self._place,
            *((dimension_label(name), value) for name, value in dimensions),
            *((tag_label(tag), tags.get(tag, "")) for tag in tag_labels),
        )

    def info_labels(self, resource: Resource, tag_labels: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """The labels of a resource's info series: the tags chosen, or all of them."""
        tags = {tag: resource.tags.get(tag, "") for tag in tag_labels} if tag_labels else resource.tags
        labels = {tag_label(tag): value for tag, value in sorted(tags.items())}
        return (("name", resource.id), *self._place, *labels.items())


def has_tags(resource: Resource | None, patterns: Mapping[str, re.Pattern[str]]) -> bool:
    """Whether a resource has all tags with values in which the patterns are found."""
    tags = resource.tags if resource else {}
    return all(tag in tags and pattern.search(tags[tag][:256]) for tag, pattern in patterns.items())


def span_of(job: MetricsJob, metric: MetricSettings) -> Span:
    """The window of a metric."""
    period = metric.period or job.period
    delay = job.delay if metric.delay is None else metric.delay
    return Span(period.ms, delay.ms, (metric.look_back or job.look_back).ms)


def interval_seconds(job: MetricsJob) -> float:
    """How often a job runs: what it says, else its shortest period, a minute at least."""
    if job.interval is not None:
        return job.interval.seconds
    return max(60.0, min((metric.period or job.period).seconds for metric in job.metrics))
