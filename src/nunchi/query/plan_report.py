"""A plan for people: its nodes in words, and beside each what it would read or what it cost."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nunchi.query.operators.measured import Measurement
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.description import describe
from nunchi.query.syntax.literals import quote_text
from nunchi.query.syntax.nodes import Edge, StringLiteral
from nunchi.storage.contracts import Querier


@dataclass(frozen=True, slots=True)
class PlanReport:
    """One node and what stands below it. Numbers are None where nothing is known.

    position      where the node's part of the expression begins; -1: nowhere
    series        that it yields, or that a selector would read
    samples       of the store that it read, or would read, itself
    bytes         of memory that its result takes
    milliseconds  it took, what stands below it included; `own_milliseconds` without
    note          what a Python function says of itself
    """

    node: str
    text: str
    position: int
    series: int | None = None
    samples: int | None = None
    bytes: int | None = None
    milliseconds: float | None = None
    own_milliseconds: float | None = None
    note: str = ""
    children: list["PlanReport"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the index says of a selector."""

    series: int
    samples: int


class Estimates:
    """Asks a querier's index; reads no samples. What a subquery or `@` adds to the range is not looked at."""

    def __init__(self, querier: Querier, start_ms: int, end_ms: int, lookback_ms: int) -> None:
        self._querier = querier
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._lookback_ms = lookback_ms

    def of(self, node: plan.PlanNode) -> Estimate | None:
        """How many series and samples a selector has; None for other nodes."""
        if not isinstance(node, plan.InstantSelect | plan.RangeSelect):
            return None
        begin_ms, end_ms = self._start_ms, self._end_ms
        if node.at is not None:
            pinned = node.at if isinstance(node.at, int) else begin_ms if node.at is Edge.START else end_ms
            begin_ms = end_ms = pinned
        width_ms = node.range_ms if isinstance(node, plan.RangeSelect) else self._lookback_ms
        selection = self._querier.select(
            node.matchers, begin_ms - node.offset_ms - width_ms + 1, end_ms - node.offset_ms
        )
        try:
            return Estimate(len(selection.labels), int(selection.sizes.sum()))
        finally:
            selection.close()


def report_plan(
    planned: plan.PlanNode | StringLiteral,
    measured: Callable[[plan.PlanNode], Measurement | None] = lambda _: None,
    estimate: Callable[[plan.PlanNode], Estimate | None] = lambda _: None,
    note_of: Callable[[plan.PlanNode], str] = lambda _: "",
) -> PlanReport:
    """The report of a plan, with measurements where it has run, with estimates where it has not."""
    if isinstance(planned, StringLiteral):
        return PlanReport("String", quote_text(planned.value), planned.span.start)
    children = [report_plan(child, measured, estimate, note_of) for child in plan.children(planned)]
    name, text, position, note = type(planned).__name__, describe(planned), planned.position, note_of(planned)
    found = measured(planned)
    if found is not None:
        below = _below(planned, measured)
        own_seconds = max(0.0, found.seconds - sum(each.seconds for each in below))
        own_samples = max(0, found.samples - sum(each.samples for each in below))
        return PlanReport(
            name, text, position, found.series, own_samples, found.bytes,
            round(found.seconds * 1000, 3), round(own_seconds * 1000, 3), note, children,
        )  # fmt: skip
    guess = estimate(planned)
    if guess is not None:
        return PlanReport(name, text, position, guess.series, guess.samples, note=note, children=children)
    return PlanReport(name, text, position, note=note, children=children)


def _below(node: plan.PlanNode, measured: Callable[[plan.PlanNode], Measurement | None]) -> list[Measurement]:
    """The measurements of the nearest nodes below that have one: a window is read by the function above it."""
    found: list[Measurement] = []
    for child in plan.children(node):
        own = measured(child)
        found.extend(_below(child, measured) if own is None else [own])
    return found
