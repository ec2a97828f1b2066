"""Generated expressions asked of nunchi and of a running Prometheus 2.53 over the same remote-written samples.

nunchi speaks the PromQL of Prometheus 3. `DIFFERENCES` names what 2.53 answers otherwise, and why.
"""

import contextlib
import http.client
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.end_to_end.promql_corpus import SCRAPE_MS, SCRAPES, SEED, Expressions, samples
from tests.end_to_end.systems import System, nunchi_server, prometheus_server

from nunchi.testing.comparison import is_close
from nunchi.wire.compression import encode
from nunchi.wire.remote_write import encode_write_request

pytestmark = pytest.mark.peer

EXPRESSIONS = 1000
TOLERANCE = 1e-9

# What 2.53 answers otherwise than 3, by name. The corpus keeps clear of all but the last, which is told apart below.
DIFFERENCES = {
    "closed windows": "2.53 includes a sample exactly one range or look-back old; the corpus has none on a border",
    "holt_winters": "renamed double_exponential_smoothing, and experimental since",
    "function names": "2.53 knows none of the functions that came later, 3 parses them only behind their flags",
    "parameters by step": "2.53 takes the parameters of aggregations (k, φ) from the first step, 3 from every step",
    "deviation of no number": "stddev and stdvar of one infinite or NaN value are 0 in 2.53, NaN in 3",
    "overflow of deviations": "2.53's compensated sums turn an overflow into NaN, those of 3 into infinity",
    "last digits": "transcendental functions and averages round the last digit otherwise; count_values, %, sin show it",
    "logarithms of subnormals": "Go's assembly on this processor is wrong for them",
    "ranking NaN": "topk and bottomk replace NaN by the next NaN in 2.53, keep the first in 3",
    "ties of groups": "the groups of histogram_quantile and of count_values have no order in 2.53, which decides ties",
    "filtered many to one": "3 refuses an ambiguous one-to-one match also where the comparison filters it out",
}
AMBIGUOUS = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
STEP_SECONDS = 120


class Asker:
    """One connection to one system that stays open."""

    def __init__(self, system: System) -> None:
        self.name = system.name
        self._connection = http.client.HTTPConnection(system.url.removeprefix("http://"), timeout=30)

    def ask(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The whole answer, also where it is an error."""
        self._connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@dataclass(frozen=True)
class Pair:
    """Both systems over the same samples, which began at `begin` (seconds)."""

    nunchi: Asker
    prometheus: Asker
    begin: float


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("promql")
    begin_ms = int(time.time() - SCRAPES * SCRAPE_MS / 1000) // 60 * 60 * 1000
    body = encode("snappy", encode_write_request(samples(begin_ms, Random(SEED)).items()))
    with (
        nunchi_server(folder / "nunchi", "global: {}\n") as nunchi,
        prometheus_server(folder / "prometheus", "global: {}\n", "--web.enable-remote-write-receiver") as prometheus,
    ):
        for system in (nunchi, prometheus):
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            request = urllib.request.Request(f"{system.url}/api/v1/write", body, headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert answer.status in (200, 204)
        asked = Pair(Asker(nunchi), Asker(prometheus), begin_ms / 1000)
        with contextlib.closing(asked.nunchi), contextlib.closing(asked.prometheus):
            yield asked


def points_of(answer: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
    """Series and their points, whatever the kind of the result."""
    result = answer["data"]["result"]
    if answer["data"]["resultType"] == "scalar":
        result = [{"metric": {}, "value": result}]
    found = {}
    for series in result:
        points = series.get("values") or [series["value"]]
        found[tuple(sorted(series["metric"].items()))] = [(at, float(value)) for at, value in points]
    assert len(found) == len(result), "a label set appears twice"
    return found


def difference(given: dict[str, Any], wanted: dict[str, Any]) -> str:
    """How two answers differ, empty where they do not."""
    if given.get("error") == AMBIGUOUS and wanted["status"] == "success":
        return ""  # "filtered many to one"
    if given["status"] != wanted["status"] or given.get("errorType") != wanted.get("errorType"):
        return f"{given.get('error', 'an answer')} instead of {wanted.get('error', 'an answer')}"
    if given["status"] == "error":
        return ""
    ours, theirs = points_of(given), points_of(wanted)
    if ours.keys() != theirs.keys():
        return f"series {sorted(ours.keys() - theirs.keys())[:3]} instead of {sorted(theirs.keys() - ours.keys())[:3]}"
    for labels, points in theirs.items():
        if [at for at, _ in ours[labels]] != [at for at, _ in points]:
            return f"{labels}: other steps"
        for (at, value), (_, mine) in zip(points, ours[labels], strict=True):
            if not is_close(value, mine, TOLERANCE):
                return f"{labels} at {at}: {mine} instead of {value}"
    return ""


def test_generated_expressions_answer_as_prometheus_answers(pair: Pair):
    end = pair.begin + SCRAPES * SCRAPE_MS / 1000 - 40.5
    moments = [pair.begin + 600.5, pair.begin + 1500.5, end - 300]
    random = Random(SEED)
    differences, kinds = [], Counter[str]()
    for expression in islice(Expressions(random, moments), EXPRESSIONS):
        at = random.choice((end, end - 700, pair.begin + 900.5))
        span = {"start": end - 1800, "end": end, "step": STEP_SECONDS}
        for path, parameters in (("query", {"time": at}), ("query_range", span)):
            wanted = pair.prometheus.ask(path, query=expression, **parameters)
            given = pair.nunchi.ask(path, query=expression, **parameters)
            kinds[
                "errors" if wanted["status"] == "error" else "answers" if wanted["data"]["result"] else "nothing"
            ] += 1
            found = difference(given, wanted)
            if found:
                differences.append(f"{path} {parameters} {expression}\n    {found}")
    assert not differences, f"{len(differences)} differences:\n" + "\n".join(differences)
    assert kinds["answers"] > EXPRESSIONS, kinds
