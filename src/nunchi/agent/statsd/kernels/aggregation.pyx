# distutils: language = c++
"""The loop over samples of StatsD: each goes to the slot of its series and is added, set or counted there.

A slot is one series as delivered; several series as sent may share one. Sums are compensated (Neumaier), so that a million
tenths are a hundred thousand. Invariant: whoever looks sees the same, and of a counter never less than was seen before; nothing
here gives up the interpreter's lock, so that a call is seen whole or not at all.
"""

from libc.math cimport INFINITY, fabs, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.unordered_set cimport unordered_set
from libcpp.vector cimport vector

from nunchi.agent.statsd.kernels.native cimport NunchiBucket, NunchiNative
from nunchi.agent.statsd.kernels.sketch cimport NunchiWindow

cdef enum Kind:
    FREE
    COUNTER
    GAUGE
    SET
    BUCKETS
    QUANTILES
    NATIVE
    KINDS

cdef enum:
    NO_SLOT = -1
    IS_SIGNED = 1
    GAP_MAX = 2           # so many empty buckets are written as zeros rather than as the border of a span

cdef struct Sample:
    int32_t series
    uint32_t flags
    double value
    double rate
    int64_t timestamp

cdef struct Sum:
    double value
    double rest

cdef struct Slot:
    int kind
    int32_t side          # in `bounds`, `windows`, `natives` or `members`
    Sum total             # counter, gauge (value alone), sum of observations, members of the last interval
    Sum count             # observations
    int64_t timestamp     # of the newest gauge that brought one
    double shown          # the most that was seen of a counter: what is taken from it must not look like a restart
    double seen_at

cdef struct Binding:
    int32_t slot
    double scale


cdef inline void add(Sum *total, double value) noexcept nogil:
    cdef double after = total.value + value
    if not isfinite(after):  # beyond what a double holds: there is nothing to compensate
        total.value, total.rest = after, 0
        return
    if fabs(total.value) >= fabs(value):
        total.rest += (total.value - after) + value
    else:
        total.rest += (value - after) + total.value
    total.value = after


cdef class Aggregator:
    """Slots by number. `relative_gauges`: a gauge written with a sign changes the value instead of setting it."""

    cdef vector[Slot] slots
    cdef vector[vector[int32_t]] free_slots   # by kind: what stands beside a slot is used again with it
    cdef size_t free_count
    cdef vector[Binding] bindings
    cdef vector[vector[double]] bounds
    cdef vector[vector[double]] counts
    cdef vector[NunchiWindow] windows
    cdef vector[NunchiNative] natives
    cdef vector[unordered_set[uint64_t]] members
    cdef bint relative_gauges
    cdef size_t members_max
    cdef size_t member_count
    cdef readonly int64_t members_dropped
    cdef readonly int64_t unbound

    def __cinit__(self, bint relative_gauges, size_t members_max):
        self.relative_gauges = relative_gauges
        self.members_max = members_max
        self.free_slots.resize(KINDS)

    def __len__(self):
        return self.slots.size() - self.free_count

    def add_counter(self):
        """A slot that sums."""
        return self._take(COUNTER, NO_SLOT)

    def add_gauge(self):
        """A slot that keeps the last value."""
        return self._take(GAUGE, NO_SLOT)

    def add_set(self):
        """A slot that counts distinct members an interval."""
        if self.free_slots[SET].empty():
            self.members.push_back(unordered_set[uint64_t]())
        return self._take(SET, <int32_t>self.members.size() - 1)

    def add_buckets(self, upper_bounds):
        """A slot that counts observations up to each bound, ascending; the last bucket has no bound."""
        cdef vector[double] bounds = list(upper_bounds)
        if self.free_slots[BUCKETS].empty():
            self.bounds.resize(self.bounds.size() + 1)
            self.counts.resize(self.counts.size() + 1)
        cdef int32_t slot = self._take(BUCKETS, <int32_t>self.bounds.size() - 1)
        self.bounds[self.slots[slot].side] = bounds
        self.counts[self.slots[slot].side] = vector[double](bounds.size() + 1, 0.0)
        return slot

    def add_quantiles(self, int ages):
        """A slot that keeps a window of observations in so many parts."""
        if self.free_slots[QUANTILES].empty():
            self.windows.push_back(NunchiWindow())
        cdef int32_t slot = self._take(QUANTILES, <int32_t>self.windows.size() - 1)
        self.windows[self.slots[slot].side] = NunchiWindow(<size_t>max(1, ages))
        return slot

    def add_native(self, int schema, size_t buckets_max):
        """A slot that counts observations in exponential buckets, finer with a larger schema, at most so many."""
        if self.free_slots[NATIVE].empty():
            self.natives.push_back(NunchiNative())
        cdef int32_t slot = self._take(NATIVE, <int32_t>self.natives.size() - 1)
        self.natives[self.slots[slot].side] = NunchiNative(schema, buckets_max)
        return slot

    cdef int32_t _take(self, int kind, int32_t side) except -1:
        """A slot: one that was given up, with what stands beside it, or a new one."""
        cdef Slot slot
        cdef int32_t number = <int32_t>self.slots.size()
        slot.kind, slot.side = kind, side
        slot.total.value = slot.total.rest = slot.count.value = slot.count.rest = slot.seen_at = 0
        slot.timestamp = 0
        slot.shown = -INFINITY
        if self.free_slots[kind].empty():
            self.slots.push_back(slot)
            return number
        number = self.free_slots[kind].back()
        self.free_slots[kind].pop_back()
        self.free_count -= 1
        slot.side = self.slots[number].side
        self.slots[number] = slot
        return number

    def bind(self, size_t series, int32_t slot, double scale=1.0):
        """Samples of this series go to this slot from now on, times `scale`; slot -1: nowhere."""
        if slot >= <int32_t>self.slots.size():
            raise ValueError("no such slot")
        while self.bindings.size() <= series:
            self.bindings.push_back(Binding(NO_SLOT, 1.0))
        self.bindings[series] = Binding(slot, scale)

    def set_relative_gauges(self, bint relative_gauges):
        """What a sign before a gauge's value means from now on."""
        self.relative_gauges = relative_gauges

    def unbind_all(self):
        """No series has a slot any more; slots keep what they have."""
        self.bindings.clear()

    def apply(self, const uint8_t[::1] samples, double now):
        """Take samples in (`wire.statsd.SAMPLE`s); `now` is when, for `idle_since`."""
        cdef Sample sample
        cdef Py_ssize_t at = 0
        cdef Binding binding
        while at + <Py_ssize_t>sizeof(Sample) <= samples.shape[0]:
            memcpy(&sample, &samples[at], sizeof(Sample))
            at += sizeof(Sample)
            if sample.series < 0 or <size_t>sample.series >= self.bindings.size():
                self.unbound += 1
                continue
            binding = self.bindings[sample.series]
            if binding.slot < 0:
                self.unbound += 1
                continue
            self.slots[binding.slot].seen_at = now
            self._apply_one(&self.slots[binding.slot], &sample, sample.value * binding.scale)

    cdef int _apply_one(self, Slot *slot, Sample *sample, double value) except -1 nogil:
        cdef size_t bucket, low, high
        cdef uint64_t member
        if slot.kind == COUNTER:
            add(&slot.total, value / sample.rate)
        elif slot.kind == GAUGE:
            self._set_gauge(slot, sample, value)
        elif slot.kind == SET:
            memcpy(&member, &sample.value, 8)
            if self.member_count >= self.members_max:
                self.members_dropped += 1
            else:
                low = self.members[slot.side].size()
                self.members[slot.side].insert(member)
                self.member_count += self.members[slot.side].size() - low
        else:
            add(&slot.total, value / sample.rate)
            add(&slot.count, 1 / sample.rate)
            if slot.kind == QUANTILES:
                self.windows[slot.side].add(value, 1 / sample.rate)
            elif slot.kind == NATIVE:
                self.natives[slot.side].add(value, 1 / sample.rate)
            else:
                low, high = 0, self.bounds[slot.side].size()
                while low < high:
                    bucket = (low + high) // 2
                    if self.bounds[slot.side][bucket] < value:
                        low = bucket + 1
                    else:
                        high = bucket
                self.counts[slot.side][low] += 1 / sample.rate
        return 0

    cdef void _set_gauge(self, Slot *slot, Sample *sample, double value) noexcept nogil:
        if sample.timestamp:
            if sample.timestamp < slot.timestamp:
                return
            slot.timestamp = sample.timestamp
        elif self.relative_gauges and sample.flags & IS_SIGNED:
            add(&slot.total, value)
            return
        slot.total.value, slot.total.rest = value, 0

    def value(self, int32_t slot):
        """A counter's total, or what was seen of it while it is below, a gauge's value, a set's members of the last interval."""
        cdef Slot *found = &self.slots[self._checked(slot)]
        cdef double value = found.total.value + found.total.rest
        if found.kind != COUNTER:
            return value
        found.shown = max(found.shown, value)
        return found.shown

    def observations(self, int32_t slot):
        """(sum, count) of a slot that takes observations."""
        cdef Slot *found = &self.slots[self._checked(slot)]
        return found.total.value + found.total.rest, found.count.value + found.count.rest

    def bucket_counts(self, int32_t slot):
        """Observations up to each bound and in all: cumulative, one more than there are bounds."""
        cdef int32_t side = self.slots[self._checked(slot)].side
        cdef double passed = 0
        found = []
        if self.slots[slot].kind != BUCKETS:
            raise ValueError("a slot without buckets")
        for count in self.counts[side]:
            passed += count
            found.append(passed)
        return found

    def quantiles(self, int32_t slot, shares):
        """The values below which these shares of the window's observations lie; NaN where there are none."""
        if self.slots[self._checked(slot)].kind != QUANTILES:
            raise ValueError("a slot without a window")
        return list(self.windows[self.slots[slot].side].quantiles(list(shares)))

    def native(self, int32_t slot):
        """(schema, zero count, spans above zero, their counts, spans below, their counts), spans as (offset, length)."""
        if self.slots[self._checked(slot)].kind != NATIVE:
            raise ValueError("a slot without native buckets")
        cdef NunchiNative *found = &self.natives[self.slots[slot].side]
        above_spans, above = _spans(found.above)
        below_spans, below = _spans(found.below)
        return found.schema, found.zero.count(), above_spans, above, below_spans, below

    def rotate_sets(self):
        """An interval has ended: its members are counted and forgotten."""
        cdef size_t index
        cdef Slot *slot
        for index in range(self.slots.size()):
            slot = &self.slots[index]
            if slot.kind == SET:
                slot.total.value = <double>self.members[slot.side].size()
                self.members[slot.side].clear()
        self.member_count = 0

    def rotate_windows(self):
        """The oldest part of every window goes."""
        cdef size_t index
        for index in range(self.windows.size()):
            self.windows[index].rotate()

    def seen_at(self, int32_t slot):
        """When a sample came last."""
        return self.slots[self._checked(slot)].seen_at

    def free(self, int32_t slot):
        """Give a slot up. Series bound to it must be bound anew."""
        cdef Slot *found = &self.slots[self._checked(slot)]
        if found.kind == SET:
            self.member_count -= self.members[found.side].size()
            self.members[found.side] = unordered_set[uint64_t]()
        elif found.kind == BUCKETS:
            self.counts[found.side] = vector[double]()
            self.bounds[found.side] = vector[double]()
        elif found.kind == QUANTILES:
            self.windows[found.side] = NunchiWindow()
        elif found.kind == NATIVE:
            self.natives[found.side] = NunchiNative()
        self.free_slots[found.kind].push_back(slot)
        self.free_count += 1
        found.kind = FREE

    cdef int32_t _checked(self, int32_t slot) except -1:
        if slot < 0 or slot >= <int32_t>self.slots.size() or self.slots[slot].kind == FREE:
            raise ValueError(f"no slot {slot}")
        return slot


cdef _spans(vector[NunchiBucket] &buckets):
    """Buckets that are there, ascending, as spans and counts."""
    spans, counts = [], []
    cdef size_t at
    cdef int32_t expected = 0, length = 0
    for at in range(buckets.size()):
        if length and buckets[at].index - expected <= GAP_MAX:
            counts += [0.0] * (buckets[at].index - expected)
            length += buckets[at].index - expected
        else:
            if length:
                spans[len(spans) - 1] = (spans[len(spans) - 1], length)
            spans.append(buckets[at].index - expected)
            length = 0
        counts.append(buckets[at].count())
        length += 1
        expected = buckets[at].index + 1
    if length:
        spans[len(spans) - 1] = (spans[len(spans) - 1], length)
    return spans, counts
