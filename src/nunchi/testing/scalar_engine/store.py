"""The plain store under the scalar evaluator: a dict of series."""

from collections.abc import Sequence
from dataclasses import replace

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import hint_after, is_reset
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, all_match
from nunchi.testing.scalar_engine.values import Point, Series


class ScalarStore:
    """Series by label set. Reset hints are settled on the way in, as a store of chunks would tell them."""

    def __init__(self) -> None:
        self._series: dict[Labels, Series] = {}

    def append(self, labels: Labels, points: Sequence[Point]) -> None:
        """Add samples to a series, newest last."""
        series = self._series.setdefault(labels, Series(labels))
        for point in points:
            previous = series.points[-1].value if series.points else None
            value = point.value
            if isinstance(value, Histogram) and value.reset_hint is not ResetHint.GAUGE:
                value = replace(
                    value, reset_hint=hint_after(previous if isinstance(previous, Histogram) else None, value)
                )
            series.points.append(replace(point, value=value))

    def select(self, matchers: Sequence[Matcher]) -> list[Series]:
        """The series that satisfy all matchers, sorted by labels."""
        return sorted(
            (series for series in self._series.values() if all_match(matchers, series.labels)),
            key=lambda series: series.labels,
        )


def with_exact_hints(points: Sequence[Point]) -> list[Point]:
    """The samples with resets spelled out, as readers of counts and sums alone see them."""
    exact: list[Point] = []
    previous: Histogram | None = None
    for point in points:
        value = point.value
        if not isinstance(value, Histogram):
            exact.append(point)
            previous = None
            continue
        hint = value.reset_hint
        if hint is ResetHint.UNKNOWN and previous is not None:
            hint = ResetHint.RESET if is_reset(value, previous) else ResetHint.NOT_RESET
        exact.append(replace(point, value=replace(value, reset_hint=hint)))
        previous = value
    return exact
