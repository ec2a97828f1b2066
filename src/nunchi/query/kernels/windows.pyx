"""Windows over tiles: every function of a range that needs only its floats.

One call evaluates some rows of a tile at all steps. The borders of the windows are computed once per timestamp vector. A
window is left-open: (reference - width, reference]. Cells without a value and staleness markers are told by their bits and
are no samples. The functions themselves stand in `window_functions.pxd`.
Invariant: results are equal to Prometheus's to the bit.
"""

from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp.atomic cimport atomic
from libcpp.vector cimport vector

from nunchi.kit.kernels.sharing cimport share_out
from nunchi.query.kernels.borders cimport BorderCache, Samples
from nunchi.query.kernels.rows cimport Span, extrapolated, measure_span, slide_extreme
from nunchi.query.kernels.window_functions cimport (
    Function, Window, f_rate, f_increase, f_delta, f_irate, f_idelta, f_changes, f_resets, f_sum, f_avg, f_count,
    f_present, f_last, f_first, f_extreme, f_ts_of_min, f_ts_of_max, f_ts_of_first, f_ts_of_last, f_stdvar, f_stddev,
    f_quantile, f_mad, f_deriv, f_predict_linear, f_double_exponential_smoothing,
)

cdef enum:
    WORK_PER_PIECE = 32768  # samples looked at: some tens of microseconds
    EXTREMES = 13           # the code of `min_over_time`; that of `max_over_time` is the next
    PIECES_MIN = 4          # below, a thread is not worth its start


cdef Function[27] functions = [
    f_rate, f_increase, f_delta, f_irate, f_idelta, f_changes, f_resets,
    f_sum, f_avg, f_count, f_present, f_last, f_first, f_extreme, f_extreme,
    f_ts_of_min, f_ts_of_max, f_ts_of_first, f_ts_of_last, f_stdvar, f_stddev,
    f_quantile, f_mad, f_deriv, f_predict_linear, f_double_exponential_smoothing, f_present,
]

FUNCTIONS = {
    name: code
    for code, name in enumerate((
        "rate", "increase", "delta", "irate", "idelta", "changes", "resets",
        "sum_over_time", "avg_over_time", "count_over_time", "present_over_time",
        "last_over_time", "first_over_time", "min_over_time", "max_over_time",
        "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_first_over_time", "ts_of_last_over_time",
        "stdvar_over_time", "stddev_over_time", "quantile_over_time", "mad_over_time",
        "deriv", "predict_linear", "double_exponential_smoothing", "absent_over_time",
    ))
}


cdef bint count_falls(Samples* samples, vector[int32_t]& falls) noexcept nogil:
    """How often the value fell up to each sample; False where it never does."""
    cdef int64_t i, fallen = 0
    for i in range(1, samples.count):
        fallen += samples.values[i] < samples.values[i - 1]
    if fallen == 0:
        return False
    falls.resize(samples.count + 1)
    falls[0] = 0
    for i in range(1, samples.count):
        falls[i] = falls[i - 1] + (samples.values[i] < samples.values[i - 1])
    return True


cdef void count_turns(Samples* samples, vector[int32_t]& turns) noexcept nogil:
    """How often the value changed up to each sample; NaN after NaN is no change."""
    cdef int64_t i
    turns.resize(samples.count + 1)
    turns[0] = 0
    for i in range(1, samples.count):
        turns[i] = turns[i - 1] + (
            samples.values[i] != samples.values[i - 1]
            and not (isnan(samples.values[i]) and isnan(samples.values[i - 1]))
        )


cdef struct Task:
    Function function
    int code
    const int32_t* vector_of
    const int64_t* vectors
    const int64_t* vector_offsets
    int64_t vector_count
    const double* cells
    const int64_t* offsets
    const int64_t* rows
    int64_t row_count
    int64_t rows_per_piece
    const int64_t* references
    const int64_t* now
    int64_t steps
    int64_t range_ms
    const double* first
    const double* second
    double* values
    uint8_t* present
    atomic[int64_t] held


cdef int64_t extrapolate_row(
    Task* task, BorderCache* borders, const double* row, const int32_t* falls, Span* spans, bint spans_fit,
    double* values, uint8_t* present,
) noexcept nogil:
    """`rate`, `increase` or `delta` of a row without gaps. Rows of one vector have the same spans, measured unless they fit."""
    cdef int64_t s, count, held = 0, reference
    cdef double seconds = <double>task.range_ms / 1000 if task.code == 0 else 1
    cdef bint is_counter = task.code <= 1
    for s in range(task.steps):
        count = borders.high[s] - borders.low[s]
        values[s] = 0
        present[s] = count > 1
        if count > 1:
            if not spans_fit:
                reference = task.references[s]
                measure_span(
                    borders.times, borders.low[s], borders.high[s], reference - task.range_ms, reference, seconds, spans + s
                )
            values[s] = extrapolated(row, falls, borders.low[s], borders.high[s], spans + s, is_counter, seconds)
        if count > 0:
            held += count
    return held


cdef double work_per_row(const Task* task) noexcept nogil:
    """About how many samples are looked at for one row, told from the first."""
    cdef int64_t row = task.rows[0], vector = task.vector_of[row], steps = task.steps
    cdef const int64_t* times = task.vectors + task.vector_offsets[vector]
    cdef double cells = <double>(task.offsets[row + 1] - task.offsets[row]), span_ms
    if cells == 0 or task.code <= 6 or task.code == EXTREMES or task.code == EXTREMES + 1:
        return 1 + cells + steps
    span_ms = <double>(times[task.vector_offsets[vector + 1] - task.vector_offsets[vector] - 1] - times[0]) + 1
    return 1 + cells + steps * (1 + cells * min(1.0, <double>task.range_ms / span_ms))


cdef void evaluate_piece(void* given, int64_t piece) noexcept nogil:
    """Some rows at all steps."""
    cdef Task* task = <Task*>given
    cdef int64_t s, r, row, steps = task.steps, held = 0, spans_of = -1
    cdef BorderCache borders
    cdef Samples samples
    cdef vector[double] scratch
    cdef vector[int32_t] falls, turns, low, high
    cdef vector[int64_t] queue
    cdef vector[Span] spans
    cdef Window window
    cdef bint needs_falls = task.code <= 1 or task.code == 6, needs_turns = task.code == 5, is_dense
    cdef double* values
    cdef uint8_t* present
    borders.open(task.vectors, task.vector_offsets, task.vector_count, task.references, steps, task.range_ms)
    window.range_seconds = <double>task.range_ms / 1000
    spans.resize(steps)
    for r in range(piece * task.rows_per_piece, min((piece + 1) * task.rows_per_piece, task.row_count)):
        row = task.rows[r]
        values, present = task.values + r * steps, task.present + r * steps
        borders.find(task.vector_of[row])
        is_dense = samples.load(borders.times, task.cells + task.offsets[row], task.offsets[row + 1] - task.offsets[row])
        window.falls = falls.data() if needs_falls and count_falls(&samples, falls) else NULL
        if is_dense and task.code <= 2:
            held += extrapolate_row(
                task, &borders, samples.values, window.falls, spans.data(), spans_of == task.vector_of[row], values, present
            )
            spans_of = task.vector_of[row]
            continue
        window.times = samples.times
        window.values = samples.values
        if <int64_t>scratch.size() <= samples.count:
            scratch.resize(samples.count + 1)
            window.scratch = scratch.data()
        if task.code == EXTREMES or task.code == EXTREMES + 1:
            low.resize(steps)
            high.resize(steps)
            for s in range(steps):
                low[s] = <int32_t>samples.place(borders.low[s])
                high[s] = <int32_t>samples.place(borders.high[s])
            slide_extreme(samples.values, low.data(), high.data(), steps, task.code != EXTREMES, queue, values)
        if needs_turns:
            count_turns(&samples, turns)
            window.turns = turns.data()
        for s in range(steps):
            window.begin = samples.place(borders.low[s])
            window.end = samples.place(borders.high[s])
            if window.begin >= window.end:
                values[s] = 0
                present[s] = 0
                continue
            window.end_ms = task.references[s]
            window.start_ms = task.references[s] - task.range_ms
            window.now_ms = task.now[s]
            window.first = task.first[s]
            window.second = task.second[s]
            present[s] = task.function(&window, values + s)
            held += window.end - window.begin
    task.held.fetch_add(held)


def evaluate(
    int code, const int32_t[::1] vector_of, const int64_t[::1] vectors, const int64_t[::1] vector_offsets,
    const double[::1] cells, const int64_t[::1] offsets, const int64_t[::1] rows,
    const int64_t[::1] references, const int64_t[::1] now, int64_t range_ms,
    const double[::1] first, const double[::1] second,
    double[:, ::1] values, uint8_t[:, ::1] present, int threads=1,
):
    """Per row and step a function (see `FUNCTIONS`) of the samples in (reference - range, reference].

    `first` and `second` are the function's scalar parameters per step, `now` the times of evaluation. Fills `values` and
    `present`, in up to `threads` threads; returns the number of samples that the windows held.
    """
    cdef Task task
    cdef int64_t pieces
    if rows.shape[0] == 0 or references.shape[0] == 0:
        return 0
    task.function = functions[code]
    task.code = code
    task.vector_of, task.vectors, task.vector_offsets = &vector_of[0], &vectors[0], &vector_offsets[0]
    task.vector_count = vector_offsets.shape[0] - 1
    task.cells, task.offsets = &cells[0], &offsets[0]
    task.rows, task.row_count = &rows[0], rows.shape[0]
    task.references, task.now, task.steps = &references[0], &now[0], references.shape[0]
    task.range_ms = range_ms
    task.first, task.second = &first[0], &second[0]
    task.values, task.present = &values[0, 0], &present[0, 0]
    task.held.store(0)
    task.rows_per_piece = max(<int64_t>1, <int64_t>(WORK_PER_PIECE / work_per_row(&task)))
    pieces = (task.row_count + task.rows_per_piece - 1) // task.rows_per_piece
    with nogil:
        share_out(evaluate_piece, &task, pieces, threads if pieces >= PIECES_MIN else 1)
    return task.held.load()
