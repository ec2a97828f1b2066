# distutils: language = c++
"""Label sets by the bytes they were sent as: met, judged, numbered, announced and forgotten.

Only what is new is taken apart, judged and turned into a label key.
Invariants: ids are dense from 0 in the order in which they are announced; what is taken back was never announced.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp
from libcpp.algorithm cimport sort
from libcpp.vector cimport vector

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.protobuf cimport Field, read_field
from nunchi.wire.kernels.write_labels cimport (
    NO_FAULT, Fault, Label, comes_before, fault_of, put_bytes, put_varint, read_label, varint_size,
)

cdef class Spellings:
    """Which series has which spelling. Not for two threads at once."""

    def __cinit__(self, uint64_t seed):
        cdef Slot slot
        slot.tag = 0
        slot.entry = EMPTY
        self.seed = seed
        self.slots.assign(16, slot)

    @property
    def remembered(self):
        """How many spellings of label sets are remembered."""
        return self.entries.size()

    @property
    def is_renumbered(self):
        """Whether ids began anew since the last announcement."""
        return self.renumbered

    @property
    def announced_from(self):
        """The id of the first key that is not announced yet."""
        return self.series_next - <int32_t>self.key_ends.size()

    cdef int32_t find(self, const char *at, const char *stop) noexcept nogil:
        """The entry of these label fields; DAMAGED or FULL where there can be none."""
        cdef uint64_t hash = hash_bytes(at, stop - at, self.seed)
        cdef int32_t index = self.lookup(at, stop, hash)
        return self.meet(at, stop, hash) if index == EMPTY else index

    cdef int32_t lookup(self, const char *at, const char *stop, uint64_t hash) noexcept nogil:
        cdef size_t mask = self.slots.size() - 1
        cdef size_t slot = hash & mask
        cdef uint32_t tag = <uint32_t>(hash >> 32)
        cdef const Entry *entry
        while self.slots[slot].entry != EMPTY:
            if self.slots[slot].tag == tag:
                entry = &self.entries[self.slots[slot].entry]
                if entry.length == stop - at and is_equal(self.arena.data() + entry.begin, at, entry.length):
                    return self.slots[slot].entry
            slot = (slot + 1) & mask
        return EMPTY

    cdef int32_t meet(self, const char *at, const char *stop, uint64_t hash) noexcept nogil:
        """Judge label fields that were never seen in this spelling, and remember the verdict."""
        cdef int32_t index
        cdef uint64_t canonical_hash
        cdef const char *canonical
        cdef const char *canonical_end
        cdef Fault fault
        if self.entries.size() + 2 > ENTRIES_MAX or stop - at > 0x7FFFFFFF:
            return FULL
        if not self.take_apart(at, stop):
            return DAMAGED
        fault = fault_of(self.labels)
        if fault != NO_FAULT:
            return self.insert(at, stop, hash, -<int32_t>fault, False)
        self.canonicalise()
        canonical = self.canonical.data()
        canonical_end = canonical + self.canonical.size()
        if canonical_end - canonical == stop - at and memcmp(canonical, at, stop - at) == 0:
            return self.insert(at, stop, hash, self.announce(), False)
        canonical_hash = hash_bytes(canonical, canonical_end - canonical, self.seed)
        index = self.lookup(canonical, canonical_end, canonical_hash)
        if index == EMPTY:
            index = self.insert(canonical, canonical_end, canonical_hash, self.announce(), False)
        self.entries[index].seen = self.generation
        return self.insert(at, stop, hash, self.entries[index].series, True)

    cdef bint take_apart(self, const char *at, const char *stop) noexcept nogil:
        """`labels` from label fields: without empty values, in the order of the names."""
        cdef Field field
        cdef Label label
        cdef bint is_sorted = True
        self.labels.clear()
        while at < stop:
            at = read_field(at, stop, &field)
            if not read_label(field.begin, field.end, &label):
                return False
            if label.value_length == 0 and label.name_length:
                continue
            if not self.labels.empty() and not comes_before(self.labels.back(), label):
                is_sorted = False
            self.labels.push_back(label)
        if not is_sorted:
            sort(self.labels.begin(), self.labels.end(), comes_before)
        return True

    cdef void canonicalise(self) noexcept nogil:
        """`canonical`: the label fields as every protobuf library writes `labels`."""
        cdef const Label *label
        cdef size_t index
        self.canonical.clear()
        for index in range(self.labels.size()):
            label = &self.labels[index]
            self.canonical.push_back(0x0A)
            put_varint(
                self.canonical,
                2 + varint_size(label.name_length) + label.name_length + varint_size(label.value_length) + label.value_length,
            )
            self.canonical.push_back(0x0A)
            put_varint(self.canonical, label.name_length)
            put_bytes(self.canonical, label.name, label.name_length)
            self.canonical.push_back(0x12)
            put_varint(self.canonical, label.value_length)
            put_bytes(self.canonical, label.value, label.value_length)

    cdef int32_t announce(self) noexcept nogil:
        """A new id for `labels`, whose key will be announced."""
        cdef const Label *label
        cdef size_t index
        for index in range(self.labels.size()):
            label = &self.labels[index]
            put_bytes(self.keys, label.name, label.name_length)
            self.keys.push_back(<char>0xFF)
            put_bytes(self.keys, label.value, label.value_length)
            self.keys.push_back(<char>0xFF)
        self.key_ends.push_back(self.keys.size())
        self.series_next += 1
        return self.series_next - 1

    cdef int32_t insert(self, const char *at, const char *stop, uint64_t hash, int32_t series, bint is_alias) noexcept nogil:
        cdef Entry entry
        entry.hash = hash
        entry.begin = self.arena.size()
        entry.length = <uint32_t>(stop - at)
        entry.series = series
        entry.seen = self.generation
        entry.next = EMPTY
        entry.is_alias = is_alias
        put_bytes(self.arena, at, stop - at)
        self.entries.push_back(entry)
        if 2 * self.entries.size() > self.slots.size():
            self.fill_slots(2 * self.slots.size())
        else:
            self.place(<int32_t>self.entries.size() - 1)
        return <int32_t>self.entries.size() - 1

    cdef void place(self, int32_t index) noexcept nogil:
        cdef size_t mask = self.slots.size() - 1
        cdef size_t slot = self.entries[index].hash & mask
        while self.slots[slot].entry != EMPTY:
            slot = (slot + 1) & mask
        self.slots[slot].tag = <uint32_t>(self.entries[index].hash >> 32)
        self.slots[slot].entry = index

    cdef void fill_slots(self, size_t size) noexcept nogil:
        cdef Slot slot
        cdef size_t index
        slot.tag = 0
        slot.entry = EMPTY
        self.slots.assign(size, slot)
        for index in range(self.entries.size()):
            self.place(<int32_t>index)

    cdef void remember(self) noexcept nogil:
        """A request begins: where `take_back` goes back to."""
        self.entries_before, self.arena_before = self.entries.size(), self.arena.size()
        self.keys_before, self.key_ends_before = self.keys.size(), self.key_ends.size()
        self.series_before = self.series_next
        self.last = EMPTY

    cdef void take_back(self) noexcept nogil:
        """The request failed: what it announced was never said."""
        cdef size_t index
        self.keys.resize(self.keys_before)
        self.key_ends.resize(self.key_ends_before)
        self.series_next = self.series_before
        if self.entries.size() > self.entries_before:
            self.entries.resize(self.entries_before)
            self.arena.resize(self.arena_before)
            for index in range(self.entries.size()):
                if <size_t>(self.entries[index].next + 1) > self.entries_before:
                    self.entries[index].next = EMPTY
            self.fill_slots(self.slots.size())

    def take_keys(self):
        """Announce: the label keys of the series that are new, in the order of their ids, which follow each other."""
        cdef bytes blob = self.keys.data()[:self.keys.size()] if self.keys.size() else b""
        cdef int64_t begin = 0
        keys = []
        for end in self.key_ends:
            keys.append(blob[begin:end])
            begin = end
        self.keys.clear()
        self.key_ends.clear()
        self.renumbered = False
        return keys

    def forget(self):
        """Drop what no request has had since the last time, or everything where that is less than half; number anew.

        The survivors are announced again, with new ids in the order of the old ones.
        """
        cdef vector[Entry] kept
        cdef vector[char] texts
        cdef Entry entry
        cdef size_t index, recent = 0
        for index in range(self.entries.size()):
            recent += self.entries[index].seen == self.generation
        if 2 * recent > self.entries.size():
            recent = 0
        self.series_next = 0
        self.keys.clear()
        self.key_ends.clear()
        if recent:
            for index in range(self.entries.size()):
                entry = self.entries[index]
                if entry.seen != self.generation or entry.is_alias or entry.series < 0:
                    continue
                self.take_apart(self.arena.data() + entry.begin, self.arena.data() + entry.begin + entry.length)
                entry.series = self.announce()
                entry.next = EMPTY
                put_bytes(texts, self.arena.data() + entry.begin, entry.length)
                entry.begin = texts.size() - entry.length
                kept.push_back(entry)
        self.entries.swap(kept)
        self.arena.swap(texts)
        index = 16
        while index < 2 * self.entries.size() + 2:
            index *= 2
        self.fill_slots(index)
        self.generation += 1
        self.renumbered = True
