"""What every kernel over tiles needs: where windows begin and end in a timestamp vector, and a row without its markers."""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    #include <vector>

    static const std::uint64_t STALE_BITS = 0x7FF0000000000002u;
    static const std::uint64_t ABSENT_BITS = 0x7FF80000AB5E2701u;

    static inline std::uint64_t bits_of(const double* value) {
        std::uint64_t bits;
        std::memcpy(&bits, value, 8);
        return bits;
    }

    static inline bool is_sample(const double* value) {
        const std::uint64_t bits = bits_of(value);
        return bits != STALE_BITS && bits != ABSENT_BITS;
    }

    /* The borders of the windows (reference - width, reference] in the vectors of a tile, at ascending references.

       Kept for all vectors that were asked for, or only for the last where all would take too much room. */
    class BorderCache {
    public:
        const std::int64_t* times = nullptr;  /* of the vector found last */
        const std::int32_t* low = nullptr;    /* per step the first sample after reference - width */
        const std::int32_t* high = nullptr;   /* per step the first sample after reference */

        void open(const std::int64_t* vectors, const std::int64_t* offsets, std::int64_t count,
                  const std::int64_t* references, std::int64_t steps, std::int64_t width) {
            vectors_ = vectors; offsets_ = offsets; references_ = references; steps_ = steps; width_ = width;
            const std::int64_t slots = count * steps <= KEPT_MAX ? count : 1;
            low_.resize(slots * steps + 1);
            high_.resize(slots * steps + 1);
            owner_.assign(slots > 0 ? slots : 1, -1);
        }

        void find(std::int32_t vector) {
            const std::int64_t slot = owner_.size() > 1 ? vector : 0;
            times = vectors_ + offsets_[vector];
            low = low_.data() + slot * steps_;
            high = high_.data() + slot * steps_;
            if (owner_[slot] == vector) return;
            owner_[slot] = vector;
            const std::int64_t count = offsets_[vector + 1] - offsets_[vector];
            std::int32_t* lows = low_.data() + slot * steps_;
            std::int32_t* highs = high_.data() + slot * steps_;
            std::int64_t i = 0, j = 0;
            for (std::int64_t step = 0; step < steps_; ++step) {
                while (j < count && times[j] <= references_[step]) ++j;
                while (i < j && times[i] <= references_[step] - width_) ++i;
                lows[step] = static_cast<std::int32_t>(i);
                highs[step] = static_cast<std::int32_t>(j);
            }
        }

    private:
        static constexpr std::int64_t KEPT_MAX = 1 << 20;
        const std::int64_t *vectors_ = nullptr, *offsets_ = nullptr, *references_ = nullptr;
        std::int64_t steps_ = 0, width_ = 0;
        std::vector<std::int32_t> low_, high_, owner_;
    };

    /* A row's samples without absent cells and staleness markers; not copied where there are none. */
    class Samples {
    public:
        const std::int64_t* times = nullptr;
        const double* values = nullptr;
        std::int64_t count = 0;

        /* True where all cells are samples. */
        bool load(const std::int64_t* stamps, const double* cells, std::int64_t size) {
            times = stamps; values = cells; count = size;
            /* Both markers are NaNs: where there is none, nothing else needs a look. */
            std::int64_t odd = 0, i = 0;
            for (; i < size; ++i) odd += cells[i] != cells[i];
            is_dense_ = odd == 0;
            if (!is_dense_) {
                for (i = 0; i < size && is_sample(cells + i); ++i) {}
                is_dense_ = i == size;
            }
            if (is_dense_) return true;
            times_.resize(size); values_.resize(size); before_.resize(size + 1);
            count = 0;
            for (i = 0; i < size; ++i) {
                before_[i] = static_cast<std::int32_t>(count);
                if (is_sample(cells + i)) { times_[count] = stamps[i]; values_[count] = cells[i]; ++count; }
            }
            before_[size] = static_cast<std::int32_t>(count);
            times = times_.data(); values = values_.data();
            return false;
        }

        /* Where a border of the vector is among the samples. */
        std::int64_t place(std::int32_t border) const { return is_dense_ ? border : before_[border]; }

    private:
        bool is_dense_ = true;
        std::vector<std::int64_t> times_;
        std::vector<double> values_;
        std::vector<std::int32_t> before_;
    };
    """
    const uint64_t STALE_BITS
    const uint64_t ABSENT_BITS
    uint64_t bits_of(const double* value) nogil
    bint is_sample(const double* value) nogil

    cppclass BorderCache:
        const int64_t* times
        const int32_t* low
        const int32_t* high
        void open(
            const int64_t* vectors, const int64_t* offsets, int64_t count, const int64_t* references, int64_t steps, int64_t width
        ) nogil
        void find(int32_t vector) nogil

    cppclass Samples:
        const int64_t* times
        const double* values
        int64_t count
        bint load(const int64_t* stamps, const double* cells, int64_t size) nogil
        int64_t place(int32_t border) nogil
