"""The slow and obvious evaluator: one step at a time, one series at a time, plain Python floats.

It exists to be compared with: readable before fast, every rule where a reader looks for it.
Invariant: what a step comes to depends on the store and that step's time alone.
"""

from dataclasses import dataclass, field
from typing import Final

from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.query.errors import ExecutionError
from nunchi.query.syntax import EVERYTHING, parse, resolve_durations
from nunchi.query.syntax.nodes import Aggregation, Binary, Call
from nunchi.query.syntax.signatures import ValueType
from nunchi.testing.scalar_engine.aggregations import aggregate
from nunchi.testing.scalar_engine.binary import combine
from nunchi.testing.scalar_engine.evaluation import Evaluation, Handler, ScalarSettings, elements_of, windows_of
from nunchi.testing.scalar_engine.functions import call
from nunchi.testing.scalar_engine.store import ScalarStore

_HANDLERS: Final[dict[type, Handler]] = {Binary: combine, Aggregation: aggregate, Call: call}


@dataclass(slots=True)
class ScalarResult:
    """An answer: a number, a text, or series with their points; and the remarks as they are shown."""

    scalar: float | None = None
    string: str | None = None
    series: list[tuple[Labels, list[tuple[int, "float | Histogram"]]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


class ScalarEngine:
    """PromQL over a `ScalarStore`."""

    def __init__(self, store: ScalarStore, settings: ScalarSettings | None = None) -> None:
        self.store = store
        self.settings = settings or ScalarSettings()

    def instant(self, expression: str, at_ms: int) -> ScalarResult:
        """Evaluate at one time; raises `QueryError`."""
        evaluation = self._evaluation(expression, at_ms, at_ms, 0)
        value = evaluation.evaluate(evaluation.root, at_ms)
        result = ScalarResult()
        if isinstance(value, str):
            result.string = value
        elif isinstance(value, (int, float)):
            result.scalar = value
        elif evaluation.root.value_type is ValueType.MATRIX:
            result.series = sorted(
                (
                    (window.labels, [(point.timestamp_ms, point.value) for point in window.points])
                    for window in windows_of(value)
                ),
                key=lambda pair: pair[0],
            )
        else:
            elements = evaluation.named(elements_of(value))
            result.series = [(element.labels, [(at_ms, element.value)]) for element in elements]
        return _finished(evaluation, result)

    def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> ScalarResult:
        """Evaluate at each step, both ends included; raises `QueryError`."""
        evaluation = self._evaluation(expression, start_ms, end_ms, step_ms)
        if evaluation.root.value_type not in {ValueType.SCALAR, ValueType.VECTOR}:
            title = evaluation.root.value_type.title
            raise ExecutionError(f'invalid expression type "{title}" for range query, must be scalar or instant vector')
        series: dict[Labels, list[tuple[int, float | Histogram]]] = {}
        for at_ms in range(start_ms, end_ms + 1, step_ms):
            value = evaluation.evaluate(evaluation.root, at_ms)
            if isinstance(value, (int, float)):
                series.setdefault(Labels(), []).append((at_ms, value))
                continue
            for element in evaluation.named(elements_of(value)):
                series.setdefault(element.labels, []).append((at_ms, element.value))
        return _finished(evaluation, ScalarResult(series=sorted(series.items())))

    def _evaluation(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> "Evaluation":
        root = resolve_durations(parse(expression, EVERYTHING), expression, step_ms, end_ms - start_ms)
        return Evaluation(self.store, self.settings, expression, root, start_ms, end_ms, step_ms, _HANDLERS)


def _finished(evaluation: Evaluation, result: ScalarResult) -> ScalarResult:
    """The result with the remarks of the query."""
    result.warnings = evaluation.notices.warnings(evaluation.expression, 0)
    result.infos = evaluation.notices.infos(evaluation.expression, 0)
    return result
