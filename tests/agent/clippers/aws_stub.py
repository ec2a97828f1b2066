"""A stand-in for AWS where moto is not enough: it behaves as Amazon's documentation says, and fails on request.

What moto does otherwise (moto 5.2.5) and this does: at most 500 queries in a GetMetricData, periods that begin at whole
multiples since the epoch, NextToken pages with PartialData on all but the last, MaxDatapoints, percentiles,
values that ripen after they first show, a metric once in ListMetrics, throttling, 5xx, refused keys, half-failing regions.
The protocols are those that boto3 speaks: AWS JSON 1.0/1.1 for CloudWatch and tagging, query/XML for STS and EC2.

`python aws_stub.py PORT METRICS` serves a large account for the benchmark.
"""

import json
import re
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
PAGE_METRICS = 500
QUERIES_MAX = 500
VALUES_MAX = 100_800
STATISTIC = re.compile(r"Average|Sum|Minimum|Maximum|SampleCount|p\d+(\.\d+)?|tm\d+|PR\(.*\)")

Dimensions = tuple[tuple[str, str], ...]


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


@dataclass
class Account:
    """What is in the cloud, and what goes wrong. `now_s` is the cloud's time, for values that ripen."""

    metrics: list[tuple[str, str, Dimensions]] = field(default_factory=list)
    tagged: dict[str, dict[str, str]] = field(default_factory=dict)
    instances: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    now_s: float = 0.0
    ripening_s: float = 0.0
    values_per_page: int = VALUES_MAX
    known_keys: set[str] = field(default_factory=set)
    faults: dict[str, list[str]] = field(default_factory=dict)
    broken_regions: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    queries: list[int] = field(default_factory=list)
    windows: list[tuple[float, float, set[int]]] = field(default_factory=list)
    assumed: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def value(self, metric: str, dimensions: Dimensions, statistic: str, time_s: int) -> float | None:
        """A made-up value of a period, the same every time it is asked for; half of it while it ripens."""
        if metric in self.silent or time_s > self.now_s > 0:
            return None
        seed = zlib.crc32(repr((metric, dimensions, statistic, time_s)).encode())
        value = float(seed % 100_000)
        return value / 2 if self.now_s and time_s + self.ripening_s > self.now_s else value


def answer(account: Account, region: str, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer of a JSON operation."""
    match operation:
        case "ListMetrics":
            return list_metrics(account, asked)
        case "GetMetricData":
            return metric_data(account, asked)
        case "GetMetricStatistics":
            return metric_statistics(account, asked)
        case "GetResources":
            return resources(account, region, asked)
    raise RefusedError(400, "UnknownOperationException", operation)


def list_metrics(account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("RecentlyActive") not in {None, "PT3H"}:
        raise RefusedError(400, "InvalidParameterValue", "RecentlyActive")
    found = [
        {"Namespace": namespace, "MetricName": metric, "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions]}
        for namespace, metric, dimensions in account.metrics
        if asked.get("Namespace") in {None, namespace} and asked.get("MetricName") in {None, metric}
    ]
    begin = int(asked.get("NextToken", 0))
    page: dict[str, Any] = {"Metrics": found[begin : begin + PAGE_METRICS]}
    if begin + PAGE_METRICS < len(found):
        page["NextToken"] = str(begin + PAGE_METRICS)
    return page


def metric_data(account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    queries = asked["MetricDataQueries"]
    if len(queries) > QUERIES_MAX:
        raise RefusedError(
            400, "ValidationError", "The collection MetricDataQueries must not have a size greater than 500."
        )
    if asked.get("MaxDatapoints", VALUES_MAX) > VALUES_MAX or asked["EndTime"] <= asked["StartTime"]:
        raise RefusedError(400, "ValidationError", "MaxDatapoints")
    begin = int(asked.get("NextToken", 0))
    with account.lock:
        if not begin:
            account.queries.append(len(queries))
            account.windows.append(
                (asked["StartTime"], asked["EndTime"], {query["MetricStat"]["Period"] for query in queries})
            )
    results, place = [], 0
    end = begin + min(account.values_per_page, asked.get("MaxDatapoints", VALUES_MAX))
    for query in queries:
        points = points_of(account, query["MetricStat"], asked["StartTime"], asked["EndTime"])
        chosen = points[max(0, begin - place) : max(0, end - place)]
        is_begun, is_whole = place < end, place + len(points) <= end
        is_over = place + len(points) <= begin and begin > 0
        place += len(points)
        if is_begun and not is_over:
            results.append(result(account, query, chosen, is_whole=is_whole))
    answered: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if place > end:
        answered["NextToken"] = str(end)
    return answered


def result(
    account: Account, query: dict[str, Any], points: list[tuple[int, float]], *, is_whole: bool
) -> dict[str, Any]:
    status = "Complete" if is_whole else "PartialData"
    forced = account.statuses.get(query["MetricStat"]["Metric"]["MetricName"])
    if forced:
        status = forced.pop(0) if len(forced) > 1 else forced[0]
        if status in {"InternalError", "Forbidden"}:
            points = []
    return {
        "Id": query["Id"],
        "Label": query["Id"],
        "StatusCode": status,
        "Timestamps": [time_s for time_s, _ in points],
        "Values": [value for _, value in points],
    }


def points_of(account: Account, stat: dict[str, Any], start_s: float, end_s: float) -> list[tuple[int, float]]:
    """Values of the periods that begin in the window; periods begin at whole multiples since the epoch."""
    if not STATISTIC.fullmatch(stat["Stat"]):
        raise RefusedError(400, "ValidationError", f"Invalid statistic {stat['Stat']}")
    period, metric = stat["Period"], stat["Metric"]
    dimensions = tuple(sorted((pair["Name"], pair["Value"]) for pair in metric.get("Dimensions", ())))
    if (metric["Namespace"], metric["MetricName"], dimensions) not in known_metrics(account):
        return []
    times = range(-(-int(start_s) // period) * period, int(end_s), period)
    found = ((time_s, account.value(metric["MetricName"], dimensions, stat["Stat"], time_s)) for time_s in times)
    return [(time_s, value) for time_s, value in found if value is not None]


def known_metrics(account: Account) -> set[tuple[str, str, Dimensions]]:
    cached: set[tuple[str, str, Dimensions]] | None = getattr(account, "_known", None)
    if cached is None or len(cached) != len(account.metrics):
        cached = {(namespace, metric, tuple(sorted(dimensions))) for namespace, metric, dimensions in account.metrics}
        account._known = cached  # type: ignore[attr-defined]
    return cached


def metric_statistics(account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    stats = [*asked.get("Statistics", ()), *asked.get("ExtendedStatistics", ())]
    if (asked["EndTime"] - asked["StartTime"]) / asked["Period"] > 1440:
        raise RefusedError(400, "InvalidParameterCombination", "more than 1440 datapoints")
    points: dict[int, dict[str, Any]] = {}
    for statistic in stats:
        stat = {"Stat": statistic, "Period": asked["Period"], "Metric": asked}
        for time_s, value in points_of(account, stat, asked["StartTime"], asked["EndTime"]):
            point = points.setdefault(time_s, {"Timestamp": time_s, "Unit": "None"})
            if statistic in asked.get("ExtendedStatistics", ()):
                point.setdefault("ExtendedStatistics", {})[statistic] = value
            else:
                point[statistic] = value
    unordered = sorted(points.values(), key=lambda point: zlib.crc32(str(point["Timestamp"]).encode()))
    return {"Label": asked["MetricName"], "Datapoints": unordered}


def resources(account: Account, region: str, asked: dict[str, Any]) -> dict[str, Any]:
    kinds = {one.partition(":")[0] for one in asked.get("ResourceTypeFilters", ())}
    arns = [arn for arn in sorted(account.tagged) if arn.split(":")[2] in kinds and arn.split(":")[3] in {region, ""}]
    begin, size = int(asked.get("PaginationToken") or 0), asked.get("ResourcesPerPage", 50)
    page = [
        {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in account.tagged[arn].items()]}
        for arn in arns[begin : begin + size]
    ]
    return {"ResourceTagMappingList": page, "PaginationToken": str(begin + size) if begin + size < len(arns) else ""}


def answer_xml(account: Account, operation: str, asked: dict[str, str], key: str) -> str:
    """The answer of a query operation."""
    match operation:
        case "GetCallerIdentity":
            inner = f"<Arn>arn:aws:iam::123456789012:user/{key}</Arn><UserId>u</UserId><Account>123456789012</Account>"
            result = f"<GetCallerIdentityResult>{inner}</GetCallerIdentityResult>"
            return f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"
        case "AssumeRole":
            if asked.get("ExternalId", "right") != "right":
                raise RefusedError(403, "AccessDenied", "is not authorized to perform: sts:AssumeRole")
            account.assumed.append(asked)
            inner = (
                "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
                "<Expiration>2099-01-01T00:00:00Z</Expiration>"
            )
            return (
                f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{inner}</Credentials></AssumeRoleResult>"
                "</AssumeRoleResponse>"
            )
        case "DescribeRegions":
            items = "".join(f"<item><regionName>{one}</regionName></item>" for one in ("eu-west-1", "us-east-1"))
            return f"<DescribeRegionsResponse><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
        case "DescribeInstances":
            items = ""
            for instance, tags in account.instances:
                pairs = "".join(f"<item><key>{k}</key><value>{v}</value></item>" for k, v in tags.items())
                items += (
                    f"<item><instancesSet><item><instanceId>{instance}</instanceId><instanceType>t3.micro</instanceType>"
                    f"<tagSet>{pairs}</tagSet></item></instancesSet></item>"
                )
            return f"<DescribeInstancesResponse><reservationSet>{items}</reservationSet></DescribeInstancesResponse>"
    raise RefusedError(400, "InvalidAction", operation)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer is one packet, for which nobody waits
    disable_nagle_algorithm = True
    server: "StubServer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key, region, _service = SCOPE.search(self.headers["Authorization"]).groups()  # type: ignore[union-attr]
        target = self.headers.get("X-Amz-Target", "")
        asked = (
            {name: values[0] for name, values in parse_qs(body.decode()).items()} if not target else json.loads(body)
        )
        operation = target.rpartition(".")[2] or asked["Action"]
        account = self.server.account
        with account.lock:
            account.calls[operation] += 1
            account.regions[region] += 1
            queue = account.faults.get(operation, [])
            fault = queue.pop(0) if queue else ""
        try:
            refuse(account, key, region, fault)
            if target:
                self.reply(
                    200, json.dumps(answer(account, region, operation, asked)).encode(), self.headers["Content-Type"]
                )
            else:
                self.reply(200, answer_xml(account, operation, asked, key).encode(), "text/xml")
        except RefusedError as refused:
            self.reply_error(refused, is_json=bool(target))
        except ConnectionError:
            self.close_connection = True

    def reply_error(self, refused: RefusedError, *, is_json: bool) -> None:
        if is_json:
            body = json.dumps({"__type": refused.code, "message": refused.message}).encode()
            self.reply(refused.status, body, "application/x-amz-json-1.0")
        else:
            inner = f"<Code>{refused.code}</Code><Message>{refused.message}</Message>"
            body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>".encode()
            self.reply(refused.status, body, "text/xml")

    def reply(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def refuse(account: Account, key: str, region: str, fault: str) -> None:
    """Raise what is to go wrong with a request."""
    fault = fault or account.broken_regions.get(region, "")
    if account.known_keys and key not in account.known_keys:
        raise RefusedError(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
    if fault == "throttle":
        raise RefusedError(400, "ThrottlingException", "Rate exceeded")
    if fault == "500":
        raise RefusedError(500, "InternalServiceFault", "")
    if fault == "denied":
        raise RefusedError(403, "AccessDeniedException", "is not authorized to perform this")
    if fault == "reset":
        raise ConnectionError


class StubServer(ThreadingHTTPServer):
    """On loopback."""

    daemon_threads = True

    def __init__(self, account: Account, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.account = account

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(account: Account) -> Iterator[str]:
    """Serve an account until the block ends; gives the URL."""
    server = StubServer(account)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def large_account(metrics: int) -> Account:
    """So many metrics of instances, ten an instance."""
    account = Account()
    for number in range(metrics):
        instance = f"i-{number // 10:017x}"
        account.metrics.append(("AWS/EC2", f"Metric{number % 10}", (("InstanceId", instance),)))
    account.instances = [(f"i-{number:017x}", {"Name": f"web-{number}"}) for number in range(metrics // 10)]
    return account


if __name__ == "__main__":
    StubServer(large_account(int(sys.argv[2])), int(sys.argv[1])).serve_forever()
