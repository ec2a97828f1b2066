"""`rate`, `increase` and `delta` of a whole row of native histograms at once, where nothing is odd about them: one family, no
start timestamps, no gauges among counters, no reset within the window. Whatever else there is, is left to `histogram_rates`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_arithmetic import is_reset
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT, HistogramColumns
from nunchi.query.histograms.dense import COUNT, DenseHistograms, are_one_family, dense
from nunchi.query.operators.histogram_rates import NEAR
from nunchi.query.operators.mixed_windows import RowSamples

GAUGE: Final = CODE_OF_HINT[ResetHint.GAUGE]
RESET: Final = CODE_OF_HINT[ResetHint.RESET]
UNKNOWN: Final = CODE_OF_HINT[ResetHint.UNKNOWN]
CHANGES: Final = frozenset(("rate", "increase", "delta"))


class RowChanges(NamedTuple):
    """The histograms of some steps, in their order."""

    steps: NDArray[np.int64]
    columns: HistogramColumns


def changes_of_row(name: str, samples: RowSamples, references: NDArray[np.int64], range_ms: int) -> RowChanges | None:
    """The steps of a row that can be computed at once; None: none can."""
    columns, numbers, times = samples.columns, samples.numbers, samples.times
    if name not in CHANGES or columns is None or samples.starts is not None or len(numbers) < 2:
        return None
    if (numbers == FLOAT).any() or not are_one_family(columns, numbers):
        return None
    is_counter = name != "delta"
    gauges = columns.hints[numbers] == GAUGE
    if gauges.any() if is_counter else not gauges.all():
        return None
    begins = np.searchsorted(times, references - range_ms, side="right")
    ends = np.searchsorted(times, references, side="right")
    usable = ends - begins >= 2
    if is_counter:
        resets = np.concatenate([[0], np.cumsum(_resets(columns, numbers))])
        lasts, firsts = np.maximum(ends - 1, 0), np.minimum(begins, len(times) - 1)
        usable &= resets[lasts] == resets[firsts]
    steps = np.flatnonzero(usable)
    if not len(steps):
        return None
    rows = dense(columns, numbers)
    changed = _changed(rows, times, begins[steps], ends[steps] - 1, references[steps], range_ms, is_counter=is_counter)
    if name == "rate":
        changed = changed / (range_ms / 1000)
    return RowChanges(steps, rows.columns(changed, np.full(len(steps), GAUGE, np.uint8)))


def _resets(columns: HistogramColumns, numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[n - 1]: whether a counter began anew between a sample and the next."""
    hints = columns.hints[numbers[1:]]
    found: NDArray[np.bool_] = hints == RESET
    for at in np.flatnonzero(hints == UNKNOWN).tolist():
        found[at] = is_reset(columns.histogram(int(numbers[at + 1])), columns.histogram(int(numbers[at])))
    return found


def _changed(
    rows: DenseHistograms,
    times: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    references: NDArray[np.int64],
    range_ms: int,
    *,
    is_counter: bool,
) -> NDArray[np.float64]:
    """Last minus first, stretched to the borders of the windows where samples stand close enough to them."""
    raw = rows.matrix[lasts] - rows.matrix[firsts]
    span = (times[lasts] - times[firsts]) / 1000
    average = span / (lasts - firsts)
    to_start = (times[firsts] - (references - range_ms)) / 1000
    to_end = (references - times[lasts]) / 1000
    to_start = np.where(to_start >= average * NEAR, average / 2, to_start)
    if is_counter:
        total, begin = raw[:, COUNT], rows.matrix[firsts, COUNT]
        to_zero = np.where((total > 0) & (begin >= 0), span * (begin / total), np.inf)
        to_start = np.minimum(to_start, to_zero)
    to_end = np.where(to_end >= average * NEAR, average / 2, to_end)
    stretched: NDArray[np.float64] = raw * ((span + to_start + to_end) / span).reshape(-1, 1)
    return stretched
