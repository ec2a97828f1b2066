"""The functions of one window that need only its floats. Formulas and their order of operations are Prometheus's.

A function answers whether it has a value at all: some want two samples. Windows are never empty.
"""

from libc.math cimport fabs, isinf, isnan, sqrt, NAN
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from nunchi.query.kernels.exact cimport add, quantile_of
from nunchi.query.kernels.rows cimport Span, extrapolated, measure_span


cdef struct Window:
    const int64_t* times
    const double* values
    const int32_t* falls   # falls[i]: how often the value fell up to cell i; NULL where it never does or nobody asks
    const int32_t* turns   # turns[i]: how often the value changed up to cell i; only for changes()
    Py_ssize_t begin
    Py_ssize_t end
    int64_t start_ms
    int64_t end_ms
    int64_t now_ms
    double range_seconds
    double first
    double second
    double* scratch


ctypedef bint (*Function)(Window* window, double* result) noexcept nogil


# --- counters and gauges -------------------------------------------------------------------------------------------


cdef inline bint extrapolate_window(Window* w, double* result, bint is_counter, bint is_rate) noexcept nogil:
    cdef Span span
    cdef double seconds = w.range_seconds if is_rate else 1
    if w.end - w.begin < 2:
        return False
    measure_span(w.times, w.begin, w.end, w.start_ms, w.end_ms, seconds, &span)
    result[0] = extrapolated(w.values, w.falls, w.begin, w.end, &span, is_counter, seconds)
    return True


cdef inline bint f_rate(Window* w, double* result) noexcept nogil:
    return extrapolate_window(w, result, True, True)


cdef inline bint f_increase(Window* w, double* result) noexcept nogil:
    return extrapolate_window(w, result, True, False)


cdef inline bint f_delta(Window* w, double* result) noexcept nogil:
    return extrapolate_window(w, result, False, False)


cdef inline bint f_irate(Window* w, double* result) noexcept nogil:
    cdef double last, before
    if w.end - w.begin < 2:
        return False
    last = w.values[w.end - 1]
    before = w.values[w.end - 2]
    result[0] = last if last < before else last - before
    result[0] /= <double>(w.times[w.end - 1] - w.times[w.end - 2]) / 1000
    return True


cdef inline bint f_idelta(Window* w, double* result) noexcept nogil:
    if w.end - w.begin < 2:
        return False
    result[0] = w.values[w.end - 1] - w.values[w.end - 2]
    return True


cdef inline bint f_changes(Window* w, double* result) noexcept nogil:
    result[0] = <double>(w.turns[w.end - 1] - w.turns[w.begin])
    return True


cdef inline bint f_resets(Window* w, double* result) noexcept nogil:
    result[0] = 0 if w.falls == NULL else <double>(w.falls[w.end - 1] - w.falls[w.begin])
    return True


# --- over time ----------------------------------------------------------------------------------------------------


cdef inline bint f_sum(Window* w, double* result) noexcept nogil:
    cdef double total = 0, rest = 0
    cdef Py_ssize_t i
    for i in range(w.begin, w.end):
        add(w.values[i], &total, &rest)
    result[0] = total if isinf(total) else total + rest
    return True


cdef inline bint f_avg(Window* w, double* result) noexcept nogil:
    """The plain mean, until the sum would overflow; from there on an incremental one."""
    cdef double total = w.values[w.begin], rest = 0, count = 1, share, before_total, before_rest
    cdef bint incremental = False
    cdef Py_ssize_t i
    for i in range(w.begin + 1, w.end):
        count = <double>(i - w.begin + 1)
        if not incremental:
            before_total = total
            before_rest = rest
            add(w.values[i], &total, &rest)
            if not isinf(total):
                continue
            incremental = True
            total = before_total / (count - 1)
            rest = before_rest / (count - 1)
        share = (count - 1) / count
        total *= share
        rest *= share
        add(w.values[i] / count, &total, &rest)
    result[0] = total + rest if incremental else total / count + rest / count
    return True


cdef inline bint f_count(Window* w, double* result) noexcept nogil:
    result[0] = <double>(w.end - w.begin)
    return True


cdef inline bint f_present(Window* w, double* result) noexcept nogil:
    result[0] = 1
    return True


cdef inline bint f_last(Window* w, double* result) noexcept nogil:
    result[0] = w.values[w.end - 1]
    return True


cdef inline bint f_first(Window* w, double* result) noexcept nogil:
    result[0] = w.values[w.begin]
    return True


cdef inline bint f_extreme(Window* w, double* result) noexcept nogil:
    """`min_over_time` and `max_over_time`, of rows as a whole: see `slide_extreme`."""
    return True


cdef inline bint f_ts_of_min(Window* w, double* result) noexcept nogil:
    cdef Py_ssize_t i, at = w.begin
    for i in range(w.begin + 1, w.end):
        if w.values[i] <= w.values[at] or isnan(w.values[at]):
            at = i
    result[0] = <double>w.times[at] / 1000
    return True


cdef inline bint f_ts_of_max(Window* w, double* result) noexcept nogil:
    cdef Py_ssize_t i, at = w.begin
    for i in range(w.begin + 1, w.end):
        if w.values[i] >= w.values[at] or isnan(w.values[at]):
            at = i
    result[0] = <double>w.times[at] / 1000
    return True


cdef inline bint f_ts_of_first(Window* w, double* result) noexcept nogil:
    result[0] = <double>w.times[w.begin] / 1000
    return True


cdef inline bint f_ts_of_last(Window* w, double* result) noexcept nogil:
    result[0] = <double>w.times[w.end - 1] / 1000
    return True


cdef inline bint f_stdvar(Window* w, double* result) noexcept nogil:
    """Welford's method with compensated sums."""
    cdef double count = 0, mean = 0, mean_rest = 0, squares = 0, squares_rest = 0, apart
    cdef Py_ssize_t i
    for i in range(w.begin, w.end):
        count += 1
        apart = w.values[i] - (mean + mean_rest)
        add(apart / count, &mean, &mean_rest)
        add(apart * (w.values[i] - (mean + mean_rest)), &squares, &squares_rest)
    result[0] = (squares + squares_rest) / count
    return True


cdef inline bint f_stddev(Window* w, double* result) noexcept nogil:
    f_stdvar(w, result)
    result[0] = sqrt(result[0])
    return True


cdef inline bint f_quantile(Window* w, double* result) noexcept nogil:
    memcpy(w.scratch, w.values + w.begin, (w.end - w.begin) * sizeof(double))
    result[0] = quantile_of(w.first, w.scratch, w.end - w.begin)
    return True


cdef inline bint f_mad(Window* w, double* result) noexcept nogil:
    cdef Py_ssize_t i, count = w.end - w.begin
    cdef double median
    for i in range(w.begin, w.end):
        if isnan(w.values[i]):
            result[0] = NAN
            return True
    memcpy(w.scratch, w.values + w.begin, count * sizeof(double))
    median = quantile_of(0.5, w.scratch, count)
    for i in range(count):
        w.scratch[i] = fabs(w.values[w.begin + i] - median)
    result[0] = quantile_of(0.5, w.scratch, count)
    return True


# --- trends --------------------------------------------------------------------------------------------------------


cdef inline void regression(Window* w, int64_t origin_ms, double* slope, double* intercept) noexcept nogil:
    """Least squares through the samples; x in seconds from the origin."""
    cdef double x, n = 0, sum_x = 0, sum_y = 0, sum_xy = 0, sum_xx = 0
    cdef double rest_x = 0, rest_y = 0, rest_xy = 0, rest_xx = 0, covariance, variance
    cdef bint constant = True
    cdef Py_ssize_t i
    for i in range(w.begin, w.end):
        if constant and w.values[i] != w.values[w.begin]:
            constant = False
        n += 1
        x = <double>(w.times[i] - origin_ms) / 1000
        add(x, &sum_x, &rest_x)
        add(w.values[i], &sum_y, &rest_y)
        add(x * w.values[i], &sum_xy, &rest_xy)
        add(x * x, &sum_xx, &rest_xx)
    if constant and not isnan(w.values[w.begin]):
        slope[0] = NAN if isinf(w.values[w.begin]) else 0
        intercept[0] = NAN if isinf(w.values[w.begin]) else w.values[w.begin]
        return
    sum_x += rest_x
    sum_y += rest_y
    sum_xy += rest_xy
    sum_xx += rest_xx
    covariance = sum_xy - sum_x * sum_y / n
    variance = sum_xx - sum_x * sum_x / n
    slope[0] = covariance / variance
    intercept[0] = sum_y / n - slope[0] * sum_x / n


cdef inline bint f_deriv(Window* w, double* result) noexcept nogil:
    cdef double intercept
    if w.end - w.begin < 2:
        return False
    regression(w, w.times[w.begin], result, &intercept)
    return True


cdef inline bint f_predict_linear(Window* w, double* result) noexcept nogil:
    cdef double slope, intercept
    if w.end - w.begin < 2:
        return False
    regression(w, w.now_ms, &slope, &intercept)
    result[0] = slope * w.first + intercept
    return True


cdef inline bint f_double_exponential_smoothing(Window* w, double* result) noexcept nogil:
    cdef double smooth, before = 0, trend
    cdef Py_ssize_t i
    if w.end - w.begin < 2:
        return False
    smooth = w.values[w.begin]
    trend = w.values[w.begin + 1] - w.values[w.begin]
    for i in range(w.begin + 1, w.end):
        if i > w.begin + 1:
            trend = w.second * (smooth - before) + (1 - w.second) * trend
        before, smooth = smooth, w.first * w.values[i] + (1 - w.first) * (smooth + trend)
    result[0] = smooth
    return True
