"""What one query may cost, and the count of what it has cost so far. `Budget.tick` is the only place that looks at the clock.

Invariant: memory that grows with the input is asked for with `Budget.hold` before it is allocated.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from nunchi.query.errors import LimitError, QueryCanceled, QueryTimeout

CELL_BYTES = 9  # a value and its presence


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of every query. A maximum of 0 means none.

    samples_max  cells held in memory at once, as `--query.max-samples` counts them
    bytes_max    bytes of those cells
    series_max   series of one selector
    """

    samples_max: int = 50_000_000
    bytes_max: int = 2 * 1024**3
    series_max: int = 0
    timeout_seconds: float = 120.0


def never() -> bool:
    """The answer of a query that nobody cancels."""
    return False


class Budget:
    """The account of one query.

    monotonic       a clock in seconds
    is_canceled     asked between tiles
    give_way        entered around loops that do not need Python: others may run Python code meanwhile
    """

    def __init__(
        self,
        limits: Limits,
        monotonic: Callable[[], float],
        timeout_seconds: float | None = None,
        is_canceled: Callable[[], bool] = never,
        give_way: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.limits = limits
        self.give_way = give_way
        self.samples = 0
        self.cells = 0
        self.peak_cells = 0
        self.queued_seconds = 0.0
        self._monotonic = monotonic
        self._is_canceled = is_canceled
        self.timeout_seconds = min(timeout_seconds or limits.timeout_seconds, limits.timeout_seconds)
        self._began = monotonic()
        self._deadline = self._began + self.timeout_seconds

    def begin(self) -> None:
        """The query has its slot: what has passed since it was asked was spent waiting."""
        self.queued_seconds = self._monotonic() - self._began
        self.tick()

    def tick(self, samples: int = 0) -> None:
        """Count samples read; called between tiles. Raises `QueryTimeout` or `QueryCanceled`."""
        self.samples += samples
        if self._is_canceled():
            raise QueryCanceled("query was canceled in query execution")
        if self._monotonic() > self._deadline:
            raise QueryTimeout(
                f"query timed out in query execution (limit timeout: {self.timeout_seconds:g}s); "
                "narrow the query, or raise the limit with --query.timeout"
            )

    def hold(self, series: int, steps: int) -> None:
        """Ask for memory for series x steps cells; raises `LimitError`."""
        self.cells += series * steps
        self.peak_cells = max(self.peak_cells, self.cells)
        self._judge(self.cells)

    def foresee(self, cells: int) -> None:
        """The query will hold at least so many cells at once; raises `LimitError` where that is too much already."""
        self._judge(cells)

    def _judge(self, cells: int) -> None:
        if self.limits.samples_max and cells > self.limits.samples_max:
            raise LimitError(
                f"query processing would load too many samples into memory in query execution: {cells} samples at once",
                "samples",
                self.limits.samples_max,
                "--query.max-samples",
            )
        if self.limits.bytes_max and cells * CELL_BYTES > self.limits.bytes_max:
            raise LimitError(
                f"query needs {cells * CELL_BYTES} bytes of memory",
                "bytes",
                self.limits.bytes_max,
                "--query.max-bytes",
            )

    def release(self, series: int, steps: int) -> None:
        """Give back what was held."""
        self.cells -= series * steps

    def check_series(self, series: int) -> None:
        """Judge the number of series of one selector; raises `LimitError`."""
        if self.limits.series_max and series > self.limits.series_max:
            raise LimitError(
                f"selector matches {series} series", "series", self.limits.series_max, "--query.max-series"
            )
