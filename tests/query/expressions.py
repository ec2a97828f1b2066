"""Random expressions and random data for the comparison of two engines."""

import math

from hypothesis import strategies as st

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
