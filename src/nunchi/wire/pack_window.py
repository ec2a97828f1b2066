"""Which packs of a session have come: replays are refused, and every pack is counted as received or lost, never as both.

Invariant: `received + lost + open_packs == expected`, and a pack below the window's edge is refused for good.
"""

WINDOW = 1024


class PackWindow:
    """Sequence numbers from 0. `expected` is one more than the largest number known to have been sent."""

    __slots__ = ("_bits", "duplicates", "edge", "expected", "late", "lost", "received", "reordered")

    def __init__(self) -> None:
        self._bits = 0  # bit i: edge + i has come
        self.edge = 0
        self.expected = 0
        self.received = 0
        self.duplicates = 0
        self.late = 0
        self.lost = 0
        self.reordered = 0

    @property
    def open_packs(self) -> int:
        """Sent, not come, not given up yet."""
        return self.expected - self.edge - self._bits.bit_count()

    def is_new(self, sequence: int) -> bool:
        """Whether this pack may be taken; nothing is changed."""
        return sequence >= self.edge and not self._bits >> (sequence - self.edge) & 1

    def take(self, sequence: int) -> bool:
        """Take a pack whose seal holds; False where it came before or is too late."""
        if sequence < self.edge:
            self.late += 1
            return False
        if sequence >= self.edge + WINDOW:
            self.close_below(sequence - WINDOW + 1)
        bit = 1 << (sequence - self.edge)
        if self._bits & bit:
            self.duplicates += 1
            return False
        self._bits |= bit
        self.received += 1
        self.reordered += sequence + 1 < self.expected
        self.expected = max(self.expected, sequence + 1)
        return True

    def expect(self, packs: int) -> None:
        """The sender says that it has sent so many."""
        if packs > self.expected:
            self.expected = packs
            if packs > self.edge + WINDOW:
                self.close_below(packs - WINDOW)

    def close_below(self, sequence: int) -> None:
        """Give up what is missing below a number."""
        if sequence <= self.edge:
            return
        self.expected = max(self.expected, sequence)
        passed = sequence - self.edge
        came = (self._bits & ((1 << min(passed, WINDOW)) - 1)).bit_count()
        self.lost += passed - came
        self._bits >>= passed
        self.edge = sequence
