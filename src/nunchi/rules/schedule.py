"""When rule groups are evaluated: each has its slot within its interval, by a hash of file and name. Pure arithmetic.

Invariant: slots of a group lie on `offset + n * interval`, whatever the start time of the process; so evaluations of
different groups are spread, and a restart does not move them.
"""

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Schedule:
    """The slots of one group."""

    interval_ms: int
    offset_ms: int

    @classmethod
    def of(cls, file: str, name: str, interval_ms: int) -> "Schedule":
        """The schedule of a rule group."""
        digest = blake2b(f"{file};{name}".encode(), digest_size=8).digest()
        return cls(interval_ms, int.from_bytes(digest, "big") % interval_ms)

    def next_slot(self, now_ms: int) -> int:
        """The first slot after now."""
        return now_ms - (now_ms - self.offset_ms) % self.interval_ms + self.interval_ms

    def following(self, slot_ms: int, now_ms: int) -> tuple[int, int]:
        """The slot to evaluate after `slot_ms`, and how many between them were missed.

        A slot less than one interval late is still evaluated, at once. Where the clock was set back, slots begin anew.
        """
        if now_ms < slot_ms - self.interval_ms:
            return self.next_slot(now_ms), 0
        missed = max(0, (now_ms - slot_ms) // self.interval_ms - 1)
        return slot_ms + (missed + 1) * self.interval_ms, missed
