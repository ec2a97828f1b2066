# distutils: language = c++
# Label keys as integers: texts become symbols, (name, value) becomes a pair, a series a sequence of pairs. Postings, filters.
#
# Tables are open-addressing arrays of ids (-1: empty), a power of two long, at most half full; the caller makes room before
# it calls. A series is known by 128 bits of hash over its label key (docs/formats/index.md says which).

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp.algorithm cimport sort
from libcpp.vector cimport vector

import numpy as np

cdef extern from *:
    """
    #include <cstdint>
    struct LabelOrder {
        const int64_t* offsets; const int32_t* names; const int32_t* values;
        bool operator()(int64_t a, int64_t b) const {
            int64_t i = offsets[a], j = offsets[b], ie = offsets[a + 1], je = offsets[b + 1];
            for (; i < ie && j < je; i++, j++) {
                if (names[i] != names[j]) return names[i] < names[j];
                if (values[i] != values[j]) return values[i] < values[j];
            }
            if (i < ie || j < je) return i >= ie;
            return a < b;
        }
    };
    """
    cdef cppclass LabelOrder:
        const int64_t* offsets
        const int32_t* names
        const int32_t* values

cdef extern from "<cstring>" nogil:
    const void* memmem(const void* data, size_t size, const void* wanted, size_t wanted_size)

cdef enum:
    SYMBOLS = 0
    SYMBOL_BYTES = 1
    PAIRS = 2
    SERIES = 3
    SERIES_PAIRS = 4
    CREATED = 5
    FREE = 6
    SEPARATOR = 0xFF

cdef uint64_t SEED_LOW = 0x9E3779B97F4A7C15
cdef uint64_t SEED_HIGH = 0xC2B2AE3D27D4EB4F


cdef inline uint64_t rotate(uint64_t word, int by) noexcept nogil:
    return (word << by) | (word >> (64 - by))


cdef inline uint64_t finish(uint64_t word) noexcept nogil:
    word ^= word >> 33
    word *= <uint64_t>0xFF51AFD7ED558CCD
    word ^= word >> 33
    word *= <uint64_t>0xC4CEB9FE1A85EC53
    return word ^ (word >> 33)


cdef uint64_t hash_bytes(const uint8_t* data, int64_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t state = seed ^ (<uint64_t>size * <uint64_t>0x87C37B91114253D5), word
    cdef int64_t at = 0
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        state ^= rotate(word * <uint64_t>0x87C37B91114253D5, 31) * <uint64_t>0x4CF5AD432745937F
        state = rotate(state, 27) * 5 + 0x52DCE729
        at += 8
    if at < size:
        word = 0
        memcpy(&word, data + at, size - at)
        state ^= rotate(word * <uint64_t>0x87C37B91114253D5, 31) * <uint64_t>0x4CF5AD432745937F
        state = rotate(state, 27) * 5 + 0x52DCE729
    return finish(state)


cdef inline uint64_t hash_pair(int32_t name, int32_t value) noexcept nogil:
    return finish((<uint64_t><uint32_t>name << 32) | <uint32_t>value)


cdef inline int64_t symbol_begin(const int64_t* ends, int32_t symbol) noexcept nogil:
    return ends[symbol - 1] if symbol else 0


cdef int32_t lookup_symbol(const uint8_t* text, int64_t size, const uint8_t* data, const int64_t* ends,
                           const int32_t* slots, int64_t mask, int64_t* slot) noexcept nogil:
    cdef int64_t at = <int64_t>(hash_bytes(text, size, SEED_LOW) & <uint64_t>mask), begin
    cdef int32_t symbol
    while True:
        symbol = slots[at]
        if symbol < 0:
            slot[0] = at
            return -1
        begin = symbol_begin(ends, symbol)
        if ends[symbol] - begin == size and memcmp(data + begin, text, size) == 0:
            return symbol
        at = (at + 1) & mask


cdef int32_t lookup_pair(int32_t name, int32_t value, const int32_t* names, const int32_t* values, const int32_t* slots,
                         int64_t mask, int64_t* slot) noexcept nogil:
    cdef int64_t at = <int64_t>(hash_pair(name, value) & <uint64_t>mask)
    cdef int32_t pair
    while True:
        pair = slots[at]
        if pair < 0:
            slot[0] = at
            return -1
        if names[pair] == name and values[pair] == value:
            return pair
        at = (at + 1) & mask


cdef enum:
    WORDS_REMEMBERED = 64

cdef struct Word:
    const uint8_t* text
    int64_t size
    int32_t symbol


def intern_keys(const uint8_t[::1] keys, const int64_t[::1] ends, uint8_t[::1] symbol_bytes, int64_t[::1] symbol_ends,
                int32_t[::1] symbol_slots, int32_t[::1] pair_names, int32_t[::1] pair_values, int32_t[::1] pair_slots,
                int64_t[::1] series_begins, int32_t[::1] series_lengths, int32_t[::1] series_pairs,
                uint64_t[:, ::1] series_hashes, int32_t[::1] series_metrics, int32_t[::1] series_slots,
                int32_t[::1] created, int32_t[::1] free, int64_t[::1] counts, int32_t[::1] refs, fixed):
    """The series of each label key, made where it is new: at `fixed[i]` where given, else in a free place, else at the end.

    `ends[0]` is where the first key begins; key i is `keys[ends[i]:ends[i + 1]]`. Returns how many are new. Neighbours often
    have words in common, which are not looked up again.
    """
    cdef int64_t n = ends.shape[0] - 1, i, at, begin, end, word, first, slot = 0, made = 0, words
    cdef int64_t symbol_mask = symbol_slots.shape[0] - 1, pair_mask = pair_slots.shape[0] - 1
    cdef int64_t series_mask = series_slots.shape[0] - 1, size
    cdef uint64_t low, high
    cdef int32_t ref, symbol, name = 0, pair, metric
    cdef Word[WORDS_REMEMBERED] before
    cdef int32_t[WORDS_REMEMBERED] pairs_before
    cdef bint is_like_before, is_like_name = False
    cdef const int32_t[::1] places
    cdef const int32_t* places_at = NULL
    cdef const uint8_t* text
    if fixed is not None:
        places = fixed
        if places.shape[0]:
            places_at = &places[0]
    if n <= 0:
        return 0
    if ends[0] < 0 or ends[n] > keys.shape[0]:
        raise ValueError("keys end outside their arena")
    with nogil:
        for i in range(WORDS_REMEMBERED):
            before[i].size = -1
        for i in range(n):
            begin, end = ends[i], ends[i + 1]
            text = &keys[0] + begin if end > begin else NULL
            low = hash_bytes(text, end - begin, SEED_LOW)
            high = hash_bytes(text, end - begin, SEED_HIGH)
            at = <int64_t>(low & <uint64_t>series_mask)
            ref = series_slots[at]
            while ref >= 0 and not (series_hashes[ref, 0] == low and series_hashes[ref, 1] == high):
                at = (at + 1) & series_mask
                ref = series_slots[at]
            if ref >= 0:
                refs[i] = ref
                continue
            if places_at != NULL:
                ref = places_at[i]
                if ref >= counts[SERIES]:
                    counts[SERIES] = ref + 1
            elif counts[FREE]:
                counts[FREE] -= 1
                ref = free[counts[FREE]]
            else:
                ref = <int32_t>counts[SERIES]
                counts[SERIES] += 1
            series_slots[at] = ref
            series_hashes[ref, 0] = low
            series_hashes[ref, 1] = high
            series_begins[ref] = counts[SERIES_PAIRS]
            metric = -1
            first = begin
            words = 0
            for word in range(begin, end):
                if keys[word] != SEPARATOR:
                    continue
                size = word - first
                is_like_before = (words < WORDS_REMEMBERED and before[words].size == size
                                  and memcmp(&keys[first], before[words].text, size) == 0)
                if is_like_before:
                    symbol = before[words].symbol
                else:
                    symbol = lookup_symbol(&keys[first], size, &symbol_bytes[0], &symbol_ends[0], &symbol_slots[0],
                                           symbol_mask, &slot)
                    if symbol < 0:
                        symbol = <int32_t>counts[SYMBOLS]
                        memcpy(&symbol_bytes[0] + counts[SYMBOL_BYTES], &keys[first], size)
                        counts[SYMBOL_BYTES] += size
                        symbol_ends[symbol] = counts[SYMBOL_BYTES]
                        symbol_slots[slot] = symbol
                        counts[SYMBOLS] += 1
                    if words < WORDS_REMEMBERED:
                        before[words] = Word(&keys[first], size, symbol)
                        if words & 1 == 0:
                            before[words + 1].size = -1  # another name: what its value would pair with is not remembered
                first = word + 1
                words += 1
                if words & 1:
                    name, is_like_name = symbol, is_like_before
                    continue
                if is_like_before and is_like_name:
                    pair = pairs_before[words // 2 - 1]
                else:
                    pair = lookup_pair(name, symbol, &pair_names[0], &pair_values[0], &pair_slots[0], pair_mask, &slot)
                if pair < 0:
                    pair = <int32_t>counts[PAIRS]
                    pair_names[pair] = name
                    pair_values[pair] = symbol
                    pair_slots[slot] = pair
                    counts[PAIRS] += 1
                if words <= WORDS_REMEMBERED:
                    pairs_before[words // 2 - 1] = pair
                series_pairs[counts[SERIES_PAIRS]] = pair
                counts[SERIES_PAIRS] += 1
                if name == 1:
                    metric = pair
            series_lengths[ref] = <int32_t>(counts[SERIES_PAIRS] - series_begins[ref])
            series_metrics[ref] = metric
            created[counts[CREATED]] = ref
            counts[CREATED] += 1
            refs[i] = ref
            made += 1
    return made


def put_slots(const uint64_t[:, ::1] hashes, const int32_t[::1] refs, int32_t[::1] slots):
    """Enter series into an empty table of slots by their hashes."""
    cdef int64_t i, at, mask = slots.shape[0] - 1
    with nogil:
        for i in range(refs.shape[0]):
            at = <int64_t>(hashes[refs[i], 0] & <uint64_t>mask)
            while slots[at] >= 0:
                at = (at + 1) & mask
            slots[at] = refs[i]


def fill_symbol_slots(const uint8_t[::1] symbol_bytes, const int64_t[::1] symbol_ends, int64_t count, int32_t[::1] slots):
    """Enter all symbols into an empty table of slots."""
    cdef int64_t i, at, begin, mask = slots.shape[0] - 1
    cdef const uint8_t* data = &symbol_bytes[0] if symbol_bytes.shape[0] else NULL
    with nogil:
        for i in range(count):
            begin = symbol_ends[i - 1] if i else 0
            at = <int64_t>(hash_bytes(data + begin, symbol_ends[i] - begin, SEED_LOW) & <uint64_t>mask)
            while slots[at] >= 0:
                at = (at + 1) & mask
            slots[at] = <int32_t>i


def fill_pair_slots(const int32_t[::1] pair_names, const int32_t[::1] pair_values, int64_t count, int32_t[::1] slots):
    """Enter all pairs into an empty table of slots."""
    cdef int64_t i, at, mask = slots.shape[0] - 1
    with nogil:
        for i in range(count):
            at = <int64_t>(hash_pair(pair_names[i], pair_values[i]) & <uint64_t>mask)
            while slots[at] >= 0:
                at = (at + 1) & mask
            slots[at] = <int32_t>i


def find_symbol(const uint8_t[::1] text, const uint8_t[::1] symbol_bytes, const int64_t[::1] symbol_ends,
                const int32_t[::1] slots):
    """The symbol of a text, -1 where there is none."""
    cdef int64_t slot = 0, size = text.shape[0]
    cdef const uint8_t* data = &symbol_bytes[0] if symbol_bytes.shape[0] else NULL
    return lookup_symbol(&text[0] if size else NULL, size, data, &symbol_ends[0], &slots[0], slots.shape[0] - 1, &slot)


def find_pair(int32_t name, int32_t value, const int32_t[::1] pair_names, const int32_t[::1] pair_values,
              const int32_t[::1] slots):
    """The pair of a name and a value, -1 where there is none."""
    cdef int64_t slot = 0
    if pair_names.shape[0] == 0:
        return -1
    return lookup_pair(name, value, &pair_names[0], &pair_values[0], &slots[0], slots.shape[0] - 1, &slot)


def hash_keys(const uint8_t[::1] keys, const int64_t[::1] ends, uint64_t[:, ::1] hashes):
    """The 128 bits under which each label key is known."""
    cdef int64_t i
    with nogil:
        for i in range(ends.shape[0] - 1):
            hashes[i, 0] = hash_bytes(&keys[0] + ends[i], ends[i + 1] - ends[i], SEED_LOW)
            hashes[i, 1] = hash_bytes(&keys[0] + ends[i], ends[i + 1] - ends[i], SEED_HIGH)


def build_postings(const int32_t[::1] created, const int64_t[::1] series_begins, const int32_t[::1] series_lengths,
                   const int32_t[::1] series_pairs, int64_t[::1] offsets, int32_t[::1] postings):
    """Series by pair: `postings[offsets[p]:offsets[p + 1]]` are those that have pair p. `offsets` comes zeroed."""
    cdef int64_t i, j, pairs = offsets.shape[0] - 1
    cdef int32_t ref, pair
    cdef vector[int64_t] places
    with nogil:
        for i in range(created.shape[0]):
            ref = created[i]
            for j in range(series_begins[ref], series_begins[ref] + series_lengths[ref]):
                offsets[series_pairs[j] + 1] += 1
        for i in range(pairs):
            offsets[i + 1] += offsets[i]
        places.assign(&offsets[0], &offsets[0] + pairs + 1)
        for i in range(created.shape[0]):
            ref = created[i]
            for j in range(series_begins[ref], series_begins[ref] + series_lengths[ref]):
                pair = series_pairs[j]
                postings[places[pair]] = ref
                places[pair] += 1


def gather(const int64_t[::1] items, const int64_t[::1] offsets, const int32_t[::1] source, int32_t[::1] out):
    """`source[offsets[i]:offsets[i + 1]]` of each item, one after the other; returns how many."""
    cdef int64_t i, j, at = 0
    with nogil:
        for i in range(items.shape[0]):
            for j in range(offsets[items[i]], offsets[items[i] + 1]):
                out[at] = source[j]
                at += 1
    return at


def filter_series(const int32_t[::1] candidates, const int64_t[::1] series_begins, const int32_t[::1] series_lengths,
                  const int32_t[::1] series_pairs, const uint8_t[::1] fates, bint matches_empty, int32_t[::1] kept):
    """Keep the candidates whose pair of the matcher's name is good (fate 1), not bad (2), or missing where that matches."""
    cdef int64_t i, j, at = 0
    cdef int32_t ref
    cdef uint8_t fate
    with nogil:
        for i in range(candidates.shape[0]):
            ref = candidates[i]
            fate = 0
            for j in range(series_begins[ref], series_begins[ref] + series_lengths[ref]):
                fate = fates[series_pairs[j]]
                if fate:
                    break
            if fate == 1 or (fate == 0 and matches_empty):
                kept[at] = ref
                at += 1
    return at


def pick_owners(const int32_t[::1] refs, const int64_t[::1] series_begins, const int32_t[::1] series_lengths,
                const int32_t[::1] series_pairs, const int32_t[::1] keys, int64_t wanted, int32_t[::1] owners):
    """Of each key of a pair (-1: none) the first series that has it, where `owners` has none; stops when `wanted` are found."""
    cdef int64_t i, j
    cdef int32_t ref, key
    with nogil:
        for i in range(refs.shape[0]):
            if wanted <= 0:
                break
            ref = refs[i]
            for j in range(series_begins[ref], series_begins[ref] + series_lengths[ref]):
                key = keys[series_pairs[j]]
                if key >= 0 and owners[key] < 0:
                    owners[key] = ref
                    wanted -= 1


def match_text(const uint8_t[::1] text, int64_t before, int64_t after, const int32_t[::1] symbols,
               const uint8_t[::1] symbol_bytes, const int64_t[::1] symbol_ends, uint8_t[::1] matched):
    """Which of some symbols have a text inside, with at least `before` and `after` bytes around it (-1: none at all)."""
    cdef int64_t i, begin, end, size = text.shape[0]
    cdef const uint8_t* data = &symbol_bytes[0]
    cdef const uint8_t* wanted = &text[0] if size else data
    with nogil:
        for i in range(symbols.shape[0]):
            begin = symbol_ends[symbols[i] - 1] if symbols[i] else 0
            end = symbol_ends[symbols[i]]
            if before > 0:
                begin += before
            if after > 0:
                end -= after
            if end - begin < size or (before < 0 and after < 0 and end - begin != size):
                matched[i] = 0
            elif before < 0:
                matched[i] = memcmp(data + begin, wanted, size) == 0
            elif after < 0:
                matched[i] = memcmp(data + end - size, wanted, size) == 0
            else:
                matched[i] = size == 0 or memmem(data + begin, end - begin, wanted, size) != NULL


def sort_series(const int64_t[::1] offsets, const int32_t[::1] name_ranks, const int32_t[::1] value_ranks,
                int64_t[::1] order):
    """The order of label sets, whose pairs come as ranks of their texts."""
    cdef int64_t i, n = order.shape[0]
    cdef LabelOrder less
    if n == 0 or name_ranks.shape[0] == 0:
        return
    with nogil:
        less.offsets = &offsets[0]
        less.names = &name_ranks[0]
        less.values = &value_ranks[0]
        for i in range(n):
            order[i] = i
        sort(&order[0], &order[0] + n, less)


def key_bytes(const int32_t[::1] refs, const int64_t[::1] series_begins, const int32_t[::1] series_lengths,
              const int32_t[::1] series_pairs, const int32_t[::1] pair_names, const int32_t[::1] pair_values,
              const uint8_t[::1] symbol_bytes, const int64_t[::1] symbol_ends):
    """The label keys of some series, one after the other, and where each ends."""
    cdef vector[uint8_t] out
    cdef vector[int64_t] ends
    cdef int64_t i, j, begin, k
    cdef int32_t symbol
    with nogil:
        for i in range(refs.shape[0]):
            for j in range(series_begins[refs[i]], series_begins[refs[i]] + series_lengths[refs[i]]):
                for k in range(2):
                    symbol = pair_names[series_pairs[j]] if k == 0 else pair_values[series_pairs[j]]
                    begin = symbol_begin(&symbol_ends[0], symbol)
                    out.insert(out.end(), &symbol_bytes[0] + begin, &symbol_bytes[0] + symbol_ends[symbol])
                    out.push_back(SEPARATOR)
            ends.push_back(<int64_t>out.size())
    keys = np.empty(out.size(), np.uint8)
    cdef uint8_t[::1] view = keys
    if out.size():
        memcpy(&view[0], out.data(), out.size())
    return keys.tobytes(), list(ends)


def find_hashes(const uint64_t[:, ::1] wanted, const uint64_t[:, ::1] hashes, const int32_t[::1] slots, int32_t[::1] refs):
    """The series of each 128 bits, -1 where there is none."""
    cdef int64_t i, at, mask = slots.shape[0] - 1
    cdef int32_t ref
    with nogil:
        for i in range(wanted.shape[0]):
            at = <int64_t>(wanted[i, 0] & <uint64_t>mask)
            ref = slots[at]
            while ref >= 0 and not (hashes[ref, 0] == wanted[i, 0] and hashes[ref, 1] == wanted[i, 1]):
                at = (at + 1) & mask
                ref = slots[at]
            refs[i] = ref
