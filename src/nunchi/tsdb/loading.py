"""What a database does between taking its folder and knowing what is in it: new samples come in while the past is read.

Cells that are newer than everything in the folder cannot clash with it, nor, where some senders' clocks were ahead (`ahead`),
can cells of other series that are newer than everything of these. They are judged by each other alone, logged under
series_refs behind all that are in use, and put behind the past once it is there. Cells that might clash are kept out, to be
sent again. Ranges that are older than everything unread are answered out of the blocks.
Invariant: what is accepted or rejected meanwhile would have been accepted or rejected after loading just as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch
from nunchi.model.matchers import Matcher
from nunchi.storage.contracts import SelectHints
from nunchi.storage.errors import NotLoadedError
from nunchi.tsdb.commits import Commit
from nunchi.tsdb.errors import DatabaseError
from nunchi.tsdb.querier import DatabaseQuerier, DatabaseSelection

EARLY_CELLS_MAX = 1 << 23
NOTHING_READABLE = -(2**63)


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """Label keys of the series that have samples newer than the clock; all samples of others are as old as this or older."""

    keys: frozenset[bytes]
    others_newest_ms: int

    def spares(self, batch: Batch) -> NDArray[np.bool_]:
        """Which cells cannot clash with what is in the folder."""
        columns, inverse = np.unique(batch.columns, return_inverse=True)
        is_other = np.array([batch.layout.key(column) not in self.keys for column in columns.tolist()], np.bool_)
        spared: NDArray[np.bool_] = is_other[inverse] & (batch.cell_timestamps() > self.others_newest_ms)
        return spared


class Loading:
    """How far loading is, and what came in meanwhile. Under the database's lock, but for what tells of progress."""

    def __init__(self, bytes_total: int) -> None:
        self.newest_ms: int | None = None
        self.ahead: Ahead | None = None
        self.places = 0
        self.readable_until_ms = NOTHING_READABLE
        self._stage = "looking through the log"
        self._bytes_total = bytes_total
        self._bytes_done = 0
        self._is_given_up = False
        self._cells = 0
        self._commits: list[Commit] = []

    # Progress.

    @property
    def share(self) -> float:
        """How much of what has to be read was."""
        return min(1.0, self._bytes_done / self._bytes_total) if self._bytes_total else 1.0

    @property
    def text(self) -> str:
        """How far it is, for people."""
        return f"loading what is stored: {self._stage}, {self.share:.0%} done"

    def enter(self, stage: str) -> None:
        """Something else is done from now on."""
        self._stage = stage
        self.check()

    def advance(self, done_bytes: int) -> None:
        """Some bytes more were read."""
        self._bytes_done += done_bytes
        self.check()

    def give_up(self) -> None:
        """Let the next step be the last one."""
        self._is_given_up = True

    def check(self) -> None:
        """Raise a `DatabaseError` where loading was given up."""
        if self._is_given_up:
            raise DatabaseError("loading was given up because the database is closed")

    # What comes in.

    def know(self, newest_ms: int, places: int) -> None:
        """No sample in the folder is newer, no series_ref higher or equal: from now on newer cells can be judged."""
        self.newest_ms, self.places = newest_ms, places

    def know_ahead(self, ahead: Ahead | None) -> None:
        """Where some samples in the folder are newer than the clock: whose these are."""
        self.ahead = ahead

    def admit(self, batch: Batch) -> tuple[Batch, int]:
        """The cells that can be judged now, and how many cannot."""
        newest_ms = self.newest_ms
        if newest_ms is not None and (len(batch.timestamps) == 0 or int(batch.timestamps.min()) > newest_ms):
            return batch, 0
        can = np.zeros(len(batch), np.bool_) if newest_ms is None else batch.cell_timestamps() > newest_ms
        if self.ahead is not None:
            can |= self.ahead.spares(batch)
        return batch.keep(can), len(batch) - int(np.count_nonzero(can))

    def moved(self, commit: Commit) -> Commit:
        """A commit with series_refs behind those in use. Raises `NotLoadedError` where too much came in already."""
        if self._cells + len(commit.cells.refs) + len(commit.late.refs) > EARLY_CELLS_MAX:
            raise NotLoadedError(f"{self.text}; {self._cells} samples came in meanwhile, more are taken afterwards")
        places = np.int32(self.places)
        cells, late = (part._replace(refs=part.refs + places) for part in (commit.cells, commit.late))
        return replace(commit, series=commit.series + places, cells=cells, late=late)

    def note(self, commit: Commit) -> None:
        """A moved commit has been logged."""
        self._cells += len(commit.cells.refs) + len(commit.late.refs)
        self._commits.append(commit)

    def take_commits(self) -> list[Commit]:
        """What was logged since this was last called."""
        commits, self._commits = self._commits, []
        return commits


class EarlyQuerier:
    """Implements `storage.contracts.Querier` over what is loaded already: ranges that reach further raise `NotLoadedError`."""

    def __init__(self, loading: Loading, querier: DatabaseQuerier) -> None:
        self._loading = loading
        self._querier = querier
        self._readable_until_ms = loading.readable_until_ms
        self.symbols = querier.symbols

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints | None = None
    ) -> DatabaseSelection:
        """See `Querier.select`."""
        self._check(end_ms)
        return self._querier.select(matchers, start_ms, end_ms, hints)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0) -> list[str]:
        """See `Querier.label_names`."""
        self._check(end_ms)
        return self._querier.label_names(matchers, start_ms, end_ms, limit)

    def label_values(
        self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0
    ) -> list[str]:
        """See `Querier.label_values`."""
        self._check(end_ms)
        return self._querier.label_values(name, matchers, start_ms, end_ms, limit)

    def close(self) -> None:
        """See `Querier.close`."""
        self._querier.close()

    def _check(self, end_ms: int) -> None:
        if end_ms >= self._readable_until_ms:
            raise NotLoadedError(f"{self._loading.text}; ask again in some seconds, or for an older range")
