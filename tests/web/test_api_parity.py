"""A table of requests, right and wrong, asked of a real Prometheus 2.53 and of a site: status and body are the same.

What differs by intent stands in `DIFFERENCES`, by name; parse errors have places and words of their own.
"""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.web.api_requests import REQUESTS, Request
from tests.web.test_prometheus_parity import Pair, ordered, pair
from yarl import URL

pytestmark = pytest.mark.peer
__all__ = ["pair"]

# Requests that are answered otherwise by intent: a pattern of the request's query or parameters, and why.
DIFFERENCES = {
    "numbers that Go wraps around": r"(NaN|Inf|1e300)(&|$)",
    "no time at all": r"timeout=0s?(&|$)",
    "UTF-8 names of 3": r"label_replace\(requests_total, .~|a b.*code|count_values|label/(a%20b|a-b|1a)/",
    "number literals of 3": r"query=1m(&|$)|010 \+",
    "functions of 3": r"holt_winters",
    "topk of NaN in 3": r"topk\(NaN",
    "exemplars of no series": r"query_exemplars\?query=1$",
    "no limit in 3": r"limit=(0|-\d)",
    "methods": r"DELETE series",
}


def shown(request: Request) -> str:
    """A request as `DIFFERENCES` know it."""
    parameters = "&".join(f"{name}={value}" for name, value in request.parameters)
    path = request.path if request.method == "GET" else f"{request.method} {request.path}"
    return f"{path}?{parameters}{request.body or ''}"


async def ask(pair: Pair, base: str, request: Request) -> tuple[int, str, Any]:
    end = f"{pair.end - 7:.0f}"  # no sample on the border of a window: 2.x includes it, 3.x does not
    url = f"{base}/api/v1/{request.path.replace('{end}', end)}"
    if request.parameters:
        url += "?" + urlencode([(name, value.replace("{end}", end)) for name, value in request.parameters])
    given: dict[str, Any] = {}
    if request.body is not None:
        given = {"data": request.body.replace("{end}", end), "headers": {"Content-Type": request.content_type}}
    async with pair.asker.session.request(request.method, URL(url, encoded=True), **given) as response:
        kind = response.headers.get("Content-Type", "")
        return response.status, kind, (await response.json()) if "json" in kind else None


def comparable(answer: Any) -> Any:
    """A body without what has its own wording: parse errors, regular expressions, which series stood in the way."""
    if answer is None:
        return None
    if "error" in answer:
        error = re.sub(r'^invalid parameter "(match\[\]|query)": ', "", answer["error"])
        if re.search(r"(unknown position|\d+:\d+): parse error: |non-empty matcher$", error):
            return {**answer, "error": "parse error"}
        return {**answer, "error": re.sub(r"(of the operation): [^;]*;", r"\1;", error)}
    return ordered(answer) if isinstance(answer.get("data"), dict) else answer


async def test_every_request_is_answered_as_prometheus_answers(pair: Pair):
    """One test for all, so that Prometheus starts once."""
    differences, used = [], set()
    for request in REQUESTS:
        (their_status, their_kind, theirs), (our_status, our_kind, ours) = [
            await ask(pair, base, request) for base in (pair.prometheus, pair.asker.site.url)
        ]
        if (our_status, our_kind, comparable(ours)) == (their_status, their_kind, comparable(theirs)):
            continue
        reasons = {name for name, pattern in DIFFERENCES.items() if re.search(pattern, shown(request))}
        used |= reasons
        if not reasons:
            differences.append(f"{shown(request)}\n  wanted {their_status} {theirs}\n  given  {our_status} {ours}")
    assert not differences, f"{len(differences)} differences:\n" + "\n".join(differences)
    assert used == set(DIFFERENCES), "a difference that is none any more"


async def test_statistics_have_the_same_shape(pair: Pair):
    end = str(pair.end - 7)
    for wish in ("all", "1", "none", ""):
        theirs, ours = await pair.both("query", {"query": "sum(rate(requests_total[2m]))", "time": end, "stats": wish})
        assert ours[0] == theirs[0] == 200
        assert ("stats" in ours[1]["data"]) == ("stats" in theirs[1]["data"]), wish
        if "stats" in theirs[1]["data"]:
            their_samples, our_samples = theirs[1]["data"]["stats"]["samples"], ours[1]["data"]["stats"]["samples"]
            assert our_samples["totalQueryableSamples"] == their_samples["totalQueryableSamples"]
            assert ours[1]["data"]["stats"]["timings"].keys() == theirs[1]["data"]["stats"]["timings"].keys()
