"""Label tables (see `model.symbols.LabelTable`) as arrays of ids: selecting labels, grouping, setting a label, sorting.

Rows are `names[offsets[i]:offsets[i + 1]]` with their values; ids may be negative (texts that a query made itself).
Invariant: within a row pairs keep their order, so that equal label sets are equal sequences of pairs.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libcpp.vector cimport vector

import numpy as np

cdef extern from *:
    """
    #include <algorithm>
    #include <cstdint>

    /* Order of label sets: pair by pair by name, then value; a prefix comes first. */
    struct RowOrder {
        const int32_t *names, *values, *ranks;
        const int64_t *offsets;
        int32_t low;
        bool operator()(int64_t a, int64_t b) const {
            int64_t i = offsets[a], j = offsets[b];
            const int64_t i_end = offsets[a + 1], j_end = offsets[b + 1];
            for (; i < i_end && j < j_end; ++i, ++j) {
                if (names[i] != names[j]) return ranks[names[i] - low] < ranks[names[j] - low];
                if (values[i] != values[j]) return ranks[values[i] - low] < ranks[values[j] - low];
            }
            return i == i_end && j < j_end;
        }
    };
    static void sort_by_rows(int64_t* order, int64_t count, const int32_t* names, const int32_t* values,
                             const int64_t* offsets, const int32_t* ranks, int32_t low) {
        RowOrder before{names, values, ranks, offsets, low};
        if (!std::is_sorted(order, order + count, before)) std::stable_sort(order, order + count, before);
    }
    """
    void sort_by_rows(
        int64_t* order, int64_t count, const int32_t* names, const int32_t* values, const int64_t* offsets,
        const int32_t* ranks, int32_t low,
    ) nogil

# A value for `set_label` that leaves the row as it is.
LEAVE = -(1 << 31)
cdef int32_t LEAVE_VALUE = -(1 << 31)


cdef inline bint has(const int32_t[::1] listed, int32_t symbol) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(listed.shape[0]):
        if listed[i] == symbol:
            return True
    return False


def select_pairs(
    const int32_t[::1] names, const int32_t[::1] values, const int64_t[::1] offsets, const int32_t[::1] listed, bint keep
):
    """Rows with only the listed names (`keep`), or without them: new names, values and offsets."""
    cdef Py_ssize_t n = offsets.shape[0] - 1, row, i
    cdef int64_t at = 0
    names_out = np.empty(names.shape[0], np.int32)
    values_out = np.empty(names.shape[0], np.int32)
    offsets_out = np.zeros(n + 1, np.int64)
    cdef int32_t[::1] names_view = names_out
    cdef int32_t[::1] values_view = values_out
    cdef int64_t[::1] offsets_view = offsets_out
    with nogil:
        for row in range(n):
            for i in range(offsets[row], offsets[row + 1]):
                if has(listed, names[i]) == keep:
                    names_view[at] = names[i]
                    values_view[at] = values[i]
                    at += 1
            offsets_view[row + 1] = at
    return names_out[:at].copy(), values_out[:at].copy(), offsets_out


def group_rows(const int32_t[::1] names, const int32_t[::1] values, const int64_t[::1] offsets):
    """Numbers for equal rows, in the order of their first appearance: ids int64[rows], and the first row of each."""
    cdef Py_ssize_t n = offsets.shape[0] - 1, row, i, slot, other, mask, length
    cdef int64_t groups = 0
    cdef uint64_t hashed
    cdef bint same
    cdef vector[int64_t] table
    cdef vector[uint64_t] hashes
    ids = np.empty(n, np.int64)
    firsts = np.empty(n, np.int64)
    cdef int64_t[::1] ids_view = ids
    cdef int64_t[::1] firsts_view = firsts
    with nogil:
        mask = 16
        while mask < 2 * n:
            mask *= 2
        table.assign(mask, -1)
        hashes.resize(n + 1)
        mask -= 1
        for row in range(n):
            hashed = <uint64_t>0x9E3779B97F4A7C15
            for i in range(offsets[row], offsets[row + 1]):
                hashed ^= (<uint64_t><unsigned int>names[i] << 32) | <unsigned int>values[i]
                hashed *= <uint64_t>0xBF58476D1CE4E5B9
                hashed ^= hashed >> 31
            length = offsets[row + 1] - offsets[row]
            slot = hashed & mask
            while True:
                if table[slot] < 0:
                    table[slot] = groups
                    hashes[groups] = hashed
                    firsts_view[groups] = row
                    ids_view[row] = groups
                    groups += 1
                    break
                other = firsts_view[table[slot]]
                if hashes[table[slot]] == hashed and offsets[other + 1] - offsets[other] == length:
                    same = True
                    for i in range(length):
                        if (
                            names[offsets[row] + i] != names[offsets[other] + i]
                            or values[offsets[row] + i] != values[offsets[other] + i]
                        ):
                            same = False
                            break
                    if same:
                        ids_view[row] = table[slot]
                        break
                slot = (slot + 1) & mask
    return ids, firsts[:groups].copy()


def column(const int32_t[::1] names, const int32_t[::1] values, const int64_t[::1] offsets, int32_t name):
    """int32[rows]: the value of one label, 0 where a row does not have it."""
    cdef Py_ssize_t n = offsets.shape[0] - 1, row, i
    found = np.zeros(n, np.int32)
    cdef int32_t[::1] view = found
    with nogil:
        for row in range(n):
            for i in range(offsets[row], offsets[row + 1]):
                if names[i] == name:
                    view[row] = values[i]
                    break
    return found


def set_label(
    const int32_t[::1] names, const int32_t[::1] values, const int64_t[::1] offsets,
    int32_t name, const int32_t[::1] changes, const int32_t[::1] before,
):
    """Rows with one label set to `changes[row]`: 0 removes it, `LEAVE` leaves the row alone.

    `before` lists the names whose text sorts before the label's. Returns new names, values and offsets.
    """
    cdef Py_ssize_t n = offsets.shape[0] - 1, row, i
    cdef int64_t at = 0
    cdef bint pending
    names_out = np.empty(names.shape[0] + n, np.int32)
    values_out = np.empty(names.shape[0] + n, np.int32)
    offsets_out = np.zeros(n + 1, np.int64)
    cdef int32_t[::1] names_view = names_out
    cdef int32_t[::1] values_view = values_out
    cdef int64_t[::1] offsets_view = offsets_out
    with nogil:
        for row in range(n):
            pending = changes[row] != LEAVE_VALUE and changes[row] != 0
            for i in range(offsets[row], offsets[row + 1]):
                if names[i] == name and changes[row] != LEAVE_VALUE:
                    continue
                if pending and not has(before, names[i]):
                    names_view[at] = name
                    values_view[at] = changes[row]
                    at += 1
                    pending = False
                names_view[at] = names[i]
                values_view[at] = values[i]
                at += 1
            if pending:
                names_view[at] = name
                values_view[at] = changes[row]
                at += 1
            offsets_view[row + 1] = at
    return names_out[:at].copy(), values_out[:at].copy(), offsets_out


def sort_rows(
    const int32_t[::1] names, const int32_t[::1] values, const int64_t[::1] offsets, const int32_t[::1] ranks, int32_t low
):
    """int64[rows]: the order of the rows by label sets. `ranks[id - low]` is the place of an id's text among all."""
    order = np.arange(offsets.shape[0] - 1, dtype=np.int64)
    cdef int64_t[::1] view = order
    if order.size > 1 and names.shape[0]:
        with nogil:
            sort_by_rows(&view[0], view.shape[0], &names[0], &values[0], &offsets[0], &ranks[0], low)
    return order
