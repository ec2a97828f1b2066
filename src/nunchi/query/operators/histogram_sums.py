"""`sum_over_time` and `avg_over_time` of many rows of native histograms at once, where nothing is remarked on. Whatever else
there is, is left to `histogram_rates`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_columns import CODE_OF_HINT, HINTS
from nunchi.query.histograms.dense import COUNT, SUM, dense, window_sums
from nunchi.query.operators.stacked_rows import StackedRows, StackValues

TOTALS: Final = frozenset(("sum_over_time", "avg_over_time"))
GAUGE: Final = CODE_OF_HINT[ResetHint.GAUGE]
UNKNOWN: Final = CODE_OF_HINT[ResetHint.UNKNOWN]


def sums_of(name: str, stacked: StackedRows) -> StackValues:
    """The sums or means over the windows of rows of one family."""
    hints, collide = _hints(stacked.columns.hints[stacked.numbers], stacked.begins, stacked.ends)
    done = (stacked.begins < stacked.ends) & ~collide
    held = dense(stacked.columns, stacked.numbers)
    sums = window_sums(held.matrix, stacked.begins[done], stacked.ends[done])
    if name == "avg_over_time":
        finite = ~np.isinf(sums[:, [COUNT, SUM]]).any(axis=1)  # what overflows has a running mean
        done[done] = finite
        if not finite.all():
            sums = sums[finite]
        sums /= (stacked.ends - stacked.begins)[done].reshape(-1, 1)
    rows, steps = np.nonzero(done)
    return StackValues(rows, steps, held.columns(sums, hints[done]), done)


def _hints(
    hints: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Per window the hint of its sum, and whether it has hints that contradict each other."""
    before = np.zeros((len(hints) + 1, len(HINTS)), np.int64)
    np.cumsum(hints.reshape(-1, 1) == np.arange(len(HINTS)), axis=0, out=before[1:])
    seen = before[ends] > before[begins]
    collide = seen[..., CODE_OF_HINT[ResetHint.RESET]] & seen[..., CODE_OF_HINT[ResetHint.NOT_RESET]]
    only = np.where(seen.sum(axis=-1) == 1, seen.argmax(axis=-1), UNKNOWN)
    return np.where(seen[..., GAUGE], GAUGE, only).astype(np.uint8), collide
