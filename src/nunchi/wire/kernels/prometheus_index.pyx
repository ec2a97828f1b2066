"""The byte loops of Prometheus's index and log: series with their chunks, symbols, samples of a log record.

Formats: tsdb/docs/format/index.md and wal.md of Prometheus. Invariant: untrusted lengths are compared with what is left.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    #include <vector>

    namespace nunchi_prometheus_index {

    struct Cursor {
        const uint8_t *at, *end;
        bool failed = false;

        uint64_t uvarint() {
            uint64_t value = 0;
            for (int shift = 0; shift < 64 && at < end; shift += 7) {
                uint64_t byte = *at++;
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

        uint64_t word() {
            if (end - at < 8) { failed = true; return 0; }
            uint64_t value = 0;
            for (int i = 0; i < 8; i++) value = value << 8 | *at++;
            return value;
        }
    };

    // Series of an index: refs, where each one's pairs and chunks end, symbols of names and values in turn, chunks.
    struct Series {
        std::vector<int64_t> refs, pair_ends, chunk_ends, chunk_begin_times, chunk_end_times, chunk_refs, crc_begins, crc_ends;
        std::vector<int64_t> pairs;

        // 0 fine, else the place where it is damaged.
        int64_t scan(const uint8_t *data, int64_t begin, int64_t end, int64_t alignment) {
            int64_t place = begin;
            while (place < end) {
                if (alignment > 1) place = (place + alignment - 1) / alignment * alignment;
                if (place >= end) break;
                Cursor sized{data + place, data + end};
                uint64_t size = sized.uvarint();
                if (size == 0) break;
                if (sized.failed || size > (uint64_t)(sized.end - sized.at) || (uint64_t)(sized.end - sized.at) - size < 4)
                    return place;
                Cursor cursor{sized.at, sized.at + size};
                if (!take(cursor)) return place;
                refs.push_back(alignment > 1 ? place / alignment : place);
                crc_begins.push_back(sized.at - data);
                crc_ends.push_back(cursor.end - data);
                place = cursor.end - data + 4;
            }
            return 0;
        }

        bool take(Cursor &cursor) {
            uint64_t labels = cursor.uvarint();
            for (uint64_t i = 0; i < 2 * labels && !cursor.failed; i++) pairs.push_back((int64_t)cursor.uvarint());
            uint64_t chunks = cursor.uvarint();
            uint64_t time = 0, ref = 0;
            for (uint64_t i = 0; i < chunks && !cursor.failed; i++) {
                if (i == 0) {
                    time = (uint64_t)cursor.varint();
                } else {
                    time += cursor.uvarint();
                }
                chunk_begin_times.push_back((int64_t)time);
                time += cursor.uvarint();
                chunk_end_times.push_back((int64_t)time);
                ref += i == 0 ? cursor.uvarint() : (uint64_t)cursor.varint();
                chunk_refs.push_back((int64_t)ref);
            }
            pair_ends.push_back((int64_t)pairs.size());
            chunk_ends.push_back((int64_t)chunk_refs.size());
            return !cursor.failed;
        }
    };

    // Samples of a log record behind its type byte.
    struct Samples {
        std::vector<int64_t> refs, times;
        std::vector<double> values;

        bool decode(const uint8_t *begin, const uint8_t *end) {
            if (begin == end) return true;
            Cursor cursor{begin, end};
            uint64_t ref = cursor.word(), time = cursor.word();
            while (cursor.at < cursor.end && !cursor.failed) {
                uint64_t own = ref + (uint64_t)cursor.varint(), at = time + (uint64_t)cursor.varint();
                uint64_t bits = cursor.word();
                if (cursor.failed) return false;
                double value;
                memcpy(&value, &bits, 8);
                refs.push_back((int64_t)own);
                times.push_back((int64_t)at);
                values.push_back(value);
            }
            return !cursor.failed;
        }
    };

    template <class T> static const char *raw(const std::vector<T> &items) { return (const char *)items.data(); }

    }
    """
    cdef cppclass Series "nunchi_prometheus_index::Series":
        vector[int64_t] refs, pair_ends, chunk_ends, chunk_begin_times, chunk_end_times, chunk_refs, crc_begins, crc_ends, pairs
        int64_t scan(const uint8_t *, int64_t, int64_t, int64_t) nogil
    cdef cppclass Samples "nunchi_prometheus_index::Samples":
        vector[int64_t] refs, times
        vector[double] values
        bint decode(const uint8_t *, const uint8_t *) nogil
    const char *raw_longs "nunchi_prometheus_index::raw"(const vector[int64_t] &)
    const char *raw_doubles "nunchi_prometheus_index::raw"(const vector[double] &)


cdef bytes _longs(const vector[int64_t] &items):
    return PyBytes_FromStringAndSize(raw_longs(items), items.size() * 8)


def scan_series(const uint8_t[::1] data, int64_t begin, int64_t end, int64_t alignment):
    """(damaged at, 0 where nowhere; then the bytes of int64 arrays: refs, pair ends, pairs, chunk ends, chunk begin times,
    chunk end times, chunk refs, begins and ends of what each series' checksum covers).
    """
    cdef Series found
    cdef int64_t damaged = 0
    if begin < 0 or begin > end or end > data.shape[0] or alignment < 1:
        raise ValueError("the series lie outside of the index")
    if begin < end:
        with nogil:
            damaged = found.scan(&data[0], begin, end, alignment)
    return (
        damaged, _longs(found.refs), _longs(found.pair_ends), _longs(found.pairs), _longs(found.chunk_ends),
        _longs(found.chunk_begin_times), _longs(found.chunk_end_times), _longs(found.chunk_refs),
        _longs(found.crc_begins), _longs(found.crc_ends),
    )


def decode_samples(const uint8_t[::1] record):
    """The bytes of refs and times (int64) and values (float64) of a samples record behind its type byte; None: damaged."""
    cdef Samples found
    if record.shape[0] and not found.decode(&record[0], &record[0] + record.shape[0]):
        return None
    return (
        _longs(found.refs), _longs(found.times), PyBytes_FromStringAndSize(raw_doubles(found.values), found.values.size() * 8)
    )
