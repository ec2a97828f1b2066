# distutils: language = c++
"""Scanning protobuf expositions: `io.prometheus.client.MetricFamily` messages, each behind its length, to arrays of samples.

A metric is known by the bytes of its name and labels and by which samples it has (parts and bounds); it keeps its place among
the series from body to body, so that in steady state a metric costs one comparison of bytes with what stood there before.
Native histograms are handed on as messages of remote write (`prometheus.Histogram`), which have a decoder already.
Invariants: no read leaves the message around it; until `commit`, `rollback` brings back what was known before.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp.string cimport string
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.family_fields cimport is_number, put_varint, read_length, read_time
from nunchi.wire.kernels.protobuf cimport BYTES, VARINT, Field, is_utf8, read_field

ERRORS = ("", "it is cut off", "it has no name", "its type does not exist", "a field has the type of another",
          "a text is not valid UTF-8")
PARTS = ("", "_sum", "_count", "_bucket", "", "")  # what is added to the name, by part
BOUND_LABELS = ("", "", "", "le", "quantile", "")

cdef enum:
    FINE, CUT_OFF, NAMELESS, TYPELESS, OTHER_WIRE, NOT_UTF8
cdef enum:
    VALUE, SUM, COUNT, BUCKET, QUANTILE, NATIVE
cdef enum:
    TYPES = 6
    GAUGE_HISTOGRAM = 5
    IDENTITY_BYTES = 9  # of one sample in a key: part, bound

cdef int64_t NO_TIMESTAMP_MS = INT64_MIN
cdef double INFINITE = float("inf")
cdef uint8_t[17] REMOTE_FIELD = [0, 1, 3, 0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0]  # of prometheus.Histogram, by ours

cdef extern from *:
    """
    struct nunchi_metric { int32_t first, samples, name_bytes, label_bytes; uint64_t slot; };
    struct nunchi_exemplar { int64_t sample, begin, end, is_native; };
    """
    ctypedef struct Metric "nunchi_metric":
        int32_t first
        int32_t samples
        int32_t name_bytes
        int32_t label_bytes
        uint64_t slot
    ctypedef struct Found "nunchi_exemplar":
        int64_t sample
        int64_t begin
        int64_t end
        int64_t is_native


cdef as_longs(const vector[int64_t]& held):
    out = np.empty(held.size(), np.int64)
    cdef int64_t[::1] view = out
    if held.size():
        memcpy(&view[0], held.data(), 8 * held.size())
    return out


cdef class FamilyScanner:
    """One target's. `with_native` and `with_classic` as `FamilyReader` has them."""

    cdef uint64_t seed
    cdef bint with_native, with_classic
    cdef unordered_map[uint64_t, int32_t] slots
    cdef vector[string] keys
    cdef vector[Metric] metrics
    cdef vector[int32_t] order, order_before
    cdef string headers, headers_before  # one after the other
    cdef vector[int64_t] header_ends, header_ends_before
    cdef int32_t committed
    cdef const char *data
    cdef string key, identity
    cdef vector[double] values
    cdef vector[int64_t] timestamps, starts, natives, native_places
    cdef string native_bytes
    cdef vector[Found] found_exemplars
    cdef readonly int family
    cdef readonly bint is_steady, has_timestamps, has_starts

    def __init__(self, uint64_t seed, bint with_native, bint with_classic):
        self.seed = seed
        self.with_native = with_native
        self.with_classic = with_classic

    def scan(self, bytes body):
        """Read a body; returns 0, or the number of an error in the family `family`. Then `commit` or `rollback`."""
        cdef const char *at = body
        cdef const char *end = at + len(body)
        cdef int error
        self.data = at
        with nogil:
            error = self.body(at, end)
            self.is_steady = error == FINE and self.is_same_order()
        return error

    def commit(self):
        """What was scanned is what is known."""
        self.committed = <int32_t>self.metrics.size()
        self.order_before.swap(self.order)
        self.headers_before.swap(self.headers)
        self.header_ends_before.swap(self.header_ends)

    def rollback(self):
        """What was scanned last is forgotten."""
        while <int32_t>self.metrics.size() > self.committed:
            self.slots.erase(self.metrics.back().slot)
            self.metrics.pop_back()
            self.keys.pop_back()

    def forget(self):
        """All series are new again."""
        self.slots.clear()
        self.keys.clear()
        self.metrics.clear()
        self.order_before.clear()
        self.committed = 0

    @property
    def sample_count(self):
        """How many samples the body has."""
        return self.values.size()

    @property
    def remembered(self):
        """How many series are known."""
        return self.next_series()

    def new_metrics(self):
        """(first series, name, label fields, identities of its samples) of metrics that are not committed yet."""
        cdef int32_t number
        cdef Metric metric
        cdef bytes key
        found = []
        for number in range(self.committed, <int32_t>self.metrics.size()):
            metric = self.metrics[number]
            key = self.keys[number]
            behind = metric.name_bytes + metric.label_bytes
            found.append((metric.first, key[:metric.name_bytes], key[metric.name_bytes:behind], key[behind:]))
        return found

    def changed_headers(self):
        """Families, by the fields of their messages but the metrics: all of them where some have changed or moved."""
        cdef size_t i
        cdef int64_t begin = 0
        cdef bytes headers
        cdef list found = []
        if self.headers == self.headers_before and self.header_ends == self.header_ends_before:
            return found
        headers = self.headers
        for i in range(self.header_ends.size()):
            found.append(headers[begin:self.header_ends[i]])
            begin = self.header_ends[i]
        return found

    def series(self):
        """int32[n]"""
        out = np.empty(self.values.size(), np.int32)
        cdef int32_t[::1] view = out
        cdef Metric *metric
        cdef Py_ssize_t at = 0
        cdef int32_t i
        for number in self.order:
            metric = &self.metrics[<size_t><int32_t>number]
            for i in range(metric.samples):
                view[at] = metric.first + i
                at += 1
        return out

    def read_values(self):
        """float64[n]"""
        out = np.empty(self.values.size())
        cdef double[::1] view = out
        if self.values.size():
            memcpy(&view[0], self.values.data(), 8 * self.values.size())
        return out

    def read_timestamps(self):
        """int64[n]; where `has_timestamps`."""
        return as_longs(self.timestamps)

    def read_starts(self):
        """int64[n], milliseconds, 0 where a start is unknown; where `has_starts`."""
        return as_longs(self.starts)

    def native(self):
        """Which samples are native histograms, their messages one after the other, and (begin, end) of each."""
        cdef bytes messages = self.native_bytes
        return as_longs(self.natives), messages, as_longs(self.native_places).reshape(-1, 2)

    @property
    def exemplars(self):
        """(sample, begin, end, whether it is of a native histogram) of messages `io.prometheus.client.Exemplar`."""
        return [(each.sample, each.begin, each.end, each.is_native != 0) for each in self.found_exemplars]

    cdef int32_t next_series(self) noexcept nogil:
        if self.metrics.empty():
            return 0
        return self.metrics.back().first + self.metrics.back().samples

    cdef bint is_same_order(self) noexcept nogil:
        cdef size_t size = self.order.size()
        if size != self.order_before.size():
            return False
        return size == 0 or memcmp(self.order.data(), self.order_before.data(), 4 * size) == 0

    cdef int body(self, const char *at, const char *end) noexcept nogil:
        cdef int error
        cdef uint64_t length
        self.values.clear()
        self.timestamps.clear()
        self.starts.clear()
        self.natives.clear()
        self.native_places.clear()
        self.native_bytes.clear()
        self.found_exemplars.clear()
        self.order.clear()
        self.headers.clear()
        self.header_ends.clear()
        self.has_timestamps = self.has_starts = False
        self.family = 0
        while at < end:
            self.family += 1
            at = read_length(at, end, &length)
            if at == NULL or length > <uint64_t>(end - at):
                return CUT_OFF
            error = self.one_family(at, at + length)
            if error:
                return error
            at += length
        return FINE

    cdef int one_family(self, const char *at, const char *end) noexcept nogil:
        """The head first, wherever its fields stand, then the metrics."""
        cdef Field field, name
        cdef const char *begin = at
        cdef const char *before
        cdef uint64_t kind = 0
        cdef int error
        name.begin = name.end = NULL
        while at < end:
            before = at
            at = read_field(at, end, &field)
            if at == NULL:
                return CUT_OFF
            if field.number == 4:
                continue
            if (field.number in (1, 2, 5) and field.wire != BYTES) or (field.number == 3 and field.wire != VARINT):
                return OTHER_WIRE
            if field.number in (1, 2, 5) and not is_utf8(field.begin, field.end):
                return NOT_UTF8
            if field.number == 1:
                name = field
            elif field.number == 3:
                kind = field.integer
            self.headers.append(before, at - before)
        if name.begin == name.end:
            return NAMELESS
        if kind >= TYPES:
            return TYPELESS
        self.header_ends.push_back(self.headers.size())
        at = begin
        while at < end:
            at = read_field(at, end, &field)
            if field.number == 4:
                if field.wire != BYTES:
                    return OTHER_WIRE
                error = self.metric(&name, kind == GAUGE_HISTOGRAM, field.begin, field.end)
                if error:
                    return error
        return FINE

    cdef int metric(self, const Field *name, bint is_gauge, const char *at, const char *end) noexcept nogil:
        cdef Field field, content
        cdef const char *before
        cdef const char *labels = at  # a run of labels that is not in the key yet
        cdef const char *labels_end = at
        cdef int error = FINE
        cdef int64_t timestamp = NO_TIMESTAMP_MS, start = 0
        cdef size_t first = self.values.size(), samples, name_bytes = name.end - name.begin, label_bytes
        content.number = 0
        self.key.assign(name.begin, name_bytes)
        self.identity.clear()
        while at < end:
            before = at
            at = read_field(at, end, &field)
            if at == NULL:
                return CUT_OFF
            if field.number == 6:
                if field.wire != VARINT:
                    return OTHER_WIRE
                timestamp = <int64_t>field.integer
            elif field.number in (1, 2, 3, 4, 5, 7):
                if field.wire != BYTES:
                    return OTHER_WIRE
                if field.number != 1:
                    content = field
                    continue
                if before != labels_end:
                    self.key.append(labels, labels_end - labels)
                    labels = before
                labels_end = at
        self.key.append(labels, labels_end - labels)
        label_bytes = self.key.size() - name_bytes
        if content.number == 4:
            error = self.summary(content.begin, content.end, &start)
        elif content.number == 7:
            error = self.histogram(content.begin, content.end, is_gauge, &start)
        elif content.number:
            error = self.plain(content.begin, content.end, content.number == 3, &start)
        if error:
            return error
        samples = self.values.size() - first
        if timestamp != NO_TIMESTAMP_MS or self.has_timestamps:
            self.has_timestamps = True
            self.timestamps.resize(first, NO_TIMESTAMP_MS)
            self.timestamps.resize(self.values.size(), timestamp)
        if start or self.has_starts:
            self.has_starts = True
            self.starts.resize(first)
            self.starts.resize(self.values.size(), start)
        if samples:
            self.key.append(self.identity)
            self.order.push_back(self.number(name_bytes, label_bytes, samples))
        return FINE

    cdef int32_t number(self, size_t name_bytes, size_t label_bytes, size_t samples) noexcept nogil:
        """The number of the metric that `key` names: first what stood here before, then by its hash."""
        cdef size_t place = self.order.size()
        cdef uint64_t slot = self.seed
        cdef Metric metric
        if place < self.order_before.size() and self.keys[self.order_before[place]] == self.key:
            return self.order_before[place]
        while True:
            slot = hash_bytes(self.key.data(), self.key.size(), slot)
            found = self.slots.find(slot)
            if found == self.slots.end():
                break
            if self.keys[self.slots[slot]] == self.key:
                return self.slots[slot]
        metric.first = self.next_series()
        metric.samples = <int32_t>samples
        metric.name_bytes = <int32_t>name_bytes
        metric.label_bytes = <int32_t>label_bytes
        metric.slot = slot
        self.slots[slot] = <int32_t>self.metrics.size()
        self.metrics.push_back(metric)
        self.keys.push_back(self.key)
        return <int32_t>self.metrics.size() - 1

    cdef void add(self, uint8_t part, double bound, double value) noexcept nogil:
        cdef char[IDENTITY_BYTES] identity
        identity[0] = <char>part
        memcpy(&identity[1], &bound, 8)
        self.identity.append(<const char*>identity, IDENTITY_BYTES)
        self.values.push_back(value)

    cdef bint exemplar(self, const Field *field, bint is_native, size_t sample) noexcept nogil:
        cdef Found found
        if field.wire != BYTES:
            return False
        found.sample = sample
        found.begin = field.begin - self.data
        found.end = field.end - self.data
        found.is_native = is_native
        self.found_exemplars.push_back(found)
        return True

    cdef int plain(self, const char *at, const char *end, bint is_counter, int64_t *start) noexcept nogil:
        cdef Field field
        cdef double value = 0
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return CUT_OFF
            if field.number == 1:
                if not is_number(&field, &value):
                    return OTHER_WIRE
            elif is_counter and field.number == 2:
                if not self.exemplar(&field, False, self.values.size()):
                    return OTHER_WIRE
            elif is_counter and field.number == 3:
                start[0] = read_time(&field)
        self.add(VALUE, 0, value)
        return FINE

    cdef int summary(self, const char *at, const char *end, int64_t *start) noexcept nogil:
        cdef Field field, part
        cdef const char *inner
        cdef double count = 0, total = 0, quantile, value
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return CUT_OFF
            if field.number == 1:
                if not is_number(&field, &count):
                    return OTHER_WIRE
            elif field.number == 2:
                if not is_number(&field, &total):
                    return OTHER_WIRE
            elif field.number == 3:
                if field.wire != BYTES:
                    return OTHER_WIRE
                quantile = value = 0
                inner = field.begin
                while inner < field.end:
                    inner = read_field(inner, field.end, &part)
                    if inner == NULL:
                        return CUT_OFF
                    if part.number == 1 and not is_number(&part, &quantile):
                        return OTHER_WIRE
                    if part.number == 2 and not is_number(&part, &value):
                        return OTHER_WIRE
                self.add(QUANTILE, quantile, value)
            elif field.number == 4:
                start[0] = read_time(&field)
        self.add(SUM, 0, total)
        self.add(COUNT, 0, count)
        return FINE

    cdef int histogram(self, const char *at, const char *end, bint is_gauge, int64_t *start) noexcept nogil:
        """The native part where it is wanted and there; the classic one where there is none, or both are wanted."""
        cdef const char *begin = at
        cdef Field field
        cdef double count = 0, total = 0, value
        cdef bint has_native = False, has_own = False, has_buckets = False
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return CUT_OFF
            value = 0
            if field.number in (1, 2, 4, 6, 7, 8) and not is_number(&field, &value):
                return OTHER_WIRE
            if field.number == 1 or field.number == 4:
                count = value if value != 0 else count
            elif field.number == 2:
                total = value
            elif field.number == 3:
                has_buckets = True
                if field.wire != BYTES:
                    return OTHER_WIRE
            elif field.number in (6, 7, 8):
                has_native = has_native or value > 0
            elif field.number == 9 or field.number == 12:
                has_native = True
            elif field.number == 15:
                start[0] = read_time(&field)
            elif field.number == 16:
                has_own = True
        has_native = has_native and self.with_native
        if has_native:
            self.native_part(begin, end, is_gauge, has_own)
        if has_native and not (self.with_classic and has_buckets):
            return FINE
        return self.classic_part(begin, end, count, total)

    cdef void native_part(self, const char *at, const char *end, bint is_gauge, bint has_own) noexcept nogil:
        """The fields as those of remote write: a tag is another number before the same bytes."""
        cdef Field field, part
        cdef const char *before
        cdef const char *inner
        cdef size_t sample = self.values.size()
        self.natives.push_back(sample)
        self.native_places.push_back(self.native_bytes.size())
        self.add(NATIVE, 0, 0)
        while at < end:
            before = at
            at = read_field(at, end, &field)
            if field.number == 16 and has_own:
                self.exemplar(&field, True, sample)
            elif field.number == 3 and not has_own:
                inner = field.begin
                while inner < field.end:
                    inner = read_field(inner, field.end, &part)
                    if inner == NULL:
                        break
                    if part.number == 3:
                        self.exemplar(&part, True, sample)
            elif field.number < 15 and REMOTE_FIELD[field.number]:
                put_varint(self.native_bytes, <uint64_t>REMOTE_FIELD[field.number] << 3 | field.wire)
                while before < at and before[0] & 0x80:  # behind our tag
                    before += 1
                before += 1
                self.native_bytes.append(before, at - before)
        if is_gauge:
            put_varint(self.native_bytes, 14 << 3)
            put_varint(self.native_bytes, 3)
        self.native_places.push_back(self.native_bytes.size())

    cdef int classic_part(self, const char *at, const char *end, double count, double total) noexcept nogil:
        cdef Field field, part
        cdef const char *inner
        cdef double bound = 0, held
        while at < end:
            at = read_field(at, end, &field)
            if field.number != 3:
                continue
            held, bound = 0, INFINITE
            inner = field.begin
            while inner < field.end:
                inner = read_field(inner, field.end, &part)
                if inner == NULL:
                    return CUT_OFF
                if part.number == 1 or part.number == 4:
                    if held == 0 and not is_number(&part, &held):
                        return OTHER_WIRE
                elif part.number == 2:
                    if not is_number(&part, &bound):
                        return OTHER_WIRE
                elif part.number == 3 and not self.exemplar(&part, False, self.values.size()):
                    return OTHER_WIRE
            self.add(BUCKET, bound, held)
        if bound != INFINITE:
            self.add(BUCKET, INFINITE, count)
        self.add(SUM, 0, total)
        self.add(COUNT, 0, count)
        return FINE
