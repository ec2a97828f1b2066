"""Numbers and times in the messages of `io.prometheus.client`, and the varints around and inside of them."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from libcpp.string cimport string

from nunchi.wire.kernels.protobuf cimport BYTES, FIXED64, VARINT, Field, read_field

cdef inline double as_double(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value

cdef inline bint is_number(const Field *field, double *value) noexcept nogil:
    if field.wire == VARINT:
        value[0] = <double>field.integer
    elif field.wire == FIXED64:
        value[0] = as_double(field.integer)
    else:
        return False
    return True

cdef inline void put_varint(string& out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out.push_back(<char>(value & 0x7F | 0x80))
        value >>= 7
    out.push_back(<char>value)

cdef inline const char *read_length(const char *at, const char *end, uint64_t *length) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    while at < end and shift < 64:
        value |= <uint64_t>(at[0] & 0x7F) << shift
        if not at[0] & 0x80:
            length[0] = value
            return at + 1
        at += 1
        shift += 7
    return NULL

cdef inline int64_t read_time(const Field *field) noexcept nogil:
    """Milliseconds of a `google.protobuf.Timestamp`; 0 where it says nothing that can be."""
    cdef const char *at = field.begin
    cdef Field part
    cdef int64_t seconds = 0, nanos = 0
    if field.wire != BYTES:
        return 0
    while at < field.end:
        at = read_field(at, field.end, &part)
        if at == NULL or part.wire != VARINT:
            return 0
        if part.number == 1:
            seconds = <int64_t>part.integer
        elif part.number == 2:
            nanos = <int64_t>part.integer
    if seconds < 0 or seconds >> 43 or nanos < 0 or nanos >= 1000000000:
        return 0
    return seconds * 1000 + nanos // 1000000
