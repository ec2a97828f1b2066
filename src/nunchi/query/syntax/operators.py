"""The operators' names, kinds and precedence, and the aggregations."""

from typing import Final

# Higher binds closer. A sign binds closer than `*` and looser than `^`.
PRECEDENCE: Final[dict[str, int]] = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<=", "<", ">=", ">", "</", ">/"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 7,
}
PRECEDENCE_SIGN: Final = 6
RIGHT_ASSOCIATIVE: Final = frozenset(("^",))

COMPARISONS: Final = frozenset(("==", "!=", "<=", "<", ">=", ">"))
TRIMS: Final = frozenset(("</", ">/"))
SET_OPERATORS: Final = frozenset(("and", "or", "unless"))
ARITHMETIC: Final = frozenset(("+", "-", "*", "/", "%", "^", "atan2"))

AGGREGATIONS: Final = frozenset(
    (
        *("avg", "bottomk", "count", "count_values", "group", "limitk", "limit_ratio", "max", "min"),
        *("quantile", "stddev", "stdvar", "sum", "topk"),
    )
)
AGGREGATIONS_WITH_PARAMETER: Final = frozenset(("bottomk", "count_values", "limitk", "limit_ratio", "quantile", "topk"))
AGGREGATIONS_EXPERIMENTAL: Final = frozenset(("limitk", "limit_ratio"))
