"""How long PromQL takes to be read: microseconds an expression, best of several rounds, on one core.

Results go to benchmarks/results/query_parser.json.
"""

import json
import timeit
from pathlib import Path

from nunchi.query.errors import ParseError
from nunchi.query.syntax import EVERYTHING, parse

ROUNDS, REPEATS = 200, 7
RESULTS = Path(__file__).parent / "results" / "query_parser.json"
EXPRESSIONS = {
    "a name": "up",
    "a rate": 'sum(rate(node_cpu_seconds_total{mode!="idle"}[5m])) by (instance)',
    "a ratio": 'sum(rate(requests_total{code=~"5.."}[5m])) by (job) / sum(rate(requests_total[5m])) by (job)',
    "a quantile": (
        'histogram_quantile(0.99, sum by (le, job) (rate(request_duration_seconds_bucket{job="api",path=~"/v1/.*"}[5m])))'
        ' > 0.5 and on (job) up{job="api"} == 1'
    ),
    "a prediction": (
        '(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / node_filesystem_size_bytes * 100 < 40 and '
        'predict_linear(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"}[6h], 24 * 60 * 60) < 0)'
    ),
}
NESTED = {
    "a megabyte of (": "(" * 1_000_000,
    "a megabyte of -": "-" * 1_000_000,
    "a megabyte of 1+": "1+" * 500_000 + "1",
}


def refused(text: str) -> None:
    try:
        parse(text, EVERYTHING)
    except ParseError:
        return
    raise AssertionError(text[:10])


def main() -> None:
    results = {}
    for name, text in EXPRESSIONS.items():
        best = min(timeit.repeat(lambda text=text: parse(text, EVERYTHING), number=ROUNDS, repeat=REPEATS)) / ROUNDS
        results[name] = {"characters": len(text), "microseconds": round(best * 1e6, 1)}
    for name, text in NESTED.items():
        best = min(timeit.repeat(lambda text=text: refused(text), number=1, repeat=3))
        results[name] = {"characters": len(text), "microseconds": round(best * 1e6, 1)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for name, row in results.items():
        print(f"{name:20} {row['characters']:8} characters {row['microseconds']:12} us")


if __name__ == "__main__":
    main()
