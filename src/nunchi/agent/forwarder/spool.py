"""Payloads that wait for the server. Here in memory; verbs and rules are those of any spool.

put: a round comes in. take: the next payload to send, which is then outstanding. accept: the server has it. reject: it is
given up. keep: it goes back and waits for its turn.
Fresh payloads go first, the newest at their head; those that failed once are the backlog and follow, oldest first, many rounds
to a payload: alike rounds together take a fraction of their bytes apart.
Invariant: a sample is in exactly one place: fresh, backlog or outstanding. Its number never changes, however often and in
whatever company it is sent; that is how the server knows what it has.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nunchi.agent.accounting import Accounting
from nunchi.agent.rounds import Round
from nunchi.kit.clock import Clock

SPLITS_MAX = 64
MERGED_ROUNDS_MAX = 60
MERGED_SAMPLES_MAX = 50_000
CELL_BYTES = 8
PAYLOAD_BYTES = 200  # of objects around the cells
COLUMN_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """What is sent at once: rounds, and the number of their first sample among all that this agent has collected since start.

    `splits_left` bounds how often it may still be halved to find out which part the server cannot take.
    """

    first_sequence: int
    rounds: tuple[Round, ...]
    created_at: float
    splits_left: int = SPLITS_MAX

    @property
    def samples(self) -> int:
        """How many samples it carries."""
        return sum(map(len, self.rounds))

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return PAYLOAD_BYTES + (CELL_BYTES + COLUMN_BYTES) * self.samples

    def merge(self, following: "Payload") -> "Payload | None":
        """One payload of two; None where they do not follow each other, or would be too much together."""
        if (
            self.first_sequence + self.samples != following.first_sequence
            or min(self.splits_left, following.splits_left) < SPLITS_MAX
            or len(self.rounds) + len(following.rounds) > MERGED_ROUNDS_MAX
            or self.samples + following.samples > MERGED_SAMPLES_MAX
        ):
            return None
        return Payload(self.first_sequence, self.rounds + following.rounds, self.created_at)

    def split(self) -> "tuple[Payload, Payload] | None":
        """Two halves with the same numbers; None where that makes no sense any more."""
        if self.samples < 2 or self.splits_left < 1:
            return None
        middle = self.samples // 2
        first, second = [], []
        begin = 0
        for one in self.rounds:
            cut = min(max(middle - begin, 0), len(one))
            first.append(one.slice(0, cut))
            second.append(one.slice(cut, len(one)))
            begin += len(one)
        splits_left = (self.splits_left - 1) // 2
        return (
            Payload(self.first_sequence, _filled(first), self.created_at, splits_left),
            Payload(self.first_sequence + middle, _filled(second), self.created_at, splits_left),
        )


def _filled(rounds: Sequence[Round]) -> tuple[Round, ...]:
    return tuple(one for one in rounds if len(one))


class MemorySpool:
    """A spool that ends with the process, bounded by bytes and age; the oldest are dropped first."""

    def __init__(self, bytes_max: int, age_seconds_max: float, clock: Clock, accounting: Accounting) -> None:
        self._bytes_max = bytes_max
        self._age_seconds_max = age_seconds_max
        self._clock = clock
        self._accounting = accounting
        self._fresh: deque[Payload] = deque()
        self._backlog: deque[Payload] = deque()
        self._outstanding: Payload | None = None
        self._next_sequence = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._backlog) + (self._outstanding is not None)

    def put(self, one: Round) -> None:
        """Number a round and queue it, dropping the oldest where there is no room."""
        if not len(one):
            return
        payload = Payload(self._next_sequence, (one,), self._clock.monotonic())
        self._next_sequence += payload.samples
        self._accounting.queued += payload.samples
        self.bytes += payload.bytes
        self._fresh.append(payload)
        self._drop_excess()

    def take(self) -> Payload | None:
        """The next payload; it is outstanding until accepted, rejected or kept. None where nothing waits."""
        assert self._outstanding is None
        self._drop_excess()
        if self._fresh:
            self._outstanding = self._fresh.pop()
            while self._fresh:  # what came before it waits no longer as news
                self._backlog.append(self._fresh.popleft())
        elif self._backlog:
            self._outstanding = self._take_backlog()
        return self._outstanding

    def accept(self, payload: Payload) -> None:
        """The server has taken it over."""
        self._forget(payload)
        self._accounting.acknowledged.add(payload.samples)

    def reject(self, payload: Payload, reason: str) -> None:
        """It is given up."""
        self._forget(payload)
        self._accounting.dropped.add(payload.samples, reason)

    def keep(self, payload: Payload) -> None:
        """It was not delivered, or nobody knows: it waits for its turn among the backlog."""
        assert payload is self._outstanding
        self._outstanding = None
        position = len(self._backlog)
        while position and self._backlog[position - 1].first_sequence > payload.first_sequence:
            position -= 1
        self._backlog.insert(position, payload)

    def split(self, payload: Payload) -> bool:
        """Put both halves of it in its place, next to be taken; False where it cannot be halved."""
        halves = payload.split()
        if halves is None:
            return False
        assert payload is self._outstanding
        self._outstanding = None
        self.bytes += sum(half.bytes for half in halves) - payload.bytes
        self._backlog.extendleft(reversed(halves))
        return True

    def _take_backlog(self) -> Payload:
        payload = self._backlog.popleft()
        while self._backlog:
            merged = payload.merge(self._backlog[0])
            if merged is None:
                break
            self.bytes += merged.bytes - payload.bytes - self._backlog.popleft().bytes
            payload = merged
        return payload

    def _forget(self, payload: Payload) -> None:
        assert payload is self._outstanding
        self._outstanding = None
        self._discount(payload)

    def _discount(self, payload: Payload) -> None:
        self._accounting.queued -= payload.samples
        self.bytes -= payload.bytes

    def _drop_excess(self) -> None:
        oldest_allowed = self._clock.monotonic() - self._age_seconds_max
        for queue in (self._backlog, self._fresh):
            while queue and (self.bytes > self._bytes_max or queue[0].created_at < oldest_allowed):
                reason = "spool_full" if self.bytes > self._bytes_max else "too_old"
                payload = queue.popleft()
                self._discount(payload)
                self._accounting.dropped.add(payload.samples, reason)
