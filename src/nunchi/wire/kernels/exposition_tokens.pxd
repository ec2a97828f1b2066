"""Expositions token by token: where names, labels, numbers and lines end. Prometheus text, and strictly OpenMetrics.

Every function takes where it is and where the bytes end, and returns where it got to; NULL says that what it looks for is
not there, and `error` why.
Invariant: no byte is read at or behind `end`.
"""

from libc.stdint cimport INT64_MIN, int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from nunchi.wire.kernels.numbers cimport read_number

cdef enum Error:
    FINE
    NO_START
    NO_LABEL_NAME
    NO_EQUAL
    NO_LABEL_VALUE
    NO_COMMA
    SECOND_NAME
    NO_NAME
    NO_VALUE
    BAD_VALUE
    BAD_TIMESTAMP
    NO_LINE_END
    NO_EOF
    BEHIND_EOF
    BAD_COMMENT
    BAD_EXEMPLAR
    TOO_MANY

cdef enum:
    PLAIN = 0        # what the TYPE line before a series means for its labels:
    BUCKETS = 1      # `le` is canonicalised
    QUANTILES = 2    # `quantile` is canonicalised
    STRICT = 4       # OpenMetrics
    METADATA = 8     # a metadata line; or, of what such a line sets: nothing
    ZERO = 48

cdef struct Sample:
    double value
    int64_t timestamp_ms


cdef inline bint is_blank(char character) noexcept nogil:
    return character == b' ' or character == b'\t'

cdef inline bint is_digit(char character) noexcept nogil:
    return b'0' <= character <= b'9'

cdef inline bint starts_label(char character) noexcept nogil:
    return b'a' <= character <= b'z' or b'A' <= character <= b'Z' or character == b'_'

cdef inline bint starts_name(char character) noexcept nogil:
    return starts_label(character) or character == b':'

cdef inline bint continues_name(char character) noexcept nogil:
    return starts_name(character) or is_digit(character)

cdef inline const char *skip_blanks(const char *at, const char *end) noexcept nogil:
    while at < end and is_blank(at[0]):
        at += 1
    return at

cdef inline const char *skip_quoted(const char *at, const char *end, bint is_one_line) noexcept nogil:
    """Behind the closing quote of the string whose opening quote stands at `at`; NULL where it does not close."""
    at += 1
    while at < end:
        if at[0] == b'"':
            return at + 1
        if at[0] == b'\\':
            at += 1
            if at == end or at[0] == b'\n':
                return NULL
        elif at[0] == b'\n' and is_one_line:
            return NULL
        at += 1
    return NULL

cdef inline const char *skip_name(const char *at, const char *end) noexcept nogil:
    """Behind a metric name, quoted or plain, or NULL."""
    if at < end and at[0] == b'"':
        return skip_quoted(at, end, False)
    if at == end or not starts_name(at[0]):
        return NULL
    while at < end and continues_name(at[0]):
        at += 1
    return at

cdef inline const char *skip_labels(
    const char *at, const char *end, bint strict, bint has_name, bint is_exemplar, Error *error
) noexcept nogil:
    """Behind the brace that closes the labels which begin at `at`, just inside the opening one; NULL and `error`."""
    cdef bint is_quoted
    while True:
        if not strict:
            at = skip_blanks(at, end)
        if at < end and at[0] == b'}':
            if not has_name:
                error[0] = NO_NAME
                return NULL
            return at + 1
        is_quoted = at < end and at[0] == b'"'
        error[0] = NO_LABEL_NAME
        if is_quoted:
            at = skip_quoted(at, end, is_exemplar)
            if at == NULL:
                return NULL
        elif at < end and starts_label(at[0]):
            while at < end and continues_name(at[0]) and at[0] != b':':
                at += 1
        else:
            return NULL
        if not strict:
            at = skip_blanks(at, end)
        if is_quoted and not is_exemplar and at < end and (at[0] == b',' or at[0] == b'}'):
            if has_name:
                error[0] = SECOND_NAME
                return NULL
            has_name = True
            if at[0] == b',':
                at += 1
            continue
        if at == end or at[0] != b'=':
            error[0] = NO_EQUAL
            return NULL
        at += 1
        error[0] = NO_LABEL_VALUE
        if not strict:
            at = skip_blanks(at, end)
        if at == end or at[0] != b'"':
            return NULL
        at = skip_quoted(at, end, strict)
        if at == NULL:
            return NULL
        if not strict:
            at = skip_blanks(at, end)
        if at < end and at[0] == b',':
            at += 1
        elif strict and (at == end or at[0] != b'}'):
            error[0] = NO_COMMA
            return NULL

cdef inline const char *skip_series(const char *at, const char *end, bint strict, Error *error) noexcept nogil:
    """Behind the text of the series at `at`: name, braces and what is between them; NULL and `error`."""
    cdef const char *brace
    if at[0] == b'{':
        return skip_labels(at + 1, end, strict, False, False, error)
    if not starts_name(at[0]):
        error[0] = NO_START
        return NULL
    at = skip_name(at, end)
    brace = at if strict else skip_blanks(at, end)
    if brace < end and brace[0] == b'{':
        return skip_labels(brace + 1, end, strict, True, False, error)
    return at

cdef inline const char *read_sample(const char *at, const char *end, Sample *sample, Error *error) noexcept nogil:
    """Text format: value and timestamp at `at` to the end of the line, which is returned; NULL and `error`."""
    at = skip_blanks(at, end)
    if at == end or at[0] == b'\n':
        error[0] = NO_VALUE
        return NULL
    at = read_number(at, end, &sample.value)
    if at == NULL:
        error[0] = BAD_VALUE
        return NULL
    sample.timestamp_ms = INT64_MIN
    if at == end or at[0] == b'\n':
        return at
    if not is_blank(at[0]):
        error[0] = BAD_VALUE
        return NULL
    return read_timestamp(at, end, sample, error)

cdef inline const char *read_timestamp(const char *at, const char *end, Sample *sample, Error *error) noexcept nogil:
    """Text format: milliseconds, digits alone, or nothing, up to the end of the line."""
    cdef uint64_t timestamp = 0
    cdef int digit
    at = skip_blanks(at, end)
    if at == end or at[0] == b'\n':
        return at
    error[0] = BAD_TIMESTAMP
    if not is_digit(at[0]):
        return NULL
    while at < end and is_digit(at[0]):
        digit = at[0] - ZERO
        if timestamp > (<uint64_t>0x7FFFFFFFFFFFFFFF - digit) // 10:
            return NULL
        timestamp = timestamp * 10 + digit
        at += 1
    sample.timestamp_ms = <int64_t>timestamp
    at = skip_blanks(at, end)
    if at < end and at[0] != b'\n':
        error[0] = NO_LINE_END
        return NULL
    return at

cdef inline const char *read_field(const char *at, const char *end, double *value) noexcept nogil:
    """OpenMetrics: behind one space and a number, which a space or the line's end must follow; else NULL."""
    if at == end or at[0] != b' ':
        return NULL
    at = read_number(at + 1, end, value)
    if at == NULL or at == end or (at[0] != b' ' and at[0] != b'\n'):
        return NULL
    return at

cdef inline bint is_timestamp(double seconds) noexcept nogil:
    return -9.2e15 < seconds < 9.2e15

cdef inline const char *read_strict_sample(
    const char *at, const char *end, Sample *sample, int64_t *exemplars, Error *error
) noexcept nogil:
    """OpenMetrics: value, timestamp in seconds and exemplar at `at` to the end of the line, which is returned."""
    cdef double seconds
    error[0] = BAD_VALUE if at < end and at[0] == b' ' else NO_VALUE
    at = read_field(at, end, &sample.value)
    if at == NULL:
        return NULL
    sample.timestamp_ms = INT64_MIN
    if at[0] == b'\n':
        return at
    if end - at < 3 or at[1] != b'#' or at[2] != b' ':
        error[0] = BAD_TIMESTAMP
        at = read_field(at, end, &seconds)
        if at == NULL or not is_timestamp(seconds):
            return NULL
        sample.timestamp_ms = <int64_t>(seconds * 1000)
        if at[0] == b'\n':
            return at
    exemplars[0] += 1
    return skip_exemplar(at, end, error)

cdef inline const char *skip_exemplar(const char *at, const char *end, Error *error) noexcept nogil:
    """OpenMetrics: behind ` # {labels} value [timestamp]`, at the end of the line."""
    cdef double number
    error[0] = BAD_EXEMPLAR
    if end - at < 4 or memcmp(at, b" # {", 4) != 0:
        return NULL
    at = skip_labels(at + 4, end, True, True, True, error)
    if at != NULL:
        at = read_field(at, end, &number)
    if at != NULL and at[0] == b' ':
        at = read_field(at, end, &number)
        if at != NULL and (at[0] != b'\n' or not is_timestamp(number)):
            at = NULL
    if at == NULL:
        error[0] = BAD_EXEMPLAR
    return at

cdef inline const char *line_end(const char *at, const char *end) noexcept nogil:
    cdef const char *found = <const char *>memchr(at, b'\n', end - at) if at < end else NULL
    return found if found != NULL else end

cdef inline bint is_word(const char *at, const char *end, const char *word, Py_ssize_t length) noexcept nogil:
    return end - at == length and memcmp(at, word, length) == 0

cdef inline uint32_t context_of_type(const char *keyword, const char *stop) noexcept nogil:
    """What a metadata line whose keyword stands at `keyword` makes of the following series; METADATA: no change."""
    cdef const char *at
    if memcmp(keyword, b"TYPE", 4) != 0:
        return METADATA
    at = skip_name(skip_blanks(keyword + 4, stop), stop)
    if at == NULL or at == stop:
        return PLAIN
    if is_word(at + 1, stop, b"histogram", 9):
        return BUCKETS
    return QUANTILES if is_word(at + 1, stop, b"summary", 7) else PLAIN

cdef inline const char *find_keyword(const char *at, const char *stop, bint strict) noexcept nogil:
    """The HELP, TYPE or (OpenMetrics) UNIT of the comment line at `at`; NULL where it is a mere comment."""
    cdef const char *word = skip_blanks(at + 1, stop)
    if word == at + 1 or stop - word < 5 or not is_blank(word[4]):
        return NULL
    if memcmp(word, b"HELP", 4) == 0 or memcmp(word, b"TYPE", 4) == 0:
        return word
    return word if strict and memcmp(word, b"UNIT", 4) == 0 else NULL
