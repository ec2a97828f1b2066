"""Engines and stores as the script runner wants them."""

from collections.abc import Sequence

from nunchi.testing.scalar_engine import Point, ScalarEngine, ScalarResult, ScalarSettings, ScalarStore
from nunchi.testing.scripts import Answer, LoadedSeries


class ScalarSetting:
    """The obvious evaluator over a plain store."""

    def __init__(self, settings: ScalarSettings | None = None) -> None:
        self.store = ScalarStore()
        self.engine = ScalarEngine(self.store, settings)

    def append(self, series: Sequence[LoadedSeries]) -> None:
        """Store samples."""
        for one in series:
            points = [Point(s.timestamp_ms, s.value, s.start_timestamp_ms) for s in one.samples]
            self.store.append(one.labels, points)

    def instant(self, expression: str, at_ms: int) -> Answer:
        """Evaluate at one time."""
        return _answer(self.engine.instant(expression, at_ms))

    def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        """Evaluate at each step."""
        return _answer(self.engine.range(expression, start_ms, end_ms, step_ms))


def _answer(result: ScalarResult) -> Answer:
    return Answer(result.scalar, result.string, result.series, result.warnings, result.infos)
