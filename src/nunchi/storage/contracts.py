"""What a store promises to who writes and who reads. No machinery lives here; every store passes one suite.

Judgement of order, duplicates and age is per series, from the series' own newest timestamp, never per row or group:
same timestamp and same bits: accepted silently; same timestamp, other value: rejected, unless the batch says replace;
older than the newest by more than the lateness allowed: rejected; over `FUTURE_MS_MAX` ahead of the clock: rejected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch, Reason
from nunchi.model.exemplar import ExemplarRefusal
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher
from nunchi.model.metadata import Metadata
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.storage.exemplars import SeriesExemplars

FUTURE_MS_MAX = 10 * 60 * 1000
REJECTION_EXAMPLES_MAX = 8
TILE_BYTES = 2 * 1024 * 1024
MARK_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected sample, to be shown to its sender."""

    reason: Reason
    labels: Labels
    timestamp_ms: int


@dataclass(slots=True)
class AppendResult:
    """The three fates of samples: stored; rejected for good, with a reason each; kept out for now, worth retrying.

    exemplars_refused  by reason; whether an exemplar is stored never touches a sample
    """

    accepted: int = 0
    rejected: dict[Reason, int] = field(default_factory=dict)
    kept: int = 0
    examples: list[Rejection] = field(default_factory=list)
    exemplars_refused: dict[ExemplarRefusal, int] = field(default_factory=dict)

    def reject(self, rejection: Rejection) -> None:
        """Count one rejected sample; the first few are remembered."""
        self.count_rejected(rejection.reason, 1)
        if len(self.examples) < REJECTION_EXAMPLES_MAX:
            self.examples.append(rejection)

    def count_rejected(self, reason: Reason, count: int) -> None:
        """Count rejected samples, of which `examples` has some."""
        self.rejected[reason] = self.rejected.get(reason, 0) + count

    def refuse_exemplar(self, refusal: ExemplarRefusal) -> None:
        """Count one exemplar that is not stored."""
        self.exemplars_refused[refusal] = self.exemplars_refused.get(refusal, 0) + 1

    @property
    def rejected_total(self) -> int:
        """Samples rejected for any reason."""
        return sum(self.rejected.values())


class Appender(Protocol):
    """The write side. One appender belongs to one writer at a time; batches of one appender become visible together."""

    def append(self, batch: Batch) -> AppendResult:
        """Judge every cell. What is accepted stays accepted: there is no all-or-nothing across series."""
        ...

    def mark(self, key: str, value: bytes) -> None:
        """With the next commit, remember a value under a key in place of the one before; an empty one forgets it.

        What survives a restart survives it together with the samples of its commit: both are there, or neither is. How many
        keys there are is up to whoever marks.
        """
        ...

    def commit(self) -> None:
        """Publish what was accepted: every new selection sees it. Raises a `WorldError` where it was not published."""
        ...

    def rollback(self) -> None:
        """Take back what `commit` has not published."""
        ...


@dataclass(frozen=True, slots=True)
class SelectHints:
    """What the reader will do with the samples, so that a store may do less. A store may ignore all of it."""

    function: str = ""
    step_ms: int = 0
    range_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """Decoded samples of some series of a selection, contiguous per series. Valid until the next tile is asked for.

    series          int64[n], positions in the selection; each series is in exactly one tile
    vector_of       int32[n], which timestamp vector of this tile the series has
    vectors         int64[...], timestamp vectors (ms, strictly ascending) one after the other
    vector_offsets  int64[vectors + 1]
    values          float64[...], series after series; as many cells as its vector has timestamps
    offsets         int64[n + 1]; `values[offsets[i]:offsets[i + 1]]` belongs to `series[i]`

    histogram_of    int32[...], beside `values`: numbers of `histograms`, `FLOAT` elsewhere; None: no histograms
    starts          int64[...], beside `values`: since when a sample counts, ms, 0 where unknown; None: all unknown

    A cell without a value holds `staleness.ABSENT`; staleness markers are cells like others. Compare bits. A histogram's
    cell is *absent* in `values`, so that whoever reads numbers alone passes over it; its marker stands in its `sum`.
    Reset hints tell the truth about the sample before in the series: `UNKNOWN`, `NOT_RESET`, or `GAUGE` as written.
    """

    series: NDArray[np.int64]
    vector_of: NDArray[np.int32]
    vectors: NDArray[np.int64]
    vector_offsets: NDArray[np.int64]
    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None
    starts: NDArray[np.int64] | None = None


class Selection(Protocol):
    """The series that matched, without samples; pins what it needs until closed.

    labels   in the order in which results are to appear: sorted by label sets
    vectors  int64[series], equal numbers promise equal timestamps; -1 promises nothing
    sizes    int64[series], estimate of samples in the range asked for
    """

    labels: LabelTable
    vectors: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def read(self, begin: int, end: int, tile_bytes: int = TILE_BYTES) -> Iterator[Tile]:
        """Samples of the series `begin` to `end` in the range asked for, in bounded tiles, in the store's order."""
        ...

    def close(self) -> None:
        """Release what is pinned. Idempotent."""
        ...


class Querier(Protocol):
    """The read side, for one query: a consistent view of what was committed when it was opened."""

    symbols: Symbols

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints | None = None
    ) -> Selection:
        """The series that satisfy all matchers and have samples within [start_ms, end_ms], both ends included."""
        ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0) -> list[str]:
        """Sorted names of labels of the series that match; `limit` 0 means all."""
        ...

    def label_values(
        self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limit: int = 0
    ) -> list[str]:
        """Sorted values of one label of the series that match; `limit` 0 means all."""
        ...

    def close(self) -> None:
        """Release what is pinned, open selections included. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store says of itself."""

    series: int
    samples: int
    min_time_ms: int
    max_time_ms: int


class Store(Protocol):
    """Both sides, and what is known of metric families."""

    def appender(self) -> Appender:
        """A new appender."""
        ...

    def querier(self) -> Querier:
        """A new querier. Its methods may run in any one thread at a time."""
        ...

    def metadata(self) -> Mapping[str, Metadata]:
        """By metric family name."""
        ...

    def exemplars(
        self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int
    ) -> Sequence[SeriesExemplars]:
        """Exemplars in [start_ms, end_ms] of the series that some selector matches, sorted by labels."""
        ...

    def marks(self) -> Mapping[str, bytes]:
        """What was marked, by key. Raises `NotLoadedError` while that is not known."""
        ...

    def statistics(self) -> StoreStatistics:
        """Series, samples and their time range."""
        ...
