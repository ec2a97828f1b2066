"""`anchored` and `smoothed`: what a counter or gauge did between the borders of its window, without extrapolation.

Anchored windows begin with the last sample at or before their start, if the look-back has one. Smoothed ones lie between
values on the lines through the samples around each border; a counter that was reset in such a gap rises from 0.
"""

from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t, uint8_t

from nunchi.query.kernels.borders cimport BorderCache, Samples

FUNCTIONS = {"rate": 0, "increase": 1, "delta": 2, "changes": 3, "resets": 4}
cdef int RATE = 0
cdef int DELTA = 2
cdef int CHANGES = 3


cdef inline double on_line(Samples* samples, int64_t i, int64_t at_ms, bint is_counter, bint from_zero) noexcept nogil:
    """The value between sample `i` and the next; a counter reset in between rises from 0, or from its value before."""
    cdef double left = samples.values[i], right = samples.values[i + 1]
    if is_counter and right < left:
        if from_zero:
            left = 0
        else:
            right += left
    return left + (right - left) * <double>(at_ms - samples.times[i]) / <double>(samples.times[i + 1] - samples.times[i])


cdef double change(
    Samples* samples, int64_t first, int64_t last, int64_t start_ms, int64_t end_ms, bint is_smoothed, bint is_counter
) noexcept nogil:
    """From the sample `first` to `last`, both included; where smoothed, from line to line. Resets are made up for."""
    cdef double begin = samples.values[first], end = samples.values[last], result
    cdef int64_t counted_from = first, counted_to = last, i
    if is_smoothed and last > first:
        if samples.times[first] < start_ms:
            begin = on_line(samples, first, start_ms, is_counter, True)
            counted_from += 1
        if samples.times[last] > end_ms:
            end = on_line(samples, last - 1, end_ms, is_counter, last - first == 1 and counted_from > first)
            counted_to -= 1
    result = end - begin
    if is_counter:
        for i in range(counted_from + 1, counted_to + 1):
            if samples.values[i] < samples.values[i - 1]:
                result += samples.values[i - 1]
    return result


cdef double count(Samples* samples, int64_t first, int64_t last, bint changes) noexcept nogil:
    """How often the value changed, or fell."""
    cdef int64_t i, found = 0
    cdef double now, before
    for i in range(first + 1, last + 1):
        now = samples.values[i]
        before = samples.values[i - 1]
        if changes:
            found += now != before and not (isnan(now) and isnan(before))
        else:
            found += now < before
    return <double>found


def evaluate(
    int code, bint is_smoothed, const int32_t[::1] vector_of, const int64_t[::1] vectors,
    const int64_t[::1] vector_offsets, const double[::1] cells, const int64_t[::1] offsets, const int64_t[::1] rows,
    const int64_t[::1] references, int64_t range_ms, int64_t lookback_ms,
    double[:, ::1] values, uint8_t[:, ::1] present,
):
    """Per row and step a function (see `FUNCTIONS`) of the window (reference - range, reference].

    The tile reaches one look-back further to both sides. Fills `values` and `present`; returns the samples used.
    """
    cdef Py_ssize_t steps = references.shape[0], r, s, row
    cdef int64_t begin, end, first, last, held = 0
    cdef BorderCache borders
    cdef Samples samples
    with nogil:
        borders.open(&vectors[0], &vector_offsets[0], vector_offsets.shape[0] - 1, &references[0], steps, range_ms)
        for r in range(rows.shape[0]):
            row = rows[r]
            borders.find(vector_of[row])
            samples.load(borders.times, &cells[0] + offsets[row], offsets[row + 1] - offsets[row])
            for s in range(steps):
                begin = samples.place(borders.low[s])
                end = samples.place(borders.high[s])
                first = begin
                last = end - 1
                if begin > 0 and samples.times[begin - 1] > references[s] - range_ms - lookback_ms:
                    first = begin - 1
                if (
                    is_smoothed and first < end and end < samples.count
                    and samples.times[end] <= references[s] + lookback_ms
                    and samples.times[end - 1] != references[s]
                ):
                    last = end
                values[r, s] = 0
                present[r, s] = begin <= last
                if begin > last:
                    continue
                held += last - first + 1
                if code >= CHANGES:
                    values[r, s] = count(&samples, first, last, code == CHANGES)
                    continue
                values[r, s] = change(
                    &samples, first, last, references[s] - range_ms, references[s], is_smoothed, code != DELTA
                )
                if code == RATE:
                    values[r, s] /= <double>range_ms / 1000
    return held


def select_smoothed(
    const int32_t[::1] vector_of, const int64_t[::1] vectors, const int64_t[::1] vector_offsets,
    const double[::1] cells, const int64_t[::1] offsets, const int64_t[::1] rows,
    const int64_t[::1] references, int64_t lookback_ms, double[:, ::1] values, uint8_t[:, ::1] present,
):
    """Per row and step the value on the line between the samples around the reference; behind the last, that one."""
    cdef Py_ssize_t steps = references.shape[0], r, s, row
    cdef int64_t i, held = 0
    cdef BorderCache borders
    cdef Samples samples
    with nogil:
        borders.open(&vectors[0], &vector_offsets[0], vector_offsets.shape[0] - 1, &references[0], steps, lookback_ms)
        for r in range(rows.shape[0]):
            row = rows[r]
            borders.find(vector_of[row])
            samples.load(borders.times, &cells[0] + offsets[row], offsets[row + 1] - offsets[row])
            for s in range(steps):
                i = samples.place(borders.high[s]) - 1
                values[r, s] = 0
                present[r, s] = i >= samples.place(borders.low[s])
                if not present[r, s]:
                    continue
                held += 1
                values[r, s] = samples.values[i]
                if (
                    samples.times[i] != references[s] and i + 1 < samples.count
                    and samples.times[i + 1] <= references[s] + lookback_ms
                ):
                    held += 1
                    values[r, s] = on_line(&samples, i, references[s], False, False)
    return held
