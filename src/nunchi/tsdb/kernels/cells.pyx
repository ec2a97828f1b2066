# Open cells: the samples of the head that are not sealed yet, in slabs of SLAB_ROWS rows linked per series; and what puts
# samples of several places together when they are read.
#
# Rows below a series' count never change, so that a reader who noted the count needs no lock afterwards.

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.algorithm cimport stable_sort
from libcpp.vector cimport vector

import numpy as np

cdef extern from *:
    """
    #include <cstdint>
    struct TimeOrder {
        const int64_t* times;
        bool operator()(int64_t a, int64_t b) const { return times[a] < times[b]; }
    };
    """
    cdef cppclass TimeOrder:
        const int64_t* times

cdef extern from *:
    """
    #define prefetch_to_write(address) __builtin_prefetch((address), 1)
    """
    void prefetch_to_write(void* address) noexcept nogil

cdef enum:
    CELLS_AHEAD = 16
    SLAB_ROWS = 16
    FATE_NEW = 0
    FATE_SAME = 1
    FATE_PAST = 2
    FATE_FUTURE = 3
    FATE_TOO_OLD = 4


# The high 16 bits of a NaN that stands for a histogram: see tsdb/references.py.
cdef uint64_t REFERENCE_TAG = 0xFFFC


cdef inline uint64_t bits_of(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits


cdef inline uint64_t mix(uint64_t state, uint64_t word) noexcept nogil:
    state = (state + <uint64_t>0x5851F42D4C957F2D ^ word) * <uint64_t>0x9E3779B97F4A7C15  # so that a zero counts, too
    state ^= state >> 32
    state *= <uint64_t>0xD6E8FEB86659FD93
    return state ^ (state >> 29)


def judge(const int32_t[::1] refs, const int64_t[::1] row_timestamps, const int64_t[::1] row_offsets,
          const double[::1] values, const int64_t[::1] last_times, const uint64_t[::1] last_bits, int32_t[::1] pending,
          int64_t[::1] pending_times, uint64_t[::1] pending_bits, int32_t owner, int64_t oldest_ms, int64_t newest_ms,
          bint replaces, int64_t[::1] times, int64_t[::1] lasts, uint8_t[::1] fates):
    """The fate of each cell, and its timestamp; of cells in the past also the newest timestamp at their turn. `pending[ref] == owner` says that pending_* hold the series' newest cell.

    Where the batch replaces, a newest cell that comes again counts as past: one between may have replaced it. So does a
    reference, whose bits say nothing of the histogram. Returns how many are new, and how many are the newest again: where
    that is all, nothing else needs a look; and how many have the bits of a reference.
    """
    cdef int64_t row, i, time, last, fresh = 0, same = 0, references = 0
    cdef uint64_t bits, newest
    cdef int32_t ref
    with nogil:
        for row in range(row_timestamps.shape[0]):
            time = row_timestamps[row]
            for i in range(row_offsets[row], row_offsets[row + 1]):
                ref = refs[i]
                times[i] = time
                bits = bits_of(values[i])
                references += bits >> 48 == REFERENCE_TAG
                if pending[ref] == owner:
                    last, newest = pending_times[ref], pending_bits[ref]
                else:
                    last, newest = last_times[ref], last_bits[ref]
                if time > newest_ms:
                    fates[i] = FATE_FUTURE
                elif time < oldest_ms:
                    fates[i] = FATE_TOO_OLD
                elif time > last:
                    fates[i] = FATE_NEW
                    fresh += 1
                    pending[ref] = owner
                    pending_times[ref] = time
                    pending_bits[ref] = bits
                elif time == last and bits == newest and not replaces and bits >> 48 != REFERENCE_TAG:
                    fates[i] = FATE_SAME
                    same += 1
                else:
                    fates[i] = FATE_PAST
                    lasts[i] = last
    return fresh, same, references


def remember(const int32_t[::1] refs, const int64_t[::1] times, const double[::1] values, int32_t[::1] pending,
             int64_t[::1] pending_times, uint64_t[::1] pending_bits, int32_t owner):
    """Note the newest cell of each series again, for an owner whose notes another one has overwritten."""
    cdef int64_t i
    cdef int32_t ref
    with nogil:
        for i in range(refs.shape[0]):
            ref = refs[i]
            if pending[ref] != owner or times[i] >= pending_times[ref]:
                pending[ref] = owner
                pending_times[ref] = times[i]
                pending_bits[ref] = bits_of(values[i])


def put(const int32_t[::1] refs, const int64_t[::1] times, const double[::1] values, const int64_t[::1] starts,
        int64_t[::1] last_times, uint64_t[::1] last_bits, int32_t[::1] counts, int32_t[::1] first_slabs,
        int32_t[::1] last_slabs, uint64_t[::1] hashes, int64_t[::1] slab_times, double[::1] slab_values,
        int64_t[::1] slab_starts, int32_t[::1] slab_next, int64_t slabs, int64_t[::1] refused):
    """Append cells that are newer than their series' newest; positions of the others go to `refused`.

    There must be room for a slab more a cell; of `slab_starts` only where there are `starts`, else both may be empty.
    Returns the slabs in use, how many were refused, and the oldest and the newest time of all cells: INT64_MAX and INT64_MIN
    where there are none.
    """
    cdef int64_t i, at, left = 0, oldest = INT64_MAX, newest = INT64_MIN, n = refs.shape[0]
    cdef bint has_starts = starts.shape[0] > 0
    cdef int32_t ref, row
    with nogil:
        for i in range(n):
            if i + CELLS_AHEAD < n:
                ref = refs[i + CELLS_AHEAD]
                at = <int64_t>last_slabs[ref] * SLAB_ROWS + counts[ref] % SLAB_ROWS
                prefetch_to_write(&slab_times[at])
                prefetch_to_write(&slab_values[at])
            ref = refs[i]
            oldest = min(oldest, times[i])
            newest = max(newest, times[i])
            if times[i] <= last_times[ref]:
                refused[left] = i
                left += 1
                continue
            row = counts[ref] % SLAB_ROWS
            if row == 0:
                if counts[ref] == 0:
                    first_slabs[ref] = <int32_t>slabs
                else:
                    slab_next[last_slabs[ref]] = <int32_t>slabs
                last_slabs[ref] = <int32_t>slabs
                slabs += 1
            at = <int64_t>last_slabs[ref] * SLAB_ROWS + row
            slab_times[at] = times[i]
            slab_values[at] = values[i]
            if has_starts:
                slab_starts[at] = starts[i]
            counts[ref] += 1
            hashes[ref] = mix(hashes[ref], <uint64_t>times[i])
            last_times[ref] = times[i]
            last_bits[ref] = bits_of(values[i])
    return slabs, left, oldest, newest


def hash_rows(const int32_t[::1] refs, const int32_t[::1] counts, const int32_t[::1] first_slabs,
              const int64_t[::1] slab_times, const int32_t[::1] slab_next, uint64_t[::1] hashes):
    """The hash of the first `counts[i]` timestamps of each series, as `put` keeps it."""
    cdef int64_t i, row, slab
    cdef uint64_t state
    with nogil:
        for i in range(refs.shape[0]):
            state = 0
            slab = first_slabs[refs[i]]
            for row in range(counts[i]):
                if row and row % SLAB_ROWS == 0:
                    slab = slab_next[slab]
                state = mix(state, <uint64_t>slab_times[slab * SLAB_ROWS + row % SLAB_ROWS])
            hashes[i] = state


def rows_within(const int32_t[::1] refs, const int32_t[::1] counts, const int32_t[::1] first_slabs,
                const int64_t[::1] slab_times, const int32_t[::1] slab_next, int64_t start_ms, int64_t end_ms,
                int64_t[::1] begins, int64_t[::1] ends, int64_t[::1] first_times, int64_t[::1] last_times):
    """Which rows of each series lie in [start_ms, end_ms], and the first and the last time among them."""
    cdef int64_t i, row, slab, time
    with nogil:
        for i in range(refs.shape[0]):
            begins[i] = ends[i] = 0
            slab = first_slabs[refs[i]]
            row = 0
            while row < counts[i]:
                if row and row % SLAB_ROWS == 0:
                    slab = slab_next[slab]
                time = slab_times[slab * SLAB_ROWS + row % SLAB_ROWS]
                if time > end_ms:
                    break
                if time < start_ms:
                    if row % SLAB_ROWS == 0 and row + SLAB_ROWS <= counts[i] \
                            and slab_times[slab * SLAB_ROWS + SLAB_ROWS - 1] < start_ms:
                        row += SLAB_ROWS
                    else:
                        row += 1
                    continue
                if ends[i] == 0:
                    begins[i] = row
                    first_times[i] = time
                last_times[i] = time
                ends[i] = row + 1
                row += 1


cdef inline int64_t slab_of_row(int64_t slab, int64_t row, const int32_t[::1] slab_next) noexcept nogil:
    cdef int64_t hop
    for hop in range(row // SLAB_ROWS):
        slab = slab_next[slab]
    return slab


ctypedef fused Row:
    double
    int64_t


def copy_rows(const int32_t[::1] refs, const int64_t[::1] begins, const int64_t[::1] ends, const int64_t[::1] targets,
              const int32_t[::1] first_slabs, const Row[::1] slab_rows, const int32_t[::1] slab_next, Row[::1] out):
    """The rows `begins[i]` to `ends[i]` of each series, of values or of times, to `out[targets[i]:]`."""
    cdef int64_t i, row, slab, size
    with nogil:
        for i in range(refs.shape[0]):
            row = begins[i]
            if row >= ends[i]:
                continue
            slab = slab_of_row(first_slabs[refs[i]], row, slab_next)
            while row < ends[i]:
                size = min(SLAB_ROWS - row % SLAB_ROWS, ends[i] - row)
                memcpy(&out[targets[i] + row - begins[i]], &slab_rows[slab * SLAB_ROWS + row % SLAB_ROWS], size * 8)
                row += size
                if row < ends[i]:
                    slab = slab_next[slab]


cdef bint is_same_sequence(const int64_t* vectors, const int64_t* begins, const int64_t* ends, int64_t a, int64_t b,
                           int64_t count) noexcept nogil:
    cdef int64_t i
    for i in range(count):
        if vectors[a + i] != vectors[b + i] or begins[a + i] != begins[b + i] or ends[a + i] != ends[b + i]:
            return False
    return True


def sign_vectors(const int64_t[::1] offsets, const int64_t[::1] vectors, const int64_t[::1] begins,
                 const int64_t[::1] ends, int64_t[::1] signatures):
    """Series whose parts are the same rows of the same vectors get the same number, dense from 0; returns how many.

    Series i has the parts `offsets[i]` to `offsets[i + 1]`.
    """
    cdef int64_t n = offsets.shape[0] - 1, i, j, at, size, other, known = 0, mask = 15
    cdef uint64_t state
    cdef vector[int64_t] slots
    cdef vector[int64_t] example
    if n <= 0 or vectors.shape[0] == 0:
        return 0
    with nogil:
        while mask < 2 * n:
            mask = mask * 2 + 1
        slots.assign(mask + 1, -1)
        for i in range(n):
            size = offsets[i + 1] - offsets[i]
            state = <uint64_t>size
            for j in range(offsets[i], offsets[i + 1]):
                state = mix(mix(mix(state, <uint64_t>vectors[j]), <uint64_t>begins[j]), <uint64_t>ends[j])
            at = <int64_t>(state & <uint64_t>mask)
            while True:
                if slots[at] < 0:
                    slots[at] = known
                    example.push_back(i)
                    signatures[i] = known
                    known += 1
                    break
                other = example[slots[at]]
                if offsets[other + 1] - offsets[other] == size and is_same_sequence(
                        &vectors[0], &begins[0], &ends[0], offsets[i], offsets[other], size):
                    signatures[i] = slots[at]
                    break
                at = (at + 1) & mask
    return known


def cut_vectors(const double[::1] times, const int64_t[::1] offsets, int64_t start_ms, int64_t end_ms,
                int64_t[::1] begins, int64_t[::1] ends, int64_t[::1] first_times, int64_t[::1] last_times):
    """Which rows of each vector `times[offsets[i]:offsets[i + 1]]` lie in [start_ms, end_ms], and their first and last time.

    Where there are none, `begins[i] == ends[i]` and the times stay as they are.
    """
    cdef int64_t i, low, high, middle, end
    with nogil:
        for i in range(offsets.shape[0] - 1):
            low, end = offsets[i], offsets[i + 1]
            high = end
            while low < high:
                middle = (low + high) // 2
                if times[middle] < start_ms:
                    low = middle + 1
                else:
                    high = middle
            begins[i] = low - offsets[i]
            high = end
            while low < high:
                middle = (low + high) // 2
                if times[middle] <= end_ms:
                    low = middle + 1
                else:
                    high = middle
            ends[i] = low - offsets[i]
            if ends[i] > begins[i]:
                first_times[i] = <int64_t>times[offsets[i] + begins[i]]
                last_times[i] = <int64_t>times[offsets[i] + ends[i] - 1]


def put_times(const double[::1] found, const int64_t[::1] offsets, const int64_t[::1] targets, int64_t[::1] times):
    """The vectors `found[offsets[i]:offsets[i + 1]]`, as whole milliseconds, to `times[targets[i]:]`."""
    cdef int64_t i, j
    with nogil:
        for i in range(offsets.shape[0] - 1):
            for j in range(offsets[i + 1] - offsets[i]):
                times[targets[i] + j] = <int64_t>found[offsets[i] + j]


def number_vectors(const int64_t[::1] signatures, const int64_t[::1] series, int32_t[::1] seen, int32_t[::1] numbers):
    """The signatures of some series as numbers from 0 by first appearance; returns the first position of each.

    `seen` has room for every signature and holds -1; it holds -1 again on return.
    """
    cdef int64_t i, signature, count = 0, n = series.shape[0]
    cdef vector[int64_t] firsts
    with nogil:
        for i in range(n):
            signature = signatures[series[i]]
            if seen[signature] < 0:
                seen[signature] = <int32_t>firsts.size()
                firsts.push_back(i)
            numbers[i] = seen[signature]
        count = firsts.size()
        for i in range(count):
            seen[signatures[series[firsts[i]]]] = -1
    found = np.empty(count, np.int64)
    cdef int64_t[::1] view = found
    for i in range(count):
        view[i] = firsts[i]
    return found


def merge_overlapping(const int64_t[::1] offsets, const int64_t[::1] times, int64_t[::1] out_offsets,
                      int64_t[::1] chosen):
    """Which cells of each series stay, ascending in time, where they stand in the order of their precedence.

    Of equal times the last one stays. Returns how many stay of all series.
    """
    cdef int64_t i, j, at = 0, n = offsets.shape[0] - 1
    cdef vector[int64_t] order
    cdef TimeOrder earlier
    if times.shape[0] == 0:
        for i in range(n + 1):
            out_offsets[i] = 0
        return 0
    with nogil:
        earlier.times = &times[0]
        out_offsets[0] = 0
        for i in range(n):
            order.clear()
            for j in range(offsets[i], offsets[i + 1]):
                order.push_back(j)
            stable_sort(order.begin(), order.end(), earlier)
            for j in range(<int64_t>order.size()):
                if j + 1 < <int64_t>order.size() and times[order[j]] == times[order[j + 1]]:
                    continue
                chosen[at] = order[j]
                at += 1
            out_offsets[i + 1] = at
    return at
