"""Asking for values: GetMetricData with its pages and its partial results, or GetMetricStatistics.

Every status is dealt with: Complete is taken; PartialData goes on with the next page, and what is there counts even where no
page follows; InternalError is asked again, in a pack of its own kind; Forbidden is named. A page that fails after its
attempts ends its pack, and what the pages before it said stands.
Invariant: a value that was answered is never thrown away because of what else failed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.queries import SIMPLE_STATISTICS, VALUES_MAX, Query, Window
from nunchi.agent.cloud.errors import CloudError

ROUNDS_MAX = 3  # of asking again for what ended in InternalError


@dataclass(slots=True)
class Results:
    """Values by query, and what went wrong. `is_complete`: everything that was asked for was answered."""

    points: dict[Query, dict[int, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    is_complete: bool = True

    def add(self, query: Query, timestamp_ms: int, value: float) -> None:
        """One value."""
        self.points.setdefault(query, {})[timestamp_ms] = value

    def fail(self, problem: str) -> None:
        """Something was not answered."""
        self.is_complete = False
        self.problems.append(problem)


async def ask_data(calls: AwsCalls, queries: Sequence[Query], window: Window) -> Results:
    """The values of a pack by GetMetricData. Raises nothing but bugs and cancellation."""
    results = Results()
    asked = list(queries)
    for _ in range(ROUNDS_MAX):
        asked = await _ask_once(calls, asked, window, results)
        if not asked:
            return results
    results.fail(f"{len(asked)} metrics end in InternalError, as {asked[0].namespace} {asked[0].metric}")
    return results


async def _ask_once(calls: AwsCalls, queries: Sequence[Query], window: Window, results: Results) -> list[Query]:
    """One request and its pages; returns the queries to be asked again."""
    parameters: dict[str, Any] = {
        "MetricDataQueries": [_written(number, query, window) for number, query in enumerate(queries)],
        "StartTime": moment(window.start_ms),
        "EndTime": moment(window.end_ms),
        "ScanBy": "TimestampAscending",
        "MaxDatapoints": VALUES_MAX,
    }
    calls.telemetry.metrics_requested.add(len(queries), calls.account, calls.region, "get_metric_data")
    statuses: dict[int, str] = {}
    messages: set[str] = set()
    try:
        async for answer in calls.pages("cloudwatch", "get_metric_data", "NextToken", "NextToken", **parameters):
            messages.update(str(one.get("Value", one.get("Code", ""))) for one in answer.get("Messages", ()))
            for result in answer.get("MetricDataResults", ()):
                _take(result, queries, statuses, results)
    except CloudError as error:
        results.fail(str(error))
    counted = Counter(statuses.values())
    counted["missing"] = len(queries) - len(statuses)
    for status, count in counted.items():
        if count:
            calls.telemetry.results.add(count, calls.account, calls.region, status)
    _judge(counted, messages, queries, statuses, results)
    return [queries[number] for number, status in statuses.items() if status == "InternalError"]


def _take(result: dict[str, Any], queries: Sequence[Query], statuses: dict[int, str], results: Results) -> None:
    """One result of one page; a later page of the same query adds to it."""
    number = result.get("Id", "")[1:]
    if not number.isdecimal() or int(number) >= len(queries):
        return
    query = queries[int(number)]
    statuses[int(number)] = str(result.get("StatusCode", "Complete"))
    for time, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False):
        results.add(query, timestamp_ms(time), float(value))


def _judge(
    counted: Counter[str], messages: set[str], queries: Sequence[Query], statuses: dict[int, str], results: Results
) -> None:
    said = f": {'; '.join(sorted(messages))[:200]}" if messages else ""
    if counted["Forbidden"]:
        first = next(queries[number] for number, status in statuses.items() if status == "Forbidden")
        results.fail(f"{counted['Forbidden']} metrics are forbidden, as {first.namespace} {first.metric}{said}")
    if counted["PartialData"]:
        results.fail(f"{counted['PartialData']} metrics were answered in part only{said}")
    if counted["missing"] and results.is_complete:
        results.fail(f"{counted['missing']} of {len(queries)} metrics were not answered{said}")


def _written(number: int, query: Query, window: Window) -> dict[str, Any]:
    return {
        "Id": f"q{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": query.namespace,
                "MetricName": query.metric,
                "Dimensions": written_dimensions(query.dimensions),
            },
            "Period": max(1, window.period_ms // 1000),
            "Stat": query.statistic,
        },
    }


async def ask_statistics(calls: AwsCalls, queries: Sequence[Query], window: Window) -> Results:
    """The values of all statistics of one metric by GetMetricStatistics: one call, unordered, no pages."""
    results, first = Results(), queries[0]
    simple = [query for query in queries if query.statistic in SIMPLE_STATISTICS]
    extended = [query for query in queries if query.statistic not in SIMPLE_STATISTICS]
    parameters: dict[str, Any] = {
        "Namespace": first.namespace,
        "MetricName": first.metric,
        "Dimensions": written_dimensions(first.dimensions),
        "StartTime": moment(window.start_ms),
        "EndTime": moment(window.end_ms),
        "Period": max(1, window.period_ms // 1000),
    }
    if simple:
        parameters["Statistics"] = [query.statistic for query in simple]
    if extended:
        parameters["ExtendedStatistics"] = [query.statistic for query in extended]
    calls.telemetry.metrics_requested.add(1, calls.account, calls.region, "get_metric_statistics")
    try:
        answer = await calls.call("cloudwatch", "get_metric_statistics", **parameters)
    except CloudError as error:
        results.fail(str(error))
        return results
    for point in answer.get("Datapoints", ()):
        values = {**point, **point.get("ExtendedStatistics", {})}
        for query in queries:
            if query.statistic in values:
                results.add(query, timestamp_ms(point["Timestamp"]), float(values[query.statistic]))
    return results


def written_dimensions(dimensions: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Dimensions as the API writes them."""
    return [{"Name": name, "Value": value} for name, value in dimensions]


def moment(time_ms: int) -> datetime:
    """A timestamp as boto3 takes it."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def timestamp_ms(moment: datetime) -> int:
    """A timestamp as boto3 gives it."""
    return round(moment.timestamp() * 1000)
