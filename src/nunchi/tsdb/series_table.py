"""The series of the head: label key to series_ref, in arrays that grow. No Python object per series, per label or per text.

Arrays only ever get more at their end (a reference that is free again is filled anew only in a *new* table), so that a
snapshot, which is slices of them, needs no lock. Invariant: a series_ref belongs to one label key as long as a table lives.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME, SEPARATOR
from nunchi.tsdb.index import Index, Postings
from nunchi.tsdb.kernels import labels as kernel
from nunchi.tsdb.memory import CAPACITY_MIN, grown, roomy_zeros

METRIC_NAME_SYMBOL = 1
SEPARATOR_BYTE = SEPARATOR[0]

# places in `counts`, as the kernel knows them
SYMBOLS, SYMBOL_BYTES, PAIRS, SERIES, SERIES_PAIRS, CREATED, FREE = range(7)


def _empty_slots(needed: int) -> NDArray[np.int32]:
    slots = roomy_zeros(max(CAPACITY_MIN, 1 << (2 * needed - 1).bit_length()), np.int32)
    slots.fill(-1)
    return slots


class SeriesTable:
    """Finds and makes series. Written by one thread; snapshots may be read by any."""

    def __init__(self) -> None:
        self._symbol_bytes = np.zeros(CAPACITY_MIN, np.uint8)
        self._symbol_ends = np.zeros(CAPACITY_MIN, np.int64)
        self._symbol_slots = np.full(CAPACITY_MIN, -1, np.int32)
        self._pair_names = np.zeros(CAPACITY_MIN, np.int32)
        self._pair_values = np.zeros(CAPACITY_MIN, np.int32)
        self._pair_slots = np.full(CAPACITY_MIN, -1, np.int32)
        self._begins = np.zeros(CAPACITY_MIN, np.int64)
        self._lengths = np.zeros(CAPACITY_MIN, np.int32)
        self._pairs = np.zeros(CAPACITY_MIN, np.int32)
        self._hashes = np.zeros((CAPACITY_MIN, 2), np.uint64)
        self._metrics = np.zeros(CAPACITY_MIN, np.int32)
        self._slots = np.full(CAPACITY_MIN, -1, np.int32)
        self._created = np.zeros(CAPACITY_MIN, np.int32)
        self._free = np.zeros(0, np.int32)
        self.counts = np.zeros(7, np.int64)
        self.postings = Postings.empty()
        self._identity = object()
        name = METRIC_NAME.encode()
        self._symbol_bytes[: len(name)] = np.frombuffer(name, np.uint8)
        self._symbol_ends[METRIC_NAME_SYMBOL] = len(name)
        self.counts[SYMBOLS], self.counts[SYMBOL_BYTES] = 2, len(name)
        kernel.fill_symbol_slots(self._symbol_bytes, self._symbol_ends, 2, self._symbol_slots)

    def __len__(self) -> int:
        """Places in use: every series_ref is below."""
        return int(self.counts[SERIES])

    @property
    def series(self) -> int:
        """Series in the table."""
        return int(self.counts[CREATED])

    def intern(
        self, keys: NDArray[np.uint8], ends: NDArray[np.int64], fixed: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The series_ref of each key (`ends[0]` is where the first begins), and which series are new, in order.

        `fixed` says where new ones go, for a table that is loaded; else free places come first.
        """
        count = len(ends) - 1
        refs = np.empty(count, np.int32)
        highest = int(fixed.max(initial=-1)) + 1 if fixed is not None else 0
        own = keys[int(ends[0]) : int(ends[-1])]
        self._make_room(count, len(own), int(np.count_nonzero(own == SEPARATOR_BYTE)), highest)
        before = int(self.counts[CREATED])
        kernel.intern_keys(
            keys, ends, self._symbol_bytes, self._symbol_ends, self._symbol_slots, self._pair_names, self._pair_values,
            self._pair_slots, self._begins, self._lengths, self._pairs, self._hashes, self._metrics, self._slots,
            self._created, self._free, self.counts, refs, fixed,
        )  # fmt: skip
        return refs, self._created[before : self.counts[CREATED]]

    def make_room(self, series: int) -> None:
        """For so many series more, whose label keys will ask for theirs."""
        self._make_room(series, 0, 0, 0)

    def release(self, refs: NDArray[np.int32]) -> None:
        """Places that new series may fill; for a table that was just made from another."""
        assert self.counts[FREE] == 0
        self._free = np.ascontiguousarray(refs[::-1])
        self.counts[FREE] = len(refs)

    def snapshot(self) -> Index:
        """All that is in the table now, to be read while it grows."""
        symbols, symbol_bytes, pairs, series, series_pairs, created, _ = self.counts.tolist()
        return Index(
            self._symbol_bytes[:symbol_bytes], self._symbol_ends[:symbols], self._symbol_slots,
            self._pair_names[:pairs], self._pair_values[:pairs], self._pair_slots,
            self._begins[:series], self._lengths[:series], self._pairs[:series_pairs], self._hashes[:series],
            self._metrics[:series], self._created[:created], self.postings, self._keep_postings, self._identity,
        )  # fmt: skip

    def keys_of(self, refs: NDArray[np.int32]) -> tuple[bytes, Sequence[int]]:
        """The label keys of some series, one after the other, and where each ends."""
        return kernel.key_bytes(
            refs, self._begins, self._lengths, self._pairs, self._pair_names, self._pair_values,
            self._symbol_bytes, self._symbol_ends,
        )  # fmt: skip

    def metrics_of(self, refs: NDArray[np.int32]) -> NDArray[np.int32]:
        """See `storage.changes.MetricNames`."""
        metrics: NDArray[np.int32] = self._metrics[refs]
        return metrics

    def metric_texts(self, metrics: NDArray[np.int64]) -> list[str]:
        """See `storage.changes.MetricNames`."""
        symbols, data = self._pair_values[metrics], self._symbol_bytes
        begins, ends = self._symbol_ends[symbols - 1].tolist(), self._symbol_ends[symbols].tolist()
        return [data[begin:end].tobytes().decode("utf-8", "replace") for begin, end in zip(begins, ends, strict=True)]

    def _keep_postings(self, postings: Postings) -> None:
        if postings.series > self.postings.series:
            self.postings = postings

    def _make_room(self, count: int, size: int, words: int, highest: int) -> None:
        symbols, symbol_bytes, pairs, series, series_pairs, created, _ = self.counts.tolist()
        series_needed = max(series + count, highest)
        self._symbol_bytes = grown(self._symbol_bytes, symbol_bytes + size)
        self._symbol_ends = grown(self._symbol_ends, symbols + words)
        self._pair_names = grown(self._pair_names, pairs + words)
        self._pair_values = grown(self._pair_values, pairs + words)
        self._begins = grown(self._begins, series_needed)
        self._lengths = grown(self._lengths, series_needed)
        self._pairs = grown(self._pairs, series_pairs + words)
        self._hashes = grown(self._hashes, series_needed)
        self._metrics = grown(self._metrics, series_needed, -1)
        self._created = grown(self._created, created + count)
        if 2 * (symbols + words) > len(self._symbol_slots):
            self._symbol_slots = _empty_slots(symbols + words)
            kernel.fill_symbol_slots(self._symbol_bytes, self._symbol_ends, symbols, self._symbol_slots)
        if 2 * (pairs + words) > len(self._pair_slots):
            self._pair_slots = _empty_slots(pairs + words)
            kernel.fill_pair_slots(self._pair_names, self._pair_values, pairs, self._pair_slots)
        if 2 * (created + count) > len(self._slots):
            self._slots = _empty_slots(created + count)
            kernel.put_slots(self._hashes, self._created[:created], self._slots)
