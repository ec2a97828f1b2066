# Cells outside the order of their series: judged by what is known at their places, kept sorted, found by series and time.
#
# A place is a series and a timestamp. Places are numbered by the first cell that has them.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    FATE_KNOWN = 0
    FATE_TAKEN = 1
    FATE_DUPLICATE = 2
    FATE_LATE = 3


cdef inline uint64_t hash_place(int32_t ref, int64_t time) noexcept nogil:
    cdef uint64_t state = (<uint64_t>time + <uint64_t>0x9E3779B97F4A7C15) * <uint64_t>0xD6E8FEB86659FD93
    state = (state ^ (state >> 32) ^ <uint64_t>ref) * <uint64_t>0x9E3779B97F4A7C15
    return state ^ (state >> 29)


cdef inline int64_t find_slot(const int32_t[::1] slots, const int32_t[::1] refs, const int64_t[::1] times,
                              int32_t ref, int64_t time) noexcept nogil:
    """The slot of the cell that stands at a place, or the free one where it would."""
    cdef int64_t mask = slots.shape[0] - 1
    cdef int64_t at = <int64_t>(hash_place(ref, time) & <uint64_t>mask)
    while slots[at] >= 0 and not (refs[slots[at]] == ref and times[slots[at]] == time):
        at = (at + 1) & mask
    return at


def number_places(const int32_t[::1] refs, const int64_t[::1] times, int32_t[::1] slots, int32_t[::1] places):
    """The place of each cell. `slots`, a power of two of them and more than cells, hold -1 at first."""
    cdef int64_t i, at
    with nogil:
        for i in range(refs.shape[0]):
            at = find_slot(slots, refs, times, refs[i], times[i])
            if slots[at] < 0:
                slots[at] = <int32_t>i
            places[i] = slots[at]


def note_stored(const int32_t[::1] refs, const int64_t[::1] times, const uint64_t[::1] contents,
                const int32_t[::1] own_refs, const int64_t[::1] own_times, const int32_t[::1] slots,
                uint8_t[::1] is_known, uint64_t[::1] held):
    """Of cells stored, what stands at the places of our own cells."""
    cdef int64_t i
    cdef int32_t other
    with nogil:
        for i in range(refs.shape[0]):
            other = slots[find_slot(slots, own_refs, own_times, refs[i], times[i])]
            if other >= 0:
                is_known[other] = True
                held[other] = contents[i]


def judge_late(const int32_t[::1] places, const uint64_t[::1] contents, const uint8_t[::1] is_too_late,
               const uint8_t[::1] says_more, bint replaces, uint8_t[::1] is_known, uint64_t[::1] held,
               uint8_t[::1] fates):
    """The fate of each cell in its turn: what is taken is known to those behind it."""
    cdef int64_t i
    cdef int32_t place
    with nogil:
        for i in range(places.shape[0]):
            place = places[i]
            if is_known[place] and held[place] == contents[i] and not says_more[i]:
                fates[i] = FATE_KNOWN
            elif is_known[place] and not replaces:
                fates[i] = FATE_DUPLICATE
            elif not is_known[place] and is_too_late[i]:
                fates[i] = FATE_LATE
            else:
                fates[i] = FATE_TAKEN
                is_known[place] = True
                held[place] = contents[i]


def note_pending(const int32_t[::1] refs, const int64_t[::1] times, const double[::1] values,
                 const int64_t[::1] last_times, int32_t[::1] pending, int64_t[::1] pending_times,
                 uint64_t[::1] pending_bits, int32_t owner):
    """Of cells taken in this order, those that are their series' newest become what an owner's next ones are compared with."""
    cdef int64_t i, last
    cdef int32_t ref
    with nogil:
        for i in range(refs.shape[0]):
            ref = refs[i]
            last = pending_times[ref] if pending[ref] == owner else last_times[ref]
            if times[i] >= last:
                pending[ref] = owner
                pending_times[ref] = times[i]
                memcpy(&pending_bits[ref], &values[i], 8)


def note_newest(const int32_t[::1] refs, const int64_t[::1] times, const double[::1] values, int64_t[::1] last_times,
                uint64_t[::1] last_bits):
    """Cells that are their series' newest, or have replaced it."""
    cdef int64_t i
    cdef int32_t ref
    with nogil:
        for i in range(refs.shape[0]):
            ref = refs[i]
            if times[i] >= last_times[ref]:
                last_times[ref] = times[i]
                memcpy(&last_bits[ref], &values[i], 8)


def merge_places(const int32_t[::1] older_refs, const int64_t[::1] older_times, const int32_t[::1] newer_refs,
                 const int64_t[::1] newer_times, int64_t[::1] chosen):
    """Two sorted lists of distinct places as one: which cell of both, one after the other, comes next. Returns how many.

    Of a place that both have, the newer cell stays.
    """
    cdef int64_t i = 0, j = 0, at = 0, n = older_refs.shape[0], m = newer_refs.shape[0]
    with nogil:
        while i < n and j < m:
            if older_refs[i] < newer_refs[j] or (older_refs[i] == newer_refs[j] and older_times[i] < newer_times[j]):
                chosen[at] = i
                i += 1
            else:
                if older_refs[i] == newer_refs[j] and older_times[i] == newer_times[j]:
                    i += 1
                chosen[at] = n + j
                j += 1
            at += 1
        while i < n:
            chosen[at] = i
            i += 1
            at += 1
        while j < m:
            chosen[at] = n + j
            j += 1
            at += 1
    return at


def cut_columns(const int64_t[::1] times, const int64_t[::1] offsets, const int64_t[::1] columns, int64_t start_ms,
                int64_t end_ms, int64_t[::1] begins, int64_t[::1] ends):
    """Which rows of each column `times[offsets[c]:offsets[c + 1]]` lie in [start_ms, end_ms]."""
    cdef int64_t i, low, high, middle, first, end
    with nogil:
        for i in range(columns.shape[0]):
            first, end = offsets[columns[i]], offsets[columns[i] + 1]
            low, high = first, end
            while low < high:
                middle = (low + high) // 2
                if times[middle] < start_ms:
                    low = middle + 1
                else:
                    high = middle
            begins[i] = low - first
            high = end
            while low < high:
                middle = (low + high) // 2
                if times[middle] <= end_ms:
                    low = middle + 1
                else:
                    high = middle
            ends[i] = low - first
