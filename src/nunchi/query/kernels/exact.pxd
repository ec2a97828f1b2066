"""What several kernels compute in the same way: compensated sums and quantiles."""

from libc.math cimport fabs, isinf

cdef extern from *:
    """
    #include <algorithm>
    #include <cmath>
    #include <cstddef>

    static inline bool nan_first(double a, double b) { return (std::isnan(a) && !std::isnan(b)) || a < b; }

    /* The quantile of values that may be reordered; NaN counts as the smallest. */
    static inline double quantile_of(double q, double* values, std::size_t count) {
        if (count == 0 || std::isnan(q)) return NAN;
        if (q < 0) return -INFINITY;
        if (q > 1) return INFINITY;
        const double rank = q * static_cast<double>(count - 1);
        const std::size_t lower = static_cast<std::size_t>(std::max(0.0, std::floor(rank)));
        const std::size_t upper = std::min(count - 1, lower + 1);
        std::nth_element(values, values + lower, values + count, nan_first);
        const double low = values[lower];
        const double high = upper == lower ? low : *std::min_element(values + upper, values + count, nan_first);
        const double weight = rank - std::floor(rank);
        return low * (1 - weight) + high * weight;
    }
    """
    double quantile_of(double q, double* values, size_t count) nogil


cdef inline void add(double value, double* total, double* rest) noexcept nogil:
    """Kahan's sum in Neumaier's form."""
    cdef double following = total[0] + value
    if isinf(following):
        rest[0] = 0
    elif fabs(total[0]) >= fabs(value):
        rest[0] += (total[0] - following) + value
    else:
        rest[0] += (value - following) + total[0]
    total[0] = following
