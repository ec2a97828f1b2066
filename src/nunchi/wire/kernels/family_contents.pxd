"""What metrics of a protobuf exposition hold, to samples: `family_contents.pyx`."""

from libc.stdint cimport int64_t, uint8_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from nunchi.wire.kernels.protobuf cimport Field

cdef enum:
    FINE, CUT_OFF, NAMELESS, TYPELESS, OTHER_WIRE, NOT_UTF8

cdef extern from *:
    """
    struct nunchi_exemplar { int64_t sample, begin, end, is_native; };
    """
    ctypedef struct Found "nunchi_exemplar":
        int64_t sample
        int64_t begin
        int64_t end
        int64_t is_native

cdef as_longs(const vector[int64_t]& held)

cdef class FamilyContents:
    cdef bint with_native, with_classic
    cdef const char *data
    cdef string identity
    cdef vector[double] values
    cdef vector[int64_t] natives, native_places
    cdef string native_bytes
    cdef vector[Found] found_exemplars

    cdef void begin(self, const char *data) noexcept nogil
    cdef int metric(self, const Field *content, bint is_gauge, int64_t *start) noexcept nogil
    cdef int plain(self, const char *at, const char *end, bint is_counter, int64_t *start) noexcept nogil
    cdef int summary(self, const char *at, const char *end, int64_t *start) noexcept nogil
    cdef int histogram(self, const char *at, const char *end, bint is_gauge, int64_t *start) noexcept nogil
    cdef void native_part(self, const char *at, const char *end, bint is_gauge, bint has_own) noexcept nogil
    cdef int classic_part(self, const char *at, const char *end, double count, double total) noexcept nogil
    cdef void add(self, uint8_t part, double bound, double value) noexcept nogil
    cdef bint exemplar(self, const Field *field, bint is_native, size_t sample) noexcept nogil
