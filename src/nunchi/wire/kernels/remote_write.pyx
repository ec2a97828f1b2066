# distutils: language = c++
"""The loop over a remote-write 1.0 request: protobuf inside its bounds, series known by the bytes of their labels.

A series is known by the bytes of its label fields as sent: the one that followed last time is tried first, then a hash
look-up. Only what is new is taken apart, judged and turned into a label key. Senders that spell equal labels differently
reach the same series by an alias.
Invariants: ids are dense from 0 in the order in which they are announced; a request that fails announces nothing.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp.algorithm cimport sort
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.protobuf cimport BYTES, FIXED64, VARINT, Field, read_field
from nunchi.wire.kernels.write_labels cimport (
    NO_FAULT, Fault, Label, comes_before, fault_of, put_bytes, put_varint, read_label, varint_size,
)

cdef enum Error:
    FINE
    BAD_REQUEST
    BAD_SERIES
    BAD_LABEL
    BAD_SAMPLE
    BAD_METADATA
    BAD_HISTOGRAM
    TOO_MANY

# In the order of `Error`.
ERRORS = (
    "",
    "the bytes are no protobuf message",
    "a time series is damaged",
    "a label is damaged",
    "a sample is damaged",
    "a metadata entry is damaged",
    "a histogram is damaged",
    "there are more series than can be numbered",
)

# In the order of `Fault`.
FAULTS = ("", "no_metric_name", "empty_label_name", "duplicate_label_name", "not_utf8")

cdef enum:
    EMPTY = -1           # no entry
    DAMAGED = -2
    FULL = -3
    ENTRIES_MAX = 0x3FFFFFFF
    FAULT_COUNT = 5

cdef uint64_t NORMAL_NAN_BITS = 0x7FF8000000000001
cdef uint64_t STALE_BITS = 0x7FF0000000000002
cdef uint64_t ABSENT_BITS = 0x7FF80000AB5E2701  # what a histogram's cell has for a number
cdef double ABSENT
memcpy(&ABSENT, &ABSENT_BITS, 8)

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

cdef class RemoteWriteScanner:
    """The series of all senders to one door, and the last request's cells. Not for two threads at once."""

    cdef vector[Entry] entries
    cdef vector[char] arena
    cdef vector[Slot] slots               # open addressing, a power of two
    cdef vector[char] keys                # label keys not announced yet, one after the other
    cdef vector[int64_t] key_ends
    cdef vector[int32_t] series
    cdef vector[int64_t] timestamps
    cdef vector[double] values
    cdef vector[int64_t] row_timestamps
    cdef vector[int64_t] row_offsets
    cdef vector[int64_t] metadata_spans   # type, then begin and end of name, help and unit
    cdef vector[char] gathered            # label fields that do not stand together
    cdef vector[Label] labels
    cdef vector[char] canonical
    cdef int64_t invalid[FAULT_COUNT]
    cdef uint64_t seed
    cdef uint32_t generation
    cdef int32_t series_next
    cdef size_t entries_before, arena_before, keys_before, key_ends_before
    cdef int32_t series_before
    cdef int32_t last                     # the entry of the series before
    cdef bint renumbered
    cdef vector[int64_t] histogram_places # cell, begin and end in the body
    cdef int64_t exemplar_count

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
    def cell_count(self):
        return self.values.size()

    @property
    def row_count(self):
        return self.row_timestamps.size()

    @property
    def histograms(self):
        """(cell, begin, end) of the histogram messages, offsets in the body."""
        places = np.array(self.histogram_places, np.int64)
        return places.reshape(-1, 3)

    @property
    def exemplars(self):
        return self.exemplar_count

    @property
    def is_renumbered(self):
        """Whether ids began anew since the last announcement."""
        return self.renumbered

    @property
    def announced_from(self):
        """The id of the first key that is not announced yet."""
        return self.series_next - <int32_t>self.key_ends.size()

    def scan(self, bytes body):
        """Read a request; returns an index into `ERRORS`, 0 when all is well."""
        cdef const char *begin = body
        cdef const char *end = begin + len(body)
        cdef Error error
        self.series.clear()
        self.timestamps.clear()
        self.values.clear()
        self.row_timestamps.clear()
        self.row_offsets.clear()
        self.metadata_spans.clear()
        self.histogram_places.clear()
        self.exemplar_count = 0
        for fault in range(FAULT_COUNT):
            self.invalid[fault] = 0
        self.entries_before, self.arena_before = self.entries.size(), self.arena.size()
        self.keys_before, self.key_ends_before = self.keys.size(), self.key_ends.size()
        self.series_before = self.series_next
        self.last = EMPTY
        with nogil:
            error = self.scan_request(begin, end)
            if error != FINE:
                self.rollback()
            self.row_offsets.push_back(self.values.size())
        return <int>error

    cdef Error scan_request(self, const char *begin, const char *end) noexcept nogil:
        cdef const char *at = begin
        cdef Field field
        cdef Error error
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return BAD_REQUEST
            if field.number == 1 or field.number == 3:
                if field.wire != BYTES:
                    return BAD_REQUEST
                if field.number == 1:
                    error = self.scan_series(field.begin, field.end, begin)
                else:
                    error = self.scan_metadata(field.begin, field.end, begin)
                if error != FINE:
                    return error
        return FINE

    cdef Error scan_series(self, const char *begin, const char *end, const char *body) noexcept nogil:
        """One time series: the one that followed last time, or whichever its labels say."""
        cdef int32_t index = self.match_next(begin, end)
        cdef const char *at = begin
        cdef const char *start
        cdef const char *samples = NULL
        cdef const char *histograms = NULL
        cdef int64_t exemplars = 0
        cdef Error error
        cdef Field field
        if index != EMPTY:
            at += self.entries[index].length
        while at < end:
            start = at
            at = read_field(at, end, &field)
            if at == NULL or (field.number <= 4 and field.wire != BYTES):
                return BAD_SERIES
            if field.number == 1:
                index = EMPTY
            elif field.number == 2 and samples == NULL:
                samples = start
            elif field.number == 3:
                exemplars += 1
            elif field.number == 4 and histograms == NULL:
                histograms = start
        if index == EMPTY:
            index = self.find_labels(begin, end)
            if index < 0:
                return BAD_LABEL if index == DAMAGED else TOO_MANY
        self.follow(index)
        self.exemplar_count += exemplars
        error = FINE if samples == NULL else self.scan_samples(samples, end, self.entries[index].series)
        if error == FINE and histograms != NULL:
            error = self.scan_histograms(histograms, end, body, self.entries[index].series)
        return error

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

    cdef int32_t find_labels(self, const char *begin, const char *end) noexcept nogil:
        """The entry of the label fields of a time series, wherever they stand in it."""
        cdef const char *at = begin
        cdef const char *start
        cdef const char *labels = NULL
        cdef const char *labels_end = begin
        cdef bint is_scattered = False
        cdef Field field
        while at < end:
            start = at
            at = read_field(at, end, &field)
            if field.number != 1:
                continue
            if labels == NULL:
                labels = start
            elif start != labels_end and not is_scattered:
                is_scattered = True
                self.gathered.assign(labels, labels_end)
            if is_scattered:
                put_bytes(self.gathered, start, at - start)
            labels_end = at
        if is_scattered:
            return self.find(self.gathered.data(), self.gathered.data() + self.gathered.size())
        return self.find(labels if labels != NULL else begin, labels_end)

    cdef Error scan_samples(self, const char *at, const char *end, int32_t series) noexcept nogil:
        cdef Field field, part
        cdef const char *inner
        cdef double value
        cdef int64_t timestamp_ms
        while at < end:
            at = read_field(at, end, &field)
            if field.number != 2:
                continue
            inner = field.begin
            value = 0
            timestamp_ms = 0
            while inner < field.end:
                inner = read_field(inner, field.end, &part)
                if inner == NULL:
                    return BAD_SAMPLE
                if part.number == 1:
                    if part.wire != FIXED64:
                        return BAD_SAMPLE
                    memcpy(&value, &part.integer, 8)
                    if value != value and part.integer != STALE_BITS:
                        memcpy(&value, &NORMAL_NAN_BITS, 8)  # one NaN for all: what *absent* is, nobody sends
                elif part.number == 2:
                    if part.wire != VARINT:
                        return BAD_SAMPLE
                    timestamp_ms = <int64_t>part.integer
            if series < 0:
                self.invalid[-series] += 1
                continue
            self.push_cell(series, timestamp_ms, value)
        return FINE

    cdef Error scan_histograms(self, const char *at, const char *end, const char *body, int32_t series) noexcept nogil:
        """Native histograms become cells without a number; where their messages stand is kept for whoever decodes them."""
        cdef Field field, part
        cdef const char *inner
        cdef int64_t timestamp_ms
        while at < end:
            at = read_field(at, end, &field)
            if field.number != 4:
                continue
            inner = field.begin
            timestamp_ms = 0
            while inner < field.end:
                inner = read_field(inner, field.end, &part)
                if inner == NULL:
                    return BAD_HISTOGRAM
                if part.number == 15 and part.wire == VARINT:
                    timestamp_ms = <int64_t>part.integer
            if series < 0:
                self.invalid[-series] += 1
                continue
            self.histogram_places.push_back(self.values.size())
            self.histogram_places.push_back(field.begin - body)
            self.histogram_places.push_back(field.end - body)
            self.push_cell(series, timestamp_ms, ABSENT)
        return FINE

    cdef inline void push_cell(self, int32_t series, int64_t timestamp_ms, double value) noexcept nogil:
        if self.row_timestamps.empty() or self.row_timestamps.back() != timestamp_ms:
            self.row_timestamps.push_back(timestamp_ms)
            self.row_offsets.push_back(self.values.size())
        self.series.push_back(series)
        self.timestamps.push_back(timestamp_ms)
        self.values.push_back(value)

    cdef Error scan_metadata(self, const char *at, const char *end, const char *begin) noexcept nogil:
        cdef Field field
        cdef int64_t spans[7]
        cdef int index
        for index in range(7):
            spans[index] = 0
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return BAD_METADATA
            if field.number == 1:
                if field.wire != VARINT:
                    return BAD_METADATA
                spans[0] = <int64_t>(field.integer & 0xFF)
            elif field.number == 2 or field.number == 4 or field.number == 5:
                if field.wire != BYTES:
                    return BAD_METADATA
                index = 1 if field.number == 2 else 2 * field.number - 5
                spans[index] = field.begin - begin
                spans[index + 1] = field.end - begin
        self.metadata_spans.insert(self.metadata_spans.end(), &spans[0], &spans[0] + 7)
        return FINE

    cdef int32_t find(self, const char *at, const char *stop) noexcept nogil:
        """The entry of these label fields; DAMAGED or FULL where there can be none."""
        cdef uint64_t hash = hash_bytes(at, stop - at, self.seed)
        cdef int32_t index = self.lookup(at, stop, hash)
        return self.meet(at, stop, hash) if index == EMPTY else index

    cdef inline int32_t lookup(self, const char *at, const char *stop, uint64_t hash) noexcept nogil:
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

    cdef inline void place(self, int32_t index) noexcept nogil:
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

    cdef void rollback(self) noexcept nogil:
        """The request failed: what it announced was never said."""
        cdef size_t index
        self.series.clear()
        self.timestamps.clear()
        self.values.clear()
        self.row_timestamps.clear()
        self.row_offsets.clear()
        self.metadata_spans.clear()
        self.histogram_places.clear()
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

    def invalid_samples(self):
        """How many samples of the last request belong to series with which fault."""
        return {FAULTS[fault]: self.invalid[fault] for fault in range(1, FAULT_COUNT) if self.invalid[fault]}

    def metadata(self):
        """(type, name begin, name end, help begin, help end, unit begin, unit end) of each entry; offsets in the body."""
        spans = self.metadata_spans
        return [tuple(spans[at:at + 7]) for at in range(0, len(spans), 7)]

    def write_cells(self, int32_t[::1] series, int64_t[::1] timestamps, double[::1] values):
        """Copy the cells of the last request; the arrays have `cell_count` places."""
        cdef size_t count = self.values.size()
        assert <size_t>series.shape[0] == count and <size_t>timestamps.shape[0] == count
        assert <size_t>values.shape[0] == count
        if count:
            memcpy(&series[0], self.series.data(), 4 * count)
            memcpy(&timestamps[0], self.timestamps.data(), 8 * count)
            memcpy(&values[0], self.values.data(), 8 * count)

    def write_rows(self, int64_t[::1] timestamps, int64_t[::1] offsets):
        """Copy the runs of equal timestamps: `row_count` timestamps and one offset more."""
        cdef size_t count = self.row_timestamps.size()
        assert <size_t>timestamps.shape[0] == count and <size_t>offsets.shape[0] == count + 1
        memcpy(&offsets[0], self.row_offsets.data(), 8 * (count + 1))
        if count:
            memcpy(&timestamps[0], self.row_timestamps.data(), 8 * count)

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
