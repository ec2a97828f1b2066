# distutils: language = c++
"""What metrics of a protobuf exposition hold, to samples: plain values, summaries, histograms, with their exemplars.

Which sample of a metric is which is told by its *identity*: part and bound, appended to `identity` sample by sample. Native
histograms are handed on as messages of remote write (`prometheus.Histogram`), which have a decoder already.
Invariant: no read leaves the message around it.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

import numpy as np

from nunchi.wire.kernels.family_fields cimport is_number, put_varint, read_time
from nunchi.wire.kernels.protobuf cimport BYTES, Field, read_field

PARTS = ("", "_sum", "_count", "_bucket", "", "")  # what is added to the name, by part
BOUND_LABELS = ("", "", "", "le", "quantile", "")

cdef enum:
    VALUE, SUM, COUNT, BUCKET, QUANTILE, NATIVE
cdef enum:
    IDENTITY_BYTES = 9  # of one sample in a key: part, bound

cdef double INFINITE = float("inf")
cdef uint8_t[17] REMOTE_FIELD = [0, 1, 3, 0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0]  # of prometheus.Histogram, by ours


cdef as_longs(const vector[int64_t]& held):
    out = np.empty(held.size(), np.int64)
    cdef int64_t[::1] view = out
    if held.size():
        memcpy(&view[0], held.data(), 8 * held.size())
    return out


cdef class FamilyContents:
    """The samples of one body. `with_native` and `with_classic` as `FamilyReader` has them."""

    def __init__(self, bint with_native, bint with_classic):
        self.with_native = with_native
        self.with_classic = with_classic

    def read_values(self):
        """float64[n]"""
        out = np.empty(self.values.size())
        cdef double[::1] view = out
        if self.values.size():
            memcpy(&view[0], self.values.data(), 8 * self.values.size())
        return out

    def native(self):
        """Which samples are native histograms, their messages one after the other, and (begin, end) of each."""
        cdef bytes messages = self.native_bytes
        return as_longs(self.natives), messages, as_longs(self.native_places).reshape(-1, 2)

    @property
    def exemplars(self):
        """(sample, begin, end, whether it is of a native histogram) of messages `io.prometheus.client.Exemplar`."""
        return [(each.sample, each.begin, each.end, each.is_native != 0) for each in self.found_exemplars]

    cdef void begin(self, const char *data) noexcept nogil:
        """Nothing is held of the body that begins here."""
        self.data = data
        self.values.clear()
        self.natives.clear()
        self.native_places.clear()
        self.native_bytes.clear()
        self.found_exemplars.clear()

    cdef int metric(self, const Field *content, bint is_gauge, int64_t *start) noexcept nogil:
        """Add the samples of one metric, given the field of its content, whose number is 0 where there is none."""
        self.identity.clear()
        if content.number == 4:
            return self.summary(content.begin, content.end, start)
        if content.number == 7:
            return self.histogram(content.begin, content.end, is_gauge, start)
        if content.number:
            return self.plain(content.begin, content.end, content.number == 3, start)
        return FINE

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
