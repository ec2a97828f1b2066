"""The plan's nodes: what operators are made from. Frozen and comparable; places in the text take no part in comparison.

Every default of the language is spelt out here: brackets are gone, durations are numbers, a missing argument is there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeGuard

from nunchi.model.matchers import Matcher
from nunchi.query.syntax.nodes import At, Extension, Matching

NOWHERE = -1


# --- scalars ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that is known."""

    value: float
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class QueryTime:
    """`time()`, `start()`, `end()`, `range()` or `step()`, in seconds."""

    name: str
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """An operator or function of scalars: arithmetic, comparisons (0 or 1), `negate`, `min_of`, `max_of`."""

    name: str
    arguments: tuple["ScalarNode", ...]
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ScalarOf:
    """`scalar(vector)`."""

    child: "VectorNode"
    position: int = field(default=NOWHERE, compare=False)


# --- selectors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InstantSelect:
    """The newest sample of each series; with `wants_times` its time in seconds, with `wants_starts` since when it counts.

    `exact_hints`: histograms say of every reset whether it was one.
    """

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: At | None = None
    extension: Extension | None = None
    wants_times: bool = False
    wants_starts: bool = False
    exact_hints: bool = False
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RangeSelect:
    """The samples of each series within a range. `exact_hints`: as for `InstantSelect`."""

    matchers: tuple[Matcher, ...]
    range_ms: int
    offset_ms: int = 0
    at: At | None = None
    extension: Extension | None = None
    exact_hints: bool = False
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Subquery:
    """An expression's values within a range, every `step_ms` (0: the engine's default)."""

    child: "VectorNode"
    range_ms: int
    step_ms: int = 0
    offset_ms: int = 0
    at: At | None = None
    position: int = field(default=NOWHERE, compare=False)


WindowNode: TypeAlias = RangeSelect | Subquery


# --- vectors ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VectorOf:
    """`vector(scalar)`."""

    child: "ScalarNode"
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RangeFunction:
    """A function of the samples in a window."""

    name: str
    window: WindowNode
    parameters: tuple["ScalarNode", ...] = ()
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function of each sample: mathematics, dates, `negate`, `timestamp`."""

    name: str
    child: "VectorNode"
    parameters: tuple["ScalarNode", ...] = ()
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class PythonCall:
    """A call of a Python function; `is_stepwise` where each step's result depends on that step alone."""

    name: str
    child: "VectorNode"
    parameters: tuple["ScalarNode", ...] = ()
    is_stepwise: bool = False
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class VectorScalar:
    """A vector and a scalar; `is_swapped` where the scalar stands on the left."""

    operator: str
    child: "VectorNode"
    scalar: "ScalarNode"
    is_swapped: bool
    returns_bool: bool = False
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """Arithmetic or comparison of two vectors."""

    operator: str
    left: "VectorNode"
    right: "VectorNode"
    matching: Matching
    returns_bool: bool = False
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class SetOperation:
    """`and`, `or`, `unless`."""

    operator: str
    left: "VectorNode"
    right: "VectorNode"
    matching: Matching
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A grouped reduction; `parameter` is a scalar, or the label of `count_values`."""

    operator: str
    child: "VectorNode"
    grouping: tuple[str, ...] = ()
    without: bool = False
    parameter: "ScalarNode | None" = None
    label: str = ""
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class LabelReplace:
    """`label_replace(child, destination, replacement, source, regex)`."""

    child: "VectorNode"
    destination: str
    replacement: str
    source: str
    regex: str
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class LabelJoin:
    """`label_join(child, destination, separator, sources…)`."""

    child: "VectorNode"
    destination: str
    separator: str
    sources: tuple[str, ...]
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Sort:
    """`sort`, `sort_desc`; with labels `sort_by_label`, `sort_by_label_desc`."""

    child: "VectorNode"
    descending: bool
    by_labels: bool = False
    labels: tuple[str, ...] = ()
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """1 where the child has nothing; `labels` are the result's."""

    child: "VectorNode"
    labels: tuple[tuple[str, str], ...]
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class BucketFunction:
    """`histogram_quantile` (one parameter, or several with a result `label`) and `histogram_fraction` (two)."""

    name: str
    child: "VectorNode"
    parameters: tuple["ScalarNode", ...]
    label: str = ""
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Info:
    """`info(child, {matchers})`; `select` finds the info series."""

    child: "VectorNode"
    select: InstantSelect
    name_matchers: tuple[Matcher, ...]
    data_matchers: tuple[Matcher, ...]
    position: int = field(default=NOWHERE, compare=False)


# --- what rewrites add -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Invariant:
    """The same at every step: computed once and repeated."""

    child: "VectorNode | ScalarNode"
    position: int = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Shared:
    """Needed in several places: computed once and kept."""

    child: "VectorNode"
    position: int = field(default=NOWHERE, compare=False)


ScalarNode: TypeAlias = Constant | QueryTime | ScalarFunction | ScalarOf | Invariant
VectorNode: TypeAlias = (
    InstantSelect
    | VectorOf
    | RangeFunction
    | Elementwise
    | PythonCall
    | VectorScalar
    | Join
    | SetOperation
    | Aggregate
    | LabelReplace
    | LabelJoin
    | Sort
    | Absent
    | BucketFunction
    | Info
    | Invariant
    | Shared
)
PlanNode: TypeAlias = ScalarNode | VectorNode | WindowNode

SCALAR_NODES = (Constant, QueryTime, ScalarFunction, ScalarOf)
SELECT_NODES = (InstantSelect, RangeSelect)
NODES: tuple[type, ...] = (
    *SCALAR_NODES,
    *SELECT_NODES,
    Subquery,
    VectorOf,
    RangeFunction,
    Elementwise,
    PythonCall,
    VectorScalar,
    Join,
    SetOperation,
    Aggregate,
    LabelReplace,
    LabelJoin,
    Sort,
    Absent,
    BucketFunction,
    Info,
    Invariant,
    Shared,
)


def is_node(value: object) -> TypeGuard[PlanNode]:
    """Whether a field's value is a node."""
    return isinstance(value, NODES)


def children(node: PlanNode) -> Iterator[PlanNode]:
    """The nodes right below, in the order of the fields."""
    for entry in fields(node):
        value = getattr(node, entry.name)
        if is_node(value):
            yield value
        elif isinstance(value, tuple):
            yield from filter(is_node, value)


def walk(node: PlanNode) -> Iterator[PlanNode]:
    """A node and all below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


def with_children(node: PlanNode, change: Callable[[PlanNode], PlanNode]) -> PlanNode:
    """The node with every node right below it changed; itself where nothing did."""
    changes: dict[str, Any] = {}
    for entry in fields(node):
        value = getattr(node, entry.name)
        new: Any = value
        if is_node(value):
            new = change(value)
        elif isinstance(value, tuple) and value and is_node(value[0]):
            new = tuple(change(item) for item in value)
        if new is not value and new != value:
            changes[entry.name] = new
    return replace(node, **changes) if changes else node


def is_scalar(node: PlanNode) -> bool:
    """Whether a node's value is a scalar."""
    return is_scalar(node.child) if isinstance(node, Invariant) else isinstance(node, SCALAR_NODES)
