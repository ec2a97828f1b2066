"""One keyed 64-bit hash of bytes for the look-up tables of the kernels (multiply and fold, 8 bytes a step).

Keyed, so that who sends the bytes cannot aim at one slot. It is no checksum and never leaves the process.
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>

    static inline uint64_t nunchi_fold(uint64_t left, uint64_t right) {
        unsigned __int128 product = (unsigned __int128)left * right;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

    static inline uint64_t nunchi_hash(const char *bytes, size_t length, uint64_t seed) {
        const uint64_t first = 0x9E3779B97F4A7C15ull, second = 0xD6E8FEB86659FD93ull;
        uint64_t state = nunchi_fold(seed ^ first, (uint64_t)length ^ second), other = state ^ seed;
        uint64_t one, two;
        while (length > 16) {
            std::memcpy(&one, bytes, 8);
            std::memcpy(&two, bytes + 8, 8);
            state = nunchi_fold(one ^ state, two ^ other ^ first);
            other += state ^ two;
            bytes += 16;
            length -= 16;
        }
        one = two = 0;
        if (length > 8) {
            std::memcpy(&one, bytes, 8);
            std::memcpy(&two, bytes + 8, length - 8);
        } else if (length) {
            std::memcpy(&one, bytes, length);
        }
        return nunchi_fold(one ^ state ^ second, two ^ other);
    }
    """
    uint64_t hash_bytes "nunchi_hash"(const char *bytes, size_t length, uint64_t seed) noexcept nogil
