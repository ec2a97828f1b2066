"""Which values are asked for, over which window, and how questions are packed into calls. Pure.

Invariant: a window begins and ends at whole periods and is over since `delay` at least; a pack asks for no more metrics and
no more values than one call may.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nunchi.agent.cloud.exchange import Dimensions
from nunchi.agent.cloud.samples import CloudSeries

QUERIES_MAX = 500  # of one GetMetricData
VALUES_MAX = 100_800  # of one GetMetricData
SIMPLE_STATISTICS = frozenset({"Average", "Sum", "Minimum", "Maximum", "SampleCount"})
CATCH_UP_MS_MAX = 3 * 3_600_000  # what is further back costs more, and metrics of less than a minute are gone


@dataclass(frozen=True, slots=True)
class Span:
    """How a window is made; only what shares it can be asked in one call. All in milliseconds."""

    period_ms: int
    delay_ms: int
    look_back_ms: int


@dataclass(frozen=True, slots=True)
class Window:
    """Values of periods that begin in `start_ms` <= t < `end_ms`."""

    start_ms: int
    end_ms: int
    period_ms: int

    @property
    def periods(self) -> int:
        """How many values a metric has in it at most."""
        return (self.end_ms - self.start_ms) // self.period_ms


@dataclass(frozen=True, slots=True)
class Query:
    """One statistic of one metric of CloudWatch, and the series that it becomes."""

    namespace: str
    metric: str
    dimensions: Dimensions
    statistic: str
    series: CloudSeries
    nil_to_zero: bool = False


def window_of(span: Span, now_ms: int, complete_ms: int = 0) -> Window:
    """The window of a moment: `look_back` at least, and back to where the windows before were complete, within bounds."""
    period_ms = span.period_ms
    end_ms = (now_ms - span.delay_ms) // period_ms * period_ms
    start_ms = end_ms - max(span.look_back_ms, period_ms)
    if complete_ms:
        start_ms = min(start_ms, max(complete_ms, end_ms - CATCH_UP_MS_MAX))
    return Window(start_ms // period_ms * period_ms, end_ms, period_ms)


def pack(queries: Sequence[Query], window: Window) -> Iterator[Sequence[Query]]:
    """As few packs as one call's bounds allow."""
    size = max(1, min(QUERIES_MAX, VALUES_MAX // max(1, window.periods)))
    for begin in range(0, len(queries), size):
        yield queries[begin : begin + size]


def fill_with_zero(points: Sequence[tuple[int, float]], window: Window) -> list[tuple[int, float]]:
    """The points, and 0 for the periods that have none."""
    known = dict(points)
    return [(time_ms, known.get(time_ms, 0.0)) for time_ms in range(window.start_ms, window.end_ms, window.period_ms)]
