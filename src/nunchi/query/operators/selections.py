"""What selectors ask of the store, and the selections opened for them: the index is asked before any sample is read.

Invariant: a selection is handed out once; whoever needs the same series again gets a selection of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher
from nunchi.query.limits import Budget
from nunchi.query.plan import nodes as plan
from nunchi.query.syntax.nodes import Extension
from nunchi.storage.contracts import Querier, SelectHints, Selection


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the index: series that match and have samples within [start_ms, end_ms]."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    hints: SelectHints

    @classmethod
    def of_instant(
        cls, node: plan.InstantSelect, references: NDArray[np.int64], lookback_ms: int, step_ms: int
    ) -> "Request":
        """What an instant selector reads, looking from ascending references."""
        ahead_ms = lookback_ms if node.extension else 0
        hints = SelectHints("timestamp" if node.wants_times else "", step_ms)
        return cls(node.matchers, int(references[0]) - lookback_ms + 1, int(references[-1]) + ahead_ms, hints)

    @classmethod
    def of_range(
        cls, node: plan.RangeSelect, references: NDArray[np.int64], lookback_ms: int, step_ms: int, function: str
    ) -> "Request":
        """What a range selector reads for a function."""
        behind_ms = lookback_ms if node.extension else 0
        ahead_ms = lookback_ms if node.extension is Extension.SMOOTHED else 0
        hints = SelectHints("" if node.extension else function, step_ms, node.range_ms)
        start_ms = int(references[0]) - node.range_ms - behind_ms + 1
        return cls(node.matchers, start_ms, int(references[-1]) + ahead_ms, hints)


class Selections:
    """The selections of one query."""

    def __init__(self, querier: Querier, budget: Budget) -> None:
        self._querier = querier
        self._budget = budget
        self._ahead: dict[Request, list[Selection]] = {}

    def open_ahead(self, request: Request) -> Selection:
        """Open a selection that will be taken later; raises `LimitError` where it has too many series."""
        selection = self._open(request)
        self._ahead.setdefault(request, []).append(selection)
        return selection

    def take(self, request: Request) -> Selection:
        """One that was opened ahead, or a new one; raises `LimitError`."""
        waiting = self._ahead.get(request)
        return waiting.pop() if waiting else self._open(request)

    def _open(self, request: Request) -> Selection:
        selection = self._querier.select(request.matchers, request.start_ms, request.end_ms, request.hints)
        self._budget.check_series(len(selection.labels))
        return selection
