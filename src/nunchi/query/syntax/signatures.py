"""PromQL's functions: what they take and return. What they compute is the engine's business.

`FUNCTIONS` is the whole table, by name; names are case-sensitive. Experimental functions parse only where the settings of
the parser allow them.
"""

from dataclasses import dataclass
from enum import Enum


class ValueType(Enum):
    """The four kinds of values; the value is what the API calls it."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def title(self) -> str:
        """As error messages name it."""
        return {"vector": "instant vector", "matrix": "range vector"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Function:
    """One signature.

    arguments      types in order; the last one repeats where more are given
    arguments_min  how many must be given
    arguments_max  how many may be given; None: any number
    is_extension   no function of Prometheus: a Python function that the parser's settings bring
    is_stepwise    of an extension: each step's result depends on that step alone
    """

    name: str
    arguments: tuple[ValueType, ...]
    returns: ValueType
    arguments_min: int
    arguments_max: int | None
    experimental: bool = False
    is_extension: bool = False
    is_stepwise: bool = False

    def argument_type(self, position: int) -> ValueType:
        """The type of the argument at a position, from 0."""
        return self.arguments[min(position, len(self.arguments) - 1)]


_SCALAR, _VECTOR, _MATRIX, _STRING = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


def _function(
    name: str,
    *arguments: ValueType,
    returns: ValueType = ValueType.VECTOR,
    optional: int = 0,
    unlimited: bool = False,
    experimental: bool = False,
) -> Function:
    """A signature of which the last `optional` arguments may be missing, or whose last may repeat or be missing."""
    arguments_min = len(arguments) - (1 if unlimited else optional)
    return Function(name, arguments, returns, arguments_min, None if unlimited else len(arguments), experimental)


_TABLE: tuple[Function, ...] = (
    # One sample in, one sample out.
    *(
        _function(name, _VECTOR)
        for name in (
            *("abs", "ceil", "exp", "floor", "ln", "log10", "log2", "sgn", "sqrt", "deg", "rad"),
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
            "timestamp",
        )
    ),
    _function("clamp", _VECTOR, _SCALAR, _SCALAR),
    _function("clamp_max", _VECTOR, _SCALAR),
    _function("clamp_min", _VECTOR, _SCALAR),
    _function("round", _VECTOR, _SCALAR, optional=1),
    _function("start_timestamp", _VECTOR, experimental=True),
    # Dates.
    *(
        _function(name, _VECTOR, optional=1)
        for name in (
            *("day_of_month", "day_of_week", "day_of_year", "days_in_month"),
            *("hour", "minute", "month", "year"),
        )
    ),
    # Scalars.
    _function("pi", returns=_SCALAR),
    _function("scalar", _VECTOR, returns=_SCALAR),
    _function("time", returns=_SCALAR),
    _function("vector", _SCALAR),
    _function("end", returns=_SCALAR, experimental=True),
    _function("max_of", _SCALAR, _SCALAR, returns=_SCALAR, experimental=True),
    _function("min_of", _SCALAR, _SCALAR, returns=_SCALAR, experimental=True),
    _function("range", returns=_SCALAR, experimental=True),
    _function("start", returns=_SCALAR, experimental=True),
    _function("step", returns=_SCALAR, experimental=True),
    # Labels, order, presence.
    _function("absent", _VECTOR),
    _function("info", _VECTOR, _VECTOR, optional=1, experimental=True),
    _function("label_join", _VECTOR, _STRING, _STRING, _STRING, unlimited=True),
    _function("label_replace", _VECTOR, _STRING, _STRING, _STRING, _STRING),
    _function("sort", _VECTOR),
    _function("sort_desc", _VECTOR),
    _function("sort_by_label", _VECTOR, _STRING, unlimited=True, experimental=True),
    _function("sort_by_label_desc", _VECTOR, _STRING, unlimited=True, experimental=True),
    # Histograms.
    *(_function(f"histogram_{name}", _VECTOR) for name in ("avg", "count", "stddev", "stdvar", "sum")),
    _function("histogram_fraction", _SCALAR, _SCALAR, _VECTOR),
    _function("histogram_quantile", _SCALAR, _VECTOR),
    _function("histogram_quantiles", _VECTOR, _STRING, *[_SCALAR] * 10, optional=9, experimental=True),
    # A window in, one sample out.
    *(
        _function(name, _MATRIX)
        for name in (
            *("changes", "delta", "deriv", "idelta", "increase", "irate", "rate", "resets"),
            *("absent_over_time", "avg_over_time", "count_over_time", "first_over_time", "last_over_time"),
            *("max_over_time", "min_over_time", "present_over_time"),
            *("stddev_over_time", "stdvar_over_time", "sum_over_time"),
        )
    ),
    *(
        _function(f"{name}_over_time", _MATRIX, experimental=True)
        for name in ("mad", "ts_of_first", "ts_of_last", "ts_of_max", "ts_of_min")
    ),
    _function("double_exponential_smoothing", _MATRIX, _SCALAR, _SCALAR, experimental=True),
    _function("predict_linear", _MATRIX, _SCALAR),
    _function("quantile_over_time", _SCALAR, _MATRIX),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
