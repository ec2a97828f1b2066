"""Which samples a plan reads for one step: how far back, how far ahead, and what `@` pins in time.

Whoever keeps results needs it: a result stays right as long as no sample within its reach has changed.
"""

from dataclasses import dataclass
from typing import Final

from nunchi.query.plan import nodes as plan
from nunchi.query.syntax.nodes import Edge, Extension

# Their value depends on the first and last step of the query.
_OF_WHOLE_QUERY: Final = frozenset(("start", "end", "range"))


@dataclass(frozen=True, slots=True)
class Reach:
    """A step at `t` reads samples within [t - before_ms, t + after_ms], and those of `pinned`, pairs of first and last.

    Negative numbers read the other way: an offset into the past has `after_ms` < 0. `is_empty`: no sample relative to t.
    """

    before_ms: int = 0
    after_ms: int = 0
    is_empty: bool = True
    pinned: tuple[tuple[int, int], ...] = ()

    def merge(self, other: "Reach") -> "Reach":
        """What both read."""
        pinned = self.pinned + other.pinned
        if self.is_empty or other.is_empty:
            moving = other if self.is_empty else self
            return Reach(moving.before_ms, moving.after_ms, moving.is_empty, pinned)
        return Reach(max(self.before_ms, other.before_ms), max(self.after_ms, other.after_ms), False, pinned)


def reach_of(node: plan.PlanNode, lookback_ms: int) -> Reach | None:
    """A plan's reach; None where its steps depend on where the query begins or ends."""
    if isinstance(node, plan.QueryTime) and node.name in _OF_WHOLE_QUERY:
        return None
    if isinstance(node, plan.PythonCall) and not node.is_stepwise:
        return None
    if isinstance(node, plan.InstantSelect | plan.RangeSelect):
        return _select(node, lookback_ms)
    found = Reach()
    for child in plan.children(node):
        below = reach_of(child, lookback_ms)
        if below is None:
            return None
        found = found.merge(below)
    return _placed(node, found, node.range_ms) if isinstance(node, plan.Subquery) else found


def _select(node: plan.InstantSelect | plan.RangeSelect, lookback_ms: int) -> Reach | None:
    ahead_ms = lookback_ms if node.extension is Extension.SMOOTHED else 0
    if isinstance(node, plan.InstantSelect):
        width_ms = lookback_ms
    else:
        width_ms = node.range_ms + (lookback_ms if node.extension is not None else 0)
    return _placed(node, Reach(0, ahead_ms, is_empty=False), width_ms)


def _placed(node: plan.InstantSelect | plan.RangeSelect | plan.Subquery, within: Reach, width_ms: int) -> Reach | None:
    """What is read `within` each moment of a width, under the node's offset and `@`."""
    if isinstance(node.at, Edge):
        return None
    if within.is_empty:
        return within
    before_ms, after_ms = node.offset_ms + width_ms + within.before_ms, within.after_ms - node.offset_ms
    if node.at is None:
        return Reach(before_ms, after_ms, False, within.pinned)
    return Reach(pinned=(*within.pinned, (node.at - before_ms, node.at + after_ms)))
