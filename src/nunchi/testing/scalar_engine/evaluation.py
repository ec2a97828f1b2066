"""One query under way: time, names, selectors, and the walk over the tree. What operators and functions do is elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, scale
from nunchi.model.labels import Labels
from nunchi.model.staleness import is_stale
from nunchi.query.errors import ExecutionError
from nunchi.query.notices import Notices
from nunchi.query.remarks import MIXED_KINDS, MIXED_SCHEMAS
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Edge,
    Extension,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parenthesis,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from nunchi.testing.scalar_engine.interpolation import MixedKindsError, interpolate
from nunchi.testing.scalar_engine.store import ScalarStore, with_exact_hints
from nunchi.testing.scalar_engine.values import Element, Point, Window, without_name

LOOKBACK_MS: Final = 5 * 60 * 1000
SUBQUERY_STEP_MS: Final = 60 * 1000

Result: TypeAlias = "float | str | list[Element] | list[Window]"
Handler: TypeAlias = Callable[["Evaluation", Any, int], Result]


@dataclass(frozen=True, slots=True)
class ScalarSettings:
    """How to evaluate. `delayed_names`: metric names are dropped at the end of the query, not by each function."""

    lookback_ms: int = LOOKBACK_MS
    subquery_step_ms: int = SUBQUERY_STEP_MS
    delayed_names: bool = True


def elements_of(value: Result) -> list[Element]:
    """A value that is an instant vector."""
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, Element)]


def windows_of(value: Result) -> list[Window]:
    """A value that is a range vector."""
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, Window)]


class Evaluation:
    """One query under way."""

    def __init__(
        self,
        store: ScalarStore,
        settings: ScalarSettings,
        expression: str,
        root: Node,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        handlers: "Mapping[type, Handler]",
    ) -> None:
        self.store = store
        self.settings = settings
        self.expression = expression
        self.root = root
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.step_ms = step_ms
        self.handlers = handlers
        self.notices = Notices()
        self.exact_hints = False

    # Names.

    def renamed(self, elements: list[Element]) -> list[Element]:
        """Elements whose values a function has changed: their names go, now or at the end."""
        if self.settings.delayed_names:
            return [replace(element, drops_name=True, sample_ms=None) for element in elements]
        return self.distinct(
            [replace(element, labels=without_name(element.labels), sample_ms=None) for element in elements]
        )

    def named(self, elements: list[Element]) -> list[Element]:
        """The elements with their final labels."""
        return self.distinct(
            [
                replace(element, labels=without_name(element.labels), drops_name=False)
                if element.drops_name
                else element
                for element in elements
            ]
        )

    def distinct(self, elements: list[Element]) -> list[Element]:
        """The elements, unless two have the same labels."""
        if len({element.labels for element in elements}) != len(elements):
            raise ExecutionError("vector cannot contain metrics with the same labelset")
        return elements

    # Evaluation.

    def evaluate(self, node: Node, at_ms: int) -> Result:
        """The value of a node at a time."""
        match node:
            case NumberLiteral():
                return node.value
            case StringLiteral():
                return node.value
            case Parenthesis():
                return self.evaluate(node.expression, at_ms)
            case VectorSelector():
                return self.select_vector(node, at_ms)
            case MatrixSelector() | Subquery():
                return list(self.windows(node, at_ms))
            case Unary():
                return self.negate(node, at_ms)
            case Binary() | Aggregation() | Call():
                return self.handlers[type(node)](self, node, at_ms)

    def vector(self, node: Node, at_ms: int) -> list[Element]:
        """The value of a node that is an instant vector."""
        return elements_of(self.evaluate(node, at_ms))

    def number(self, node: Node, at_ms: int) -> float:
        """The value of a node that is a scalar."""
        value = self.evaluate(node, at_ms)
        assert isinstance(value, (int, float))
        return float(value)

    def text(self, node: Node, at_ms: int) -> str:
        """The value of a node that is a string."""
        value = self.evaluate(node, at_ms)
        assert isinstance(value, str)
        return value

    def negate(self, node: Unary, at_ms: int) -> Result:
        """A sign before a value."""
        value = self.evaluate(node.expression, at_ms)
        if node.operator == "+":
            return value
        if isinstance(value, (int, float)):
            return -value
        negated = [
            replace(element, value=scale(element.value, -1) if isinstance(element.value, Histogram) else -element.value)
            for element in elements_of(value)
        ]
        return self.renamed(negated)

    # Selectors.

    def reference_ms(self, at: "int | Edge | None", offset_ms: int, at_ms: int) -> int:
        """The time that a selector looks back from."""
        if isinstance(at, Edge):
            at = self.start_ms if at is Edge.START else self.end_ms
        return (at_ms if at is None else at) - offset_ms

    def stored(self, node: VectorSelector) -> list[tuple[Labels, list[Point]]]:
        """The series of a selector with all their samples."""
        found = self.store.select(node.matchers)
        if self.exact_hints:
            return [(series.labels, with_exact_hints(series.points)) for series in found]
        return [(series.labels, series.points) for series in found]

    def select_vector(self, node: VectorSelector, at_ms: int) -> list[Element]:
        """The newest sample of each series in (reference − lookback, reference], unless it is a staleness marker."""
        reference = self.reference_ms(node.at, node.offset_ms, at_ms)
        oldest = reference - self.settings.lookback_ms
        elements = []
        for labels, points in self.stored(node):
            if node.extension is Extension.SMOOTHED:
                value = self.smoothed(node, labels, points, reference)
                if value is not None:
                    elements.append(Element(labels, value))
                continue
            seen = [point for point in points if oldest < point.timestamp_ms <= reference]
            if seen and not is_stale_value(seen[-1].value):
                newest = seen[-1]
                elements.append(Element(labels, newest.value, False, newest.timestamp_ms, newest.start_timestamp_ms))
        return elements

    def smoothed(
        self, node: VectorSelector, labels: Labels, points: list[Point], at_ms: int
    ) -> "float | Histogram | None":
        """The value at a time on the line between the samples around it; behind the last one, that one."""
        lookback = self.settings.lookback_ms
        alive = [point for point in points if not is_stale_value(point.value)]
        before = [point for point in alive if at_ms - lookback < point.timestamp_ms <= at_ms]
        after = [point for point in alive if at_ms < point.timestamp_ms <= at_ms + lookback]
        if not before:
            return None
        if not after or before[-1].timestamp_ms == at_ms:
            return before[-1].value
        try:
            return interpolate(before[-1], after[0], at_ms)
        except IncompatibleError:
            name = labels.metric_name
            self.notices.warn(MIXED_SCHEMAS.format(name), node.span.start)
        except MixedKindsError:
            self.notices.warn(MIXED_KINDS.format(labels.metric_name), node.span.start)
        return None

    def windows(self, node: Node, at_ms: int) -> list[Window]:
        """The value of a node that is a range vector; series without samples in it are absent."""
        while isinstance(node, Parenthesis):
            node = node.expression
        if isinstance(node, Subquery):
            return self.subquery_windows(node, at_ms)
        assert isinstance(node, MatrixSelector)
        selector = node.selector
        end = self.reference_ms(selector.at, selector.offset_ms, at_ms)
        start = end - node.range_ms
        windows = []
        for labels, points in self.stored(selector):
            alive = [point for point in points if not is_stale_value(point.value)]
            window = Window(labels, [point for point in alive if start < point.timestamp_ms <= end], start, end)
            if selector.extension is not None:
                lookback = self.settings.lookback_ms
                before = [point for point in alive if start - lookback < point.timestamp_ms <= start]
                after = [point for point in alive if end < point.timestamp_ms <= end + lookback]
                window.before = before[-1] if before else None
                if selector.extension is Extension.SMOOTHED:
                    window.after = after[0] if after else None
            if window.points or window.before is not None:
                windows.append(window)
        return windows

    def subquery_windows(self, node: Subquery, at_ms: int) -> list[Window]:
        """The inner expression at the multiples of the step in (end − range, end]."""
        step = node.step_ms or self.settings.subquery_step_ms
        end = self.reference_ms(node.at, node.offset_ms, at_ms)
        start = end - node.range_ms
        hints, self.exact_hints = self.exact_hints, False
        windows: dict[tuple[Labels, bool], Window] = {}
        for inner_ms in range((start // step + 1) * step, end + 1, step):
            for element in self.distinct(self.vector(node.expression, inner_ms)):
                key = (element.labels, element.drops_name)
                window = windows.setdefault(key, Window(element.labels, [], start, end, element.drops_name))
                value = element.value
                if isinstance(value, Histogram) and value.reset_hint is not ResetHint.GAUGE:
                    value = replace(value, reset_hint=ResetHint.UNKNOWN)
                window.points.append(Point(inner_ms, value))
        self.exact_hints = hints
        return [windows[key] for key in sorted(windows)]


def is_stale_value(value: "float | Histogram") -> bool:
    """Whether a sample says that its series ended."""
    return is_stale(value.sum if isinstance(value, Histogram) else value)
