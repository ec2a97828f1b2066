"""Selection over tiles: the newest sample of a look-back, and all samples of one window. Cells are told by their bits."""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

from nunchi.query.kernels.borders cimport ABSENT_BITS, BorderCache, STALE_BITS, bits_of, is_sample


def select_instant(
    const int32_t[::1] vector_of, const int64_t[::1] vectors, const int64_t[::1] vector_offsets,
    const double[::1] cells, const int64_t[::1] offsets, const int64_t[::1] rows,
    const int64_t[::1] references, int64_t lookback_ms, bint want_times,
    double[:, ::1] values, uint8_t[:, ::1] present,
):
    """Per row and step the newest sample in (reference - lookback, reference], or nothing where that is a staleness marker.

    Fills `values` (the sample, or with `want_times` its time in seconds) and `present`; returns samples found.
    """
    cdef Py_ssize_t steps = references.shape[0], r, s, i, row
    cdef int64_t found = 0
    cdef BorderCache borders
    cdef const double* data
    with nogil:
        borders.open(&vectors[0], &vector_offsets[0], vector_offsets.shape[0] - 1, &references[0], steps, lookback_ms)
        for r in range(rows.shape[0]):
            row = rows[r]
            borders.find(vector_of[row])
            data = &cells[0] + offsets[row]
            for s in range(steps):
                i = borders.high[s] - 1
                while i >= borders.low[s] and bits_of(data + i) == ABSENT_BITS:
                    i -= 1
                if i < borders.low[s] or bits_of(data + i) == STALE_BITS:
                    values[r, s] = 0
                    present[r, s] = 0
                    continue
                values[r, s] = <double>borders.times[i] / 1000 if want_times else data[i]
                present[r, s] = 1
                found += 1
    return found


def gather(
    const int32_t[::1] vector_of, const int64_t[::1] vectors, const int64_t[::1] vector_offsets,
    const double[::1] cells, const int64_t[::1] offsets, int64_t start_ms, int64_t end_ms,
):
    """The samples of every row of a tile in (start, end]: counts int64[rows], times int64[...], values float64[...]."""
    cdef Py_ssize_t n = vector_of.shape[0], r, i, begin
    cdef int64_t at = 0, before
    counts = np.zeros(n, np.int64)
    times_out = np.empty(cells.shape[0], np.int64)
    values_out = np.empty(cells.shape[0], np.float64)
    cdef int64_t[::1] counts_view = counts
    cdef int64_t[::1] times_view = times_out
    cdef double[::1] values_view = values_out
    with nogil:
        for r in range(n):
            before = at
            begin = vector_offsets[vector_of[r]]
            for i in range(offsets[r + 1] - offsets[r]):
                if start_ms < vectors[begin + i] <= end_ms and is_sample(&cells[offsets[r] + i]):
                    times_view[at] = vectors[begin + i]
                    values_view[at] = cells[offsets[r] + i]
                    at += 1
            counts_view[r] = at - before
    return counts, times_out[:at].copy(), values_out[:at].copy()
