"""The series of all senders to one door, known by the bytes of their label fields: what a scanner of requests stands on.

The entry that followed last time is tried first, then a hash look-up. Senders that spell equal labels differently reach
the same series by an alias.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp
from libcpp.vector cimport vector

from nunchi.wire.kernels.write_labels cimport Label

cdef enum:
    EMPTY = -1           # no entry
    DAMAGED = -2
    FULL = -3
    ENTRIES_MAX = 0x3FFFFFFF

cdef struct Entry:
    uint64_t hash
    int64_t begin        # the label fields in the arena
    uint32_t length
    int32_t series       # its id; below zero, the fault of its labels
    uint32_t seen        # the generation that had it last
    int32_t next         # the entry that came after it last time
    bint is_alias        # another spelling of a series that has an entry of its own

cdef inline bint is_equal(const char *left, const char *right, size_t length) noexcept nogil:
    return length == 0 or memcmp(left, right, length) == 0  # nothing may stand nowhere, at NULL

cdef struct Slot:
    uint32_t tag         # the upper half of the hash: most strangers are known by it
    int32_t entry

cdef class Spellings:
    cdef vector[Entry] entries
    cdef vector[char] arena
    cdef vector[Slot] slots               # open addressing, a power of two
    cdef vector[char] keys                # label keys not announced yet, one after the other
    cdef vector[int64_t] key_ends
    cdef vector[Label] labels
    cdef vector[char] canonical
    cdef uint64_t seed
    cdef uint32_t generation
    cdef int32_t series_next
    cdef int32_t last                     # the entry of the series before
    cdef bint renumbered
    cdef size_t entries_before, arena_before, keys_before, key_ends_before
    cdef int32_t series_before

    cdef inline int32_t match_next(self, const char *begin, const char *end) noexcept nogil:
        """The entry that followed the last one when that was seen before, if the time series begins with its labels."""
        cdef const Entry *entry
        cdef int32_t index = self.entries[self.last].next if self.last != EMPTY else EMPTY
        if index == EMPTY:
            return EMPTY
        entry = &self.entries[index]
        if end - begin < <int64_t>entry.length or not is_equal(begin, self.arena.data() + entry.begin, entry.length):
            return EMPTY
        return index

    cdef inline void follow(self, int32_t index) noexcept nogil:
        self.entries[index].seen = self.generation
        if self.last != EMPTY:
            self.entries[self.last].next = index
        self.last = index

    cdef int32_t find(self, const char *at, const char *stop) noexcept nogil
    cdef int32_t lookup(self, const char *at, const char *stop, uint64_t hash) noexcept nogil
    cdef int32_t meet(self, const char *at, const char *stop, uint64_t hash) noexcept nogil
    cdef bint take_apart(self, const char *at, const char *stop) noexcept nogil
    cdef void canonicalise(self) noexcept nogil
    cdef int32_t announce(self) noexcept nogil
    cdef int32_t insert(self, const char *at, const char *stop, uint64_t hash, int32_t series, bint is_alias) noexcept nogil
    cdef void place(self, int32_t index) noexcept nogil
    cdef void fill_slots(self, size_t size) noexcept nogil
    cdef void remember(self) noexcept nogil
    cdef void take_back(self) noexcept nogil
