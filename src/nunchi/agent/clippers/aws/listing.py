"""Which series a metric has: ListMetrics, remembered.

Invariant: one metric is listed once in `TTL_SECONDS`, whoever asks; where listing fails, what was found before stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.cloud.errors import CloudError
from nunchi.agent.cloud.exchange import Dimensions
from nunchi.kit.clock import Clock

TTL_SECONDS = 900.0  # a new metric needs up to fifteen minutes to be listed anyway
RETRY_SECONDS = 60.0
SERIES_MAX = 50_000  # of one metric
RECENTLY_ACTIVE = "PT3H"


@dataclass(slots=True)
class Listed:
    """What one listing found; `problem` where it failed or was cut."""

    series: Sequence[Dimensions]
    due_at: float
    problem: str = ""


class MetricLists:
    """The lists of one account in one region."""

    def __init__(self, calls: AwsCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._known: dict[tuple[str, str, bool], Listed] = {}

    async def series(self, namespace: str, metric: str, *, recently_active: bool) -> Listed:
        """The dimension sets of a metric."""
        key = namespace, metric, recently_active
        known = self._known.get(key)
        if known is None or self._clock.monotonic() >= known.due_at:
            known = self._known[key] = await self._list(namespace, metric, known, recently_active=recently_active)
        return known

    async def _list(self, namespace: str, metric: str, before: Listed | None, *, recently_active: bool) -> Listed:
        parameters = {"Namespace": namespace, "MetricName": metric}
        if recently_active:
            parameters["RecentlyActive"] = RECENTLY_ACTIVE
        found: dict[Dimensions, None] = {}  # some servers list a series more than once
        try:
            async for answer in self._calls.pages("cloudwatch", "list_metrics", "NextToken", "NextToken", **parameters):
                for one in answer.get("Metrics", ()):
                    found[tuple(sorted((pair["Name"], pair["Value"]) for pair in one.get("Dimensions", ())))] = None
                if len(found) > SERIES_MAX:
                    problem = f"{namespace} {metric} has more than {SERIES_MAX} series: the rest is left out"
                    return Listed(list(found)[:SERIES_MAX], self._clock.monotonic() + TTL_SECONDS, problem)
        except CloudError as error:
            due_at = self._clock.monotonic() + RETRY_SECONDS
            return Listed(before.series if before else list(found), due_at, str(error))
        return Listed(list(found), self._clock.monotonic() + TTL_SECONDS)
