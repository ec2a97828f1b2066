"""Payloads that wait for the server, on disk: `kit.spool` with the numbers, the order and the sizes that delivery wants.

A round is encoded once, under its numbers, and put on disk before it is sent for the first time; whatever is sent
again, also by the next process, says the same of the same numbers, and that is how the server knows what it has. The
newest payload goes first where one is new; those that failed once are the backlog and follow, oldest first, many rounds
to a shipment: alike rounds together take a fraction of their bytes apart. A shipment that the server cannot take is
halved in memory; its records are settled when all its parts are.
Invariant: a sample is in exactly one place: waiting in the spool, or in one shipment or one part of one.
"""

from collections import deque
from dataclasses import dataclass

from nunchi.agent.accounting import Accounting
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.set_aside import SetAside
from nunchi.agent.rounds import Round
from nunchi.kit.clock import Clock
from nunchi.kit.spool import DAMAGED, Record, Spool
from nunchi.wire.errors import WireError
from nunchi.wire.payload_rounds import WrittenPayload

SPLITS_MAX = 64
JOINED_ROUNDS_MAX = 60
JOINED_SAMPLES_MAX = 50_000
RATE_WEIGHT = 0.1  # of the newest in the running mean of bytes a second
RATE_SECONDS_MIN = 1.0


@dataclass(slots=True, eq=False)
class Lot:
    """The records of a shipment, and how many parts of it have no fate yet."""

    records: tuple[int, ...]
    open_parts: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Shipment:
    """What is sent at once. `splits_left` bounds how often it may still be halved to find what the server cannot take."""

    body: bytes
    samples: int
    lot: Lot
    splits_left: int = SPLITS_MAX

    @property
    def is_part(self) -> bool:
        """Whether it was made by halving: the spool does not have it as it is."""
        return self.splits_left < SPLITS_MAX


class RoundSpool:
    """Rounds in, shipments out. One shipment is outstanding at a time."""

    def __init__(
        self,
        spool: Spool,
        encoder: PushEncoder,
        accounting: Accounting,
        clock: Clock,
        set_aside: SetAside | None = None,
    ) -> None:
        """`set_aside` keeps what is rejected; without it that is gone."""
        self.spool = spool
        self._set_aside = set_aside
        self._encoder = encoder
        self._accounting = accounting
        self._clock = clock
        self._parts: deque[Shipment] = deque()
        self._outstanding: Shipment | None = None
        self._next_sequence = 0
        self._has_news = False
        self._bytes_a_second = 0.0
        self._bytes_counted = 0
        self._counted_since: float | None = None

    def open(self) -> None:
        """Find what earlier starts left. Raises DiskLocked."""
        accounting = self._accounting
        queued_before = accounting.queued
        self.spool.open()
        dropped = queued_before - accounting.queued
        found = self.spool.statistics().weight
        accounting.recovered.add(found + dropped)
        accounting.queued += found + dropped

    def close(self) -> None:
        """Leave what waits to the next start."""
        self.spool.close()

    def __len__(self) -> int:
        return len(self.spool)

    def put(self, *rounds: Round) -> None:
        """Number rounds and spool them as one payload."""
        samples = sum(map(len, rounds))
        if not samples:
            return
        body = self._encoder.encode(self._next_sequence, *rounds)
        self._next_sequence += samples
        self._accounting.queued += samples
        self._note_rate(len(body))
        self.spool.put(body, samples)
        self._has_news = True

    def take(self) -> Shipment | None:
        """The next shipment; it is outstanding until accepted, rejected, kept or split. None where nothing waits."""
        assert self._outstanding is None
        if self._has_news:
            self._has_news = False
            record = self.spool.take(newest=True)
            if record is not None:
                self._outstanding = Shipment(record.content, record.weight, Lot((record.id,)))
        elif self._parts:
            self._outstanding = self._parts.popleft()
        else:
            self._outstanding = self._take_backlog()
        return self._outstanding

    def accept(self, shipment: Shipment) -> None:
        """The server has taken it over."""
        self._settle(shipment)
        self._accounting.queued -= shipment.samples
        self._accounting.acknowledged.add(shipment.samples)

    def reject(self, shipment: Shipment, reason: str, words: str = "") -> None:
        """It is given up; `words` say more than the reason."""
        if self._set_aside is not None:
            self._set_aside.put(shipment.body, words or reason)
        self._settle(shipment)
        self._accounting.drop(reason, shipment.samples)

    def keep(self, shipment: Shipment) -> None:
        """It was not delivered, or nobody knows: it waits for its turn among the backlog."""
        self._end(shipment)
        if shipment.is_part:
            self._parts.appendleft(shipment)
            return
        for record in shipment.lot.records:
            self.spool.keep(record)

    def split(self, shipment: Shipment) -> bool:
        """Put both halves of it in its place, next to be taken; False where it cannot be halved any more."""
        if shipment.samples < 2 or shipment.splits_left < 1:
            return False
        self._end(shipment)
        halves = self._encoder.halve(self._encoder.read(shipment.body))
        shipment.lot.open_parts += 1
        middle, splits_left = shipment.samples // 2, (shipment.splits_left - 1) // 2
        sizes = (middle, shipment.samples - middle)
        self._parts.extendleft(
            Shipment(body, samples, shipment.lot, splits_left)
            for body, samples in reversed(list(zip(halves, sizes, strict=True)))
        )
        return True

    def outage_seconds_left(self) -> float:
        """How long the server may be away before something is dropped, at the present rate."""
        limits, statistics = self.spool.limits, self.spool.statistics()
        if not self._bytes_a_second:
            return limits.age_seconds_max
        room = max(0, limits.bytes_max - max(statistics.bytes, statistics.disk_bytes))
        if statistics.disk_error:  # the disk takes nothing, whatever it may hold
            room = min(room, max(0, limits.memory_bytes_max - statistics.memory_bytes))
        return min(room / self._bytes_a_second, max(0.0, limits.age_seconds_max - statistics.oldest_seconds))

    def _take_backlog(self) -> Shipment | None:
        """The oldest payload with those that follow it, one shipment."""
        found: list[tuple[Record, WrittenPayload]] = []
        while (record := self.spool.take()) is not None:
            written = self._read(record)
            if written is None:
                continue
            if found and not _is_continued(found, written):
                self.spool.keep(record.id)
                break
            found.append((record, written))
        if not found:
            return None
        lot = Lot(tuple(record.id for record, _ in found))
        if len(found) == 1:
            record = found[0][0]
            return Shipment(record.content, record.weight, lot)
        payloads = [written for _, written in found]
        return Shipment(self._encoder.join(payloads), sum(one.samples for one in payloads), lot)

    def _read(self, record: Record) -> WrittenPayload | None:
        try:
            written = self._encoder.read(record.content)
        except WireError:
            written = None
        if written is None or written.samples != record.weight:
            self.spool.reject(record.id)
            self._accounting.drop(DAMAGED, record.weight)
            return None
        return written

    def _settle(self, shipment: Shipment) -> None:
        self._end(shipment)
        lot = shipment.lot
        lot.open_parts -= 1
        if not lot.open_parts:
            for record in lot.records:
                self.spool.accept(record)

    def _end(self, shipment: Shipment) -> None:
        assert shipment is self._outstanding
        self._outstanding = None

    def _note_rate(self, size: int) -> None:
        """Several payloads within a second are one of their size: what others hand over comes in bursts."""
        now = self._clock.monotonic()
        if self._counted_since is None:
            self._counted_since = now
            return
        self._bytes_counted += size
        seconds = now - self._counted_since
        if seconds < RATE_SECONDS_MIN:
            return
        rate = self._bytes_counted / seconds
        known = self._bytes_a_second or rate
        self._bytes_a_second = known + RATE_WEIGHT * (rate - known)
        self._counted_since, self._bytes_counted = now, 0


def _is_continued(found: list[tuple[Record, WrittenPayload]], written: WrittenPayload) -> bool:
    """Whether a payload goes on where those found end, and there is room for it."""
    last = found[-1][1]
    samples = sum(record.weight for record, _ in found)
    rounds = sum(len(payload.rounds) for _, payload in found)
    return (
        written.sender == last.sender
        and written.first_sequence == last.first_sequence + last.samples
        and rounds + len(written.rounds) <= JOINED_ROUNDS_MAX
        and samples + written.samples <= JOINED_SAMPLES_MAX
    )
