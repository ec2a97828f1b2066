"""Many datagrams a system call: recvmmsg and sendmmsg (Linux). The one kernel that talks to the operating system.

Invariant: neither call ever waits. A datagram longer than its slot is cut and counted, never written past the slot.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memrchr, strerror

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    #include <memory>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <vector>

    struct NunchiSlots {
        unsigned count;
        size_t width;
        std::unique_ptr<char[]> data;  /* not touched before it is needed: pages that no datagram reached cost nothing */
        std::vector<mmsghdr> heads;
        std::vector<iovec> parts;
        std::vector<sockaddr_storage> sources;
        std::vector<char> controls;
        static constexpr size_t control = CMSG_SPACE(sizeof(uint32_t));

        NunchiSlots(unsigned count_, size_t width_)
            : count(count_), width(width_), data(new char[count_ * width_]), heads(count_), parts(count_), sources(count_),
              controls(count_ * control) {}

        int receive(int descriptor) {
            for (unsigned slot = 0; slot < count; ++slot) {
                parts[slot] = {data.get() + slot * width, width};
                msghdr &head = heads[slot].msg_hdr;
                std::memset(&head, 0, sizeof head);
                head.msg_iov = &parts[slot];
                head.msg_iovlen = 1;
                head.msg_name = &sources[slot];
                head.msg_namelen = sizeof(sockaddr_storage);
                head.msg_control = controls.data() + slot * control;
                head.msg_controllen = control;
            }
            return recvmmsg(descriptor, heads.data(), count, MSG_DONTWAIT, nullptr);
        }
        size_t length(unsigned slot) const { return heads[slot].msg_len; }
        bool is_cut(unsigned slot) const { return heads[slot].msg_hdr.msg_flags & MSG_TRUNC; }
        const char *source(unsigned slot, size_t *length) const {
            *length = heads[slot].msg_hdr.msg_namelen;
            return reinterpret_cast<const char *>(&sources[slot]);
        }
        /* What the kernel says it had to drop on this socket so far; -1 where it says nothing. */
        int64_t overflow(unsigned slot) {
            msghdr *head = &heads[slot].msg_hdr;
            for (cmsghdr *one = CMSG_FIRSTHDR(head); one; one = CMSG_NXTHDR(head, one))
                if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SO_RXQ_OVFL) {
                    uint32_t dropped;
                    std::memcpy(&dropped, CMSG_DATA(one), sizeof dropped);
                    return dropped;
                }
            return -1;
        }
    };

    struct NunchiOutbox {
        std::vector<mmsghdr> heads;
        std::vector<iovec> parts;
        void put(const char *bytes, size_t length) { parts.push_back({const_cast<char *>(bytes), length}); }
        int send(int descriptor, const char *address, size_t address_length, size_t from) {
            heads.assign(parts.size() - from, mmsghdr{});
            for (size_t index = from; index < parts.size(); ++index) {
                msghdr &head = heads[index - from].msg_hdr;
                head.msg_iov = &parts[index];
                head.msg_iovlen = 1;
                head.msg_name = address_length ? const_cast<char *>(address) : nullptr;
                head.msg_namelen = (socklen_t)address_length;
            }
            unsigned count = (unsigned)(heads.size() < 1024 ? heads.size() : 1024);
            return sendmmsg(descriptor, heads.data(), count, MSG_DONTWAIT);
        }
    };
    """
    cdef cppclass NunchiSlots:
        NunchiSlots(unsigned count, size_t width) except +
        char *slot_data "data.get"()
        int receive(int descriptor) nogil
        size_t length(unsigned slot) nogil
        bint is_cut(unsigned slot) nogil
        const char *source(unsigned slot, size_t *length) nogil
        int64_t overflow(unsigned slot) nogil

    cdef cppclass NunchiOutbox:
        void put(const char *data, size_t length) except +
        int send(int descriptor, const char *address, size_t address_length, size_t begin) except + nogil


cdef class DatagramBatch:
    """Slots for the datagrams of one call; what they hold is valid until the next one."""

    cdef NunchiSlots *slots
    cdef readonly int count
    cdef readonly int datagrams_max
    cdef readonly Py_ssize_t bytes_max
    cdef readonly int64_t truncated
    cdef readonly int64_t dropped
    cdef uint32_t told

    def __cinit__(self, int datagrams_max, Py_ssize_t bytes_max):
        if datagrams_max < 1 or bytes_max < 1:
            raise ValueError("a batch has at least one slot of one byte")
        self.slots = new NunchiSlots(<unsigned>datagrams_max, <size_t>bytes_max)
        self.datagrams_max = datagrams_max
        self.bytes_max = bytes_max

    def __dealloc__(self):
        del self.slots

    def receive(self, int descriptor):
        """Take what waits, at most a batch; how many datagrams that were. Raises OSError."""
        cdef int found
        cdef int64_t overflow
        cdef uint32_t told
        cdef int slot
        self.count = 0
        while True:
            with nogil:
                found = self.slots.receive(descriptor)
            if found >= 0:
                break
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                raise OSError(errno, strerror(errno).decode())
        self.count = found
        for slot in range(found):
            self.truncated += self.slots.is_cut(slot)
        if found:
            overflow = self.slots.overflow(found - 1)
            if overflow >= 0:
                told = <uint32_t>overflow
                self.dropped += <uint32_t>(told - self.told)  # the kernel's counter wraps
                self.told = told
        return found

    def joined(self, int separator=10):
        """All datagrams as one text with a separator after each; of one that was cut, only what ends in a separator."""
        cdef size_t total = 0, length
        cdef int slot
        for slot in range(self.count):
            total += self._whole(slot, separator) + 1
        joined = PyBytes_FromStringAndSize(NULL, total)
        cdef char *at = PyBytes_AS_STRING(joined)
        for slot in range(self.count):
            length = self._whole(slot, separator)
            memcpy(at, self.slots.slot_data() + slot * self.bytes_max, length)
            at[length] = <char>separator
            at += length + 1
        return joined

    cdef size_t _whole(self, int slot, int separator) noexcept:
        cdef size_t length = min(self.slots.length(slot), <size_t>self.bytes_max)
        cdef const char *begin
        cdef const char *last
        if not self.slots.is_cut(slot):
            return length
        begin = self.slots.slot_data() + slot * self.bytes_max
        last = <const char *>memrchr(begin, separator, length)
        return 0 if last == NULL else <size_t>(last - begin)

    def datagrams(self):
        """Every datagram that came whole, with the raw address it came from."""
        cdef size_t length
        cdef const char *source
        cdef int slot
        found = []
        for slot in range(self.count):
            if self.slots.is_cut(slot):
                continue
            source = self.slots.source(slot, &length)
            found.append((
                PyBytes_FromStringAndSize(self.slots.slot_data() + slot * self.bytes_max, self.slots.length(slot)),
                PyBytes_FromStringAndSize(source, length),
            ))
        return found


def send_datagrams(int descriptor, list datagrams, bytes address=b""):
    """Send in order, to the raw `address` or where the socket is connected to; how many the kernel took without waiting.

    Raises OSError where it took none for another reason than a full buffer.
    """
    cdef NunchiOutbox outbox
    cdef size_t begin = 0, count = len(datagrams)
    cdef int sent
    cdef const char *target = PyBytes_AS_STRING(address)
    cdef size_t target_length = PyBytes_GET_SIZE(address)
    for one in datagrams:
        if not isinstance(one, bytes):
            raise TypeError("a datagram is bytes")
        outbox.put(PyBytes_AS_STRING(one), PyBytes_GET_SIZE(one))
    while begin < count:
        with nogil:
            sent = outbox.send(descriptor, target, target_length, begin)
        if sent > 0:
            begin += sent
        elif errno == EINTR:
            continue
        elif begin or errno == EAGAIN:
            break
        else:
            raise OSError(errno, strerror(errno).decode())
    return begin
