"""The JSON of results, as Prometheus's API writes it: numbers as shortest texts, times in seconds with milliseconds.

Label sets come as ids into an arena of JSON strings, so no label set is made for what is only passed on.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.string cimport string
from libcpp.vector cimport vector

from nunchi.kit.kernels.sharing cimport share_out

cdef enum:
    CELLS_PER_PIECE = 8192
    PIECES_MIN = 4  # below, a thread is not worth its start

cdef extern from *:
    """
    #include <charconv>
    #include <cmath>
    #include <cstdint>
    #include <cstring>
    #include <string>

    /* Shortest digits that read back the same; plain notation from 1e-6 up to 1e21, else with an exponent. */
    static inline void put_number(std::string& out, double value, bool plain) {
        if (std::isnan(value)) { out += "NaN"; return; }
        if (std::isinf(value)) { out += value > 0 ? "+Inf" : "-Inf"; return; }
        char buffer[40];
        const double size = std::fabs(value);
        if (size < 1e15) {  /* what most numbers are: whole, or of usual size */
            const int64_t whole = static_cast<int64_t>(value);
            if (static_cast<double>(whole) == value && (whole != 0 || !std::signbit(value))) {
                out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, whole).ptr - buffer);
                return;
            }
            if (size >= 1e-3) {
                const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
                out.append(buffer, fixed.ptr - buffer);
                return;
            }
        }
        const char* end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
        if (!plain && value != 0 && (size < 1e-6 || size >= 1e21)) { out.append(buffer, end - buffer); return; }
        const char* from = buffer;
        if (*from == '-') { out += '-'; ++from; }
        const char* mark = from;
        while (*mark != 'e') ++mark;
        int exponent = 0;
        const bool below = mark[1] == '-';
        for (const char* digit = mark + 2; digit < end; ++digit) exponent = exponent * 10 + (*digit - '0');
        if (below) exponent = -exponent;
        char digits[24];
        int count = 0;
        for (; from < mark; ++from) if (*from != '.') digits[count++] = *from;
        if (exponent < 0) {
            out += "0.";
            out.append(-exponent - 1, '0');
            out.append(digits, count);
        } else if (count <= exponent + 1) {
            out.append(digits, count);
            out.append(exponent + 1 - count, '0');
        } else {
            out.append(digits, exponent + 1);
            out += '.';
            out.append(digits + exponent + 1, count - exponent - 1);
        }
    }

    static inline void put_time(std::string& out, int64_t milliseconds) {
        char buffer[24];
        if (milliseconds < 0) { out += '-'; milliseconds = -milliseconds; }
        out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, milliseconds / 1000).ptr);
        const int rest = static_cast<int>(milliseconds % 1000);
        if (rest) {
            const char text[4] = {'.', char('0' + rest / 100), char('0' + rest / 10 % 10), char('0' + rest % 10)};
            out.append(text, 4);
        }
    }

    static inline void put_text(std::string& out, const char* arena, int64_t begin, int64_t end) {
        out.append(arena + begin, end - begin);
    }
    """
    void put_number(string& out, double value, bint plain) nogil
    void put_time(string& out, int64_t milliseconds) nogil
    void put_text(string& out, const char* arena, int64_t begin, int64_t end) nogil


def format_number(double value, bint plain=False):
    """One number as the API prints it; `plain` never uses an exponent."""
    cdef string out
    put_number(out, value, plain)
    return out.decode()


cdef inline void put_pairs(
    string& out, const int32_t* names, const int32_t* values, int64_t begin, int64_t end, const char* arena,
    const int64_t* texts,
) noexcept nogil:
    cdef int64_t i
    out.append(b"{")
    for i in range(begin, end):
        if i > begin:
            out.append(b",")
        put_text(out, arena, texts[names[i]], texts[names[i] + 1])
        out.append(b":")
        put_text(out, arena, texts[values[i]], texts[values[i] + 1])
    out.append(b"}")


cdef inline void put_labels(
    string& out, const int32_t* names, const int32_t* values, int64_t begin, int64_t end, const char* arena,
    const int64_t* texts,
) noexcept nogil:
    out.append(b'{"metric":')
    put_pairs(out, names, values, begin, end, arena, texts)


def labels_json(
    const int32_t[::1] names, const int32_t[::1] label_values, const int64_t[::1] offsets,
    bytes arena, const int64_t[::1] texts,
):
    """`[{…},…]`: label sets alone."""
    cdef Py_ssize_t row, rows = offsets.shape[0] - 1
    cdef string out
    cdef const char* data = arena
    cdef const int32_t* own_names = &names[0] if names.shape[0] else NULL
    cdef const int32_t* own_values = &label_values[0] if names.shape[0] else NULL
    with nogil:
        out.append(b"[")
        for row in range(rows):
            if row:
                out.append(b",")
            put_pairs(out, own_names, own_values, offsets[row], offsets[row + 1], data, &texts[0])
        out.append(b"]")
    return PyBytes_FromStringAndSize(out.data(), out.size())


def vector_json(
    const int32_t[::1] names, const int32_t[::1] label_values, const int64_t[::1] offsets,
    bytes arena, const int64_t[::1] texts, const double[::1] values, int64_t timestamp_ms,
):
    """`[{"metric":{…},"value":[t,"v"]},…]`. Names and values index `texts`, offsets of JSON strings in the arena."""
    cdef Py_ssize_t row
    cdef string out, time
    cdef const char* data = arena
    with nogil:
        put_time(time, timestamp_ms)
        out.append(b"[")
        for row in range(values.shape[0]):
            if row:
                out.append(b",")
            put_labels(out, &names[0], &label_values[0], offsets[row], offsets[row + 1], data, &texts[0])
            out.append(b',"value":[')
            out.append(time)
            out.append(b',"')
            put_number(out, values[row], False)
            out.append(b'"]}')
        out.append(b"]")
    return PyBytes_FromStringAndSize(out.data(), out.size())


cdef struct MatrixTask:
    const int32_t* names
    const int32_t* label_values
    const int64_t* offsets
    const char* arena
    const int64_t* texts
    int64_t rows
    int64_t rows_per_piece
    int64_t steps
    const double* values
    const uint8_t* present
    const string* opened      # the time of each step, for the first point
    const string* following   # and for those behind another
    string* pieces


cdef inline int64_t following_present(const uint8_t* present, int64_t s, int64_t steps) noexcept nogil:
    """The first present step from `s` on; `steps` where there is none."""
    cdef uint64_t eight
    while s < steps and not present[s]:
        s += 1
        while s + 8 <= steps:
            memcpy(&eight, present + s, 8)
            if eight:
                break
            s += 8
    return s


cdef void write_rows(void* given, int64_t piece) noexcept nogil:
    cdef MatrixTask* task = <MatrixTask*>given
    cdef string* out = task.pieces + piece
    cdef int64_t row, s
    cdef const uint8_t* present
    cdef const double* values
    cdef bint first
    for row in range(piece * task.rows_per_piece, min((piece + 1) * task.rows_per_piece, task.rows)):
        if row:
            out.append(b",")
        put_labels(
            out[0], task.names, task.label_values, task.offsets[row], task.offsets[row + 1], task.arena, task.texts
        )
        out.append(b',"values":[')
        present, values = task.present + row * task.steps, task.values + row * task.steps
        first = True
        s = following_present(present, 0, task.steps)
        while s < task.steps:
            out.append(task.opened[s] if first else task.following[s])
            first = False
            put_number(out[0], values[s], False)
            s = following_present(present, s + 1, task.steps)
        out.append(b"]}" if first else b'"]]}')


def matrix_json(
    const int32_t[::1] names, const int32_t[::1] label_values, const int64_t[::1] offsets,
    bytes arena, const int64_t[::1] texts, const int64_t[::1] times, const double[:, ::1] values,
    const uint8_t[:, ::1] present, int threads=1,
):
    """`[{"metric":{…},"values":[[t,"v"],…]},…]`: the cells that are present; written in up to `threads` threads."""
    cdef int64_t s, steps = times.shape[0], rows = values.shape[0], piece, pieces, size = 2
    cdef string time
    cdef vector[string] opened, following, written
    cdef MatrixTask task
    cdef char* target
    if rows == 0 or steps == 0:
        return b"[]"
    task.rows, task.steps = rows, steps
    task.rows_per_piece = 1 + CELLS_PER_PIECE // steps
    pieces = (rows + task.rows_per_piece - 1) // task.rows_per_piece
    task.names, task.label_values = &names[0] if names.shape[0] else NULL, &label_values[0] if names.shape[0] else NULL
    task.offsets, task.texts, task.arena = &offsets[0], &texts[0], arena
    task.values, task.present = &values[0, 0], &present[0, 0]
    with nogil:
        for s in range(steps):
            time.clear()
            time.append(b"[")
            put_time(time, times[s])
            time.append(b',"')
            opened.push_back(time)
            following.push_back(string(b'"],').append(time))
        task.opened, task.following = opened.data(), following.data()
        written.resize(pieces)
        task.pieces = written.data()
        share_out(write_rows, &task, pieces, threads if pieces >= PIECES_MIN else 1)
        for piece in range(pieces):
            size += written[piece].size()
    result = PyBytes_FromStringAndSize(NULL, size)
    target = PyBytes_AS_STRING(result)
    with nogil:
        target[0] = b"["
        size = 1
        for piece in range(pieces):
            memcpy(target + size, written[piece].data(), written[piece].size())
            size += written[piece].size()
        target[size] = b"]"
    return result


def samples_json(
    const int32_t[::1] names, const int32_t[::1] label_values, const int64_t[::1] offsets,
    bytes arena, const int64_t[::1] texts, const int64_t[::1] sample_offsets, const int64_t[::1] times,
    const double[::1] values,
):
    """As `matrix_json`, of series with times of their own: `sample_offsets[row]` to `sample_offsets[row + 1]`."""
    cdef Py_ssize_t row
    cdef int64_t i
    cdef string out
    cdef const char* data = arena
    with nogil:
        out.append(b"[")
        for row in range(sample_offsets.shape[0] - 1):
            if row:
                out.append(b",")
            put_labels(out, &names[0], &label_values[0], offsets[row], offsets[row + 1], data, &texts[0])
            out.append(b',"values":[')
            for i in range(sample_offsets[row], sample_offsets[row + 1]):
                if i > sample_offsets[row]:
                    out.append(b",")
                out.append(b"[")
                put_time(out, times[i])
                out.append(b',"')
                put_number(out, values[i], False)
                out.append(b'"]')
            out.append(b"]}")
        out.append(b"]")
    return PyBytes_FromStringAndSize(out.data(), out.size())
