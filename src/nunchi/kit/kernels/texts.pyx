"""Many texts as one run of bytes."""

from libc.stdint cimport int32_t, int64_t

cdef extern from *:
    """
    #include <algorithm>
    #include <cstdint>
    #include <numeric>
    #include <string_view>
    #include <vector>

    static void rank_texts(const char* data, const std::int64_t* offsets, std::int64_t count, std::int32_t* ranks) {
        std::vector<std::int32_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        const auto text = [=](std::int32_t i) { return std::string_view(data + offsets[i], offsets[i + 1] - offsets[i]); };
        std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return text(a) < text(b); });
        for (std::int64_t place = 0; place < count; ++place) ranks[order[place]] = static_cast<std::int32_t>(place);
    }
    """
    void rank_texts(const char* data, const int64_t* offsets, int64_t count, int32_t* ranks) noexcept nogil


def rank(bytes data, const int64_t[::1] offsets, int32_t[::1] ranks):
    """The place of each text `data[offsets[i]:offsets[i + 1]]`, all of them distinct, when sorted by bytes.

    UTF-8 sorts by bytes as texts sort by characters. Others run Python meanwhile.
    """
    cdef const char* start = data
    if ranks.shape[0] != offsets.shape[0] - 1 or offsets[0] != 0 or offsets[offsets.shape[0] - 1] != len(data):
        raise ValueError("texts, offsets and ranks do not fit each other")
    if ranks.shape[0]:
        with nogil:
            rank_texts(start, &offsets[0], ranks.shape[0], &ranks[0])
