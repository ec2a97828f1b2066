"""`rate`, `increase`, `delta`, `irate` and `idelta` of many rows of native histograms at once, where nothing is odd about them:
no gauges among counters or the other way round, and but for `irate` no reset within the window. Whatever else there is, is
left to `histogram_rates`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_arithmetic import is_reset
from nunchi.model.histogram_columns import CODE_OF_HINT
from nunchi.query.histograms.dense import COUNT, DenseHistograms, dense
from nunchi.query.operators.histogram_rates import COUNTERS, NEAR
from nunchi.query.operators.stacked_rows import StackedRows, StackValues

GAUGE: Final = CODE_OF_HINT[ResetHint.GAUGE]
RESET: Final = CODE_OF_HINT[ResetHint.RESET]
UNKNOWN: Final = CODE_OF_HINT[ResetHint.UNKNOWN]
INSTANT: Final = frozenset(("irate", "idelta"))
CHANGES: Final = INSTANT | {"rate", "increase", "delta"}


def changes_of(name: str, stacked: StackedRows, references: NDArray[np.int64], range_ms: int) -> StackValues:
    """The changes over the windows of rows of one family."""
    is_counter = name in COUNTERS
    gauges = stacked.count(stacked.columns.hints[stacked.numbers] == GAUGE)
    fits = gauges == (0 if is_counter else np.diff(stacked.offsets))
    sizes = stacked.ends - stacked.begins
    usable = (sizes >= 2) & fits.reshape(-1, 1)
    done = usable | ((sizes < 2) & fits.reshape(-1, 1))  # a sample alone changes nothing
    anew = _resets(stacked, fits) if is_counter else np.zeros(len(stacked.times), np.bool_)
    if name not in INSTANT:
        resets = np.cumsum(anew)
        lasts, firsts = np.maximum(stacked.ends - 1, 0), np.minimum(stacked.begins, len(resets) - 1)
        odd = usable & (resets[lasts] != resets[firsts])
        usable, done = usable & ~odd, done & ~odd
    rows, steps = np.nonzero(usable)
    held = dense(stacked.columns, stacked.numbers)
    firsts, lasts = stacked.begins[usable], stacked.ends[usable] - 1
    if name in INSTANT:
        changed = held.matrix[lasts] - np.where(anew[lasts].reshape(-1, 1), 0.0, held.matrix[lasts - 1])
        if is_counter:
            changed /= ((stacked.times[lasts] - stacked.times[lasts - 1]) / 1000).reshape(-1, 1)
    else:
        factor = _stretch(held, stacked.times, firsts, lasts, references[steps], range_ms, is_counter=is_counter)
        if name == "rate":
            factor /= range_ms / 1000
        changed = (held.matrix[lasts] - held.matrix[firsts]) * factor.reshape(-1, 1)
    return StackValues(rows, steps, held.columns(changed, np.full(len(rows), GAUGE, np.uint8)), done)


def _resets(stacked: StackedRows, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[samples]: whether a counter began anew between the sample before in the row and this one; of some rows."""
    columns, numbers = stacked.columns, stacked.numbers
    hints = columns.hints[numbers]
    asked = np.repeat(rows, np.diff(stacked.offsets))
    asked[stacked.offsets[:-1]] = False
    found: NDArray[np.bool_] = asked & (hints == RESET)
    for at in np.flatnonzero(asked & (hints == UNKNOWN)).tolist():
        found[at] = is_reset(columns.histogram(int(numbers[at])), columns.histogram(int(numbers[at - 1])))
    return found


def _stretch(
    held: DenseHistograms,
    times: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    references: NDArray[np.int64],
    range_ms: int,
    *,
    is_counter: bool,
) -> NDArray[np.float64]:
    """By how much last minus first grows to the borders of the windows, where samples stand close enough to them."""
    span = (times[lasts] - times[firsts]) / 1000
    average = span / (lasts - firsts)
    to_start = (times[firsts] - (references - range_ms)) / 1000
    to_end = (references - times[lasts]) / 1000
    to_start = np.where(to_start >= average * NEAR, average / 2, to_start)
    if is_counter:
        begin = held.matrix[firsts, COUNT]
        total = held.matrix[lasts, COUNT] - begin
        is_rising = (total > 0) & (begin >= 0)
        to_zero = np.where(is_rising, span * (begin / np.where(is_rising, total, 1.0)), np.inf)
        to_start = np.minimum(to_start, to_zero)
    to_end = np.where(to_end >= average * NEAR, average / 2, to_end)
    factor: NDArray[np.float64] = (span + to_start + to_end) / span
    return factor
