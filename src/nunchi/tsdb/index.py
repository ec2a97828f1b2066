"""Which series there are and which of them match: arrays, whether they grow in the head or lie mapped in a block.

Symbols are texts, pairs are (name, value) symbols, a series is a sequence of pairs in the order of its labels' names; symbol 0
is the empty text, symbol 1 `__name__`. Invariant: an index never changes; what is appended to the arrays later is outside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.model.matchers import Matcher
from nunchi.model.symbols import Symbols
from nunchi.tsdb.distinct import distinct
from nunchi.tsdb.kernels import labels as kernel
from nunchi.tsdb.matching import Fates, judge_pairs

POSTINGS_TAIL_MIN = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Series by pair, of the first `series` series of an index."""

    series: int
    offsets: NDArray[np.int64]
    refs: NDArray[np.int32]

    @classmethod
    def empty(cls) -> "Postings":
        """Of no series."""
        return cls(0, np.zeros(1, np.int64), np.zeros(0, np.int32))


@dataclass(slots=True, eq=False)
class Index:
    """Series as arrays. `created` lists the refs that are in use; `begins` and `lengths` say where a series' pairs are.

    identity  the same for indexes that are one at several times; of these, those with as many series have the same ones
    """

    symbol_bytes: NDArray[np.uint8]
    symbol_ends: NDArray[np.int64]
    symbol_slots: NDArray[np.int32]
    pair_names: NDArray[np.int32]
    pair_values: NDArray[np.int32]
    pair_slots: NDArray[np.int32]
    begins: NDArray[np.int64]
    lengths: NDArray[np.int32]
    pairs: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    metrics: NDArray[np.int32]
    created: NDArray[np.int32]
    postings: Postings
    keep_postings: Callable[[Postings], None]
    identity: object = field(default_factory=object)

    def select(self, matchers: Sequence[Matcher]) -> NDArray[np.int32]:
        """The refs of all series that match, in no order."""
        if len(self.created) == 0:
            return np.zeros(0, np.int32)
        judged = [judge_pairs(self, matcher) for matcher in matchers]
        self._build_postings()
        candidates = self._candidates(judged)
        for fates in judged:
            if len(candidates) == 0:
                break
            if fates is not None:
                candidates = self._filter(candidates, fates)
        return candidates

    def _build_postings(self) -> None:
        tail = len(self.created) - self.postings.series
        if tail <= max(POSTINGS_TAIL_MIN, self.postings.series // 4):
            return
        offsets = np.zeros(len(self.pair_names) + 1, np.int64)
        refs = np.empty(int(self.lengths[self.created].sum(dtype=np.int64)), np.int32)
        kernel.build_postings(self.created, self.begins, self.lengths, self.pairs, offsets, refs)
        self.postings = Postings(len(self.created), offsets, refs)
        self.keep_postings(self.postings)

    def _candidates(self, judged: Sequence[Fates | None]) -> NDArray[np.int32]:
        """Series that have one of the good pairs of the most selective matcher; all where no matcher demands a pair."""
        best: NDArray[np.int64] | None = None
        best_count = len(self.created)
        offsets, known = self.postings.offsets, len(self.postings.offsets) - 1
        for fates in judged:
            if fates is None or fates.matches_empty:
                continue
            good = fates.good[fates.good < known]
            count = int((offsets[good + 1] - offsets[good]).sum())
            if best is None or count < best_count:
                best, best_count = good, count
        if best is None:
            return self.created
        found = np.empty(best_count, np.int32)
        kernel.gather(best, offsets, self.postings.refs, found)
        return np.concatenate([found, self.created[self.postings.series :]])

    def _filter(self, candidates: NDArray[np.int32], fates: Fates) -> NDArray[np.int32]:
        kept = np.empty(len(candidates), np.int32)
        count = kernel.filter_series(
            candidates, self.begins, self.lengths, self.pairs, fates.of_pair, fates.matches_empty, kept
        )
        return kept[:count]

    def find_symbol(self, text: str) -> int:
        """The symbol of a text, -1 where there is none."""
        encoded = text.encode("utf-8", "surrogatepass")
        found = kernel.find_symbol(encoded, self.symbol_bytes, self.symbol_ends, self.symbol_slots)
        return found if found < len(self.symbol_ends) else -1

    def find_pair(self, name: int, value: int) -> int:
        """The pair of two symbols, -1 where there is none."""
        found = kernel.find_pair(name, value, self.pair_names, self.pair_values, self.pair_slots)
        return found if found < len(self.pair_names) else -1

    def texts(self, symbols: NDArray[Any]) -> list[str]:
        """The text of each symbol."""
        return [text.decode("utf-8", "replace") for text in self.encoded(symbols)]

    def encoded(self, symbols: NDArray[Any]) -> list[bytes]:
        """The text of each symbol, in UTF-8."""
        data = self.symbol_bytes
        begins = np.where(symbols > 0, self.symbol_ends[np.maximum(symbols - 1, 0)], 0).tolist()
        ends = self.symbol_ends[symbols].tolist()
        view = data.tobytes() if len(begins) * 64 > len(data) else data
        return [bytes(view[b:e]) for b, e in zip(begins, ends, strict=True)]

    def label_pairs(
        self, refs: NDArray[np.int32], symbols: Symbols
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Names and values, as symbols of the reader, and counts of the labels of each series."""
        counts = self.lengths[refs].astype(np.int64)
        starts = np.cumsum(counts) - counts
        places = np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(self.begins[refs] - starts, counts)
        pairs = self.pairs[places]
        used, inverse = distinct(pairs, len(self.pair_names))
        names, values = (
            self._translate(self.pair_names[used], symbols),
            self._translate(self.pair_values[used], symbols),
        )
        return names[inverse], values[inverse], counts

    def _translate(self, own: NDArray[np.int32], symbols: Symbols) -> NDArray[np.int32]:
        used, inverse = distinct(own, len(self.symbol_ends))
        return symbols.intern_all(self.texts(used))[inverse]

    def metric_ranks(self, refs: NDArray[np.int32]) -> NDArray[np.int64]:
        """A number per series, equal for equal metric names."""
        metrics = self.metrics[refs]
        return np.where(metrics >= 0, self.pair_values[np.maximum(metrics, 0)], 0).astype(np.int64)
