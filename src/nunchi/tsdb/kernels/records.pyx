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
    """How many runs of equal timestamps there are, their oldest and newest, and: timestamps, cells, refs as differences, values.

    The last four as planes, one after the other. Without cells the oldest is 2^62 and the newest -2^62.
    """
    cdef int64_t count = refs.shape[0], i, rows, oldest = <int64_t>1 << 62, newest = -(<int64_t>1 << 62)
    cdef vector[uint64_t] row_times
    cdef vector[uint32_t] row_counts
    cdef vector[uint32_t] steps
    cdef uint8_t* out
    if count == 0:
        return 0, oldest, newest, b""
    with nogil:
        steps.resize(count)
        for i in range(count):
            steps[i] = <uint32_t>refs[i] - (<uint32_t>refs[i - 1] if i else 0)
            if i == 0 or times[i] != times[i - 1]:
                row_times.push_back(<uint64_t>times[i])
                row_counts.push_back(0)
                if times[i] < oldest:
                    oldest = times[i]
                if times[i] > newest:
                    newest = times[i]
            row_counts[row_counts.size() - 1] += 1
    rows = <int64_t>row_times.size()
    body = PyBytes_FromStringAndSize(NULL, 12 * rows + 12 * count)
    out = <uint8_t*>PyBytes_AS_STRING(body)
    with nogil:
        put_planes64(out, row_times.data(), rows)
        put_planes32(out + 8 * rows, row_counts.data(), rows)
        put_planes32(out + 12 * rows, steps.data(), count)
        put_planes64(out + 12 * rows + 4 * count, <const uint64_t*>&values[0], count)
    return rows, oldest, newest, body


cdef void take_planes64(const uint8_t* source, uint64_t* words, int64_t count) noexcept nogil:
    cdef int64_t i
    cdef int plane
    for i in range(count):
        words[i] = source[i]
    for plane in range(1, 8):
        for i in range(count):
            words[i] |= <uint64_t>source[plane * count + i] << (8 * plane)


cdef void take_planes32(const uint8_t* source, uint32_t* words, int64_t count) noexcept nogil:
    cdef int64_t i
    cdef int plane
    for i in range(count):
        words[i] = source[i]
    for plane in range(1, 4):
        for i in range(count):
            words[i] |= <uint32_t>source[plane * count + i] << (8 * plane)


def decode_cells(const uint8_t[::1] body, int64_t begin, int64_t rows, int64_t cells, int32_t[::1] refs,
                 int64_t[::1] times, double[::1] values, int64_t at):
    """The inverse of `encode_cells`, from `body[begin:]` to `refs[at:]` and so on; False where the bytes do not add up."""
    cdef int64_t i, row, end
    cdef uint32_t ref = 0
    cdef const uint8_t* source
    cdef uint32_t* steps
    cdef vector[uint64_t] row_times
    cdef vector[uint32_t] row_counts
    if rows < 0 or cells < 0 or begin < 0 or at < 0 or body.shape[0] - begin < 12 * rows + 12 * cells:
        return False
    if at + cells > refs.shape[0] or at + cells > times.shape[0] or at + cells > values.shape[0]:
        return False
    if cells == 0:
        return rows == 0
    source = &body[0] + begin
    with nogil:
        row_times.resize(rows)
        row_counts.resize(rows)
        take_planes64(source, row_times.data(), rows)
        take_planes32(source + 8 * rows, row_counts.data(), rows)
        steps = <uint32_t*>&refs[at]
        take_planes32(source + 12 * rows, steps, cells)
        take_planes64(source + 12 * rows + 4 * cells, <uint64_t*>&values[at], cells)
        for i in range(cells):
            ref += steps[i]
            steps[i] = ref
        i = at
        for row in range(rows):
            end = i + row_counts[row]
            if end > at + cells:
                i = -1
                break
            while i < end:
                times[i] = <int64_t>row_times[row]
                i += 1
    return i == at + cells
