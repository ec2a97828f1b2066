# distutils: language = c++
"""The loop over StatsD lines: names, values, types and options inside their bounds, series known by their bytes.

A series is known by type, name, tags and container exactly as sent; ids are dense from 0. What tags mean is read once a series,
in Python. Grammar of a line: `name ':' group (':' group)*`, a group is `value (':' value)* '|' type ('|' option)*`; tags and
container are the line's, wherever they stand; a rate and a timestamp are their group's.
Invariant: a line that fails leaves nothing behind, and never costs another line.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy
from libcpp.vector cimport vector

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.numbers cimport read_number

cdef enum Fault:
    FINE
    BAD_NAME
    BAD_VALUE
    BAD_TYPE
    BAD_RATE
    BAD_TIMESTAMP
    FAULT_COUNT

# In the order of `Fault`.
FAULTS = ("", "name", "value", "type", "rate", "timestamp")

cdef enum Kind:
    NO_KIND = -1
    COUNTER
    GAUGE
    TIMER
    HISTOGRAM
    DISTRIBUTION
    SET

cdef enum:
    EMPTY = -1
    IS_SIGNED = 1        # a gauge's value was written with its sign
    SLOTS_MIN = 1024

cdef double RATE_MIN = 1e-9
cdef int64_t TIMESTAMP_MAX = 1 << 40
cdef char ZERO = b"0"

cdef struct Sample:      # see `SAMPLE` in wire/statsd.py
    int32_t series
    uint32_t flags
    double value         # of a set: the bits of the member's hash
    double rate
    int64_t timestamp

cdef struct Group:
    int kind
    const char *begin
    const char *end
    double rate
    int64_t timestamp
    size_t samples       # how many samples the line has up to this group's end

cdef struct Line:
    const char *name
    const char *name_end
    const char *tags
    const char *tags_end
    const char *container
    const char *container_end

cdef struct Entry:
    uint64_t hash
    size_t begin         # in the arena: name, tags, container
    uint32_t name_length
    uint32_t tags_length
    uint32_t container_length
    int32_t kind


cdef inline const char *find(const char *at, const char *end, char wanted) noexcept nogil:
    """Where it stands, or the end."""
    cdef const char *found = <const char *>memchr(at, wanted, end - at)
    return end if found == NULL else found


cdef inline int kind_of(const char *at, const char *end) noexcept nogil:
    if end - at == 1:
        if at[0] == b"c":
            return COUNTER
        if at[0] == b"g":
            return GAUGE
        if at[0] == b"h":
            return HISTOGRAM
        if at[0] == b"d":
            return DISTRIBUTION
        if at[0] == b"s":
            return SET
    elif end - at == 2 and at[0] == b"m" and at[1] == b"s":
        return TIMER
    return NO_KIND


cdef inline bint is_stop(const char *at, const char *end) noexcept nogil:
    return at >= end or at[0] == b"|" or at[0] == b":"


cdef class StatsdScanner:
    """Reads texts of many lines. At most `series_max` series are known; samples of more are counted in `overflow`."""

    cdef vector[Sample] _samples
    cdef vector[Group] groups
    cdef vector[Entry] entries
    cdef vector[char] arena
    cdef vector[int32_t] slots
    cdef vector[int64_t] apart   # begin and end of lines for others to read: events, service checks
    cdef vector[int64_t] damaged # begin, end and fault of the first malformed line
    cdef int64_t[6] faults
    cdef uint64_t seed
    cdef bint with_container
    cdef size_t series_max
    cdef size_t told             # series that were announced
    cdef readonly int64_t lines
    cdef readonly int64_t overflow

    def __cinit__(self, uint64_t seed, Py_ssize_t series_max, bint with_container):
        self.seed = seed
        self.series_max = series_max
        self.with_container = with_container
        self.slots.assign(SLOTS_MIN, EMPTY)

    @property
    def series_count(self):
        """How many series are known."""
        return self.entries.size()

    def forget(self):
        """Know no series any more; ids begin again at 0."""
        self.entries.clear()
        self.arena.clear()
        self.slots.assign(SLOTS_MIN, EMPTY)
        self.told = 0

    def scan(self, bytes text):
        """Read a text; what was found before is gone. Samples, new series and the rest are asked for afterwards."""
        cdef const char *at = PyBytes_AS_STRING(text)
        cdef const char *begin = at
        cdef const char *end = at + PyBytes_GET_SIZE(text)
        cdef const char *stop
        cdef const char *last
        cdef int fault
        self._samples.clear()
        self.apart.clear()
        self.damaged.clear()
        self.lines = 0
        self.overflow = 0
        for fault in range(FAULT_COUNT):
            self.faults[fault] = 0
        with nogil:
            while at < end:
                stop = find(at, end, b"\n")
                last = stop - 1 if stop > at and (stop - 1)[0] == b"\r" else stop
                if last > at:
                    self.lines += 1
                    if last - at > 3 and at[0] == b"_" and (
                        (at[1] == b"e" and at[2] == b"{") or (at[1] == b"s" and at[2] == b"c" and at[3] == b"|")
                    ):
                        self.apart.push_back(at - begin)
                        self.apart.push_back(last - begin)
                    else:
                        fault = self._scan_line(at, last)
                        if fault != FINE:
                            self.faults[fault] += 1
                            if self.damaged.empty():
                                self.damaged.push_back(at - begin)
                                self.damaged.push_back(last - begin)
                                self.damaged.push_back(fault)
                at = stop + 1

    cdef int _scan_line(self, const char *at, const char *end) except -1 nogil:
        cdef Line line
        cdef size_t known = self._samples.size()
        cdef int fault
        line.name = at
        at = find(at, end, b":")
        line.name_end = at
        line.tags = line.tags_end = line.container = line.container_end = end
        if at == end or at == line.name or find(line.name, at, b"|") != at:
            return BAD_NAME
        self.groups.clear()
        at += 1
        while True:
            fault = self._scan_group(&at, end, &line)
            if fault != FINE:
                self._samples.resize(known)
                return fault
            if at == end:
                break
        self._name_samples(&line, known)
        return FINE

    cdef int _scan_group(self, const char **position, const char *end, Line *line) except -1 nogil:
        """Values, type, options; leaves the position behind them: at the end, or where the next group begins."""
        cdef Group group
        cdef const char *at = find(position[0], end, b"|")
        cdef const char *begin
        group.begin, group.end = position[0], at
        group.rate, group.timestamp = 1.0, 0
        if at == end:
            return BAD_TYPE
        at += 1
        begin = at
        while not is_stop(at, end):
            at += 1
        group.kind = kind_of(begin, at)
        if group.kind == NO_KIND:
            return BAD_TYPE
        while at < end and at[0] == b"|":
            at += 1
            if at == end:
                break
            if at[0] == b"@":
                at = read_number(at + 1, end, &group.rate)
                if at == NULL or not is_stop(at, end) or not RATE_MIN <= group.rate <= 1:
                    return BAD_RATE
            elif at[0] == b"#":
                line.tags = at + 1
                line.tags_end = at = find(at, end, b"|")
            elif at[0] == b"c" and at + 1 < end and at[1] == b":":
                line.container = at + 2
                line.container_end = at = find(at, end, b"|")
            elif at[0] == b"T":
                at += 1
                begin = at
                while at < end and b"0" <= at[0] <= b"9" and group.timestamp < TIMESTAMP_MAX:
                    group.timestamp = group.timestamp * 10 + (at[0] - ZERO)
                    at += 1
                if at == begin or not is_stop(at, end) or group.timestamp == 0:
                    return BAD_TIMESTAMP
            else:
                at = find(at, end, b"|")
        if at < end:
            at += 1
            if at == end:
                return BAD_VALUE
        position[0] = at
        if not self._scan_values(&group):
            return BAD_VALUE
        group.samples = self._samples.size()
        self.groups.push_back(group)
        return FINE

    cdef bint _scan_values(self, Group *group) except -1 nogil:
        cdef Sample sample
        cdef const char *at = group.begin
        cdef const char *stop
        cdef const char *after
        cdef uint64_t hashed
        cdef bint has_values = False
        sample.series, sample.flags = EMPTY, 0
        sample.rate, sample.timestamp = group.rate, group.timestamp
        if group.kind == SET:
            hashed = hash_bytes(at, group.end - at, self.seed)
            memcpy(&sample.value, &hashed, 8)
            self._samples.push_back(sample)
            return group.end > at
        while at <= group.end:
            stop = find(at, group.end, b":")
            if stop > at:
                after = read_number(at, stop, &sample.value)
                if after != stop or not isfinite(sample.value) or (group.kind == TIMER and sample.value < 0):
                    return False
                sample.flags = IS_SIGNED if at[0] == b"+" or at[0] == b"-" else 0
                self._samples.push_back(sample)
                has_values = True
            at = stop + 1
        return has_values

    cdef int _name_samples(self, Line *line, size_t sample) except -1 nogil:
        """Give the samples of a line their series; of series beyond the bound they are taken out again."""
        cdef size_t kept = sample
        cdef size_t group
        cdef int32_t series
        for group in range(self.groups.size()):
            series = self._lookup(line, self.groups[group].kind)
            while sample < self.groups[group].samples:
                if series == EMPTY:
                    self.overflow += 1
                else:
                    self._samples[kept] = self._samples[sample]
                    self._samples[kept].series = series
                    kept += 1
                sample += 1
        self._samples.resize(kept)
        return 0

    cdef int32_t _lookup(self, Line *line, int kind) except -2 nogil:
        cdef size_t name_length = line.name_end - line.name
        cdef size_t tags_length = line.tags_end - line.tags
        cdef size_t container_length = line.container_end - line.container if self.with_container else 0
        cdef uint64_t hashed = hash_bytes(line.name, name_length, self.seed + <uint64_t>kind)
        cdef size_t slot
        cdef Entry *entry
        cdef const char *bytes_
        if tags_length:
            hashed = hash_bytes(line.tags, tags_length, hashed)
        if container_length:
            hashed = hash_bytes(line.container, container_length, hashed)
        slot = hashed & (self.slots.size() - 1)
        while self.slots[slot] != EMPTY:
            entry = &self.entries[self.slots[slot]]
            if (
                entry.hash == hashed and entry.kind == kind and entry.name_length == name_length
                and entry.tags_length == tags_length and entry.container_length == container_length
            ):
                bytes_ = self.arena.data() + entry.begin
                if (
                    memcmp(bytes_, line.name, name_length) == 0
                    and memcmp(bytes_ + name_length, line.tags, tags_length) == 0
                    and memcmp(bytes_ + name_length + tags_length, line.container, container_length) == 0
                ):
                    return self.slots[slot]
            slot = (slot + 1) & (self.slots.size() - 1)
        if self.entries.size() >= self.series_max:
            return EMPTY
        return self._add(line, kind, hashed, slot, container_length)

    cdef int32_t _add(self, Line *line, int kind, uint64_t hashed, size_t slot, size_t container_length) except -2 nogil:
        cdef Entry entry
        cdef size_t index
        cdef int32_t number = <int32_t>self.entries.size()
        entry.hash, entry.kind, entry.begin = hashed, kind, self.arena.size()
        entry.name_length = <uint32_t>(line.name_end - line.name)
        entry.tags_length = <uint32_t>(line.tags_end - line.tags)
        entry.container_length = <uint32_t>container_length
        self.arena.insert(self.arena.end(), line.name, line.name_end)
        self.arena.insert(self.arena.end(), line.tags, line.tags_end)
        self.arena.insert(self.arena.end(), line.container, line.container + container_length)
        self.entries.push_back(entry)
        self.slots[slot] = number
        if self.entries.size() * 2 > self.slots.size():
            self.slots.assign(self.slots.size() * 2, EMPTY)
            for index in range(self.entries.size()):
                slot = self.entries[index].hash & (self.slots.size() - 1)
                while self.slots[slot] != EMPTY:
                    slot = (slot + 1) & (self.slots.size() - 1)
                self.slots[slot] = <int32_t>index
        return number

    def samples(self):
        """All samples of the text, `SAMPLE`s one after the other."""
        if self._samples.empty():
            return b""
        return PyBytes_FromStringAndSize(<char *>self._samples.data(), self._samples.size() * sizeof(Sample))

    def new_series(self):
        """(id, kind, name, tags, container) of every series that was not announced yet."""
        cdef Entry *entry
        cdef char *at
        found = []
        while self.told < self.entries.size():
            entry = &self.entries[self.told]
            at = self.arena.data() + entry.begin
            name = PyBytes_FromStringAndSize(at, entry.name_length)
            tags = PyBytes_FromStringAndSize(at + entry.name_length, entry.tags_length)
            container = PyBytes_FromStringAndSize(at + entry.name_length + entry.tags_length, entry.container_length)
            found.append((self.told, entry.kind, name, tags, container))
            self.told += 1
        return found

    def lines_apart(self):
        """(begin, end) of every event and service check."""
        return [(self.apart[index], self.apart[index + 1]) for index in range(0, self.apart.size(), 2)]

    def malformed(self):
        """How many lines failed, by fault."""
        return {FAULTS[fault]: self.faults[fault] for fault in range(1, FAULT_COUNT) if self.faults[fault]}

    def first_malformed(self):
        """(begin, end, fault) of the first line that failed, None where none did."""
        if self.damaged.empty():
            return None
        return self.damaged[0], self.damaged[1], FAULTS[self.damaged[2]]
