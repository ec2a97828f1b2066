"""Native histograms, many at a time: compensated sums of rows, quantiles and fractions.

Within a bucket observations are taken to be spread evenly: exponentially where the buckets are, linearly in the zero bucket
and in custom ones. Invariant: observations that are NaN count in `counts` alone; no bucket holds them.
"""

from libc.math cimport fabs, isinf, isnan, log2, pow, INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp.vector cimport vector

from nunchi.query.kernels.exact cimport add

cdef double GREATEST = 1.7976931348623157e308


cdef struct Bucket:
    double lower
    double upper
    double count


def sums(const double[:, ::1] matrix, const int64_t[::1] begins, const int64_t[::1] ends, double[:, ::1] result):
    """Into each row of `result` the compensated sum of the rows `begins[i]` to `ends[i]`, in their order."""
    cdef Py_ssize_t width = matrix.shape[1], i, k, row
    cdef double before, value, after, lost
    cdef vector[double] totals, rests
    cdef double* total
    cdef double* rest
    cdef const double* values
    if width == 0 or matrix.shape[0] == 0:
        return
    with nogil:
        for i in range(begins.shape[0]):
            totals.assign(width, 0.0)
            rests.assign(width, 0.0)
            total, rest = totals.data(), rests.data()
            for row in range(begins[i], ends[i]):
                values = &matrix[row, 0]
                for k in range(width):  # without branches, several columns at once
                    before, value = total[k], values[k]
                    after = before + value
                    lost = (before - after) + value if fabs(before) >= fabs(value) else (value - after) + before
                    rest[k] = 0.0 if fabs(after) > GREATEST else rest[k] + lost
                    total[k] = after
            for k in range(width):
                result[i, k] = total[k] if isinf(total[k]) else total[k] + rest[k]


cdef inline bint is_linear(const Bucket* bucket, bint is_custom) noexcept nogil:
    return is_custom or bucket.lower <= 0 <= bucket.upper


cdef double value_within(const Bucket* bucket, double part, bint is_custom) noexcept nogil:
    """The value below which a part of a bucket lies."""
    cdef double low, high
    if is_linear(bucket, is_custom):
        return bucket.lower + (bucket.upper - bucket.lower) * part
    low, high = log2(fabs(bucket.lower)), log2(fabs(bucket.upper))
    if bucket.lower > 0:
        return pow(2.0, low + (high - low) * part)
    return -pow(2.0, high + (low - high) * (1 - part))


cdef double part_below(const Bucket* bucket, double bound, bint is_custom) noexcept nogil:
    """The part of a bucket below a bound within it."""
    cdef double low, high, at
    if is_linear(bucket, is_custom):
        return (bound - bucket.lower) / (bucket.upper - bucket.lower)
    low, high, at = log2(fabs(bucket.lower)), log2(fabs(bucket.upper)), log2(fabs(bound))
    return (at - low) / (high - low) if bucket.lower > 0 else 1 - (at - high) / (low - high)


cdef double quantile(double rank, double count, double total, vector[Bucket]& buckets, bint is_custom) noexcept nogil:
    """The quantile of a histogram by its populated buckets; observations that are NaN count as largest."""
    cdef double place, plain = 0, lost = 0, passed = 0, into
    cdef bint upwards
    cdef Py_ssize_t i, size = buckets.size()
    cdef Bucket* found = NULL
    if rank < 0:
        return -INFINITY
    if rank > 1:
        return INFINITY
    if count == 0 or isnan(rank):
        return NAN
    upwards = isnan(total) or rank < 0.5
    place = rank * count if upwards else (1 - rank) * count
    for i in range(size):
        found = &buckets[i if upwards else size - 1 - i]
        add(found.count, &plain, &lost)
        passed = plain if isinf(plain) else plain + lost
        if passed >= place:
            break
    if found == NULL:
        return NAN
    if is_custom:
        if found.lower == -INFINITY:
            return found.upper
        if found.upper == INFINITY:
            return NAN if isnan(total) and place > passed else found.lower
    if upwards and place > passed:
        return NAN if isnan(total) else found.upper
    into = place - (passed - found.count) if upwards else passed - place
    return value_within(found, into / found.count, is_custom)


cdef double at_or_below(double bound, vector[Bucket]& buckets, bint is_custom) noexcept nogil:
    cdef double below = 0, part
    cdef Bucket* bucket
    cdef Py_ssize_t i
    for i in range(<Py_ssize_t>buckets.size()):
        bucket = &buckets[i]
        if bound >= bucket.upper:
            below += bucket.count
        elif bound > bucket.lower and not isinf(bucket.upper):
            part = 1.0 if isinf(bucket.lower) else part_below(bucket, bound, is_custom)
            return below + bucket.count * part
        else:
            break
    return below


cdef double fraction(double lower, double upper, double count, vector[Bucket]& buckets, bint is_custom) noexcept nogil:
    """The part of the observations between two bounds; NaN ones are in no part."""
    if count == 0 or isnan(lower) or isnan(upper):
        return NAN
    if lower >= upper:
        return 0.0
    return (at_or_below(upper, buckets, is_custom) - at_or_below(lower, buckets, is_custom)) / count


cdef inline void put(double lower, double upper, double count, bint is_custom, vector[Bucket]& buckets) noexcept nogil:
    """One more bucket, if it is populated; the first custom one begins at 0 where it ends above."""
    if count != 0:
        buckets.push_back(Bucket(0.0 if is_custom and lower == -INFINITY and upper > 0 else lower, upper, count))


def evaluate(
    const int32_t[::1] numbers, const int32_t[::1] shape_of, const double[::1] counts, const double[::1] totals,
    const double[::1] zero_counts, const int64_t[::1] offsets, const double[::1] bucket_counts,
    const int64_t[::1] bounds_begin, const int64_t[::1] positive_widths, const int64_t[::1] negative_widths,
    const double[::1] thresholds, const uint8_t[::1] are_custom, const double[::1] lowers, const double[::1] uppers,
    bint is_quantile, const double[::1] first, const double[::1] second, double[::1] result,
):
    """Of each histogram in `numbers` its quantile `first`, or the fraction of observations between `first` and `second`.

    Bounds stand as bucket counts do: the positive side ascending, then the negative side from zero outwards. The zero bucket
    reaches only to the side that is there.
    """
    cdef Py_ssize_t i, k, at, shape, number, above, below
    cdef double threshold, low, high
    cdef vector[Bucket] buckets
    with nogil:
        for i in range(numbers.shape[0]):
            number = numbers[i]
            shape = shape_of[number]
            above, below, at = positive_widths[shape], negative_widths[shape], bounds_begin[shape]
            buckets.clear()
            for k in range(above + below - 1, above - 1, -1):
                put(lowers[at + k], uppers[at + k], bucket_counts[offsets[number] + k], are_custom[shape], buckets)
            threshold = thresholds[shape]
            low, high = -threshold, threshold
            if threshold > 0 and not are_custom[shape]:
                if below and not above:
                    high = 0
                elif above and not below:
                    low = 0
            put(low, high, zero_counts[number], are_custom[shape], buckets)
            for k in range(above):
                put(lowers[at + k], uppers[at + k], bucket_counts[offsets[number] + k], are_custom[shape], buckets)
            if is_quantile:
                result[i] = quantile(first[i], counts[number], totals[number], buckets, are_custom[shape])
            else:
                result[i] = fraction(first[i], second[i], counts[number], buckets, are_custom[shape])
