"""The metric clipper: takes the values of one account in one region from CloudWatch.

Each round asks for what is due, packed by window, all packs at once within the bounds of threads and rates. A window looks
back over what was asked before, because CloudWatch goes on correcting values; only new and changed ones are handed on.
Invariant: one pack's failure costs that pack's values of this round, and the next window reaches back to them.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from itertools import groupby

from nunchi.agent.clippers.aws.association import Association
from nunchi.agent.clippers.aws.aws_clipper import AwsClipper
from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.inventory import Inventory
from nunchi.agent.clippers.aws.listing import MetricLists
from nunchi.agent.clippers.aws.names import JOB
from nunchi.agent.clippers.aws.queries import Query, Span, Window, fill_with_zero, pack, window_of
from nunchi.agent.clippers.aws.results import Results, ask_data, ask_statistics
from nunchi.agent.clippers.aws.series import SeriesChoice, interval_seconds, span_of
from nunchi.agent.clippers.aws.services import BY_NAMESPACE
from nunchi.agent.cloud.exchange import Dimensions, Exchange, MetricInfo
from nunchi.agent.cloud.samples import CloudSeries, Delivered
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.wire.cloud_configuration import Api, AwsAccount, MetricsJob

PROBLEMS_MAX = 20
INVENTORY_LOOK_SECONDS = 2.0
INVENTORY_SECONDS_MAX = 60.0  # so long series wait for the names of their resources
INFO_DIMENSIONS_MAX = 500  # of one item of the exchange
TIME_MS_MAX = 1 << 62

Group = tuple[Span, Api]


@dataclass(slots=True)
class Due:
    """A job and when it is to run next, by the monotonic clock."""

    job: MetricsJob
    at: float


class CloudWatchClipper(AwsClipper):
    """One account in one region."""

    def __init__(
        self, account: AwsAccount, calls: AwsCalls, inventory: Inventory, exchange: Exchange, around: Surroundings
    ) -> None:
        super().__init__("metrics", account, calls, inventory, exchange, around)
        self._lists = MetricLists(calls, around.clock)
        self._delivered = Delivered()
        self._complete_ms: dict[Group, int] = {}
        self._began_at = self._now()
        self._due = [Due(job, self._began_at) for job in account.metrics]
        self._association: Association | None = None
        self._series_asked: dict[int, int] = {}

    def due_at(self) -> float:
        """See `Clipper.due_at`."""
        return min(due.at for due in self._due)

    async def clip(self) -> Sequence[str]:
        """See `Clipper.clip`."""
        now = self._now()
        await self._inventory.locate()
        self._learn()
        problems: list[str] = []
        groups: dict[Group, list[Query]] = {}
        for due in self._due:
            if due.at > now:
                continue
            if self._association is None and self._waits(due.job, now):
                due.at = now + INVENTORY_LOOK_SECONDS
                continue
            due.at = self._next_at(due.job, now)
            await self._choose(due.job, groups, problems)
        work = [self._ask_group(group, queries, problems) for group, queries in groups.items()]
        await gather(work)
        self._count_round()
        return problems[:PROBLEMS_MAX]

    async def close(self) -> None:
        """See `Clipper.close`. What nobody asks for any more has ended."""
        self._delivered.forget_before(TIME_MS_MAX)
        self._around.writer.put(JOB, self._delivered.take_markers(), replaces=True)

    def _learn(self) -> None:
        """Take the newest inventory."""
        for info in self._exchange.resources.take_all():
            self._association = Association(info.resources)

    def _waits(self, job: MetricsJob, now: float) -> bool:
        """Whether a job needs an inventory that is not there yet: one that chooses by tags for as long as it takes."""
        if job.tag_filters:
            return True
        return job.namespace in BY_NAMESPACE and now - self._began_at < INVENTORY_SECONDS_MAX

    def _next_at(self, job: MetricsJob, now: float) -> float:
        """On a grid from the start, so that rounds do not creep; what was missed is passed over."""
        interval = interval_seconds(job)
        return self._began_at + ((now - self._began_at) // interval + 1) * interval

    async def _choose(self, job: MetricsJob, groups: dict[Group, list[Query]], problems: list[str]) -> None:
        """Put a job's queries to those that share their window."""
        association = self._association or Association(())
        choice = SeriesChoice(self._calls.account, self._inventory.account_id, self._calls.region, association)
        known: dict[Dimensions, int] = {}
        count = 0
        for metric in job.metrics:
            if job.dimensions:
                found: Sequence[Dimensions] = (tuple(sorted(job.dimensions.items())),)
            else:
                listed = await self._lists.series(job.namespace, metric.name, recently_active=job.recently_active)
                found = listed.series
                if listed.problem:
                    problems.append(listed.problem)
            queries = list(choice.queries(job, metric, found))
            groups.setdefault((span_of(job, metric), job.api), []).extend(queries)
            count += len(queries)
            for query in queries:
                known[query.dimensions] = known.get(query.dimensions, 0) + 1
        self._series_asked[id(job)] = count
        await self._tell(job.namespace, known)

    async def _tell(self, namespace: str, known: dict[Dimensions, int]) -> None:
        """Say to the resource clipper what was found."""
        pairs = list(known.items())
        for begin in range(0, len(pairs), INFO_DIMENSIONS_MAX):
            info = MetricInfo(namespace, dict(pairs[begin : begin + INFO_DIMENSIONS_MAX]))
            if not await self._exchange.metrics.put(info):
                return  # nobody takes: the rest would only wait too

    async def _ask_group(self, group: Group, queries: Sequence[Query], problems: list[str]) -> None:
        span, api = group
        window = window_of(span, self._around.clock.now_ms(), self._complete_ms.get(group, 0))
        distinct = list(dict.fromkeys(queries))
        if api == "data":
            work = [
                self._take(ask_data(self._calls, one, window), one, window, problems) for one in pack(distinct, window)
            ]
        else:
            ordered = sorted(distinct, key=lambda query: (query.namespace, query.metric, query.dimensions))
            of_metric = groupby(ordered, key=lambda query: (query.namespace, query.metric, query.dimensions))
            packs = [list(some) for _, some in of_metric]
            work = [self._take(ask_statistics(self._calls, one, window), one, window, problems) for one in packs]
        if all(await gather(work)):
            self._complete_ms[group] = window.end_ms
        self._complete_ms.setdefault(group, window.start_ms)
        self._delivered.forget_before(
            window.start_ms - span.look_back_ms - max(one.look_back_ms for one, _ in self._complete_ms)
        )
        self._around.writer.put(JOB, self._delivered.take_markers(), replaces=True)

    async def _take(
        self, asking: Awaitable[Results], queries: Sequence[Query], window: Window, problems: list[str]
    ) -> bool:
        """Hand on what a pack gave; whether it was all there."""
        results = await asking
        problems += results.problems
        found: list[tuple[CloudSeries, Sequence[tuple[int, float]]]] = []
        corrected_before = self._delivered.corrected
        since_ms = window.start_ms if results.is_complete else 0  # who was not answered has not ended
        for query in queries:
            points = sorted(results.points.get(query, {}).items())
            if query.nil_to_zero and results.is_complete:
                points = fill_with_zero(points, window)
            changed = self._delivered.changed(query.series, points, since_ms, window.period_ms)
            if changed:
                found.append((query.series, changed))
        self._around.writer.put(JOB, [*found, *self._delivered.take_markers()], replaces=True)
        self._around.telemetry.samples.add(sum(len(points) for _, points in found), *self._place)
        self._around.telemetry.corrected.add(self._delivered.corrected - corrected_before, *self._place)
        return results.is_complete

    def _count_round(self) -> None:
        telemetry = self._around.telemetry
        telemetry.series.set(sum(self._series_asked.values()), *self._place)
        now_ms = self._around.clock.now_ms()
        behind = [now_ms - span.delay_ms - complete_ms for (span, _), complete_ms in self._complete_ms.items()]
        if behind:
            telemetry.behind.set(max(0, *behind) / 1000, *self._place)


async def gather(work: Sequence[Awaitable[bool | None]]) -> list[bool | None]:
    """All of them at once; where one raises, which only a bug does, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(one)) for one in work]
    return [task.result() for task in tasks]


async def _awaited(one: Awaitable[bool | None]) -> bool | None:
    return await one
