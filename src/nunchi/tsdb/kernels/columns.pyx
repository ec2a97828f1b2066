# Float columns as small integers, and back, bit for bit.
#
# A column whose values are decimals of at most DIGITS_MAX places becomes integers; these become differences of the order
# (0, 1 or 2) that needs the fewest bits. Other columns keep their bits, exclusive-or'ed with their predecessor's. NaNs,
# infinities, markers and negative zero in an integer column are exceptions: the predecessor stands in for them.

from libc.math cimport fabs, rint
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

cdef extern from *:
    int __builtin_clzll(unsigned long long) nogil

cdef enum:
    KIND_DECIMAL = 0
    KIND_BITS = 1
    DIGITS_MAX = 9
    EXCEPTION_SHARE = 8      # more than one exception in so many values: the column keeps its bits

cdef double POWERS[10]
POWERS[:] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]
cdef double INTEGER_MAX = 4503599627370496.0    # 2^52: scaling up and dividing down are exact below


cdef inline uint64_t bits_of(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits


cdef inline double float_of(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline uint64_t zigzag(uint64_t value) noexcept nogil:
    return (value << 1) ^ (0 - (value >> 63))


cdef inline uint64_t unzigzag(uint64_t value) noexcept nogil:
    return (value >> 1) ^ (0 - (value & 1))


cdef inline bint is_exact(double value, int digits) noexcept nogil:
    cdef double scaled = rint(value * POWERS[digits])
    return fabs(scaled) < INTEGER_MAX and scaled / POWERS[digits] == value


cdef inline bint is_ordinary(double value) noexcept nogil:
    return value - value == 0.0 and not (value == 0.0 and bits_of(value) != 0)


cdef int decimal_digits(const double* values, int64_t count) noexcept nogil:
    """Decimal places that hold all ordinary values exactly, or -1."""
    cdef int64_t i, odd = 0
    cdef int digits = 0
    for i in range(count):
        if not is_ordinary(values[i]):
            odd += 1
            continue
        while not is_exact(values[i], digits):
            digits += 1
            if digits > DIGITS_MAX:
                return -1
    if odd * EXCEPTION_SHARE > count and odd > 1:
        return -1
    if digits:
        for i in range(count):
            if is_ordinary(values[i]) and not is_exact(values[i], digits):
                return -1
    return digits


cdef int choose_order(const int64_t* integers, int64_t count) noexcept nogil:
    """The order of differences with the smallest sum of bit lengths."""
    cdef int64_t i, cost0 = 0, cost1 = 0, cost2 = 0
    cdef uint64_t delta, before = 0
    for i in range(1, count):
        delta = <uint64_t>integers[i] - <uint64_t>integers[i - 1]
        cost0 += 64 - __builtin_clzll(zigzag(<uint64_t>integers[i]) | 1)
        cost1 += 64 - __builtin_clzll(zigzag(delta) | 1)
        cost2 += 64 - __builtin_clzll(zigzag(delta - before) | 1)
        before = delta
    if cost2 < cost1 and cost2 < cost0:
        return 2
    return 1 if cost1 < cost0 else 0


def encode(const double[::1] values, const int64_t[::1] offsets, uint8_t[::1] kinds, uint8_t[::1] digits,
           uint8_t[::1] orders, uint64_t[::1] words):
    """Write each column's kind, digits, order and words; returns exceptions as (positions, bits) lists of ints.

    words[offsets[c]:offsets[c + 1]] are the differences of column c, zigzagged, or exclusive-or'ed bits.
    """
    cdef int64_t columns = offsets.shape[0] - 1, c, begin, count
    cdef vector[int64_t] positions
    cdef vector[uint64_t] exceptions
    if values.shape[0] == 0:
        return [], []
    with nogil:
        for c in range(columns):
            begin = offsets[c]
            count = offsets[c + 1] - begin
            if count > 0:
                encode_column(&values[begin], begin, count, &kinds[c], &digits[c], &orders[c], &words[begin],
                              positions, exceptions)
    return list(positions), list(exceptions)


cdef void encode_column(const double* values, int64_t begin, int64_t count, uint8_t* kind, uint8_t* digits,
                        uint8_t* order, uint64_t* words, vector[int64_t]& positions,
                        vector[uint64_t]& exceptions) noexcept nogil:
    cdef int64_t i
    cdef int places = decimal_digits(values, count)
    cdef uint64_t before = 0, delta, word, delta_before = 0
    cdef int64_t* integers = <int64_t*>words
    order[0] = 0
    if places < 0:
        kind[0] = KIND_BITS
        digits[0] = 0
        for i in range(count):
            word = bits_of(values[i])
            words[i] = word ^ before
            before = word
        return
    kind[0] = KIND_DECIMAL
    digits[0] = <uint8_t>places
    for i in range(count):
        if is_ordinary(values[i]):
            integers[i] = <int64_t>rint(values[i] * POWERS[places])
        else:
            integers[i] = integers[i - 1] if i else 0
            positions.push_back(begin + i)
            exceptions.push_back(bits_of(values[i]))
    order[0] = <uint8_t>choose_order(integers, count)
    for i in range(count):
        word = words[i]
        delta = word - before
        if order[0] == 0:
            words[i] = zigzag(word)
        elif order[0] == 1:
            words[i] = zigzag(delta)
        else:
            words[i] = zigzag(delta - delta_before)
        # The first difference of all is the first value itself: it must not count as a slope.
        delta_before = delta if i else 0
        before = word


def decode(const uint64_t[::1] words, const int64_t[::1] offsets, const uint8_t[::1] kinds, const uint8_t[::1] digits,
           const uint8_t[::1] orders, const int64_t[::1] positions, const uint64_t[::1] exceptions, double[::1] values):
    """The inverse of `encode`. Raises ValueError where the arrays do not fit each other."""
    cdef int64_t columns = offsets.shape[0] - 1, c, i
    if (kinds.shape[0] < columns or digits.shape[0] < columns or orders.shape[0] < columns
            or values.shape[0] != words.shape[0] or positions.shape[0] != exceptions.shape[0]
            or offsets[0] != 0 or offsets[columns] != words.shape[0]):
        raise ValueError("arrays of a page do not fit each other")
    for c in range(columns):
        if offsets[c + 1] < offsets[c] or digits[c] > DIGITS_MAX or orders[c] > 2 or kinds[c] > KIND_BITS:
            raise ValueError(f"column {c} of a page is damaged")
    for i in range(positions.shape[0]):
        if not 0 <= positions[i] < values.shape[0]:
            raise ValueError("an exception of a page lies outside it")
    with nogil:
        for c in range(columns):
            if offsets[c + 1] > offsets[c]:
                decode_column(&words[offsets[c]], offsets[c + 1] - offsets[c], kinds[c], digits[c], orders[c],
                              &values[offsets[c]])
        for i in range(positions.shape[0]):
            values[positions[i]] = float_of(exceptions[i])


cdef void decode_column(const uint64_t* words, int64_t count, uint8_t kind, uint8_t digits, uint8_t order,
                        double* values) noexcept nogil:
    cdef int64_t i
    cdef uint64_t word = 0, delta = 0
    cdef double scale = POWERS[digits]
    if kind == KIND_BITS:
        for i in range(count):
            word ^= words[i]
            values[i] = float_of(word)
    elif order == 0:
        for i in range(count):
            values[i] = <double><int64_t>unzigzag(words[i]) / scale
    elif order == 1:
        for i in range(count):
            word += unzigzag(words[i])
            values[i] = <double><int64_t>word / scale
    else:
        word = unzigzag(words[0])
        values[0] = <double><int64_t>word / scale
        for i in range(1, count):
            delta += unzigzag(words[i])
            word += delta
            values[i] = <double><int64_t>word / scale


def shuffle(const uint64_t[::1] words, uint8_t[::1] out):
    """Byte planes, lowest first; returns how many planes are not all zero. `out` holds 8 bytes a word."""
    cdef int64_t count = words.shape[0], i
    cdef uint64_t seen = 0, word
    cdef int plane, planes = 0
    if out.shape[0] < 8 * count:
        raise ValueError("no room for the planes")
    if count == 0:
        return 0
    with nogil:
        for i in range(count):
            seen |= words[i]
        while seen:
            seen >>= 8
            planes += 1
        for plane in range(planes):
            for i in range(count):
                out[plane * count + i] = <uint8_t>(words[i] >> (8 * plane))
    return planes


def unshuffle(const uint8_t[::1] shuffled, int planes, uint64_t[::1] words):
    """The inverse of `shuffle`. Raises ValueError where the bytes are not `planes` planes of `words`."""
    cdef int64_t count = words.shape[0], i
    cdef int plane
    if not 0 <= planes <= 8 or shuffled.shape[0] != planes * count:
        raise ValueError("planes of a page have another length than their page says")
    if count == 0:
        return
    with nogil:
        for i in range(count):
            words[i] = 0
        for plane in range(planes):
            for i in range(count):
                words[i] |= <uint64_t>shuffled[plane * count + i] << (8 * plane)
