"""Work of one call shared out among threads that live no longer than the call."""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <atomic>
    #include <cstdint>
    #include <system_error>
    #include <thread>
    #include <vector>

    typedef void (*nunchi_piece)(void* task, std::int64_t piece);

    /* Runs pieces 0 to `pieces` - 1 in `threads` threads, the caller's own among them; whoever is free takes the next. */
    static inline void share_out(nunchi_piece run, void* task, std::int64_t pieces, std::int64_t threads) {
        std::atomic<std::int64_t> following{0};
        const auto work = [&] {
            for (std::int64_t piece; (piece = following.fetch_add(1, std::memory_order_relaxed)) < pieces;) run(task, piece);
        };
        std::vector<std::thread> others;
        try {
            for (std::int64_t i = 1; i < threads && i < pieces; ++i) others.emplace_back(work);
        } catch (const std::system_error&) {
            /* no thread to be had: those that are there do it */
        }
        work();
        for (auto& other : others) other.join();
    }
    """
    ctypedef void (*nunchi_piece)(void* task, int64_t piece) noexcept nogil
    void share_out(nunchi_piece run, void* task, int64_t pieces, int64_t threads) noexcept nogil
