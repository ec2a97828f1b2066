# distutils: language = c++
"""The loop over an exposition's bytes: lines matched against the layout of the last body, numbers read, the rest found.

A *line* here is a series' text or a whole HELP, TYPE or UNIT line; each distinct one is an entry, known by hash and then
by its bytes. `sequence` is the last body as entries. A body in step with it costs a comparison and a number a line; a
line out of step is tokenised and looked up, and the sequence goes on behind where it stood.
Invariant: no byte is read at or behind `end`; an entry of a scan that is rolled back leaves no trace.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp.vector cimport vector

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.exposition_tokens cimport (
    BAD_COMMENT, BEHIND_EOF, BUCKETS, FINE, METADATA, NO_EOF, QUANTILES, STRICT, TOO_MANY,
    Error, Sample, context_of_type, find_keyword, is_blank, is_word, line_end, read_sample, read_strict_sample,
    skip_blanks, skip_series,
)

# In the order of `Error`.
ERRORS = (
    "",
    "a metric name, a brace or # must begin the line",
    "a label name is expected between the braces",
    "= is expected after a label name",
    "a label value in double quotes is expected after =",
    "a comma or } is expected after a label value",
    "the metric has two names, one of them between the braces",
    "the series has no metric name",
    "a value is expected after the series, behind exactly one space in OpenMetrics",
    "the value is not a number",
    "the timestamp is not a number, or out of range",
    "the line should end after the value and its timestamp",
    "the exposition is cut off: OpenMetrics ends with # EOF",
    "text follows after # EOF",
    "OpenMetrics allows no comments but HELP, TYPE, UNIT and EOF, and no empty lines",
    "the exemplar is not {labels} value timestamp",
    "the exposition has more lines than can be numbered",
)

cdef enum:
    NO_SERIES = -1
    FREE = -1
    ENTRIES_MAX = 0x3FFFFFFF
    TEXT_MAX = 0x7FFFFFFF

SUMMARY_CONTEXT = QUANTILES
HISTOGRAM_CONTEXT = BUCKETS

cdef int64_t NO_TIMESTAMP_MS = INT64_MIN
NO_TIMESTAMP = NO_TIMESTAMP_MS

cdef struct Entry:
    uint64_t hash
    int64_t begin        # its text in the arena
    uint32_t length
    uint32_t position    # in the last sequence that had it
    uint32_t seen        # the last read that had it, brought up to date when the sequence changes
    int32_t series       # its id; NO_SERIES for metadata lines
    uint32_t context     # in which it is valid
    uint32_t sets        # the context after it, of metadata lines

cdef struct NewSeries:
    int32_t series
    int64_t begin        # its text in the body
    int64_t end
    uint32_t context


cdef class ExpositionScanner:
    """One target's entries and layout. `scan`, then `commit` or `rollback`; not for two threads at once."""

    cdef vector[Entry] entries
    cdef vector[char] arena
    cdef vector[int32_t] slots          # of entries, open addressing, a power of two
    cdef vector[int32_t] sequence       # the last body
    cdef vector[int32_t] fresh          # the body being read, once it left the sequence
    cdef vector[int32_t] free_series
    cdef vector[double] values
    cdef vector[int64_t] timestamps     # empty while no sample has one
    cdef vector[NewSeries] found
    cdef vector[int64_t] changed        # begin and end of metadata lines that were out of step
    cdef uint64_t seed
    cdef uint32_t reads
    cdef int32_t series_next
    cdef size_t entries_before, arena_before
    cdef bint has_diverged
    cdef vector[int64_t] exemplar_places  # sample, begin and end of what follows its series
    cdef int64_t error_at, exemplar_count

    def __cinit__(self, uint64_t seed):
        self.seed = seed
        self.slots.assign(16, FREE)

    @property
    def remembered(self):
        """How many lines are remembered."""
        return self.entries.size()

    @property
    def line_count(self):
        """How many of them the last committed body had."""
        return self.sequence.size()

    @property
    def sample_count(self):
        """Samples of the last scan."""
        return self.values.size()

    @property
    def exemplars(self):
        """(sample, begin, end) of each exemplar of the last scan: from the sample's value to its line's end."""
        return [tuple(self.exemplar_places[i:i + 3]) for i in range(0, self.exemplar_places.size(), 3)]

    @property
    def error_offset(self):
        """Where the line begins at which the last scan failed."""
        return self.error_at

    @property
    def is_steady(self):
        """Whether the last scan found the same lines in the same order as the one before."""
        return not self.has_diverged

    @property
    def has_timestamps(self):
        """Whether a sample of the last scan has a timestamp."""
        return not self.timestamps.empty()

    def scan(self, bytes body, bint open_metrics):
        """Read a body; returns an index into `ERRORS`, 0 when all is well. Nothing is kept before `commit`."""
        cdef const char *begin = body
        cdef const char *end = begin + len(body)
        cdef Error error
        self.values.clear()
        self.timestamps.clear()
        self.found.clear()
        self.changed.clear()
        self.fresh.clear()
        self.entries_before = self.entries.size()
        self.arena_before = self.arena.size()
        self.has_diverged = False
        self.exemplar_count = 0
        self.exemplar_places.clear()
        with nogil:
            error = self.scan_lines(begin, end, open_metrics)
            if error != FINE:
                self.take_back()
        return <int>error

    cdef Error scan_lines(self, const char *begin, const char *end, bint strict) noexcept nogil:
        cdef const char *at = begin
        cdef const char *after
        cdef const char *line
        cdef int64_t exemplars
        cdef uint32_t format = STRICT if strict else 0
        cdef uint32_t context = format
        cdef size_t position = 0
        cdef const Entry *entry
        cdef int32_t index
        cdef Sample sample
        cdef Error error = FINE
        while at < end:
            line = at
            self.error_at = line - begin
            index = self.match_next(at, end, context, format, position)
            if index >= 0:
                after = at + self.entries[index].length
                position += 1
            else:
                if not strict:
                    at = skip_blanks(at, end)
                    if at == end or at[0] == b'\n':
                        at += 1
                        continue
                elif is_word(at, line_end(at, end), b"# EOF", 5):
                    return self.finish(position, BEHIND_EOF if end - at > 6 else FINE)
                if at[0] == b'#':
                    after = line_end(at, end)
                    if find_keyword(at, after, strict) == NULL:
                        if strict:
                            return BAD_COMMENT
                        at = after + 1
                        continue
                    index = self.find_metadata(at, after, begin, format)
                else:
                    after = skip_series(at, end, strict, &error)
                    if after == NULL:
                        return BAD_COMMENT if strict and at[0] == b'\n' else error
                    index = self.find_series(at, after, begin, context)
                if index < 0:
                    return TOO_MANY
                if not self.has_diverged:
                    self.diverge(position)
                if <size_t>index < self.entries_before:
                    position = self.entries[index].position + 1
            entry = &self.entries[index]
            if self.has_diverged:
                self.fresh.push_back(index)
            if entry.series == NO_SERIES:
                if entry.sets != METADATA:
                    context = format | entry.sets
                at = after + 1
                continue
            if strict:
                exemplars = self.exemplar_count
                at = read_strict_sample(after, end, &sample, &self.exemplar_count, &error)
                if at != NULL and self.exemplar_count > exemplars:
                    self.exemplar_places.push_back(self.values.size())
                    self.exemplar_places.push_back(after - begin)
                    self.exemplar_places.push_back(at - begin)
            else:
                at = read_sample(after, end, &sample, &error)
            if at == NULL:
                return error
            self.put(&sample)
            at += 1
        self.error_at = end - begin
        return self.finish(position, NO_EOF if strict else FINE)

    cdef inline int32_t match_next(
        self, const char *at, const char *end, uint32_t context, uint32_t format, size_t position
    ) noexcept nogil:
        """The entry that comes next in step, if the line at `at` is it, else -1."""
        cdef const Entry *entry
        cdef const char *after
        cdef int32_t index
        if position >= self.sequence.size():
            return -1
        index = self.sequence[position]
        entry = &self.entries[index]
        if end - at < <int64_t>entry.length or memcmp(at, self.arena.data() + entry.begin, entry.length) != 0:
            return -1
        after = at + entry.length
        if entry.series == NO_SERIES:
            return index if entry.context == (format | METADATA) and (after == end or after[0] == b'\n') else -1
        if entry.context != context:
            return -1
        if (after - 1)[0] != b'}':  # the line's series may have a longer name, or braces behind blanks
            if after == end or not is_blank(after[0]):
                return -1
            after = skip_blanks(after, end)
            if after == end or after[0] == b'{':
                return -1
        return index

    cdef void diverge(self, size_t position) noexcept nogil:
        """From here on the body is not as the last one: keep what it has had so far."""
        self.has_diverged = True
        self.fresh.assign(self.sequence.begin(), self.sequence.begin() + position)

    cdef Error finish(self, size_t position, Error error) noexcept nogil:
        if error == FINE and not self.has_diverged and position != self.sequence.size():
            self.diverge(position)
        return error

    cdef inline void put(self, const Sample *sample) noexcept nogil:
        self.values.push_back(sample.value)
        if sample.timestamp_ms != NO_TIMESTAMP_MS and self.timestamps.empty():
            self.timestamps.assign(self.values.size() - 1, NO_TIMESTAMP_MS)
            self.timestamps.push_back(sample.timestamp_ms)
        elif not self.timestamps.empty():
            self.timestamps.push_back(sample.timestamp_ms)

    cdef int32_t find_metadata(self, const char *at, const char *stop, const char *begin, uint32_t format) noexcept nogil:
        """The entry of the metadata line from `at` to `stop`, made where there is none."""
        cdef size_t before = self.entries.size()
        cdef int32_t index = self.find(at, stop, format | METADATA)
        if index >= 0 and self.entries.size() > before:
            self.entries[index].sets = context_of_type(skip_blanks(at + 1, stop), stop)
        self.changed.push_back(at - begin)
        self.changed.push_back(stop - begin)
        return index

    cdef int32_t find_series(self, const char *at, const char *stop, const char *begin, uint32_t context) noexcept nogil:
        """The entry of the series' text from `at` to `stop`, made where there is none."""
        cdef size_t before = self.entries.size()
        cdef int32_t index = self.find(at, stop, context)
        cdef NewSeries new
        if index >= 0 and self.entries.size() > before:
            if self.free_series.empty():
                new.series = self.series_next
                self.series_next += 1
            else:
                new.series = self.free_series.back()
                self.free_series.pop_back()
            self.entries[index].series = new.series
            new.begin = at - begin
            new.end = stop - begin
            new.context = context
            self.found.push_back(new)
        return index

    cdef int32_t find(self, const char *at, const char *stop, uint32_t context) noexcept nogil:
        """The entry of this text in this context; a new one, without a series yet, where there is none; -1: no room."""
        cdef size_t length = stop - at
        cdef uint64_t hash = hash_bytes(at, length, self.seed ^ context)
        cdef size_t mask = self.slots.size() - 1
        cdef size_t slot = hash & mask
        cdef Entry entry
        cdef const Entry *known
        while self.slots[slot] != FREE:
            known = &self.entries[self.slots[slot]]
            if (
                known.hash == hash and known.length == length and known.context == context
                and memcmp(self.arena.data() + known.begin, at, length) == 0
            ):
                return self.slots[slot]
            slot = (slot + 1) & mask
        if self.entries.size() >= ENTRIES_MAX or length > <size_t>TEXT_MAX:
            return -1
        entry.hash = hash
        entry.begin = self.arena.size()
        entry.length = length
        entry.position = 0
        entry.seen = self.reads
        entry.series = NO_SERIES
        entry.context = context
        entry.sets = METADATA
        self.arena.insert(self.arena.end(), at, stop)
        self.slots[slot] = self.entries.size()
        self.entries.push_back(entry)
        if 4 * self.entries.size() > 3 * self.slots.size():
            self.fill_slots(2 * self.slots.size())
        return <int32_t>self.entries.size() - 1

    cdef void fill_slots(self, size_t size) noexcept nogil:
        cdef size_t slot, mask = size - 1
        cdef size_t index
        self.slots.assign(size, FREE)
        for index in range(self.entries.size()):
            slot = self.entries[index].hash & mask
            while self.slots[slot] != FREE:
                slot = (slot + 1) & mask
            self.slots[slot] = index

    def new_series(self):
        """(id, begin, end, context) of each series that the last scan saw first; begin and end are offsets in the body."""
        return [(new.series, new.begin, new.end, new.context) for new in self.found]

    def changed_metadata(self):
        """(begin, end) in the body of each metadata line that was not where the body before had it."""
        return [(self.changed[at], self.changed[at + 1]) for at in range(0, self.changed.size(), 2)]

    def metadata_lines(self):
        """The metadata lines of the last committed body."""
        cdef int32_t index
        cdef const Entry *entry
        lines = []
        for index in self.sequence:
            entry = &self.entries[index]
            if entry.series == NO_SERIES:
                lines.append((<char *>self.arena.data() + entry.begin)[:entry.length])
        return lines

    def write_values(self, double[::1] out):
        """Copy the values of the last scan; `out` has `sample_count` places."""
        assert <size_t>out.shape[0] == self.values.size()
        if not self.values.empty():
            memcpy(&out[0], self.values.data(), 8 * self.values.size())

    def write_timestamps(self, int64_t[::1] out):
        """Copy the timestamps of the last scan, `NO_TIMESTAMP` where a sample has none."""
        assert self.has_timestamps and <size_t>out.shape[0] == self.timestamps.size()
        memcpy(&out[0], self.timestamps.data(), 8 * self.timestamps.size())

    def write_series(self, int32_t[::1] out):
        """Copy the series ids of the last committed body; `out` has `sample_count` places."""
        cdef int32_t index, series
        cdef Py_ssize_t at = 0
        for index in self.sequence:
            series = self.entries[index].series
            if series != NO_SERIES:
                assert at < out.shape[0]
                out[at] = series
                at += 1
        assert at == out.shape[0]

    def commit(self):
        """Keep what the last scan learned: its body is what the next one is compared with."""
        cdef uint32_t position
        if self.has_diverged:
            self.touch()
            self.sequence.swap(self.fresh)
            self.reads += 1
            self.touch()
            for position in range(<uint32_t>self.sequence.size()):
                self.entries[self.sequence[position]].position = position
        else:
            self.reads += 1

    def rollback(self):
        """Forget what the last scan learned; one that failed has done so itself."""
        self.take_back()

    cdef void take_back(self) noexcept nogil:
        while not self.found.empty():
            self.free_series.push_back(self.found.back().series)
            self.found.pop_back()
        if self.entries.size() > self.entries_before:
            self.entries.resize(self.entries_before)
            self.arena.resize(self.arena_before)
            self.fill_slots(self.slots.size())

    def forget(self, uint32_t absent_reads):
        """Drop the lines absent from that many committed bodies; returns the ids of their series, free from now on."""
        cdef vector[int32_t] moved
        cdef vector[Entry] kept
        cdef vector[char] texts
        cdef Entry entry
        cdef size_t index, size = 16
        forgotten = []
        self.touch()
        moved.assign(self.entries.size(), FREE)
        for index in range(self.entries.size()):
            entry = self.entries[index]
            if self.reads - entry.seen >= absent_reads:
                if entry.series != NO_SERIES:
                    self.free_series.push_back(entry.series)
                    forgotten.append(entry.series)
                continue
            moved[index] = kept.size()
            texts.insert(texts.end(), self.arena.data() + entry.begin, self.arena.data() + entry.begin + entry.length)
            entry.begin = texts.size() - entry.length
            kept.push_back(entry)
        for index in range(self.sequence.size()):
            self.sequence[index] = moved[self.sequence[index]]
        self.entries.swap(kept)
        self.arena.swap(texts)
        while 3 * size < 4 * self.entries.size() + 4:
            size *= 2
        self.fill_slots(size)
        return forgotten

    cdef void touch(self) noexcept nogil:
        """Every line of the sequence was seen in the present read."""
        cdef int32_t index
        for index in self.sequence:
            self.entries[index].seen = self.reads
