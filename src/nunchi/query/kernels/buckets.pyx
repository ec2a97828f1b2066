"""Quantiles and fractions of classic histograms: series with an upper bound each, cumulative counts per step.

Rows of one histogram stand together, ascending by bound: histogram `h` has the rows `begins[h]` to `begins[h + 1]` of
`order`. Formulas are Prometheus's, with its two repairs of counts that fall from one bucket to the next.
"""

from libc.math cimport fabs, isinf, isnan, INFINITY, NAN
from libc.stdint cimport int64_t, uint8_t
from libcpp.vector cimport vector

import numpy as np

cdef double TOLERANCE = 1e-12
cdef double LEAST_NORMAL = 2.2250738585072014e-308
cdef double GREATEST = 1.7976931348623157e308


cdef inline bint almost_equal(double a, double b, double tolerance) noexcept nogil:
    cdef double together = fabs(a) + fabs(b), apart = fabs(a - b)
    if isnan(a) and isnan(b) or a == b:
        return True
    if a == 0 or b == 0 or together < LEAST_NORMAL:
        return apart < tolerance * LEAST_NORMAL
    return apart / min(together, GREATEST) < tolerance


cdef struct Repair:
    int64_t steps          # at how many steps counts were lifted
    int64_t first_step
    int64_t last_step
    double bound_least
    double bound_most
    double apart_most


cdef bint repair_counts(vector[double]& bounds, vector[double]& counts, Repair* repair) noexcept nogil:
    """Make counts ascend; whether more than rounding had to be mended."""
    cdef double before = counts[0]
    cdef Py_ssize_t i
    cdef bint lifted = False
    for i in range(1, <Py_ssize_t>counts.size()):
        if counts[i] == before:
            continue
        if almost_equal(before, counts[i], TOLERANCE):
            counts[i] = before
        elif counts[i] < before:
            lifted = True
            repair.bound_least = min(repair.bound_least, bounds[i])
            repair.bound_most = max(repair.bound_most, bounds[i])
            repair.apart_most = max(repair.apart_most, before - counts[i])
            counts[i] = before
        else:
            before = counts[i]
    return lifted


cdef double quantile_in(double q, vector[double]& bounds, vector[double]& counts) noexcept nogil:
    cdef Py_ssize_t n = bounds.size(), low = 0, high = n - 1, middle
    cdef double rank, count, start = 0
    if n < 2 or counts[n - 1] == 0:
        return NAN
    rank = q * counts[n - 1]
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    if low == n - 1:
        return bounds[n - 2]
    if low == 0 and bounds[0] <= 0:
        return bounds[0]
    count = counts[low]
    if low > 0:
        start = bounds[low - 1]
        count -= counts[low - 1]
        rank -= counts[low - 1]
    return start + (bounds[low] - start) * (rank / count)


cdef inline double rank_at(double value, double lower, double upper, double rank, double count) noexcept nogil:
    """The cumulative count at a value within a bucket."""
    if isinf(lower):
        return count
    return rank + (count - rank) * (value - lower) / (upper - lower)


cdef double fraction_in(double lower, double upper, vector[double]& bounds, vector[double]& counts) noexcept nogil:
    cdef double total = counts[counts.size() - 1], rank = 0, lower_rank = 0, upper_rank = 0, begin, end
    cdef bint lower_set = False, upper_set = False
    cdef Py_ssize_t i
    if total == 0 or isnan(lower) or isnan(upper):
        return NAN
    if lower >= upper:
        return 0
    for i in range(<Py_ssize_t>bounds.size()):
        end = bounds[i]
        begin = bounds[i - 1] if i else (0 if end > 0 else -INFINITY)
        if not lower_set and lower <= begin:
            lower_rank = rank
            lower_set = True
        if not upper_set and upper <= begin:
            upper_rank = rank
            upper_set = True
        if lower_set and upper_set:
            break
        if not lower_set and begin < lower < end:
            lower_rank = rank_at(lower, begin, end, rank, counts[i])
            lower_set = True
        if not upper_set and begin < upper < end:
            upper_rank = rank_at(upper, begin, end, rank, counts[i])
            upper_set = True
        if lower_set and upper_set:
            break
        rank = counts[i]
    if not lower_set or lower_rank > total:
        lower_rank = total
    if not upper_set or upper_rank > total:
        upper_rank = total
    return (upper_rank - lower_rank) / total


def evaluate(
    const double[:, ::1] values, const uint8_t[:, ::1] present, const int64_t[::1] order, const int64_t[::1] begins,
    const double[::1] upper_bounds, bint is_quantile, const double[::1] first, const double[::1] second,
    double[:, ::1] result, uint8_t[:, ::1] seen,
):
    """Per histogram and step its quantile `first`, or the fraction of observations between `first` and `second`.

    Returns what had to be mended: histogram -> (steps, first step, last step, least bound, greatest bound, greatest fall).
    """
    cdef Py_ssize_t h, s, i, row
    cdef vector[double] bounds, counts
    cdef Repair repair
    cdef vector[Repair] repairs
    with nogil:
        for h in range(begins.shape[0] - 1):
            repair = Repair(0, -1, -1, INFINITY, -INFINITY, 0)
            for s in range(values.shape[1]):
                bounds.clear()
                counts.clear()
                for i in range(begins[h], begins[h + 1]):
                    row = order[i]
                    if not present[row, s]:
                        continue
                    if bounds.size() and bounds.back() == upper_bounds[row]:
                        counts[counts.size() - 1] += values[row, s]
                    else:
                        bounds.push_back(upper_bounds[row])
                        counts.push_back(values[row, s])
                if bounds.empty():
                    continue
                seen[h, s] = 1
                if is_quantile and (isnan(first[s]) or first[s] < 0 or first[s] > 1):
                    result[h, s] = NAN if isnan(first[s]) else (-INFINITY if first[s] < 0 else INFINITY)
                    continue
                if not (isinf(bounds.back()) and bounds.back() > 0):
                    result[h, s] = NAN
                    continue
                if not is_quantile:
                    result[h, s] = fraction_in(first[s], second[s], bounds, counts)
                    continue
                if repair_counts(bounds, counts, &repair):
                    repair.steps += 1
                    repair.last_step = s
                    if repair.first_step < 0:
                        repair.first_step = s
                result[h, s] = quantile_in(first[s], bounds, counts)
            repairs.push_back(repair)
    mended = {}
    for h in range(<Py_ssize_t>repairs.size()):
        if repairs[h].steps:
            repair = repairs[h]
            mended[h] = (
                repair.steps, repair.first_step, repair.last_step,
                repair.bound_least, repair.bound_most, repair.apart_most,
            )
    return mended
