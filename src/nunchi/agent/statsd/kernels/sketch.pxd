"""Exponential buckets of observations: base 2^(2^-schema), as native histograms have them; at schema 5 a value is known to 1.1 %.

Invariant: a sketch has at most `BINS_MAX` buckets a side; beyond that neighbours are merged, which halves the resolution.
"""

from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <algorithm>
    #include <cmath>
    #include <cstdint>
    #include <limits>
    #include <utility>
    #include <vector>

    struct NunchiBin { int32_t index; double weight; };

    struct NunchiSketch {
        static constexpr size_t BINS_MAX = 2048;
        int schema = 5;
        double zero = 0, count = 0;
        double least = std::numeric_limits<double>::infinity(), most = -std::numeric_limits<double>::infinity();
        std::vector<NunchiBin> above, below;

        bool is_empty() const { return count == 0; }
        int32_t index_of(double magnitude) const { return (int32_t)std::ceil(std::ldexp(std::log2(magnitude), schema)); }
        double value_of(int32_t index) const {  /* what is off by equal shares from both borders */
            double growth = std::exp2(std::ldexp(1.0, -schema));
            return 2 * std::exp2(std::ldexp((double)index, -schema)) / (1 + growth);
        }
        void halve() {
            --schema;
            for (auto *side : {&above, &below}) {
                size_t kept = 0;
                for (auto &bin : *side) {
                    int32_t index = (bin.index + 1) >> 1;
                    if (kept && (*side)[kept - 1].index == index) (*side)[kept - 1].weight += bin.weight;
                    else (*side)[kept++] = {index, bin.weight};
                }
                side->resize(kept);
            }
        }
        void add(double value, double weight) {
            count += weight;
            least = std::min(least, value);
            most = std::max(most, value);
            if (value == 0) { zero += weight; return; }
            auto &side = value > 0 ? above : below;
            int32_t index = index_of(std::fabs(value));
            auto at = std::lower_bound(side.begin(), side.end(), index,
                                       [](const NunchiBin &bin, int32_t wanted) { return bin.index < wanted; });
            if (at != side.end() && at->index == index) at->weight += weight;
            else side.insert(at, {index, weight});
            while (side.size() > BINS_MAX) halve();
        }
    };

    /* A ring of sketches: the youngest takes what comes, the oldest goes when the window moves on. */
    struct NunchiWindow {
        std::vector<NunchiSketch> ages;
        size_t youngest = 0;
        explicit NunchiWindow(size_t count = 1) : ages(count) {}
        void add(double value, double weight) { ages[youngest].add(value, weight); }
        void rotate() {
            youngest = (youngest + 1) % ages.size();
            ages[youngest] = NunchiSketch();
        }
        /* The value below which a share of all observations lies; NaN where there are none. */
        std::vector<double> quantiles(const std::vector<double> &shares) const {
            std::vector<std::pair<double, double>> points;
            double count = 0, least = std::numeric_limits<double>::infinity(), most = -least;
            for (auto &age : ages) {
                if (age.is_empty()) continue;
                count += age.count;
                least = std::min(least, age.least);
                most = std::max(most, age.most);
                if (age.zero) points.push_back({0, age.zero});
                for (auto &bin : age.above) points.push_back({age.value_of(bin.index), bin.weight});
                for (auto &bin : age.below) points.push_back({-age.value_of(bin.index), bin.weight});
            }
            std::sort(points.begin(), points.end());
            std::vector<double> found;
            for (double share : shares) {
                double wanted = share * count, passed = 0, value = std::numeric_limits<double>::quiet_NaN();
                for (auto &point : points) {
                    value = point.first;
                    passed += point.second;
                    if (passed >= wanted) break;
                }
                found.push_back(count ? std::clamp(value, least, most) : value);
            }
            return found;
        }
    };
    """
    cdef cppclass NunchiWindow:
        NunchiWindow() except +
        NunchiWindow(size_t count) except +
        void add(double value, double weight) except + nogil
        void rotate() except + nogil
        vector[double] quantiles(const vector[double] &shares) except + nogil
