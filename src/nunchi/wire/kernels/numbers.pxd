"""Decimal numbers of expositions, as Go's `ParseFloat` takes them: optional sign, digits, point, exponent; Inf; NaN.

No hexadecimal, no underscores; what is too large is no number, what is too small is zero. Exact: short numbers are one
multiplication or division of exact doubles, the others go to `std::from_chars`.
"""

cdef extern from *:
    """
    #include <charconv>
    #include <cmath>
    #include <cstdint>
    #include <limits>

    static inline bool nunchi_is_digit(char character) { return (unsigned char)(character - '0') < 10; }

    static inline bool nunchi_matches(const char *at, const char *end, const char *word, int length) {
        if (end - at < length) return false;
        for (int index = 0; index < length; ++index)
            if ((at[index] | 0x20) != word[index]) return false;
        return true;
    }

    static const char *nunchi_read_special(const char *at, const char *end, bool is_signed, bool is_negative, double *out) {
        if (nunchi_matches(at, end, "inf", 3)) {
            *out = is_negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
            return nunchi_matches(at, end, "infinity", 8) ? at + 8 : at + 3;
        }
        if (!is_signed && nunchi_matches(at, end, "nan", 3)) {
            *out = std::numeric_limits<double>::quiet_NaN();
            return at + 3;
        }
        return nullptr;
    }

    /* The slow road: `magnitude` is the power of ten above the first digit that counts, for what leaves the range. */
    static const char *nunchi_read_long(const char *begin, const char *stop, int64_t magnitude, bool is_negative, double *out) {
        double value = 0;
        auto result = std::from_chars(begin, stop, value, std::chars_format::general);
        if (result.ec == std::errc::result_out_of_range) {
            if (magnitude > 0) return nullptr;
            value = 0;
        } else if (result.ec != std::errc() || result.ptr != stop) {
            return nullptr;
        }
        if (std::isinf(value)) return nullptr;
        *out = is_negative ? -value : value;
        return stop;
    }

    static inline const char *nunchi_read_number(const char *at, const char *end, double *out) {
        static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        const char *start = at;
        bool is_negative = false;
        if (at < end && (*at == '-' || *at == '+')) is_negative = *at++ == '-';
        const char *begin = at;
        uint64_t digits = 0;
        while (at < end && nunchi_is_digit(*at)) digits = digits * 10 + (uint64_t)(*at++ - '0');
        int64_t whole = at - begin, fraction = 0;
        const char *point = at;
        if (at < end && *at == '.') {
            ++at;
            while (at < end && nunchi_is_digit(*at)) digits = digits * 10 + (uint64_t)(*at++ - '0');
            fraction = at - point - 1;
        }
        if (whole + fraction == 0) return nunchi_read_special(begin, end, begin != start, is_negative, out);
        int64_t exponent = 0;
        if (at < end && (*at | 0x20) == 'e') {
            ++at;
            bool is_below = false;
            if (at < end && (*at == '-' || *at == '+')) is_below = *at++ == '-';
            if (at >= end || !nunchi_is_digit(*at)) return nullptr;
            for (; at < end && nunchi_is_digit(*at); ++at)
                if (exponent < 1000000000) exponent = exponent * 10 + (*at - '0');
            if (is_below) exponent = -exponent;
        }
        int64_t scale = exponent - fraction;
        if (whole + fraction <= 19 && digits <= (1ull << 53) && scale >= -22 && scale <= 22) {
            double value = (double)digits;
            value = scale < 0 ? value / powers[-scale] : value * powers[scale];
            *out = is_negative ? -value : value;
            return at;
        }
        const char *first = begin;
        while (first < at && (*first == '0' || *first == '.')) ++first;
        int64_t magnitude = first <= point ? (point - first) + exponent : exponent - (first - point - 1);
        return nunchi_read_long(begin, at, magnitude, is_negative, out);
    }
    """
    # Past the number at `at`, its value in `out`; NULL where there is none. What follows it is the caller's to judge.
    const char *read_number "nunchi_read_number"(const char *at, const char *end, double *out) noexcept nogil
