# distutils: language = c++
"""Native histograms of remote write 1.0 (`prometheus.Histogram`), inside their bounds, to columns; shapes are met by their bytes.

A shape travels to Python once per request, as bytes: schema, how many positive spans, negative spans and custom values there are,
all int64, then zero threshold, spans (offset, length) as int64 pairs, and custom values as doubles, native byte order.
Invariant: what is returned as fine has as many bucket counts as its spans are long, ascending indices, and no negative count.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.string cimport string
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.protobuf cimport BYTES, FIXED64, VARINT, Field, read_field

cdef extern from *:
    """
    static inline const char *nunchi_varint_in(const char *at, const char *end, uint64_t *out) {
        return nunchi_read_varint(at, end, out);
    }
    """
    const char *read_varint "nunchi_varint_in"(const char *at, const char *end, uint64_t *out) noexcept nogil

cdef enum:
    SCHEMA_MIN = -4
    SCHEMA_MAX = 8
    CUSTOM_SCHEMA = -53
    INDEX_MAX = 0x7FFFFFFF

cdef uint64_t STALE_BITS = 0x7FF0000000000002
cdef uint64_t LOW_HALF = 0xFFFFFFFF

cdef struct Message:
    int64_t schema
    int64_t hint
    double count
    double sum
    double zero_threshold
    double zero_count
    bint is_float


cdef inline int64_t zigzag(uint64_t value) noexcept nogil:
    return <int64_t>(value >> 1) ^ -<int64_t>(value & 1)


cdef inline double as_double(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline void put(string& key, const void* at, size_t size) noexcept nogil:
    key.append(<const char*>at, size)


cdef as_doubles(const vector[double]& held):
    out = np.empty(held.size())
    cdef double[::1] view = out
    if held.size():
        memcpy(&view[0], held.data(), 8 * held.size())
    return out


cdef class HistogramDecoder:
    """Decodes the histograms of one request."""

    cdef vector[int32_t] shape_of
    cdef vector[double] counts, sums, zero_counts, buckets
    cdef vector[uint8_t] hints, integers, fine
    cdef vector[int64_t] offsets
    cdef unordered_map[string, int32_t] shapes
    cdef vector[string] shape_keys
    cdef vector[int64_t] positive_spans, negative_spans
    cdef vector[double] positive, negative, custom

    def decode(self, bytes body, const int64_t[:, ::1] places):
        """Decode the messages at (begin, end) offsets; returns (shape keys, columns…), a column `fine` the last."""
        cdef const char *data = body
        cdef Py_ssize_t i
        cdef int64_t size = len(body)
        cdef int64_t before
        self.offsets.push_back(0)
        for i in range(places.shape[0]):
            if not 0 <= places[i, 0] <= places[i, 1] <= size:
                raise ValueError("a histogram lies outside of its request")
        with nogil:
            for i in range(places.shape[0]):
                before = self.buckets.size()
                if self.one(data + places[i, 0], data + places[i, 1]):
                    self.fine.push_back(1)
                else:
                    self.buckets.resize(before)
                    self.refuse()
                self.offsets.push_back(self.buckets.size())
        return (
            list(self.shape_keys),
            np.array(self.shape_of, np.int32),
            as_doubles(self.counts),
            as_doubles(self.sums),
            as_doubles(self.zero_counts),
            np.array(self.hints, np.uint8),
            np.array(self.integers, np.uint8).astype(np.bool_),
            np.array(self.offsets, np.int64),
            as_doubles(self.buckets),
            np.array(self.fine, np.uint8).astype(np.bool_),
        )

    cdef void refuse(self) noexcept nogil:
        """Leave a place for a histogram that cannot be read."""
        cdef Message nothing
        nothing.schema = nothing.hint = 0
        nothing.count = nothing.sum = nothing.zero_count = nothing.zero_threshold = 0
        nothing.is_float = False
        self.positive_spans.clear()
        self.negative_spans.clear()
        self.custom.clear()
        self.push(&nothing)
        self.fine.push_back(0)

    cdef bint one(self, const char *at, const char *end) noexcept nogil:
        cdef Message message
        message.schema = message.hint = 0
        message.count = message.sum = message.zero_count = message.zero_threshold = 0
        message.is_float = False
        self.positive_spans.clear()
        self.negative_spans.clear()
        self.positive.clear()
        self.negative.clear()
        self.custom.clear()
        if not self.fields(at, end, &message) or not self.is_sound(&message):
            return False
        self.push(&message)
        self.buckets.insert(self.buckets.end(), self.positive.begin(), self.positive.end())
        self.buckets.insert(self.buckets.end(), self.negative.begin(), self.negative.end())
        return True

    cdef void push(self, const Message *message) noexcept nogil:
        self.shape_of.push_back(self.shape(message))
        self.counts.push_back(message.count)
        self.sums.push_back(message.sum)
        self.zero_counts.push_back(message.zero_count)
        self.hints.push_back(<uint8_t>message.hint)
        self.integers.push_back(not message.is_float)

    cdef bint fields(self, const char *at, const char *end, Message *message) noexcept nogil:
        cdef Field field
        while at < end:
            at = read_field(at, end, &field)
            if at == NULL:
                return False
            if field.number in (8, 9, 10, 11, 12, 13, 16):
                if not self.repeated(&field):
                    return False
                message.is_float = message.is_float or field.number == 10 or field.number == 13
                continue
            if field.number in (2, 3, 5, 7):
                if field.wire != FIXED64:
                    return False
                if field.number == 2:
                    message.count = as_double(field.integer)
                elif field.number == 3:
                    message.sum = as_double(field.integer)
                elif field.number == 5:
                    message.zero_threshold = as_double(field.integer)
                else:
                    message.zero_count = as_double(field.integer)
                message.is_float = message.is_float or field.number == 2 or field.number == 7
            elif field.number in (1, 4, 6, 14):
                if field.wire != VARINT:
                    return False
                if field.number == 1:
                    message.count = <double>field.integer
                elif field.number == 4:
                    message.schema = zigzag(field.integer & LOW_HALF)
                elif field.number == 6:
                    message.zero_count = <double>field.integer
                else:
                    message.hint = <int64_t>field.integer
        return True

    cdef bint repeated(self, const Field *field) noexcept nogil:
        if field.number == 8:
            return self.span(field, self.negative_spans)
        if field.number == 11:
            return self.span(field, self.positive_spans)
        if field.number == 9:
            return self.deltas(field, self.negative)
        if field.number == 12:
            return self.deltas(field, self.positive)
        if field.number == 10:
            return self.doubles(field, self.negative)
        if field.number == 13:
            return self.doubles(field, self.positive)
        return self.doubles(field, self.custom)

    cdef bint span(self, const Field *field, vector[int64_t]& spans) noexcept nogil:
        cdef const char *at = field.begin
        cdef Field part
        cdef int64_t offset = 0, length = 0
        if field.wire != BYTES:
            return False
        while at < field.end:
            at = read_field(at, field.end, &part)
            if at == NULL or part.wire != VARINT:
                return False
            if part.number == 1:
                offset = zigzag(part.integer & LOW_HALF)
            elif part.number == 2:
                length = <int64_t>(part.integer & LOW_HALF)
        spans.push_back(offset)
        spans.push_back(length)
        return True

    cdef bint deltas(self, const Field *field, vector[double]& counts) noexcept nogil:
        """Differences of integer counts; packed or one by one."""
        cdef const char *at = field.begin
        cdef uint64_t raw
        cdef double count = counts.back() if not counts.empty() else 0
        if field.wire == VARINT:
            counts.push_back(count + <double>zigzag(field.integer))
            return True
        if field.wire != BYTES:
            return False
        while at < field.end:
            at = read_varint(at, field.end, &raw)
            if at == NULL:
                return False
            count += <double>zigzag(raw)
            counts.push_back(count)
        return True

    cdef bint doubles(self, const Field *field, vector[double]& values) noexcept nogil:
        cdef const char *at = field.begin
        cdef uint64_t raw
        if field.wire == FIXED64:
            values.push_back(as_double(field.integer))
            return True
        if field.wire != BYTES or (field.end - field.begin) % 8:
            return False
        while at < field.end:
            memcpy(&raw, at, 8)
            values.push_back(as_double(raw))
            at += 8
        return True

    cdef bint is_sound(self, const Message *message) noexcept nogil:
        """Whether a histogram keeps its promises."""
        cdef size_t i
        cdef double held = message.zero_count
        cdef uint64_t bits
        if message.hint < 0 or message.hint > 3 or not message.zero_threshold >= 0:
            return False
        memcpy(&bits, &message.sum, 8)
        if bits == STALE_BITS:
            return True
        if not message.count >= 0 or not message.zero_count >= 0:
            return False
        if not self.fits(self.positive_spans, self.positive.size()) or not self.fits(self.negative_spans, self.negative.size()):
            return False
        if message.schema == CUSTOM_SCHEMA:
            if not self.negative.empty() or message.zero_count != 0 or not self.has_ascending_bounds():
                return False
        elif message.schema < SCHEMA_MIN or message.schema > SCHEMA_MAX or not self.custom.empty():
            return False
        for i in range(self.positive.size()):
            held += self.positive[i]
            if not self.positive[i] >= 0:
                return False
        for i in range(self.negative.size()):
            held += self.negative[i]
            if not self.negative[i] >= 0:
                return False
        # Observations that are NaN are in `count` alone.
        return message.is_float or held == message.count or (message.sum != message.sum and held <= message.count)

    cdef bint fits(self, const vector[int64_t]& spans, size_t held) noexcept nogil:
        cdef int64_t index = 0, width = 0
        cdef size_t i
        for i in range(0, spans.size(), 2):
            if i and spans[i] < 0:
                return False
            index += spans[i] + spans[i + 1]
            width += spans[i + 1]
            if index > INDEX_MAX or index < -INDEX_MAX:
                return False
        return width == <int64_t>held

    cdef bint has_ascending_bounds(self) noexcept nogil:
        """Whether custom bounds ascend, and the buckets stay within them."""
        cdef size_t i
        cdef int64_t index = 0
        for i in range(1, self.custom.size()):
            if not self.custom[i] > self.custom[i - 1]:
                return False
        for i in range(0, self.positive_spans.size(), 2):
            if not i and self.positive_spans[i] < 0:
                return False
            index += self.positive_spans[i] + self.positive_spans[i + 1]
        return index <= <int64_t>self.custom.size() + 1

    cdef int32_t shape(self, const Message *message) noexcept nogil:
        """The number of a shape, a new one where it was not met yet."""
        cdef string key
        cdef int64_t head[4]
        head[0] = message.schema
        head[1] = self.positive_spans.size() // 2
        head[2] = self.negative_spans.size() // 2
        head[3] = self.custom.size()
        put(key, &head[0], 32)
        put(key, &message.zero_threshold, 8)
        if not self.positive_spans.empty():
            put(key, self.positive_spans.data(), 8 * self.positive_spans.size())
        if not self.negative_spans.empty():
            put(key, self.negative_spans.data(), 8 * self.negative_spans.size())
        if not self.custom.empty():
            put(key, self.custom.data(), 8 * self.custom.size())
        found = self.shapes.find(key)
        if found != self.shapes.end():
            return self.shapes[key]
        self.shape_keys.push_back(key)
        self.shapes[key] = <int32_t>self.shape_keys.size() - 1
        return <int32_t>self.shape_keys.size() - 1
