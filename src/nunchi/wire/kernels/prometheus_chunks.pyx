"""Chunks of Prometheus decoded: XOR chunks of many series in one call, histogram chunks one by one; and CRC-32C.

Formats: tsdb/docs/format/chunks.md of Prometheus. Invariant: not a bit beyond a chunk's own end is read.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <array>
    #include <cmath>
    #include <cstdint>
    #include <cstring>
    #include <vector>

    namespace nunchi_prometheus {

    // CRC-32C, eight bytes a step.
    struct Tables {
        uint32_t of[8][256];
        constexpr Tables() : of() {
            for (uint32_t i = 0; i < 256; i++) {
                uint32_t c = i;
                for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
                of[0][i] = c;
            }
            for (int t = 1; t < 8; t++)
                for (uint32_t i = 0; i < 256; i++) of[t][i] = (of[t - 1][i] >> 8) ^ of[0][of[t - 1][i] & 0xFF];
        }
    };
    static constexpr Tables tables{};

    static uint32_t crc32c(const uint8_t *at, int64_t size) {
        uint32_t crc = 0xFFFFFFFFu;
        while (size >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            word ^= crc;
            crc = tables.of[7][word & 0xFF] ^ tables.of[6][(word >> 8) & 0xFF] ^ tables.of[5][(word >> 16) & 0xFF]
                ^ tables.of[4][(word >> 24) & 0xFF] ^ tables.of[3][(word >> 32) & 0xFF]
                ^ tables.of[2][(word >> 40) & 0xFF] ^ tables.of[1][(word >> 48) & 0xFF] ^ tables.of[0][word >> 56];
            at += 8;
            size -= 8;
        }
        while (size-- > 0) crc = (crc >> 8) ^ tables.of[0][(crc ^ *at++) & 0xFF];
        return ~crc;
    }

    // A stream of bits, the highest of a byte first. Once it fails it stays failed and gives zeros.
    struct Bits {
        const uint8_t *at, *end;
        int left = 0;  // bits of *at that are still unread
        bool failed = false;

        Bits(const uint8_t *begin, const uint8_t *finish) : at(begin), end(finish), left(8) {}

        uint64_t read(int count) {
            uint64_t value = 0;
            while (count > 0) {
                if (at >= end) { failed = true; return 0; }
                int taken = count < left ? count : left;
                value = (value << taken) | ((*at >> (left - taken)) & ((1u << taken) - 1));
                left -= taken;
                count -= taken;
                if (left == 0) { at++; left = 8; }
            }
            return value;
        }

        // The number of ones before a zero, at most `most`.
        int ones(int most) {
            int count = 0;
            while (count < most && read(1)) count++;
            return count;
        }

        int64_t read_signed(int size) {
            uint64_t bits = read(size);
            if (size < 64 && bits > (1ull << (size - 1))) bits -= 1ull << size;
            return (int64_t)bits;
        }

        uint64_t uvarint() {
            uint64_t value = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                uint64_t byte = read(8);
                value |= (byte & 0x7F) << shift;
                if (byte < 0x80) return value;
            }
            failed = true;
            return 0;
        }

        int64_t varint() {
            uint64_t value = uvarint();
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        }

        int varbit_size() {
            static constexpr int sizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
            return sizes[ones(8)];
        }

        int64_t varbit() {
            int size = varbit_size();
            return size ? read_signed(size) : 0;
        }

        uint64_t varbit_unsigned() { return read(varbit_size()); }
    };

    // A float64 that is written as what changed of its bits.
    struct Xor {
        uint64_t bits = 0;
        int leading = 0, trailing = 0;

        void read(Bits &stream) {
            if (!stream.read(1)) return;
            if (stream.read(1)) {
                leading = (int)stream.read(5);
                int meaningful = (int)stream.read(6);
                if (meaningful == 0) meaningful = 64;
                trailing = 64 - leading - meaningful;
                if (trailing < 0) { stream.failed = true; return; }
            }
            bits ^= stream.read(64 - leading - trailing) << trailing;
        }
    };

    static double as_double(uint64_t bits) {
        double value;
        memcpy(&value, &bits, 8);
        return value;
    }

    static int64_t chunk_count(const uint8_t *begin, const uint8_t *end) {
        return end - begin < 2 ? -1 : ((int64_t)begin[0] << 8) | begin[1];
    }

    static bool decode_xor(const uint8_t *begin, const uint8_t *end, int64_t *times, double *values) {
        int64_t count = chunk_count(begin, end);
        if (count < 0) return false;
        Bits stream(begin + 2, end);
        Xor value;
        uint64_t time = 0, delta = 0;
        static constexpr int sizes[] = {0, 14, 17, 20, 64};
        for (int64_t i = 0; i < count; i++) {
            if (i == 0) {
                time = (uint64_t)stream.varint();
                value.bits = stream.read(64);
            } else {
                if (i == 1) delta = stream.uvarint();
                else {
                    int size = sizes[stream.ones(4)];
                    if (size) delta += (uint64_t)stream.read_signed(size);
                }
                time += delta;
                value.read(stream);
            }
            if (stream.failed) return false;
            times[i] = (int64_t)time;
            values[i] = as_double(value.bits);
        }
        return true;
    }

    // One chunk of histograms. `spans` are (offset, length), those of the positive side first.
    struct Histograms {
        int64_t schema = 0, positive_spans = 0, header = 0;
        double zero_threshold = 0;
        std::vector<int64_t> spans, times;
        std::vector<double> bounds, counts, sums, zero_counts, buckets;

        int64_t read_spans(Bits &stream) {
            uint64_t count = stream.varbit_unsigned();
            uint64_t width = 0;
            for (uint64_t i = 0; i < count && !stream.failed; i++) {
                uint64_t length = stream.varbit_unsigned();
                int64_t offset = stream.varbit();
                spans.push_back(offset);
                spans.push_back((int64_t)length);
                width += length;
                if (length > 65536 || width > 65536) stream.failed = true;
            }
            return (int64_t)width;
        }

        double read_bound(Bits &stream) {
            uint64_t code = stream.varbit_unsigned();
            return code ? (double)(code - 1) / 1000 : as_double(stream.read(64));
        }

        bool decode(const uint8_t *begin, const uint8_t *end, bool is_float) {
            int64_t count = chunk_count(begin, end);
            if (count < 0 || end - begin < 3) return false;
            header = begin[2] >> 6;
            if (count == 0) return true;
            Bits stream(begin + 3, end);
            // Nothing that Prometheus writes is near: it cuts chunks at a kilobyte or a few samples.
            static constexpr int64_t buckets_max = 1 << 24;
            uint64_t exponent = stream.read(8);
            zero_threshold = exponent == 0 ? 0.0
                : exponent == 255 ? as_double(stream.read(64)) : std::ldexp(0.5, (int)exponent - 243);
            schema = stream.varbit();
            int64_t above = read_spans(stream);
            positive_spans = (int64_t)spans.size() / 2;
            int64_t below = read_spans(stream);
            if (schema == -53) {
                uint64_t number = stream.varbit_unsigned();
                for (uint64_t i = 0; i < number && !stream.failed; i++) bounds.push_back(read_bound(stream));
            }
            if (stream.failed || count * (above + below) > buckets_max) return false;
            return (is_float ? floats(stream, count, above, below) : whole(stream, count, above, below));
        }

        bool is_stale(uint64_t sum) const { return sum == 0x7FF0000000000002ull; }

        bool whole(Bits &stream, int64_t count, int64_t above, int64_t below) {
            uint64_t time = 0, time_delta = 0, total = 0, total_delta = 0, zeros = 0, zeros_delta = 0;
            Xor sum;
            std::vector<uint64_t> deltas(above + below), steps(above + below);
            for (int64_t i = 0; i < count; i++) {
                if (i == 0) {
                    time = (uint64_t)stream.varbit();
                    total = stream.varbit_unsigned();
                    zeros = stream.varbit_unsigned();
                    sum.bits = stream.read(64);
                } else {
                    time += time_delta += (uint64_t)stream.varbit();
                    total += total_delta += (uint64_t)stream.varbit();
                    zeros += zeros_delta += (uint64_t)stream.varbit();
                    sum.read(stream);
                }
                bool stale = is_stale(sum.bits);
                if (i == 0 || !stale)
                    for (size_t b = 0; b < deltas.size(); b++) {
                        if (i == 0) deltas[b] = (uint64_t)stream.varbit();
                        else deltas[b] += steps[b] += (uint64_t)stream.varbit();
                    }
                if (stream.failed) return false;
                times.push_back((int64_t)time);
                counts.push_back(stale ? 0.0 : (double)total);
                zero_counts.push_back(stale ? 0.0 : (double)zeros);
                sums.push_back(as_double(sum.bits));
                int64_t bucket = 0;
                for (int64_t b = 0; b < above + below; b++) {
                    if (b == above) bucket = 0;
                    bucket += (int64_t)deltas[b];
                    buckets.push_back(stale ? 0.0 : (double)bucket);
                }
            }
            return true;
        }

        bool floats(Bits &stream, int64_t count, int64_t above, int64_t below) {
            uint64_t time = 0, time_delta = 0;
            Xor total, zeros, sum;
            std::vector<Xor> columns(above + below);
            for (int64_t i = 0; i < count; i++) {
                if (i == 0) {
                    time = (uint64_t)stream.varbit();
                    total.bits = stream.read(64);
                    zeros.bits = stream.read(64);
                    sum.bits = stream.read(64);
                } else {
                    time += time_delta += (uint64_t)stream.varbit();
                    total.read(stream);
                    zeros.read(stream);
                    sum.read(stream);
                }
                bool stale = is_stale(sum.bits);
                for (auto &column : columns) {
                    if (i == 0) column.bits = stream.read(64);
                    else if (!stale) column.read(stream);
                }
                if (stream.failed) return false;
                times.push_back((int64_t)time);
                counts.push_back(stale ? 0.0 : as_double(total.bits));
                zero_counts.push_back(stale ? 0.0 : as_double(zeros.bits));
                sums.push_back(as_double(sum.bits));
                for (auto &column : columns) buckets.push_back(stale ? 0.0 : as_double(column.bits));
            }
            return true;
        }
    };

    template <class T> static const char *raw(const std::vector<T> &items) { return (const char *)items.data(); }

    }
    """
    uint32_t c_crc32c "nunchi_prometheus::crc32c"(const uint8_t *, int64_t) nogil
    int64_t c_chunk_count "nunchi_prometheus::chunk_count"(const uint8_t *, const uint8_t *) nogil
    bint c_decode_xor "nunchi_prometheus::decode_xor"(const uint8_t *, const uint8_t *, int64_t *, double *) nogil
    cdef cppclass Histograms "nunchi_prometheus::Histograms":
        int64_t schema, positive_spans, header
        double zero_threshold
        vector[int64_t] spans, times
        vector[double] bounds, counts, sums, zero_counts, buckets
        bint decode(const uint8_t *, const uint8_t *, bint) nogil
    const char *raw_longs "nunchi_prometheus::raw"(const vector[int64_t] &)
    const char *raw_doubles "nunchi_prometheus::raw"(const vector[double] &)


def crc32c(const uint8_t[::1] data):
    """The CRC-32C of some bytes."""
    cdef uint32_t found = 0
    cdef int64_t size = data.shape[0]
    if size:
        with nogil:
            found = c_crc32c(&data[0], size)
    return found


def check_chunks(const uint8_t[::1] data, const int64_t[::1] begins, const int64_t[::1] sizes, uint8_t[::1] good):
    """Whether the encoding byte and the `sizes[i]` bytes behind it at `begins[i]` have the CRC-32C that follows them."""
    cdef int64_t i, begin, end, total = data.shape[0]
    cdef uint32_t written
    assert begins.shape[0] == sizes.shape[0] == good.shape[0]
    with nogil:
        for i in range(begins.shape[0]):
            begin = begins[i]
            good[i] = 0
            if begin < 0 or sizes[i] < 0 or sizes[i] > total or begin > total - sizes[i] - 5:
                continue
            end = begin + 1 + sizes[i]
            written = (<uint32_t>data[end] << 24) | (<uint32_t>data[end + 1] << 16) | (<uint32_t>data[end + 2] << 8) | data[end + 3]
            good[i] = c_crc32c(&data[begin], end - begin) == written


def locate_chunks(const uint8_t[::1] data, const int64_t[::1] places, int64_t[::1] begins, int64_t[::1] sizes):
    """Where the encoding byte of the chunk at `places[i]` of a segment is, and how many bytes follow it; −1: not in there."""
    cdef int64_t i, at, total = data.shape[0]
    cdef uint64_t size
    cdef int shift
    assert places.shape[0] == begins.shape[0] == sizes.shape[0]
    with nogil:
        for i in range(places.shape[0]):
            at = places[i]
            begins[i] = sizes[i] = -1
            if at < 0:
                continue
            size = 0
            shift = 0
            while at < total and shift < 35:
                size |= <uint64_t>(data[at] & 0x7F) << shift
                shift += 7
                at += 1
                if data[at - 1] < 0x80:
                    if size <= <uint64_t>total and at <= total - <int64_t>size - 5:
                        begins[i] = at
                        sizes[i] = <int64_t>size
                    break


def chunk_counts(const uint8_t[::1] data, const int64_t[::1] begins, const int64_t[::1] ends, int64_t[::1] counts):
    """How many samples each chunk says that it has; −1 where it has no room to say so."""
    cdef int64_t i, total = data.shape[0]
    assert begins.shape[0] == ends.shape[0] == counts.shape[0]
    with nogil:
        for i in range(begins.shape[0]):
            if begins[i] < 0 or begins[i] > ends[i] or ends[i] > total or begins[i] == total:
                counts[i] = -1
            else:
                counts[i] = c_chunk_count(&data[begins[i]], &data[0] + ends[i])


def decode_xor(
    const uint8_t[::1] data, const int64_t[::1] begins, const int64_t[::1] ends, const int64_t[::1] offsets,
    int64_t[::1] times, double[::1] values, uint8_t[::1] good,
):
    """XOR chunks `data[begins[i]:ends[i]]`, checked by `chunk_counts`, to `times` and `values` from `offsets[i]` on."""
    cdef int64_t i, total = data.shape[0]
    assert begins.shape[0] == ends.shape[0] == good.shape[0] == offsets.shape[0] - 1
    assert times.shape[0] == values.shape[0]
    with nogil:
        for i in range(begins.shape[0]):
            good[i] = 0
            if begins[i] < 0 or begins[i] >= ends[i] or ends[i] > total:
                continue
            if offsets[i] < 0 or offsets[i + 1] > times.shape[0]:
                continue
            if c_chunk_count(&data[begins[i]], &data[0] + ends[i]) != offsets[i + 1] - offsets[i]:
                continue
            if offsets[i] == offsets[i + 1]:
                good[i] = 1
                continue
            good[i] = c_decode_xor(&data[begins[i]], &data[0] + ends[i], &times[offsets[i]], &values[offsets[i]])


def decode_histograms(const uint8_t[::1] chunk, bint is_float):
    """(schema, zero threshold, spans, spans of the positive side, bounds, times, counts, sums, zero counts, buckets, header).

    Arrays are the bytes of int64 (`spans`: offset, length in turn; `times`) and float64 (all others); None where it is damaged.
    """
    cdef Histograms found
    if chunk.shape[0] == 0 or not found.decode(&chunk[0], &chunk[0] + chunk.shape[0], is_float):
        return None
    return (
        found.schema, found.zero_threshold,
        PyBytes_FromStringAndSize(raw_longs(found.spans), found.spans.size() * 8), found.positive_spans,
        PyBytes_FromStringAndSize(raw_doubles(found.bounds), found.bounds.size() * 8),
        PyBytes_FromStringAndSize(raw_longs(found.times), found.times.size() * 8),
        PyBytes_FromStringAndSize(raw_doubles(found.counts), found.counts.size() * 8),
        PyBytes_FromStringAndSize(raw_doubles(found.sums), found.sums.size() * 8),
        PyBytes_FromStringAndSize(raw_doubles(found.zero_counts), found.zero_counts.size() * 8),
        PyBytes_FromStringAndSize(raw_doubles(found.buckets), found.buckets.size() * 8),
        found.header,
    )
