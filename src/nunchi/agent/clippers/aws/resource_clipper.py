"""The resource clipper: takes the inventory of one account in one region, names and tags of everything.

It tells the metric clipper what there is, hands the inventory on to who shows it, and repeats the info series (a resource's
tags as labels) often enough that they stay current. From the metric clipper it hears which series there are: they tell it which
namespaces to look at, how many metrics each resource has, and of resources that no inventory knows.
Invariant: the metric clipper hears of every change; an inventory that fails leaves the last one standing.
"""

from collections import Counter
from collections.abc import Sequence

from nunchi.agent.clippers.aws.association import Association
from nunchi.agent.clippers.aws.aws_clipper import AwsClipper
from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.inventory import Inventory
from nunchi.agent.clippers.aws.names import JOB, info_name
from nunchi.agent.clippers.aws.series import SeriesChoice
from nunchi.agent.cloud.exchange import Dimensions, Exchange, Resource, ResourceInfo
from nunchi.agent.cloud.samples import CloudSeries
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.wire.cloud_configuration import AwsAccount

INFO_SECONDS = 60.0
SERIES_MAX = 50_000  # dimension sets remembered
RETRY_SECONDS = 60.0
METRICS = "metrics"  # the attribute that counts a resource's series


class ResourceClipper(AwsClipper):
    """One account in one region."""

    def __init__(
        self, account: AwsAccount, calls: AwsCalls, inventory: Inventory, exchange: Exchange, around: Surroundings
    ) -> None:
        super().__init__("resources", account, calls, inventory, exchange, around)
        self._inventory_at = self._info_at = self._now()
        self._resources: tuple[Resource, ...] = ()
        self._shown: tuple[Resource, ...] | None = None
        self._series: dict[tuple[str, Dimensions], int] = {}
        self._problems: list[str] = []

    def due_at(self) -> float:
        """See `Clipper.due_at`."""
        return min(self._inventory_at, self._info_at)

    async def clip(self) -> Sequence[str]:
        """See `Clipper.clip`."""
        self._hear()
        now = self._now()
        self._info_at = now + INFO_SECONDS
        try:
            if now >= self._inventory_at:
                self._inventory_at = now + RETRY_SECONDS
                await self._take()
                self._inventory_at = now + self._account.resources.interval.seconds
        finally:
            self._put_info()
            self._show()
        return self._problems

    async def close(self) -> None:
        """See `Clipper.close`."""
        self._around.put_inventory(self.key, ())

    def namespaces(self) -> list[str]:
        """Whose resources are looked for."""
        own = self._account
        wanted = {job.namespace for job in own.metrics} | set(own.resources.namespaces)
        return sorted(wanted | {namespace for namespace, _ in self._series})

    def _hear(self) -> None:
        """Take in what the metric clipper has found."""
        for info in self._exchange.metrics.take_all():
            for dimensions, metrics in info.metrics.items():
                if len(self._series) < SERIES_MAX or (info.namespace, dimensions) in self._series:
                    self._series[info.namespace, dimensions] = metrics

    async def _take(self) -> None:
        resources, self._problems = await self._inventory.take(self.namespaces())
        if resources != self._resources or not self._shown:
            self._resources = resources
        await self._exchange.resources.put(ResourceInfo(resources))
        self._around.telemetry.resources.set(len(resources), *self._place)

    def _put_info(self) -> None:
        if not self._inventory.account_id:
            return
        choice = SeriesChoice(self._account.name, self._inventory.account_id, self._calls.region, Association(()))
        tag_labels = self._account.resources.tag_labels
        now_ms = self._around.clock.now_ms()
        found = [
            (CloudSeries(info_name(one.namespace), choice.info_labels(one, tag_labels)), ((now_ms, 0.0),))
            for one in self._resources
        ]
        self._around.writer.put(JOB, found, replaces=False)

    def _show(self) -> None:
        shown = with_metrics(self._resources, self._series)
        if shown != self._shown:
            self._shown = shown
            self._around.put_inventory(self.key, shown)


def with_metrics(resources: Sequence[Resource], series: dict[tuple[str, Dimensions], int]) -> tuple[Resource, ...]:
    """The resources with the number of their metrics; series of no known resource make one of their own."""
    association = Association(resources)
    counts: Counter[tuple[str, str]] = Counter()
    unknown: list[Resource] = []
    for (namespace, dimensions), metrics in series.items():
        resource = association.find(namespace, dimensions)
        if resource is not None:
            counts[namespace, resource.id] += metrics
        elif dimensions:
            name = ", ".join(f"{dimension}={value}" for dimension, value in dimensions)
            unknown.append(Resource("", namespace, name, {}, {METRICS: str(metrics)}))
    known = [
        Resource(
            one.id, one.namespace, one.name, one.tags, {**one.attributes, METRICS: str(counts[one.namespace, one.id])}
        )
        if (one.namespace, one.id) in counts
        else one
        for one in resources
    ]
    return (*known, *unknown)
