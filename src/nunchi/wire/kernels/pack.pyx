# distutils: language = c++
"""The loop over the cells of a pack: values as differences to a base round, columns as jumps (docs/formats/pack.md).

A cell is one token, a variable-length number whose low three bits say what the rest is. Differences are of whole numbers, or of
numbers with few decimals, where these give back the exact bits; other values are exclusive-or'ed with the base.
Invariant: what is decoded has the bits that were encoded, whatever they are; a damaged body raises and nothing else.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport fabs, llround
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

cdef enum Token:
    SAME          # n + 1 cells have the base's bits
    WHOLE         # difference of whole numbers, zigzag
    HUNDREDTHS    # … of hundredths
    THOUSANDTHS
    MILLIONTHS
    BILLIONTHS
    BITS          # exclusive or with the base; n low bytes are zero and left out
    JUMP          # the next column is n (zigzag) further than expected

cdef enum:
    TOKEN_BITS = 3
    TOKEN_BYTES_MAX = 24     # a jump and a value
    COLUMNS_MAX = 1 << 24

cdef double EXACT = 9007199254740992.0   # 2^53
cdef int64_t DIFFERENCE_MAX = 1LL << 59
cdef double[6] SCALES = [0, 1, 1e2, 1e3, 1e6, 1e9]


class DamagedCellsError(ValueError):
    """Bytes that are no cells."""


cdef inline uint64_t bits_of(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits


cdef inline double value_of(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline uint64_t zigzag(int64_t number) noexcept nogil:
    return (<uint64_t>number << 1) ^ <uint64_t>(number >> 63)


cdef inline int64_t unzigzag(uint64_t number) noexcept nogil:
    return <int64_t>(number >> 1) ^ -<int64_t>(number & 1)


cdef inline uint8_t *put_varint(uint8_t *at, uint64_t number) noexcept nogil:
    while number >= 0x80:
        at[0] = <uint8_t>(number | 0x80)
        at += 1
        number >>= 7
    at[0] = <uint8_t>number
    return at + 1


cdef inline const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *out) noexcept nogil:
    """Past the number, NULL where there is none."""
    cdef uint64_t number = 0
    cdef int shift = 0
    while at < end and shift < 64:
        number |= <uint64_t>(at[0] & 0x7F) << shift
        if at[0] < 0x80:
            out[0] = number
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef inline uint8_t *put_value(uint8_t *at, double value, double base) noexcept nogil:
    cdef int scale
    cdef int64_t number, before
    cdef uint64_t difference
    cdef int zeros = 0
    for scale in range(WHOLE, BITS):
        if not (fabs(value * SCALES[scale]) < EXACT and fabs(base * SCALES[scale]) < EXACT):
            break
        number = llround(value * SCALES[scale])
        if bits_of(<double>number / SCALES[scale]) == bits_of(value):
            before = llround(base * SCALES[scale])
            return put_varint(at, zigzag(number - before) << TOKEN_BITS | <uint64_t>scale)
    difference = bits_of(value) ^ bits_of(base)
    while zeros < 7 and (difference >> (8 * zeros)) & 0xFF == 0:
        zeros += 1
    at = put_varint(at, <uint64_t>zeros << TOKEN_BITS | BITS)
    difference >>= 8 * zeros
    memcpy(at, &difference, 8 - zeros)
    return at + 8 - zeros


def encode_cells(const int32_t[::1] columns, const double[::1] values, Py_ssize_t begin, const double[::1] base,
                 Py_ssize_t bytes_max):
    """Cells from `begin` on, as many as fit: (bytes, where the next pack begins). `base` is by column, 0 beyond its end."""
    cdef vector[uint8_t] out
    cdef uint8_t *at
    cdef uint8_t *stop
    cdef Py_ssize_t cell = begin, count = columns.shape[0]
    cdef int32_t expected = 0, column
    cdef uint64_t run = 0
    cdef double before
    if values.shape[0] != count or bytes_max < TOKEN_BYTES_MAX:
        raise ValueError("as many values as columns, and room for a cell")
    out.resize(bytes_max + TOKEN_BYTES_MAX)
    with nogil:
        at = out.data()
        stop = at + bytes_max - TOKEN_BYTES_MAX
        while cell < count and at <= stop:
            column = columns[cell]
            before = base[column] if 0 <= column < base.shape[0] else 0.0
            if column == expected and bits_of(values[cell]) == bits_of(before):
                run += 1
            else:
                if run:
                    at = put_varint(at, (run - 1) << TOKEN_BITS | SAME)
                    run = 0
                if column != expected:
                    at = put_varint(at, zigzag(<int64_t>column - expected) << TOKEN_BITS | JUMP)
                    if bits_of(values[cell]) == bits_of(before):
                        run = 1
                    else:
                        at = put_value(at, values[cell], before)
                else:
                    at = put_value(at, values[cell], before)
            expected = column + 1
            cell += 1
        if run:
            at = put_varint(at, (run - 1) << TOKEN_BITS | SAME)
    return PyBytes_FromStringAndSize(<char *>out.data(), at - out.data()), cell


def decode_cells(const uint8_t[::1] body, const double[::1] base, Py_ssize_t count):
    """(columns int32, values float64) of exactly `count` cells, as bytes of arrays. Raises DamagedCellsError."""
    columns = PyBytes_FromStringAndSize(NULL, 4 * count)
    values = PyBytes_FromStringAndSize(NULL, 8 * count)
    cdef int32_t *column_out = <int32_t *>PyBytes_AS_STRING(columns)
    cdef double *value_out = <double *>PyBytes_AS_STRING(values)
    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef bint is_fine
    if body.shape[0] == 0:
        if count:
            raise DamagedCellsError("cells end early")
        return columns, values
    at = &body[0]
    end = at + body.shape[0]
    with nogil:
        is_fine = read_cells(at, end, base, column_out, value_out, count)
    if not is_fine:
        raise DamagedCellsError("the bytes are no cells")
    return columns, values


cdef bint read_cells(const uint8_t *at, const uint8_t *end, const double[::1] base, int32_t *columns, double *values,
                     Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t cell = 0
    cdef int64_t expected = 0, number
    cdef uint64_t token, rest, bits
    cdef int kind, zeros
    cdef double before
    while at < end:
        at = read_varint(at, end, &token)
        if at == NULL:
            return False
        kind, rest = token & 7, token >> TOKEN_BITS
        if kind == JUMP:
            number = unzigzag(rest)
            if number < -COLUMNS_MAX or number > COLUMNS_MAX:
                return False
            expected += number
            if expected < 0 or expected >= COLUMNS_MAX:
                return False
            continue
        if kind == SAME:
            if rest >= <uint64_t>(count - cell) or expected + <int64_t>rest >= COLUMNS_MAX:
                return False
            rest += 1
            while rest:
                columns[cell] = <int32_t>expected
                values[cell] = base[expected] if expected < base.shape[0] else 0.0
                cell += 1
                expected += 1
                rest -= 1
            continue
        if cell >= count or expected >= COLUMNS_MAX:
            return False
        before = base[expected] if expected < base.shape[0] else 0.0
        if kind == BITS:
            zeros = <int>(rest & 7)
            if rest > 7 or end - at < 8 - zeros:
                return False
            bits = 0
            memcpy(&bits, at, 8 - zeros)
            at += 8 - zeros
            values[cell] = value_of((bits << (8 * zeros)) ^ bits_of(before))
        else:
            number = unzigzag(rest)
            if not fabs(before * SCALES[kind]) < EXACT or number > DIFFERENCE_MAX or number < -DIFFERENCE_MAX:
                return False
            values[cell] = <double>(llround(before * SCALES[kind]) + number) / SCALES[kind]
        columns[cell] = <int32_t>expected
        cell += 1
        expected += 1
    return cell == count


def spread(const int32_t[::1] columns, const double[::1] values):
    """A round as a base: its values by column, 0 where it has none, as bytes of an array of float64."""
    cdef Py_ssize_t cell
    cdef int32_t last = -1
    cdef double *out
    for cell in range(columns.shape[0]):
        if columns[cell] < 0 or columns[cell] >= COLUMNS_MAX:
            raise DamagedCellsError("a column without a place")
        last = max(last, columns[cell])
    dense = bytes(8 * (last + 1))
    out = <double *>PyBytes_AS_STRING(dense)
    for cell in range(min(columns.shape[0], values.shape[0])):
        out[columns[cell]] = values[cell]
    return dense
