# Rows of columns out of the bodies of pages, many pages at once. docs/formats/page.md describes the bytes.
#
# Bodies passed a checksum and are not trusted nevertheless: every offset is checked before it is read.

from libc.stdint cimport int64_t, uint8_t
from libcpp.vector cimport vector

from nunchi.kit.kernels.sharing cimport share_out

cdef extern from *:
    """
    #include <algorithm>
    #include <cstdint>
    #include <cstring>
    #include <vector>

    enum Fault { FINE, TOO_SHORT, BAD_HEADER, BAD_COLUMN, BAD_SUM, NO_SUCH_ROWS };

    struct PageBody { const uint8_t* data; int64_t size; };

    /* What is wanted of all pages: rows `begins[i]` to `ends[i]` of `columns[i]`, to `values[targets[i]:]`. */
    struct Wish {
        const int64_t *columns, *begins, *ends, *targets;
        double* values;
        int64_t room;
    };

    static inline int64_t u32_at(const uint8_t* data) {
        return int64_t(data[0]) | int64_t(data[1]) << 8 | int64_t(data[2]) << 16 | int64_t(data[3]) << 24;
    }

    template <int PLANES>
    static void gather(const uint8_t* source, int64_t plane_bytes, int64_t count, uint64_t* words) {
        for (int64_t i = 0; i < count; ++i) {
            uint64_t word = 0;
            for (int plane = 0; plane < PLANES; ++plane) word |= uint64_t(source[plane * plane_bytes + i]) << (8 * plane);
            words[i] = word;
        }
    }

    using Gather = void (*)(const uint8_t*, int64_t, int64_t, uint64_t*);
    static const Gather GATHERS[9] = {
        gather<0>, gather<1>, gather<2>, gather<3>, gather<4>, gather<5>, gather<6>, gather<7>, gather<8>};
    static const double SCALES[10] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

    static inline uint64_t unzigzag(uint64_t value) { return (value >> 1) ^ (0 - (value & 1)); }

    static void words_to_values(const uint64_t* words, int64_t count, bool keeps_bits, int digits, int order, double* values) {
        uint64_t word = 0, delta = 0;
        if (keeps_bits) {
            for (int64_t i = 0; i < count; ++i) { word ^= words[i]; std::memcpy(values + i, &word, 8); }
            return;
        }
        if (order == 0) {
            for (int64_t i = 0; i < count; ++i) values[i] = double(int64_t(unzigzag(words[i])));
        } else if (order == 1) {
            for (int64_t i = 0; i < count; ++i) { word += unzigzag(words[i]); values[i] = double(int64_t(word)); }
        } else {
            word = unzigzag(words[0]);
            values[0] = double(int64_t(word));
            for (int64_t i = 1; i < count; ++i) {
                delta += unzigzag(words[i]);
                word += delta;
                values[i] = double(int64_t(word));
            }
        }
        if (digits) {
            const double scale = SCALES[digits];
            for (int64_t i = 0; i < count; ++i) values[i] /= scale;
        }
    }

    /* Decodes the wishes `first` to `after`, all of one page. */
    static Fault decode_page(const PageBody& body, const Wish& wish, int64_t first, int64_t after) {
        if (body.size < 14) return TOO_SHORT;
        const uint8_t* data = body.data;
        const int64_t columns = u32_at(data), count = u32_at(data + 4), exceptions = u32_at(data + 8);
        const int planes[2] = {data[12], data[13]};
        if (exceptions > count || planes[0] > 8 || planes[1] > 8 || 14 + 7 * columns + 12 * exceptions > body.size)
            return BAD_HEADER;
        const uint8_t *counts = data + 14, *kinds = counts + 4 * columns, *digits = kinds + columns;
        const uint8_t *orders = digits + columns, *positions = orders + columns;
        const uint8_t *exception_bits = positions + 4 * exceptions, *plane_data = exception_bits + 8 * exceptions;
        std::vector<int64_t> firsts(columns + 1), word_firsts(columns);
        int64_t totals[2] = {0, 0};
        for (int64_t c = 0; c < columns; ++c) {
            if (kinds[c] > 1 || digits[c] > 9 || orders[c] > 2) return BAD_COLUMN;
            const int64_t rows = u32_at(counts + 4 * c);
            firsts[c + 1] = firsts[c] + rows;
            word_firsts[c] = totals[kinds[c]];
            totals[kinds[c]] += rows;
        }
        const uint8_t* planes_of[2] = {plane_data, plane_data + planes[0] * totals[0]};
        if (firsts[columns] != count || planes_of[1] + planes[1] * totals[1] != data + body.size) return BAD_SUM;
        std::vector<uint64_t> words;
        std::vector<double> whole;
        for (int64_t i = first; i < after; ++i) {
            const int64_t c = wish.columns[i], begin = wish.begins[i], rows = wish.ends[i], target = wish.targets[i];
            if (c < 0 || c >= columns || begin < 0 || begin > rows || rows > firsts[c + 1] - firsts[c] || target < 0 ||
                target + rows - begin > wish.room)
                return NO_SUCH_ROWS;
            if (rows == begin) continue;
            if (int64_t(words.size()) < rows) words.resize(rows);
            const int kind = kinds[c];
            GATHERS[planes[kind]](planes_of[kind] + word_firsts[c], totals[kind], rows, words.data());
            double* out = wish.values + target;
            if (begin) {
                if (int64_t(whole.size()) < rows) whole.resize(rows);
                out = whole.data();
            }
            words_to_values(words.data(), rows, kind == 1, digits[c], orders[c], out);
            int64_t low = 0, high = exceptions;
            while (low < high) {
                const int64_t middle = (low + high) / 2;
                if (u32_at(positions + 4 * middle) < firsts[c]) low = middle + 1; else high = middle;
            }
            for (; low < exceptions; ++low) {
                const int64_t position = u32_at(positions + 4 * low) - firsts[c];
                if (position >= rows) break;
                if (position >= 0) std::memcpy(out + position, exception_bits + 8 * low, 8);
            }
            if (begin) std::memcpy(wish.values + target, out + begin, (rows - begin) * sizeof(double));
        }
        return FINE;
    }

    struct Pages {
        std::vector<PageBody> bodies;
        const int64_t* firsts;
        Wish wish;
        std::vector<int> faults;
    };

    static void decode_piece(void* task, int64_t page) {
        Pages& pages = *static_cast<Pages*>(task);
        pages.faults[page] = decode_page(pages.bodies[page], pages.wish, pages.firsts[page], pages.firsts[page + 1]);
    }
    """
    cdef struct PageBody:
        const uint8_t* data
        int64_t size

    cdef struct Wish:
        const int64_t* columns
        const int64_t* begins
        const int64_t* ends
        const int64_t* targets
        double* values
        int64_t room

    cdef cppclass Pages:
        vector[PageBody] bodies
        const int64_t* firsts
        Wish wish
        vector[int] faults

    void decode_piece(void* task, int64_t page) noexcept nogil

FAULTS = (
    "", "its body is too short", "its header is out of bounds", "one of its columns is damaged",
    "its columns do not add up", "it does not have the rows asked for",
)


def decode_some(
    list bodies, const int64_t[::1] firsts, const int64_t[::1] wanted, const int64_t[::1] begins,
    const int64_t[::1] ends, const int64_t[::1] targets, double[::1] values, int threads=1,
):
    """Rows `begins[i]` to `ends[i]` of the columns `wanted[i]` to `values[targets[i]:]`, in up to `threads` threads.

    Page p has the wishes `firsts[p]` to `firsts[p + 1]`. Returns the first page that is damaged or does not have what was
    asked for, and what is wrong with it; -1 where none is.
    """
    cdef Pages pages
    cdef PageBody body
    cdef const uint8_t[::1] view
    cdef Py_ssize_t page, count = len(bodies)
    if count == 0 or wanted.shape[0] == 0:
        return -1, ""
    if firsts.shape[0] != count + 1 or firsts[0] != 0 or firsts[count] != wanted.shape[0]:
        raise ValueError("pages and wishes do not fit each other")
    for page in range(count):
        view = bodies[page]
        body.data = &view[0] if view.shape[0] else NULL
        body.size = view.shape[0]
        pages.bodies.push_back(body)
    pages.faults.resize(count)
    pages.firsts = &firsts[0]
    pages.wish.columns = &wanted[0]
    pages.wish.begins = &begins[0]
    pages.wish.ends = &ends[0]
    pages.wish.targets = &targets[0]
    pages.wish.values = &values[0] if values.shape[0] else NULL
    pages.wish.room = values.shape[0]
    with nogil:
        share_out(decode_piece, &pages, count, threads)
    for page in range(count):
        if pages.faults[page]:
            return page, FAULTS[pages.faults[page]]
    return -1, ""
