# The cells of a commit as byte planes, in one pass: what is alike stands together and compresses. See docs/formats/wal.md.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector


cdef void put_planes64(uint8_t* out, const uint64_t* words, int64_t count) noexcept nogil:
    cdef int64_t i
    cdef int plane
    for plane in range(8):
        for i in range(count):
            out[plane * count + i] = <uint8_t>(words[i] >> (8 * plane))


cdef void put_planes32(uint8_t* out, const uint32_t* words, int64_t count) noexcept nogil:
    cdef int64_t i
    cdef int plane
    for plane in range(4):
        for i in range(count):
            out[plane * count + i] = <uint8_t>(words[i] >> (8 * plane))


def encode_cells(const int32_t[::1] refs, const int64_t[::1] times, const double[::1] values):
    """How many runs of equal timestamps there are, and: their timestamps, their cells, refs as differences, values; planes each."""
    cdef int64_t count = refs.shape[0], i, rows
    cdef vector[uint64_t] row_times
    cdef vector[uint32_t] row_counts
    cdef vector[uint32_t] steps
    cdef uint8_t* out
    if count == 0:
        return 0, b""
    with nogil:
        steps.resize(count)
        for i in range(count):
            steps[i] = <uint32_t>refs[i] - (<uint32_t>refs[i - 1] if i else 0)
            if i == 0 or times[i] != times[i - 1]:
                row_times.push_back(<uint64_t>times[i])
                row_counts.push_back(0)
            row_counts[row_counts.size() - 1] += 1
    rows = <int64_t>row_times.size()
    body = PyBytes_FromStringAndSize(NULL, 12 * rows + 12 * count)
    out = <uint8_t*>PyBytes_AS_STRING(body)
    with nogil:
        put_planes64(out, row_times.data(), rows)
        put_planes32(out + 8 * rows, row_counts.data(), rows)
        put_planes32(out + 12 * rows, steps.data(), count)
        put_planes64(out + 12 * rows + 4 * count, <const uint64_t*>&values[0], count)
    return rows, body
