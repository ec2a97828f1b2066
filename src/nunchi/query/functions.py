"""Python functions that PromQL can call. `nunchi.function` makes one; an engine knows those that its settings name.

    @nunchi.function
    def above_usual(values, times, factor=3.0):
        "How many times its usual height a series has, 0 below `factor` times."
        usual = np.nanmedian(values, axis=1, keepdims=True)
        return np.where(values > factor * usual, values / usual, 0.0)

It gets `values`, float64[series, steps] with NaN where a series has nothing, and `times`, float64[steps] in seconds; then one
float64[steps] for each number in the call. It returns float64[series, steps]; what was absent stays absent.
Invariant: a function that misbehaves fails its query, with its name in the error, and nothing else.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.errors import InputError
from nunchi.query.errors import ExecutionError
from nunchi.query.syntax.lexer import KEYWORDS
from nunchi.query.syntax.signatures import FUNCTIONS, Function, ValueType

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
FUNCTIONS_MAX: Final = 256
NUMBERS_MAX: Final = 8
ARRAYS: Final = 2  # values and times come before the numbers

Floats = NDArray[np.float64]
LabelRule = Literal["drop_name", "keep"]
Callee = Callable[..., Any]


class FunctionError(InputError):
    """A Python function that PromQL cannot call as it is."""


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A function and how PromQL sees it.

    defaults           of the last numbers, where a call leaves them out
    labels             the label rule: the metric name goes (`drop_name`), or all labels stay (`keep`)
    is_stepwise        each step's result depends on that step alone: results may be kept and put together
    needs_all_series   gets all series at once, not in batches
    """

    signature: Function
    callee: Callee
    documentation: str
    defaults: tuple[float, ...]
    labels: LabelRule
    needs_all_series: bool

    @property
    def name(self) -> str:
        """As PromQL calls it."""
        return self.signature.name

    @property
    def usage(self) -> str:
        """How it is called, as `above_usual(instant vector, factor=3)`."""
        names = list(inspect.signature(self.callee).parameters)[ARRAYS:]
        given = len(names) - len(self.defaults)
        shown = [
            *names[:given],
            *(f"{name}={value:g}" for name, value in zip(names[given:], self.defaults, strict=True)),
        ]
        return f"{self.name}({', '.join([ValueType.VECTOR.title, *shown])})"

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The Python function itself, for tests and notebooks."""
        return self.callee(*arguments, **options)

    def compute(self, values: Floats, present: NDArray[np.bool_], seconds: Floats, numbers: Sequence[Floats]) -> Floats:
        """The result for some series; raises `ExecutionError`."""
        cells = np.where(present, values, np.nan)
        missing = (self.signature.arguments_max or 0) - 1 - len(numbers)
        defaults = (np.full(len(seconds), default) for default in self.defaults[len(self.defaults) - missing :])
        try:
            result = np.asarray(self.callee(cells, seconds.copy(), *(number.copy() for number in numbers), *defaults))
        except Exception as error:
            raise ExecutionError(f"the Python function {self.name} failed: {type(error).__name__}: {error}") from error
        if result.shape != values.shape or result.dtype.kind not in "fiub":
            raise ExecutionError(
                f"the Python function {self.name} returned {result.dtype}{list(result.shape)}; "
                f"it has to return one number for each of float64{list(values.shape)}, series by steps"
            )
        return np.ascontiguousarray(result, np.float64)


@overload
def function(callee: Callee, /) -> PythonFunction: ...


@overload
def function(
    *, name: str = "", labels: LabelRule = "drop_name", is_stepwise: bool = False, needs_all_series: bool = False
) -> Callable[[Callee], PythonFunction]: ...


def function(
    callee: Callee | None = None,
    /,
    *,
    name: str = "",
    labels: LabelRule = "drop_name",
    is_stepwise: bool = False,
    needs_all_series: bool = False,
) -> PythonFunction | Callable[[Callee], PythonFunction]:
    """Make a Python function callable in PromQL; see the module. Its docstring is shown to who writes queries.

    Parameters behind `values` and `times` are numbers of the call; those with a default may be left out.
    Raises `FunctionError`.
    """

    def make(callee: Callee) -> PythonFunction:
        called = name or getattr(callee, "__name__", "")
        _check_name(called)
        if labels not in ("drop_name", "keep"):
            raise FunctionError(f'{called}: the label rule is "{labels}": use "drop_name" or "keep"')
        count, defaults = _numbers(called, callee)
        signature = Function(
            called,
            (ValueType.VECTOR, *[ValueType.SCALAR] * count),
            ValueType.VECTOR,
            1 + count - len(defaults),
            1 + count,
            is_extension=True,
            is_stepwise=is_stepwise,
        )
        return PythonFunction(signature, callee, inspect.getdoc(callee) or "", defaults, labels, needs_all_series)

    return make if callee is None else make(callee)


def index_functions(functions: Sequence[PythonFunction]) -> dict[str, PythonFunction]:
    """By name; raises `FunctionError` where a name is given twice, or where there are too many."""
    found: dict[str, PythonFunction] = {}
    for each in functions:
        if each.name in found:
            raise FunctionError(f"two Python functions are called {each.name}: rename one")
        found[each.name] = each
    if len(found) > FUNCTIONS_MAX:
        raise FunctionError(f"{len(found)} Python functions are more than {FUNCTIONS_MAX}")
    return found


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise FunctionError(f'"{name}" cannot name a function: use lower case letters, digits and _, at most 64')
    if name in FUNCTIONS or name in KEYWORDS:
        raise FunctionError(f"PromQL has a {name} of its own: choose another name")


def _numbers(name: str, callee: Callee) -> tuple[int, tuple[float, ...]]:
    """How many numbers a call may have, and the defaults of the last of them."""
    try:
        parameters = list(inspect.signature(callee).parameters.values())
    except (TypeError, ValueError):
        raise FunctionError(f"{name} does not tell its parameters: wrap it in a def") from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in parameters if parameter.kind in kinds]
    if len(positional) < ARRAYS or len(positional) != len(parameters):
        raise FunctionError(f"{name} has to take values, times and then plain numbers: def {name}(values, times, …)")
    numbers = positional[ARRAYS:]
    if len(numbers) > NUMBERS_MAX:
        raise FunctionError(f"{name} takes {len(numbers)} numbers, more than {NUMBERS_MAX}")
    try:
        defaults = tuple(float(number.default) for number in numbers if number.default is not inspect.Parameter.empty)
    except (TypeError, ValueError):
        raise FunctionError(f"{name}: the default of a number has to be a number") from None
    return len(numbers), defaults
