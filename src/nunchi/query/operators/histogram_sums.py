"""`sum_over_time` and `avg_over_time` of a whole row of native histograms at once, where they are of one family and nothing is
remarked on. Whatever else there is, is left to `histogram_rates`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import ResetHint
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT, HINTS
from nunchi.query.histograms.dense import COUNT, SUM, are_one_family, dense, window_sums
from nunchi.query.operators.histogram_changes import RowChanges
from nunchi.query.operators.mixed_windows import RowSamples

TOTALS: Final = frozenset(("sum_over_time", "avg_over_time"))
GAUGE: Final = CODE_OF_HINT[ResetHint.GAUGE]
UNKNOWN: Final = CODE_OF_HINT[ResetHint.UNKNOWN]


def sums_of_row(name: str, samples: RowSamples, references: NDArray[np.int64], range_ms: int) -> RowChanges | None:
    """The steps of a row that can be added up at once; None: none can."""
    columns, numbers, times = samples.columns, samples.numbers, samples.times
    if name not in TOTALS or columns is None or not len(numbers) or (numbers == FLOAT).any():
        return None
    if not are_one_family(columns, numbers):
        return None
    begins = np.searchsorted(times, references - range_ms, side="right")
    ends = np.searchsorted(times, references, side="right")
    hints, collide = _hints(columns.hints[numbers], begins, ends)
    steps = np.flatnonzero((begins < ends) & ~collide)
    rows = dense(columns, numbers)
    sums = window_sums(rows.matrix, begins[steps], ends[steps])
    if name == "avg_over_time":
        finite = ~np.isinf(sums[:, [COUNT, SUM]]).any(axis=1)  # what overflows has a running mean
        steps, sums = steps[finite], sums[finite]
        sums /= (ends - begins)[steps].reshape(-1, 1)
    return RowChanges(steps, rows.columns(sums, hints[steps])) if len(steps) else None


def _hints(
    hints: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Per window the hint of its sum, and whether it has hints that contradict each other."""
    before = np.zeros((len(hints) + 1, len(HINTS)), np.int64)
    np.cumsum(hints.reshape(-1, 1) == np.arange(len(HINTS)), axis=0, out=before[1:])
    seen = before[ends] > before[begins]
    collide = seen[:, CODE_OF_HINT[ResetHint.RESET]] & seen[:, CODE_OF_HINT[ResetHint.NOT_RESET]]
    only = np.where(seen.sum(axis=1) == 1, seen.argmax(axis=1), UNKNOWN)
    return np.where(seen[:, GAUGE], GAUGE, only).astype(np.uint8), collide
