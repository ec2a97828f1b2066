"""What whole rows of windows need: extrapolation, its timestamps apart from its values; extremes, each sample looked at once."""

from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector

cdef struct Span:
    double sampled
    double to_start
    double to_end
    double factor


cdef inline void measure_span(
    const int64_t* times, Py_ssize_t begin, Py_ssize_t end, int64_t start_ms, int64_t end_ms, double range_seconds, Span* span
) noexcept nogil:
    """What extrapolation needs of the timestamps of a window with two samples or more. `range_seconds` 1: no rate."""
    cdef double average, threshold
    span.to_start = <double>(times[begin] - start_ms) / 1000
    span.to_end = <double>(end_ms - times[end - 1]) / 1000
    span.sampled = <double>(times[end - 1] - times[begin]) / 1000
    average = span.sampled / <double>(end - begin - 1)
    threshold = average * 1.1
    if span.to_start >= threshold:
        span.to_start = average / 2
    if span.to_end >= threshold:
        span.to_end = average / 2
    span.factor = (span.sampled + span.to_start + span.to_end) / span.sampled / range_seconds


cdef inline double extrapolated(
    const double* values, const int32_t* falls, Py_ssize_t begin, Py_ssize_t end, const Span* span, bint is_counter,
    double range_seconds,
) noexcept nogil:
    cdef double first = values[begin], change = values[end - 1] - first, to_zero
    cdef Py_ssize_t i
    if falls != NULL and falls[end - 1] != falls[begin]:
        for i in range(begin + 1, end):
            if values[i] < values[i - 1]:
                change += values[i - 1]
    # A counter cannot have begun below zero. Far above it the division is not needed to know.
    if is_counter and change > 0 and first >= 0 and not (
        first > 1e-200 and first * 0.999999 * span.sampled > span.to_start * change
    ):
        to_zero = span.sampled * (first / change)
        if to_zero < span.to_start:
            return change * ((span.sampled + to_zero + span.to_end) / span.sampled / range_seconds)
    return change * span.factor


cdef inline void slide_extreme(
    const double* values, const int32_t* low, const int32_t* high, int64_t steps, bint is_max, vector[int64_t]& queue,
    double* results,
) noexcept nogil:
    """The greatest or least value of each window that is not empty: of equals the first, NaN where there is nothing else.

    `queue[head:]` holds the samples that may still be an extreme, the best first. Borders do not descend.
    """
    cdef int64_t s, i = 0, head = 0
    cdef double value
    queue.clear()
    for s in range(steps):
        if low[s] >= high[s]:
            continue
        while i < high[s]:
            value = values[i]
            if not isnan(value):
                while <int64_t>queue.size() > head and (
                    value > values[queue.back()] if is_max else value < values[queue.back()]
                ):
                    queue.pop_back()
                queue.push_back(i)
            i += 1
        while head < <int64_t>queue.size() and queue[head] < low[s]:
            head += 1
        results[s] = values[queue[head]] if head < <int64_t>queue.size() else values[high[s] - 1]
