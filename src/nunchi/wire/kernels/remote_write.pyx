# distutils: language = c++
"""The loop over a remote-write 1.0 request: protobuf inside its bounds, series known by the bytes of their labels.

Which series the label fields name is known to `spellings`; here their samples become cells.
Invariant: a request that fails announces nothing.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.protobuf cimport BYTES, FIXED64, VARINT, Field, read_field
from nunchi.wire.kernels.spellings cimport DAMAGED, EMPTY, Spellings
from nunchi.wire.kernels.write_labels cimport put_bytes

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
    FAULT_COUNT = 5

cdef uint64_t NORMAL_NAN_BITS = 0x7FF8000000000001
cdef uint64_t STALE_BITS = 0x7FF0000000000002
cdef uint64_t ABSENT_BITS = 0x7FF80000AB5E2701  # what a histogram's cell has for a number
cdef double ABSENT
memcpy(&ABSENT, &ABSENT_BITS, 8)

cdef class RemoteWriteScanner(Spellings):
    """The series of all senders to one door, and the last request's cells. Not for two threads at once."""

    cdef vector[int32_t] series
    cdef vector[int64_t] timestamps
    cdef vector[double] values
    cdef vector[int64_t] row_timestamps
    cdef vector[int64_t] row_offsets
    cdef vector[int64_t] metadata_spans   # type, then begin and end of name, help and unit
    cdef vector[char] gathered            # label fields that do not stand together
    cdef int64_t invalid[FAULT_COUNT]
    cdef vector[int64_t] histogram_places # cell, begin and end in the body
    cdef vector[int64_t] exemplar_places  # series, begin and end in the body

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
        """(series, begin, end) of the exemplar messages, offsets in the body; a series below 0 has bad labels."""
        return np.array(self.exemplar_places, np.int64).reshape(-1, 3)

    def scan(self, bytes body):
        """Read a request; returns an index into `ERRORS`, 0 when all is well."""
        cdef const char *begin = body
        cdef const char *end = begin + len(body)
        cdef Error error
        self.clear()
        for fault in range(FAULT_COUNT):
            self.invalid[fault] = 0
        with nogil:
            self.remember()
            error = self.scan_request(begin, end)
            if error != FINE:
                self.clear()
                self.take_back()
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
        cdef const char *exemplars = NULL
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
            elif field.number == 3 and exemplars == NULL:
                exemplars = start
            elif field.number == 4 and histograms == NULL:
                histograms = start
        if index == EMPTY:
            index = self.find_labels(begin, end)
            if index < 0:
                return BAD_LABEL if index == DAMAGED else TOO_MANY
        self.follow(index)
        error = FINE if samples == NULL else self.scan_samples(samples, end, self.entries[index].series)
        if error == FINE and histograms != NULL:
            error = self.scan_histograms(histograms, end, body, self.entries[index].series)
        if error == FINE and exemplars != NULL:
            self.note_exemplars(exemplars, end, body, self.entries[index].series)
        return error

    cdef void note_exemplars(self, const char *at, const char *end, const char *body, int32_t series) noexcept nogil:
        """Where the messages of exemplars stand is kept for whoever decodes them."""
        cdef Field field
        while at < end:
            at = read_field(at, end, &field)
            if field.number == 3:
                self.exemplar_places.push_back(series)
                self.exemplar_places.push_back(field.begin - body)
                self.exemplar_places.push_back(field.end - body)

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

    cdef void clear(self) noexcept nogil:
        self.series.clear()
        self.timestamps.clear()
        self.values.clear()
        self.row_timestamps.clear()
        self.row_offsets.clear()
        self.metadata_spans.clear()
        self.histogram_places.clear()
        self.exemplar_places.clear()

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
