"""Random expressions and random data for the comparison of two engines."""

import math
from dataclasses import replace

from hypothesis import strategies as st

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_arithmetic import add
from nunchi.model.labels import Labels
from nunchi.model.staleness import STALE

SCRAPE_MS = 15_000

MATH = ["abs", "ceil", "floor", "sqrt", "sgn", "exp", "ln", "deg", "timestamp", "sort", "minute", "day_of_week", "-"]
OVER_TIME = [
    *("rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv"),
    *("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time"),
    *("stddev_over_time", "stdvar_over_time", "present_over_time", "first_over_time", "mad_over_time"),
    *("ts_of_min_over_time", "ts_of_max_over_time", "absent_over_time"),
]
FOLDS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]


def selectors() -> st.SearchStrategy[str]:
    base = st.sampled_from(
        ["a_total", "b", '{__name__=~"a_total|b"}', 'a_total{x="1"}', 'b{y!="2"}', "nothing", 'b{x=~"1|2",y=""}']
    )
    modifiers = st.sampled_from(
        ["", "", "", " offset 1m", " offset -30s", " @ 300", " @ end()", " @ start() offset 15s"]
    )
    return st.builds(lambda selector, modifier: selector + modifier, base, modifiers)


def scalars() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["0", "1", "2", "-1.5", "NaN", "Inf", "0.3", "time()", "scalar(b)", "(1 + 2 * 3)", "4 > bool 2"]
    )


def ranges() -> st.SearchStrategy[str]:
    return st.sampled_from(["15s", "1m", "40s", "5m"])


def _windowed(vector: str, window: str) -> str:
    """A range selector of a selector, modifiers behind the brackets; a subquery of anything else."""
    head, at, tail = vector.partition(" ")
    is_selector = not any(letter in head for letter in "()") and "(" not in vector.replace("start()", "").replace(
        "end()", ""
    )
    if is_selector and (not at or tail.startswith(("offset", "@"))):
        return f"{head}[{window}]{at}{tail}"
    return f"({vector})[{window}:20s]"


def _grouping() -> st.SearchStrategy[str]:
    return st.sampled_from(["", "by (x) ", "by (x, y) ", "without (x) ", "without () ", "by (__name__) "])


def _matching() -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            "",
            "",
            "on (x) ",
            "ignoring (y) ",
            "on (x, y) ",
            "on (x) group_left ",
            "ignoring (y) group_right ",
            "on (x) group_left (y) ",
        ]
    )


def vectors() -> st.SearchStrategy[str]:
    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds(lambda name, vector: f"{name}({vector})", st.sampled_from(MATH), inner),
            st.builds(
                lambda name, vector, window: f"{name}({_windowed(vector, window)})",
                st.sampled_from(OVER_TIME),
                inner,
                ranges(),
            ),
            st.builds(
                lambda vector, window, q: f"quantile_over_time({q}, {_windowed(vector, window)})",
                inner,
                ranges(),
                scalars(),
            ),
            st.builds(
                lambda name, selector, window, extension: f"{name}({_windowed(selector, window)} {extension})",
                st.sampled_from(["rate", "increase", "delta"]),
                selectors(),
                ranges(),
                st.sampled_from(["anchored", "smoothed"]),
            ),
            st.builds(
                lambda name, window: f"{name}(b[{window}] anchored)", st.sampled_from(["changes", "resets"]), ranges()
            ),
            st.builds(lambda selector: f"{selector} smoothed", selectors()),
            st.builds(lambda vector: f"info({vector}, {{__name__='b', y=~'.*'}})", inner),
            st.builds(lambda vector, window: f"predict_linear({_windowed(vector, window)}, 60)", inner, ranges()),
            st.builds(lambda name, by, vector: f"{name} {by}({vector})", st.sampled_from(FOLDS), _grouping(), inner),
            st.builds(
                lambda name, by, k, vector: f"{name} {by}({k}, {vector})",
                st.sampled_from(["topk", "bottomk", "limitk"]),
                _grouping(),
                st.sampled_from(["1", "2", "0", "1e9", "scalar(b)"]),
                inner,
            ),
            st.builds(lambda by, q, vector: f"quantile {by}({q}, {vector})", _grouping(), scalars(), inner),
            st.builds(
                lambda by, r, vector: f"limit_ratio {by}({r}, {vector})",
                _grouping(),
                st.sampled_from(["0.5", "-0.3", "1.5"]),
                inner,
            ),
            st.builds(lambda by, vector: f'count_values {by}("v", {vector})', _grouping(), inner),
            st.builds(
                lambda left, operator, right: f"({left}) {operator} ({right})",
                inner,
                st.sampled_from(ARITHMETIC),
                scalars(),
            ),
            st.builds(
                lambda left, operator, bool_, right: f"({left}) {operator}{bool_} ({right})",
                scalars(),
                st.sampled_from(COMPARISONS),
                st.sampled_from(["", " bool"]),
                inner,
            ),
            st.builds(
                lambda left, operator, matching, right: f"({left}) {operator} {matching}({right})",
                inner,
                st.sampled_from([*ARITHMETIC, *COMPARISONS, "== bool"]),
                _matching(),
                inner,
            ),
            st.builds(
                lambda left, operator, matching, right: f"({left}) {operator} {matching}({right})",
                inner,
                st.sampled_from(["and", "or", "unless"]),
                st.sampled_from(["", "on (x) ", "ignoring (y) ", "on () "]),
                inner,
            ),
            st.builds(lambda vector: f'label_replace({vector}, "z", "$1-", "x", "(.*)")', inner),
            st.builds(lambda vector: f'label_replace({vector}, "x", "", "x", "1")', inner),
            st.builds(lambda vector: f'label_join({vector}, "y", "/", "x", "__name__")', inner),
            st.builds(lambda vector, low, high: f"clamp({vector}, {low}, {high})", inner, scalars(), scalars()),
            st.builds(lambda vector, to: f"round({vector}, {to})", inner, scalars()),
            st.builds(lambda vector: f"absent({vector})", inner),
            st.builds(lambda scalar: f"vector({scalar})", scalars()),
        )

    return st.recursive(selectors(), extend, max_leaves=4)


def samples() -> st.SearchStrategy[list[float | None]]:
    """Values at consecutive scrapes; None where there is none."""
    value = st.one_of(
        st.sampled_from([0.0, 1.0, 1.0, 2.0, 3.0, -1.0, math.inf, -math.inf, math.nan, STALE, 1e308, 0.1]),
        st.floats(-100, 100),
        st.none(),
    )
    return st.lists(value, min_size=0, max_size=40)


def series() -> st.SearchStrategy[dict[Labels, list[float | None]]]:
    labels = st.builds(
        lambda name, x, y: Labels({"__name__": name, "x": x, "y": y}),
        st.sampled_from(["a_total", "b"]),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["", "1", "2"]),
    )
    return st.dictionaries(labels, samples(), max_size=6)


def histogram_vectors() -> st.SearchStrategy[str]:
    """Expressions that native histograms go through."""
    selected = selectors()
    changed = st.builds(
        lambda name, selector, window: f"{name}({_windowed(selector, window)})",
        st.sampled_from(
            [
                *("rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "last_over_time"),
                *("first_over_time", "count_over_time", "changes", "resets", "max_over_time", "deriv"),
            ]
        ),
        selected,
        ranges(),
    )
    inner = st.one_of(selected, changed)
    grouped = st.builds(lambda name, by, vector: f"{name} {by}({vector})", st.sampled_from(FOLDS), _grouping(), inner)
    joined = st.builds(
        lambda left, operator, right: f"({left}) {operator} ({right})",
        inner,
        st.sampled_from(["+", "-", "*", "/", "==", "!=", ">", "and", "or", "unless", "/ on (x)", "== bool", "</", "+"]),
        inner,
    )
    scaled = st.builds(
        lambda vector, operator, scalar: f"({vector}) {operator} {scalar}",
        inner,
        st.sampled_from(["*", "/", "+", "</", ">/", "==", "> bool"]),
        st.sampled_from(["2", "-0.5", "0", "1.3", "NaN", "Inf"]),
    )
    others = st.one_of(
        inner.map(lambda vector: f"-({vector})"),
        inner.map(lambda vector: f"topk(1, {vector})"),
        inner.map(lambda vector: f"limitk(2, {vector})"),
        inner.map(lambda vector: f'count_values("v", {vector})'),
        inner.map(lambda vector: f"abs({vector})"),
        inner.map(lambda vector: f"sort({vector})"),
        inner.map(lambda vector: f'label_replace({vector}, "z", "$1", "x", "(.*)")'),
        inner.map(lambda vector: f"timestamp({vector})"),
        selected.map(lambda vector: f"{vector} smoothed"),
        st.builds(
            lambda name, selector, window, extension: f"{name}({_windowed(selector, window)} {extension})",
            st.sampled_from(["rate", "increase", "delta"]),
            selected,
            ranges(),
            st.sampled_from(["anchored", "smoothed"]),
        ),
    )
    vector = st.one_of(inner, grouped, joined, scaled, others)
    read = st.builds(
        lambda form, vector: form.format(vector),
        st.sampled_from(
            [
                *("histogram_count({})", "histogram_sum({})", "histogram_avg({})", "histogram_stddev({})"),
                *("histogram_stdvar({})", "histogram_quantile(0.3, {})", "histogram_quantile(0.9, {})"),
                *("histogram_fraction(-1, 2.5, {})", 'histogram_quantiles({}, "q", 0, 0.5, 1)', "sum({})", "{}"),
            ]
        ),
        vector,
    )
    return st.one_of(vector, read)


def histograms() -> st.SearchStrategy[Histogram]:
    """Histograms of few layouts, so that they often meet their like."""
    counts = st.lists(st.integers(0, 6).map(float), min_size=4, max_size=4)

    def exponential(held: list[float], schema: int, zero: float, threshold: float, total: float) -> Histogram:
        return Histogram(
            schema, sum(held) + zero, total, threshold, zero, (BucketSpan(0, 1), BucketSpan(1, 2)), tuple(held[:3]),
            (BucketSpan(1, 1),), tuple(held[3:]),
        )  # fmt: skip

    def custom(held: list[float], bounds: tuple[float, ...], total: float) -> Histogram:
        return Histogram(
            CUSTOM_SCHEMA, sum(held[:3]), total, positive_spans=(BucketSpan(0, 3),), positive_buckets=tuple(held[:3]),
            custom_values=bounds,
        )  # fmt: skip

    totals, bounds = st.sampled_from([0.0, 5.5, 12.0, 30.0]), st.sampled_from([(1.0, 2.5), (1.0, 2.5, 5.0), (0.5, 2.5)])
    plain = st.builds(
        exponential, counts, st.sampled_from([0, 0, 0, 1]), st.sampled_from([0.0, 2.0]),
        st.sampled_from([0.001, 0.001, 0.5]), totals,
    )  # fmt: skip
    marked = st.builds(
        lambda histogram, hint: replace(histogram, reset_hint=hint),
        st.one_of(plain, plain, st.builds(custom, counts, bounds, totals)),
        st.sampled_from([ResetHint.UNKNOWN, ResetHint.UNKNOWN, ResetHint.GAUGE]),
    )
    return st.one_of(marked, st.just(Histogram(sum=STALE)))


def mixed_series() -> st.SearchStrategy[dict[Labels, list[float | Histogram | None]]]:
    """Series of numbers, of histograms and of both."""
    growing = st.lists(histograms(), min_size=25, max_size=40).map(_growing)
    numbers = st.sampled_from([0.0, 1.0, 2.5, 7.0, STALE])
    anything = st.lists(st.one_of(st.none(), numbers, histograms()), min_size=25, max_size=40)
    labels = st.sampled_from(
        [Labels.of(name, x=x, y=y) for name in ("a_total", "b") for x in ("1", "2") for y in ("", "1")]
    )
    return st.dictionaries(labels, st.one_of(growing, growing, anything), min_size=1, max_size=5)


def _growing(steps: list[Histogram]) -> list[float | Histogram | None]:
    """A counter: each histogram on top of those before it, as long as their layouts meet."""
    total: Histogram | None = None
    found: list[float | Histogram | None] = []
    for step in steps:
        if step.sum != step.sum or total is None or step.has_custom_buckets is not total.has_custom_buckets:
            total = None if step.sum != step.sum else step
            found.append(step)
            continue
        total = add(total, step).histogram
        found.append(total)
    return found
