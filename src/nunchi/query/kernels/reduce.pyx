"""Grouped reductions: rows of a batch are folded into the states of their groups, tile by tile, or ranked within them.

`values` and `present` are [rows, steps], states [groups, steps]. Formulas, and what NaN does, are Prometheus's.
Invariant: a fold sees rows in the order of the input, because compensated sums and ties depend on it.
"""

from libc.math cimport fabs, isinf, isnan, NAN
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

import numpy as np

from nunchi.query.kernels.exact cimport add, quantile_of

def fold_sum(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    double[:, ::1] total, double[:, ::1] rest, uint8_t[:, ::1] seen,
):
    """Compensated sums; the result is `total + rest`, or `total` where that is infinite."""
    cdef Py_ssize_t r, s, g
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            for s in range(values.shape[1]):
                if present[r, s]:
                    if seen[g, s]:
                        add(values[r, s], &total[g, s], &rest[g, s])
                    else:
                        total[g, s] = values[r, s]
                        seen[g, s] = 1


def fold_avg(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    double[:, ::1] total, double[:, ::1] rest, double[:, ::1] count, uint8_t[:, ::1] incremental,
):
    """Compensated sums that turn into an incremental mean where they would overflow."""
    cdef Py_ssize_t r, s, g
    cdef double before_total, before_rest, share
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            for s in range(values.shape[1]):
                if not present[r, s]:
                    continue
                count[g, s] += 1
                if count[g, s] == 1:
                    total[g, s] = values[r, s]
                    continue
                if not incremental[g, s]:
                    before_total = total[g, s]
                    before_rest = rest[g, s]
                    add(values[r, s], &total[g, s], &rest[g, s])
                    if not isinf(total[g, s]):
                        continue
                    incremental[g, s] = 1
                    total[g, s] = before_total / (count[g, s] - 1)
                    rest[g, s] = before_rest / (count[g, s] - 1)
                share = (count[g, s] - 1) / count[g, s]
                total[g, s] *= share
                rest[g, s] *= share
                add(values[r, s] / count[g, s], &total[g, s], &rest[g, s])


def fold_min(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    double[:, ::1] least, uint8_t[:, ::1] seen,
):
    """The least value; any number beats NaN."""
    cdef Py_ssize_t r, s, g
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            for s in range(values.shape[1]):
                if present[r, s] and (not seen[g, s] or values[r, s] < least[g, s] or isnan(least[g, s])):
                    least[g, s] = values[r, s]
                    seen[g, s] = 1


def fold_max(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    double[:, ::1] most, uint8_t[:, ::1] seen,
):
    """The greatest value; any number beats NaN."""
    cdef Py_ssize_t r, s, g
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            for s in range(values.shape[1]):
                if present[r, s] and (not seen[g, s] or values[r, s] > most[g, s] or isnan(most[g, s])):
                    most[g, s] = values[r, s]
                    seen[g, s] = 1


def fold_count(const uint8_t[:, ::1] present, const int64_t[::1] groups, double[:, ::1] count):
    """How many rows have a value."""
    cdef Py_ssize_t r, s, g
    with nogil:
        for r in range(present.shape[0]):
            g = groups[r]
            for s in range(present.shape[1]):
                count[g, s] += present[r, s]


def fold_any(const uint8_t[:, ::1] present, const int64_t[::1] groups, uint8_t[:, ::1] seen):
    """Whether any row has a value. Rows of group -1 are left out."""
    cdef Py_ssize_t r, s, g
    with nogil:
        for r in range(present.shape[0]):
            g = groups[r]
            if g >= 0:
                for s in range(present.shape[1]):
                    seen[g, s] |= present[r, s]


def fold_deviation(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    double[:, ::1] mean, double[:, ::1] squares, double[:, ::1] count,
):
    """Welford's method: the variance is `squares / count`. NaN and infinities at the start make it NaN."""
    cdef Py_ssize_t r, s, g
    cdef double apart
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            for s in range(values.shape[1]):
                if not present[r, s]:
                    continue
                count[g, s] += 1
                if count[g, s] == 1:
                    mean[g, s] = values[r, s]
                    squares[g, s] = NAN if isnan(values[r, s]) or isinf(values[r, s]) else 0
                    continue
                apart = values[r, s] - mean[g, s]
                mean[g, s] += apart / count[g, s]
                squares[g, s] += apart * (values[r, s] - mean[g, s])


cdef void rows_by_group(
    const int64_t[::1] groups, Py_ssize_t count, vector[int64_t]& begins, vector[int64_t]& rows
) noexcept nogil:
    """Rows of each group, in their order: group g has `rows[begins[g]:begins[g + 1]]`."""
    cdef Py_ssize_t r
    cdef vector[int64_t] at
    begins.assign(count + 1, 0)
    rows.resize(groups.shape[0] + 1)
    for r in range(groups.shape[0]):
        begins[groups[r] + 1] += 1
    for r in range(count):
        begins[r + 1] += begins[r]
    at = begins
    for r in range(groups.shape[0]):
        rows[at[groups[r]]] = r
        at[groups[r]] += 1


cdef inline uint64_t key_hash(int64_t group, int64_t key) noexcept nogil:
    cdef uint64_t hashed = (<uint64_t>key ^ (<uint64_t>group * <uint64_t>0x9E3779B97F4A7C15)) * <uint64_t>0xBF58476D1CE4E5B9
    return hashed ^ (hashed >> 29) ^ (hashed >> 47)


cdef object longs(vector[int64_t]& found):
    return np.array(<int64_t[:found.size()]>found.data()) if found.size() else np.empty(0, np.int64)


def quantiles(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups, const double[::1] q,
    double[:, ::1] result, uint8_t[:, ::1] seen,
):
    """Per group and step the quantile `q[step]` of all rows; NaN counts as the smallest value."""
    cdef Py_ssize_t g, s, i, row
    cdef vector[int64_t] begins, rows
    cdef vector[double] found
    with nogil:
        rows_by_group(groups, result.shape[0], begins, rows)
        for g in range(result.shape[0]):
            for s in range(values.shape[1]):
                found.clear()
                for i in range(begins[g], begins[g + 1]):
                    row = rows[i]
                    if present[row, s]:
                        found.push_back(values[row, s])
                if found.size():
                    result[g, s] = quantile_of(q[s], found.data(), found.size())
                    seen[g, s] = 1


cdef inline bint weaker(double a, double b, bint top) noexcept nogil:
    """Whether a loses against b; NaN loses against all."""
    if isnan(a):
        return True
    return a < b if top else a > b


cdef void sift_up(vector[int64_t]& heap, const double[:, ::1] values, Py_ssize_t s, bint top) noexcept nogil:
    cdef Py_ssize_t j = heap.size() - 1, i
    while True:
        i = (j - 1) // 2 if j > 0 else 0
        if i == j or not weaker(values[heap[j], s], values[heap[i], s], top):
            return
        heap[i], heap[j] = heap[j], heap[i]
        j = i


cdef void sift_down(vector[int64_t]& heap, const double[:, ::1] values, Py_ssize_t s, bint top) noexcept nogil:
    cdef Py_ssize_t i = 0, j, n = heap.size()
    while 2 * i + 1 < n:
        j = 2 * i + 1
        if j + 1 < n and weaker(values[heap[j + 1], s], values[heap[j], s], top):
            j += 1
        if not weaker(values[heap[j], s], values[heap[i], s], top):
            return
        heap[i], heap[j] = heap[j], heap[i]
        i = j


def rank(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups, Py_ssize_t group_count,
    const int64_t[::1] k, bint top, uint8_t[:, ::1] chosen,
):
    """Marks the `k[step]` greatest (`top`) or least rows of each group in `chosen`. Of equals the first seen stays.

    The same heap as Prometheus's, so that ties end the same way.
    """
    cdef Py_ssize_t g, s, i, row
    cdef vector[int64_t] begins, rows, heap
    with nogil:
        rows_by_group(groups, group_count, begins, rows)
        for g in range(group_count):
            for s in range(values.shape[1]):
                if k[s] < 1:
                    continue
                heap.clear()
                for i in range(begins[g], begins[g + 1]):
                    row = rows[i]
                    if not present[row, s]:
                        continue
                    if <int64_t>heap.size() < k[s]:
                        heap.push_back(row)
                        sift_up(heap, values, s, top)
                    elif (
                        values[heap[0], s] < values[row, s] if top else values[heap[0], s] > values[row, s]
                    ) or (isnan(values[heap[0], s]) and not isnan(values[row, s])):
                        heap[0] = row
                        if k[s] > 1:
                            sift_down(heap, values, s, top)
                for i in range(<Py_ssize_t>heap.size()):
                    chosen[heap[i], s] = 1


def count_keys(const int64_t[:, ::1] keys, const uint8_t[:, ::1] present, const int64_t[::1] groups):
    """How often each key is present in each group at each step.

    Returns the group and the key of each pair of them, by first appearance, step by step; then the counts that are there,
    ascending by step: which pair, which step, how many (float64).
    """
    cdef Py_ssize_t r, s, slot, mask = 15
    cdef int64_t pair, other
    cdef vector[int64_t] table, pair_groups, pair_keys, place, cell_pairs, cell_steps
    cdef vector[double] counts
    with nogil:
        table.assign(mask + 1, -1)
        for s in range(keys.shape[1]):
            for r in range(keys.shape[0]):
                if not present[r, s]:
                    continue
                slot = key_hash(groups[r], keys[r, s]) & mask
                while table[slot] >= 0 and (pair_keys[table[slot]] != keys[r, s] or pair_groups[table[slot]] != groups[r]):
                    slot = (slot + 1) & mask
                pair = table[slot]
                if pair < 0:
                    pair = table[slot] = pair_keys.size()
                    pair_groups.push_back(groups[r])
                    pair_keys.push_back(keys[r, s])
                    place.push_back(-1)
                    if 2 * <Py_ssize_t>pair_keys.size() > mask:
                        mask = 2 * mask + 1
                        table.assign(mask + 1, -1)
                        for other in range(<int64_t>pair_keys.size()):
                            slot = key_hash(pair_groups[other], pair_keys[other]) & mask
                            while table[slot] >= 0:
                                slot = (slot + 1) & mask
                            table[slot] = other
                if place[pair] < 0 or cell_steps[place[pair]] != s:
                    place[pair] = counts.size()
                    cell_pairs.push_back(pair)
                    cell_steps.push_back(s)
                    counts.push_back(0)
                counts[place[pair]] += 1
    return (
        longs(pair_groups), longs(pair_keys), longs(cell_pairs), longs(cell_steps),
        np.array(<double[:counts.size()]>counts.data()) if counts.size() else np.empty(0),
    )


def first_rows(
    const uint8_t[:, ::1] present, const int64_t[::1] groups, Py_ssize_t group_count, const int64_t[::1] k,
    uint8_t[:, ::1] chosen,
):
    """Marks the first `k[step]` rows of each group that have a value."""
    cdef Py_ssize_t r, s
    taken = np.zeros((group_count, present.shape[1]), np.int64)
    cdef int64_t[:, ::1] view = taken
    with nogil:
        for r in range(present.shape[0]):
            for s in range(present.shape[1]):
                if present[r, s] and view[groups[r], s] < k[s]:
                    chosen[r, s] = 1
                    view[groups[r], s] += 1


def merge(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] groups,
    const uint8_t[:, ::1] relevant, double[:, ::1] result, uint8_t[:, ::1] seen,
):
    """Rows of a group into one row; rows of group -1 are left out.

    Returns the first row whose cell is taken already at a `relevant[group, step]` (one row: for all groups), else -1.
    """
    cdef Py_ssize_t r, s, g, conflict = -1
    cdef bint shared = relevant.shape[0] == 1
    with nogil:
        for r in range(values.shape[0]):
            g = groups[r]
            if g < 0:
                continue
            for s in range(values.shape[1]):
                if not present[r, s]:
                    continue
                if seen[g, s]:
                    if conflict < 0 and relevant[0 if shared else g, s]:
                        conflict = r
                    continue
                result[g, s] = values[r, s]
                seen[g, s] = 1
    return conflict


def take_present(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] rows,
    double[:, ::1] taken, uint8_t[:, ::1] seen,
):
    """The present cells of some rows, into zeros: memory where nothing is present is not even touched."""
    cdef Py_ssize_t r, s, steps = values.shape[1]
    cdef uint64_t eight
    with nogil:
        for r in range(rows.shape[0]):
            s = 0
            while s < steps:
                if s + 8 <= steps:
                    memcpy(&eight, &present[rows[r], s], 8)
                    if eight == 0:
                        s += 8
                        continue
                if present[rows[r], s]:
                    taken[r, s] = values[rows[r], s]
                    seen[r, s] = 1
                s += 1
