"""Samples and expressions for the comparison with Prometheus: the same ones on every machine and day, out of one seed.

Prometheus 2 includes the left border of a window, 3 does not. So that nothing lies on a border: samples have odd milliseconds,
queries are asked at half seconds, and steps, ranges and offsets are whole seconds.
"""

import math
from collections.abc import Iterator
from random import Random

from nunchi.model.labels import Labels
from nunchi.model.staleness import STALE

SEED = 2053
SCRAPE_MS = 15_000
SCRAPES = 180
BOUNDS = ("0.1", "0.5", "1", "2.5", "+Inf")
Samples = list[tuple[int, float]]


def samples(begin_ms: int, random: Random) -> dict[Labels, Samples]:
    """45 minutes of counters with resets, gauges, odd numbers, classic histograms; with gaps and ends."""
    found: dict[Labels, Samples] = {}
    for job in ("api", "db"):
        for instance in ("a", "b", "c"):
            labels = {"job": job, "instance": instance}
            times = _times(begin_ms, random)
            found[Labels.of("requests_total", code="200", **labels)] = _counter(times, random)
            found[Labels.of("requests_total", code="500", **labels)] = _counter(times, random)
            found[Labels.of("memory_bytes", **labels)] = [(at, random.uniform(-50, 100)) for at in times]
            found[Labels.of("steady", **labels)] = [(at, 7.25) for at in times]
            _add_histogram(found, times, labels, random)
        found[Labels.of("limit", job=job)] = [(at, float(len(job))) for at in _times(begin_ms, random)]
        found[Labels.of("info", job=job, version=f"1.{len(job)}")] = [(at, 1.0) for at in _times(begin_ms, random)]
    odd = (0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e150, 1e-300, 0.1, 3.0)
    for number in range(4):
        times = _times(begin_ms, random)
        found[Labels.of("odd", number=str(number))] = [(at, random.choice(odd)) for at in times]
    # In the order of their labels: among equals topk takes what comes first, and Prometheus reads in the order of arrival.
    return {labels: _with_ends(found[labels], random) for labels in sorted(found)}


def _times(begin_ms: int, random: Random) -> list[int]:
    """Scrapes that are a little late, odd milliseconds, and missing now and then, once for longer than a look-back."""
    gap = random.randrange(20, SCRAPES - 40)
    scrapes = [n for n in range(SCRAPES) if not gap <= n < gap + 25 and random.random() > 0.04]
    offset_ms = random.randrange(0, 7_000)
    return [begin_ms + n * SCRAPE_MS + (offset_ms + random.randrange(0, 40)) // 10 * 10 + 3 for n in scrapes]


def _counter(times: list[int], random: Random) -> Samples:
    total, found = random.choice((0.0, 1e6)), []
    speed = random.choice((0.3, 5.0, 400.0))
    for at in times:
        total = 0.0 if random.random() < 0.03 else total + random.choice((0.0, 1.0, random.random())) * speed
        found.append((at, total))
    return found


def _add_histogram(found: dict[Labels, Samples], times: list[int], labels: dict[str, str], random: Random) -> None:
    counts, total = [0.0] * len(BOUNDS), 0.0
    for at in times:
        for _ in range(random.randrange(0, 6)):
            seconds = random.expovariate(1.2)
            total += seconds
            first = next(n for n, bound in enumerate(BOUNDS) if seconds <= float(bound))
            for bucket in range(first, len(BOUNDS)):
                counts[bucket] += 1
        for bound, count in zip(BOUNDS, counts, strict=True):
            found.setdefault(Labels.of("latency_seconds_bucket", le=bound, **labels), []).append((at, count))
        found.setdefault(Labels.of("latency_seconds_sum", **labels), []).append((at, total))
        found.setdefault(Labels.of("latency_seconds_count", **labels), []).append((at, counts[-1]))


def _with_ends(found: Samples, random: Random) -> Samples:
    """Some series end, with a staleness marker, and some of these come back."""
    if random.random() < 0.6:
        return found
    end = random.randrange(len(found) // 3, len(found) - 5)
    back = end + random.choice((3, 40, 1000))
    return [*found[:end], (found[end][0], STALE), *found[back:]]


class Expressions:
    """An endless supply of well-typed expressions of all functions and operators that Prometheus 2.53 has.

    Where the two versions of PromQL differ (`test_promql_parity.DIFFERENCES`) operands are chosen so that it does not show.
    """

    FINITE = (
        "requests_total", 'requests_total{code="500"}', 'requests_total{job=~"a.*",instance!="b"}', "memory_bytes",
        "steady", "limit", "info", "latency_seconds_bucket", "latency_seconds_sum",
        '{__name__=~"memory_bytes|steady",job="db"}', 'memory_bytes{instance=~"[ab]"}', "nothing", 'steady{job=""}',
    )  # fmt: skip
    SELECTORS = (*FINITE, "odd", 'odd{number=~"1|2"}')
    MATH = (
        "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "asin", "acos", "atan", "sinh", "cosh", "tanh",
        "asinh", "acosh", "atanh", "deg", "rad", "timestamp", "sort", "sort_desc", "absent", "-", "+",
        "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year",
    )  # fmt: skip
    FINITE_MATH = ("sin", "cos", "tan")
    WINDOWS = (
        "rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv", "sum_over_time", "avg_over_time",
        "min_over_time", "max_over_time", "count_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time",
        "present_over_time", "absent_over_time",
    )  # fmt: skip
    FOLDS = ("sum", "avg", "min", "max", "count", "group")
    ARITHMETIC = ("+", "-", "*", "/", "^", "atan2")
    COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
    RANGES = ("40s", "1m", "2m", "5m", "11m")
    GROUPINGS = (
        "",
        "by (job) ",
        "by (job, instance) ",
        "without (instance) ",
        "without (code, le) ",
        "by (le) ",
        "by () ",
    )
    SCALARS = (
        "0",
        "1",
        "2",
        "-1.5",
        "100",
        "NaN",
        "Inf",
        "0.3",
        "time()",
        "scalar(limit)",
        'scalar(limit{job="db"})',
        "pi()",
    )
    MATCHINGS = (
        "", "", "on (job) ", "on (job, instance) ", "ignoring (code) ", "on (instance) group_left ",
        "on (job) group_left (version) ", "ignoring (code, le) group_left ", "on (job) group_right ",
    )  # fmt: skip

    def __init__(self, random: Random, moments: list[float]) -> None:
        self._choose = random.choice
        self._random = random
        self._moments = moments
        self._kinds = (
            *(self._mathematics,) * 3, *(self._window,) * 6, *(self._fold,) * 5, *(self._join,) * 5, *(self._scalar,) * 4,
            *(self._ranking,) * 2, *(self._histogram,) * 2, *(self._subquery,) * 2, self._finite_mathematics,
            self._deviation, self._quantile, self._count_values, self._label_function, self._set_operation, self._clamp,
            self._two_parameters, self._remainder,
        )  # fmt: skip

    def __iter__(self) -> Iterator[str]:
        while True:
            yield self.vector(self._choose((1, 2, 2, 3)))

    def vector(self, depth: int) -> str:
        """An instant vector of at most this depth."""
        if depth == 0:
            return self._choose(self.SELECTORS) + self._modifier()
        return self._choose(self._kinds)(depth - 1)

    def _modifier(self) -> str:
        pinned = self._choose(self._moments)
        choices = ("", "", "", "", "", " offset 3m", " offset -2m", f" @ {pinned}", " @ end()", " @ start() offset 1m")
        return self._choose(choices)

    def _finite(self) -> str:
        selector = self._choose(self.FINITE)
        window = f"avg_over_time({selector}[{self._choose(self.RANGES)}]{self._modifier()})"
        return self._choose((selector + self._modifier(), window))

    def _selected_range(self) -> str:
        return f"{self._choose(self.SELECTORS)}[{self._choose(self.RANGES)}]{self._modifier()}"

    def _range(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.6:
            return self._selected_range()
        return f"({self.vector(depth - 1)})[{self._choose(self.RANGES)}:{self._choose(('', '20s', '7s'))}]"

    def _mathematics(self, depth: int) -> str:
        return f"{self._choose(self.MATH)}({self.vector(depth)})"

    def _finite_mathematics(self, _: int) -> str:
        return f"{self._choose(self.FINITE_MATH)}({self._choose(self.FINITE)}{self._modifier()})"

    def _deviation(self, _: int) -> str:
        return f"{self._choose(('stddev', 'stdvar'))} {self._choose(self.GROUPINGS)}({self._finite()})"

    def _remainder(self, _: int) -> str:
        vector = self._choose(self.SELECTORS) + self._modifier()
        return self._choose(
            (f"({vector}) % {self._choose(self.SCALARS)}", f"{self._choose(self.SCALARS)} % ({vector})")
        )

    def _window(self, _: int) -> str:
        return f"{self._choose(self.WINDOWS)}({self._selected_range()})"

    def _subquery(self, depth: int) -> str:
        return f"{self._choose(self.WINDOWS)}({self._range(min(depth, 1))})"

    def _two_parameters(self, depth: int) -> str:
        window = self._range(min(depth, 1))
        return self._choose(
            (
                f"quantile_over_time({self._choose(self.SCALARS)}, {window})",
                f"predict_linear({window}, {self._choose(('60', '-300', '3600'))})",
                f"round({self.vector(depth)}, {self._choose(('1', '0.1', '5', '-2'))})",
                f"round({self.vector(depth)})",
            )
        )

    def _fold(self, depth: int) -> str:
        return f"{self._choose(self.FOLDS)} {self._choose(self.GROUPINGS)}({self.vector(depth)})"

    def _quantile(self, depth: int) -> str:
        q = self._choose(("0", "0.5", "0.9", "1", "2", "-1", "NaN"))
        return f"quantile {self._choose(self.GROUPINGS)}({q}, {self.vector(depth)})"

    def _ranking(self, _: int) -> str:
        k = self._choose(("1", "2", "5", "0", "1e9"))
        rate = f"rate({self._choose(self.FINITE)}[{self._choose(self.RANGES)}]{self._modifier()})"
        vector = self._choose((self._finite(), self._choose(self.FINITE), rate))
        return f"{self._choose(('topk', 'bottomk'))} {self._choose(self.GROUPINGS)}({k}, {vector})"

    def _count_values(self, _: int) -> str:
        return f'count_values {self._choose(self.GROUPINGS)}("value", {self._choose(self.SELECTORS)}{self._modifier()})'

    def _label_function(self, depth: int) -> str:
        vector = self.vector(depth)
        return self._choose(
            (
                f'label_replace({vector}, "host", "$1-x", "instance", "(.*)")',
                f'label_replace({vector}, "instance", "", "instance", "a")',
                f'label_join({vector}, "both", "/", "job", "instance")',
                f'label_replace({vector}, "job", "${{1}}", "job", "(a|d).*")',
            )
        )

    def _set_operation(self, depth: int) -> str:
        matching = self._choose(("", "on (job) ", "ignoring (code) ", "on () "))
        return f"({self.vector(depth)}) {self._choose(('and', 'or', 'unless'))} {matching}({self.vector(depth)})"

    def _clamp(self, depth: int) -> str:
        low, high = self._choose(self.SCALARS), self._choose(self.SCALARS)
        return self._choose(
            (
                f"clamp({self.vector(depth)}, {low}, {high})",
                f"clamp_min({self.vector(depth)}, {low})",
                f"clamp_max({self.vector(depth)}, {high})",
            )
        )

    def _histogram(self, _: int) -> str:
        q = self._choose(("0", "0.5", "0.9", "0.99", "1", "2", "-1", "NaN"))
        rate = f"rate(latency_seconds_bucket[{self._choose(self.RANGES)}]{self._modifier()})"
        return self._choose(
            (
                f"histogram_quantile({q}, {rate})",
                f"histogram_quantile({q}, sum by (le, job) ({rate}))",
                f"histogram_quantile({q}, latency_seconds_bucket)",
                f"histogram_quantile({q}, sum by (le) ({rate}))",
            )
        )

    def _scalar(self, depth: int) -> str:
        scalar, vector = self._choose(self.SCALARS), self.vector(depth)
        if self._random.random() < 0.5:
            operator = self._choose(self.ARITHMETIC)
        else:
            operator = self._choose(self.COMPARISONS) + self._choose(("", " bool"))
        left, right = self._choose(((scalar, f"({vector})"), (f"({vector})", scalar)))
        return f"{left} {operator} {right}"

    def _join(self, depth: int) -> str:
        matching = self._choose(self.MATCHINGS)
        operator = self._choose((*self.ARITHMETIC, *self.COMPARISONS, "== bool", "> bool"))
        return self._choose(
            (
                f"({self.vector(depth)}) {operator} {matching}({self.vector(depth)})",
                f"sum by (job) ({self.vector(depth)}) {operator} on (job) avg by (job) ({self.vector(depth)})",
                f"({self.vector(depth)}) {operator} on (job) group_left (version) info",
                f"requests_total {operator} ignoring (code) group_left memory_bytes",
                f'requests_total{{code="200"}} {operator} ignoring (code) requests_total{{code="500"}}',
            )
        )
