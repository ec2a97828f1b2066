"""Binary operators on pairs of values of which some are native histograms. What has no meaning is remarked on, and is nothing.

Pairs of numbers, and histograms with numbers, are whole arrays; so are sums of histograms of one family. The rest goes pair by
pair.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import IncompatibleError, add, combine_hints, compact
from nunchi.model.histogram_columns import CODE_OF_HINT, FLOAT, HINTS, HistogramColumns
from nunchi.query.histograms.dense import dense, families
from nunchi.query.histograms.grid import HistogramGrid, histograms_of
from nunchi.query.histograms.statistics import trim
from nunchi.query.notices import Notices
from nunchi.query.plan.arithmetic import ARITHMETIC, COMPARISONS
from nunchi.query.remarks import INCOMPATIBLE_BUCKETS, INCOMPATIBLE_TYPES, RECONCILED, RESETS_COLLIDE
from nunchi.query.syntax.operators import TRIMS

Cells = NDArray[np.bool_]
GAUGE: Final = CODE_OF_HINT[ResetHint.GAUGE]
HINT_OF_SUM: Final = np.array([[CODE_OF_HINT[combine_hints(a, b)[0]] for b in HINTS] for a in HINTS], np.uint8)
COLLIDES: Final = np.array([[combine_hints(a, b)[1] for b in HINTS] for a in HINTS], np.bool_)
WORDS: Final = {"+": "addition", "-": "subtraction"}


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """bool[...]: `known`: the operator has a meaning for the pair; `holds`: it has, and it is no comparison that fails."""

    known: Cells
    holds: Cells


def scaled(columns: HistogramColumns, factors: NDArray[np.float64]) -> HistogramColumns:
    """Every histogram times its factor; a negative one makes a gauge."""
    spread = np.repeat(factors, np.diff(columns.offsets))
    return HistogramColumns(
        columns.shapes, columns.shape_of, columns.counts * factors, columns.sums * factors,
        columns.zero_counts * factors, np.where(factors < 0, np.uint8(GAUGE), columns.hints),
        np.zeros(len(columns), np.bool_), columns.offsets, columns.buckets * spread,
    )  # fmt: skip


def divided(columns: HistogramColumns, divisors: NDArray[np.float64]) -> HistogramColumns:
    """Every histogram through its divisor; by zero, buckets vanish and the rest goes where IEEE 754 sends it."""
    spread = np.repeat(divisors, np.diff(columns.offsets))
    return HistogramColumns(
        columns.shapes, columns.shape_of, columns.counts / divisors, columns.sums / divisors,
        columns.zero_counts / divisors, np.where(divisors < 0, np.uint8(GAUGE), columns.hints),
        np.zeros(len(columns), np.bool_), columns.offsets, np.where(spread == 0, 0.0, columns.buckets / spread),
    )  # fmt: skip


class ValuePairs:
    """One operator, with its place in the expression."""

    def __init__(self, operator: str, notices: Notices, position: int) -> None:
        self._operator = operator
        self._notices = notices
        self._position = position

    def combine(
        self,
        left: NDArray[np.float64],
        left_histograms: HistogramGrid | None,
        right: NDArray[np.float64],
        right_histograms: HistogramGrid | None,
        present: Cells,
    ) -> tuple[NDArray[np.float64], Kept, HistogramGrid | None]:
        """The values, which of them there are, and those that are histograms. Comparisons keep the left value."""
        is_left, is_right = histograms_of(present, left_histograms), histograms_of(present, right_histograms)
        self._parts: list[HistogramColumns] = []
        self._numbers = np.full(present.shape, FLOAT, np.int32)
        known, holds = np.zeros(present.shape, np.bool_), np.zeros(present.shape, np.bool_)
        values = left
        plain = present & ~is_left & ~is_right
        if self._operator in COMPARISONS:
            known |= plain
            holds |= plain & COMPARISONS[self._operator](left, right)
        elif self._operator in ARITHMETIC:
            known |= plain
            holds |= plain
            values = ARITHMETIC[self._operator](left, right)
        else:
            self._refuse(plain, "float", "float")
        if right_histograms is not None:
            self._float_and_histogram(left, right_histograms, is_right & ~is_left, known)
        if left_histograms is not None:
            self._histogram_and_float(left_histograms, right, is_left & ~is_right, known)
        if left_histograms is not None and right_histograms is not None:
            holds |= self._histograms(left_histograms, right_histograms, is_left & is_right, known)
        holds |= self._numbers != FLOAT
        grid = HistogramGrid(self._numbers, HistogramColumns.concatenate(self._parts)) if self._parts else None
        if self._operator in COMPARISONS and left_histograms is not None:
            grid = left_histograms
        return values, Kept(known, holds), grid

    def _refuse(self, cells: Cells, left: str, right: str) -> None:
        if cells.any():
            self._notices.inform(INCOMPATIBLE_TYPES.format(self._operator, left, right), self._position)

    def _write(self, cells: Cells, columns: HistogramColumns) -> None:
        base = sum(map(len, self._parts))
        self._numbers[cells] = np.arange(base, base + len(columns), dtype=np.int32)
        self._parts.append(columns)

    def _float_and_histogram(self, left: NDArray[np.float64], right: HistogramGrid, cells: Cells, known: Cells) -> None:
        if self._operator != "*":
            self._refuse(cells, "float", "histogram")
            return
        known |= cells
        factors = np.broadcast_to(left, cells.shape)[cells]
        self._write(cells, scaled(right.columns.take(right.numbers[cells]), factors))

    def _histogram_and_float(self, left: HistogramGrid, right: NDArray[np.float64], cells: Cells, known: Cells) -> None:
        if self._operator not in {"*", "/", *TRIMS}:
            self._refuse(cells, "histogram", "float")
            return
        known |= cells
        taken = left.columns.take(left.numbers[cells])
        numbers = np.broadcast_to(right, cells.shape)[cells]
        if self._operator in TRIMS:
            pairs = zip(taken.histograms(), numbers.tolist(), strict=True)
            below = self._operator == "</"
            self._write(cells, HistogramColumns.of([trim(one, bound, keep_below=below) for one, bound in pairs]))
        else:
            self._write(cells, (scaled if self._operator == "*" else divided)(taken, numbers))

    def _histograms(self, left: HistogramGrid, right: HistogramGrid, cells: Cells, known: Cells) -> Cells:
        """Writes sums and differences; for comparisons, which hold."""
        nothing = np.zeros(cells.shape, np.bool_)
        if self._operator in {"==", "!="}:
            known |= cells
            pairs = zip(left.numbers[cells].tolist(), right.numbers[cells].tolist(), strict=True)
            same = [is_equal(left.columns.histogram(one), right.columns.histogram(two)) for one, two in pairs]
            nothing[cells] = np.array(same, np.bool_) == (self._operator == "==")
            return nothing
        if self._operator not in WORDS:
            self._refuse(cells, "histogram", "histogram")
            return nothing
        both = HistogramColumns.concatenate((left.columns, right.columns))
        ones, twos = left.numbers[cells], right.numbers[cells] + np.int32(len(left.columns))
        alike = families(both, ones) == families(both, twos)
        several = len(np.unique(families(both, ones))) > 1
        places = np.flatnonzero(cells)
        if several:
            alike[:] = False
        if alike.any():
            chosen = np.zeros(cells.shape, np.bool_)
            chosen.reshape(-1)[places[alike]] = True
            self._write(chosen, self._sums(both, ones[alike], twos[alike]))
            known |= chosen
        for at in np.flatnonzero(~alike).tolist():
            total = self._sum(both.histogram(int(ones[at])), both.histogram(int(twos[at])))
            if total is not None:
                chosen = np.zeros(cells.shape, np.bool_)
                chosen.reshape(-1)[places[at]] = True
                self._write(chosen, HistogramColumns.of([total]))
                known |= chosen
        return nothing

    def _sums(self, both: HistogramColumns, ones: NDArray[np.int32], twos: NDArray[np.int32]) -> HistogramColumns:
        """Sums or differences of pairs that are all of one family."""
        rows = dense(both, np.concatenate([ones, twos]))
        upper, lower = rows.matrix[: len(ones)], rows.matrix[len(ones) :]
        if COLLIDES[both.hints[ones], both.hints[twos]].any():
            self._notices.warn(RESETS_COLLIDE.format(WORDS[self._operator]), self._position)
        if self._operator == "-":
            return rows.columns(upper - lower, np.full(len(ones), GAUGE, np.uint8))
        return rows.columns(upper + lower, HINT_OF_SUM[both.hints[ones], both.hints[twos]])

    def _sum(self, left: Histogram, right: Histogram) -> Histogram | None:
        """The sum or difference of one pair, with the remarks that it deserves."""
        word = WORDS[self._operator]
        try:
            combined = add(left, right, 1.0 if self._operator == "+" else -1.0)
        except IncompatibleError:
            self._notices.warn(INCOMPATIBLE_BUCKETS.format(self._operator), self._position)
            return None
        if combined.hints_collide:
            self._notices.warn(RESETS_COLLIDE.format(word), self._position)
        if combined.reconciled:
            self._notices.inform(RECONCILED.format(word), self._position)
        result = compact(combined.histogram)
        return replace(result, reset_hint=ResetHint.GAUGE) if self._operator == "-" else result


def is_equal(left: Histogram, right: Histogram) -> bool:
    """Whether two histograms are equal; empty buckets and what is known of resets do not count."""
    neutral = ResetHint.UNKNOWN
    return compact(replace(left, reset_hint=neutral)) == compact(replace(right, reset_hint=neutral))
