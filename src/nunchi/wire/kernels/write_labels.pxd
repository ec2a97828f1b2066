"""The labels of a remote-write series: out of protobuf, judged, and back as every library writes them."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp
from libcpp.vector cimport vector

from nunchi.wire.kernels.protobuf cimport BYTES, Field, is_utf8, read_field

cdef enum Fault:
    NO_FAULT
    NO_METRIC_NAME
    EMPTY_NAME
    TWICE
    NOT_UTF8

cdef struct Label:
    const char *name
    const char *value
    uint32_t name_length
    uint32_t value_length


cdef inline bint comes_before(const Label &left, const Label &right) noexcept nogil:
    cdef uint32_t common = min(left.name_length, right.name_length)
    cdef int order = memcmp(left.name, right.name, common)
    return order < 0 or order == 0 and left.name_length < right.name_length

cdef inline bint is_same_name(const Label &left, const Label &right) noexcept nogil:
    return left.name_length == right.name_length and memcmp(left.name, right.name, left.name_length) == 0

cdef inline void put_varint(vector[char] &out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out.push_back(<char>(value & 0x7F | 0x80))
        value >>= 7
    out.push_back(<char>value)

cdef inline void put_bytes(vector[char] &out, const char *at, size_t length) noexcept nogil:
    out.insert(out.end(), at, at + length)

cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size

cdef inline bint read_label(const char *at, const char *end, Label *label) noexcept nogil:
    cdef Field field
    label.name = label.value = at
    label.name_length = label.value_length = 0
    while at < end:
        at = read_field(at, end, &field)
        if at == NULL or (field.number <= 2 and field.wire != BYTES):
            return False
        if field.number == 1:
            label.name = field.begin
            label.name_length = <uint32_t>(field.end - field.begin)
        elif field.number == 2:
            label.value = field.begin
            label.value_length = <uint32_t>(field.end - field.begin)
    return True

cdef inline Fault fault_of(const vector[Label] &labels) noexcept nogil:
    """What is wrong with labels in the order of their names."""
    cdef size_t index
    cdef bint has_metric_name = False
    cdef const Label *label
    for index in range(labels.size()):
        label = &labels[index]
        if label.name_length == 0:
            return EMPTY_NAME
        if index and is_same_name(labels[index - 1], label[0]):
            return TWICE
    for index in range(labels.size()):
        label = &labels[index]
        if not is_utf8(label.name, label.name + label.name_length):
            return NOT_UTF8
        if not is_utf8(label.value, label.value + label.value_length):
            return NOT_UTF8
        if label.name_length == 8 and memcmp(label.name, b"__name__", 8) == 0:
            has_metric_name = True
    return NO_FAULT if has_metric_name else NO_METRIC_NAME
