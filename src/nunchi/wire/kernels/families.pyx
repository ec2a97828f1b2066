# distutils: language = c++
"""Scanning protobuf expositions: `io.prometheus.client.MetricFamily` messages, each behind its length, to arrays of samples.

A metric is known by the bytes of its name and labels and by which samples it has (parts and bounds); it keeps its place among
the series from body to body, so that in steady state a metric costs one comparison of bytes with what stood there before.
What a metric holds is read by `family_contents`.
Invariants: no read leaves the message around it; until `commit`, `rollback` brings back what was known before.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memcmp
from libcpp.string cimport string
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.bytehash cimport hash_bytes
from nunchi.wire.kernels.family_contents cimport CUT_OFF, FINE, NAMELESS, NOT_UTF8, OTHER_WIRE, TYPELESS, FamilyContents, as_longs
from nunchi.wire.kernels.family_fields cimport read_length
from nunchi.wire.kernels.protobuf cimport BYTES, VARINT, Field, is_utf8, read_field

ERRORS = ("", "it is cut off", "it has no name", "its type does not exist", "a field has the type of another",
          "a text is not valid UTF-8")

cdef enum:
    TYPES = 6
    GAUGE_HISTOGRAM = 5

cdef int64_t NO_TIMESTAMP_MS = INT64_MIN

cdef extern from *:
    """
    struct nunchi_metric { int32_t first, samples, name_bytes, label_bytes; uint64_t slot; };
    """
    ctypedef struct Metric "nunchi_metric":
        int32_t first
        int32_t samples
        int32_t name_bytes
        int32_t label_bytes
        uint64_t slot


cdef class FamilyScanner:
    """One target's. `with_native` and `with_classic` as `FamilyReader` has them."""

    cdef uint64_t seed
    cdef readonly FamilyContents contents
    cdef unordered_map[uint64_t, int32_t] slots
    cdef vector[string] keys
    cdef vector[Metric] metrics
    cdef vector[int32_t] order, order_before
    cdef string headers, headers_before  # one after the other
    cdef vector[int64_t] header_ends, header_ends_before
    cdef int32_t committed
    cdef string key
    cdef vector[int64_t] timestamps, starts
    cdef readonly int family
    cdef readonly bint is_steady, has_timestamps, has_starts

    def __init__(self, uint64_t seed, bint with_native, bint with_classic):
        self.seed = seed
        self.contents = FamilyContents(with_native, with_classic)

    def scan(self, bytes body):
        """Read a body; returns 0, or the number of an error in the family `family`. Then `commit` or `rollback`."""
        cdef const char *at = body
        cdef const char *end = at + len(body)
        cdef int error
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
        return self.contents.values.size()

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
        out = np.empty(self.contents.values.size(), np.int32)
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

    def read_timestamps(self):
        """int64[n]; where `has_timestamps`."""
        return as_longs(self.timestamps)

    def read_starts(self):
        """int64[n], milliseconds, 0 where a start is unknown; where `has_starts`."""
        return as_longs(self.starts)

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
        self.contents.begin(at)
        self.timestamps.clear()
        self.starts.clear()
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
        cdef int error
        cdef int64_t timestamp = NO_TIMESTAMP_MS, start = 0
        cdef size_t first = self.contents.values.size(), behind, samples, name_bytes = name.end - name.begin, label_bytes
        content.number = 0
        self.key.assign(name.begin, name_bytes)
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
        error = self.contents.metric(&content, is_gauge, &start)
        if error:
            return error
        behind = self.contents.values.size()
        samples = behind - first
        if timestamp != NO_TIMESTAMP_MS or self.has_timestamps:
            self.has_timestamps = True
            self.timestamps.resize(first, NO_TIMESTAMP_MS)
            self.timestamps.resize(behind, timestamp)
        if start or self.has_starts:
            self.has_starts = True
            self.starts.resize(first)
            self.starts.resize(behind, start)
        if samples:
            self.key.append(self.contents.identity)
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
