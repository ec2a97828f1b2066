"""A native histogram that grows for ever: exponential buckets, base 2^(2^-schema), counts compensated (Neumaier).

Invariant: it has at most `buckets_max` buckets as long as its schema is above the least there is; beyond that neighbours are
merged, which halves the resolution and takes no observation back.
"""

from libc.stdint cimport int32_t
from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <algorithm>
    #include <cmath>
    #include <cstdint>
    #include <vector>

    struct NunchiBucket {
        int32_t index;
        double total, rest;
        double count() const { return total + rest; }
        void add(double more) {
            double after = total + more;
            if (std::fabs(total) >= std::fabs(more)) rest += (total - after) + more;
            else rest += (more - after) + total;
            total = after;
        }
    };

    struct NunchiNative {
        static constexpr int SCHEMA_MIN = -4;
        static constexpr double ZERO_THRESHOLD = 0x1p-128;
        int schema;
        size_t buckets_max;
        NunchiBucket zero{0, 0, 0};
        std::vector<NunchiBucket> above, below;
        explicit NunchiNative(int schema = 3, size_t buckets_max = 160) : schema(schema), buckets_max(buckets_max) {}
        void add(double value, double weight) {
            double magnitude = std::fabs(value);
            if (magnitude <= ZERO_THRESHOLD) { zero.add(weight); return; }
            auto &side = value > 0 ? above : below;
            int32_t index = (int32_t)std::ceil(std::ldexp(std::log2(magnitude), schema));
            auto at = std::lower_bound(side.begin(), side.end(), index,
                                       [](const NunchiBucket &bucket, int32_t wanted) { return bucket.index < wanted; });
            if (at == side.end() || at->index != index) at = side.insert(at, NunchiBucket{index, 0, 0});
            at->add(weight);
            while (above.size() + below.size() > buckets_max && schema > SCHEMA_MIN) halve();
        }
        void halve() {
            --schema;
            for (auto *side : {&above, &below}) {
                size_t kept = 0;
                for (auto &bucket : *side) {
                    int32_t index = (bucket.index + 1) >> 1;
                    if (kept && (*side)[kept - 1].index == index) {
                        (*side)[kept - 1].add(bucket.total);
                        (*side)[kept - 1].rest += bucket.rest;
                    } else {
                        (*side)[kept] = bucket;
                        (*side)[kept++].index = index;
                    }
                }
                side->resize(kept);
            }
        }
    };
    """
    cdef cppclass NunchiBucket:
        int32_t index
        double count()

    cdef cppclass NunchiNative:
        int schema
        NunchiBucket zero
        vector[NunchiBucket] above
        vector[NunchiBucket] below
        NunchiNative() except +
        NunchiNative(int schema, size_t buckets_max) except +
        void add(double value, double weight) except + nogil
