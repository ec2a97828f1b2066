"""Walking protobuf messages inside their bounds, and UTF-8 as strings of theirs must be."""

from libc.stdint cimport uint32_t, uint64_t

cdef enum:  # wire types
    VARINT = 0
    FIXED64 = 1
    BYTES = 2

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>

    struct nunchi_field {
        uint32_t number = 0, wire = 0;
        uint64_t integer = 0;          /* of wire types 0, 1 and 5 */
        const char *begin = nullptr;   /* of wire type 2 */
        const char *end = nullptr;
    };

    static inline const char *nunchi_read_varint(const char *at, const char *end, uint64_t *out) {
        if (at < end && (unsigned char)*at < 0x80) {
            *out = (unsigned char)*at;
            return at + 1;
        }
        uint64_t value = 0;
        for (int shift = 0; shift < 64 && at < end; shift += 7) {
            unsigned char byte = (unsigned char)*at++;
            if (shift == 63 && byte > 1) return nullptr;
            value |= (uint64_t)(byte & 0x7F) << shift;
            if (byte < 0x80) {
                *out = value;
                return at;
            }
        }
        return nullptr;
    }

    static inline const char *nunchi_read_field(const char *at, const char *end, nunchi_field *field) {
        uint64_t key, length;
        if (!(at = nunchi_read_varint(at, end, &key)) || (key >> 3) == 0 || (key >> 3) > 0x1FFFFFFF) return nullptr;
        field->number = (uint32_t)(key >> 3);
        field->wire = (uint32_t)(key & 7);
        switch (field->wire) {
        case 0:
            return nunchi_read_varint(at, end, &field->integer);
        case 1:
            if (end - at < 8) return nullptr;
            std::memcpy(&field->integer, at, 8);
            return at + 8;
        case 2:
            if (!(at = nunchi_read_varint(at, end, &length)) || length > (uint64_t)(end - at)) return nullptr;
            field->begin = at;
            field->end = at + length;
            return field->end;
        case 5: {
            uint32_t half;
            if (end - at < 4) return nullptr;
            std::memcpy(&half, at, 4);
            field->integer = half;
            return at + 4;
        }
        default:
            return nullptr;
        }
    }

    static inline bool nunchi_is_utf8(const char *bytes, const char *end) {
        const unsigned char *at = (const unsigned char *)bytes, *stop = (const unsigned char *)end;
        while (at < stop) {
            uint64_t eight;
            if (stop - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080ull) == 0)) {
                at += 8;
                continue;
            }
            unsigned char lead = *at++;
            if (lead < 0x80) continue;
            int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
            if (lead < 0xC2 || lead > 0xF4 || stop - at < more) return false;
            unsigned char low = 0x80, high = 0xBF;  /* of the second byte: no overlong forms, no surrogates, no more than U+10FFFF */
            if (lead == 0xE0) low = 0xA0;
            else if (lead == 0xED) high = 0x9F;
            else if (lead == 0xF0) low = 0x90;
            else if (lead == 0xF4) high = 0x8F;
            if (*at < low || *at > high) return false;
            ++at;
            for (; --more; ++at)
                if ((*at & 0xC0) != 0x80) return false;
        }
        return true;
    }
    """
    ctypedef struct Field "nunchi_field":
        uint32_t number
        uint32_t wire
        uint64_t integer
        const char *begin
        const char *end

    # Behind the field at `at`; NULL where it leaves the bounds or is none. Groups, long obsolete, are none.
    const char *read_field "nunchi_read_field"(const char *at, const char *end, Field *field) noexcept nogil
    bint is_utf8 "nunchi_is_utf8"(const char *at, const char *end) noexcept nogil
