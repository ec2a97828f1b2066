"""One session of packs on the agent's side: what was sent, what the server knows of it. No sockets, no waiting.

Invariant: every pack has a sequence number of its own; a round's differences are to a round of its dictionary that the server
has said it stored.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.pack import Answer, PackHead, PackKind, Stats
from nunchi.wire.pack_histograms import PARTS_MAX, HistogramParts
from nunchi.wire.pack_seal import SEAL_BYTES, PackMode, SessionKeys
from nunchi.wire.payload_encoder import Round

NO_VALUES: "array[float]" = array("d")


@dataclass(slots=True, eq=False)
class SentDictionary:
    """A layout, or the `parts` of its histograms, as the server knows it: `known` are the series that it has said it knows."""

    number: int
    layout: Layout
    parts: HistogramParts | None = None
    known: int = 0
    base: "array[float]" = field(default_factory=lambda: NO_VALUES)
    base_round: int = 0

    def unknown_keys(self) -> list[bytes]:
        """Those that the server has not said it knows."""
        if self.parts is not None:
            return self.parts.keys[self.known :]
        return [self.layout.key(column) for column in range(self.known, len(self.layout))]

    def cells(self, one: Round) -> "tuple[array[int], array[float]]":
        """Columns and values of a round; of one of histograms those of their parts."""
        if self.parts is None:
            return one.columns, one.values
        return self.parts.cells(one.layout, one.columns, one.histograms)


@dataclass(slots=True)
class SentRound:
    """A round under way, what it takes to send it again, and its cells as they were sent last."""

    number: int
    round: Round
    first_sequence: int
    metadata: Mapping[str, Metadata]
    columns: "array[int]" = field(default_factory=lambda: array("i"))
    values: "array[float]" = field(default_factory=lambda: NO_VALUES)


class UdpSession:
    """Makes datagrams of rounds: of numbers, or, where the server reads them, of histograms."""

    def __init__(
        self, keys: SessionKeys, mode: PackMode, datagram_bytes: int, *, takes_histograms: bool = True
    ) -> None:
        self.takes_histograms = takes_histograms
        self._keys = keys
        self._mode = mode
        self._body_bytes_max = datagram_bytes - pack.HEAD.size - SEAL_BYTES
        self._dictionaries: list[SentDictionary] = []  # the one used last stands last
        self._next_dictionary = 1
        self._next_round = 1
        self.packs = 0  # without the confirm, whose number is 0
        self.samples = 0
        self.rounds = 0
        self.rounds_unsent = 0

    @property
    def id(self) -> bytes:
        """What the server knows it by."""
        return self._keys.id

    def begin_round(self, one: Round, first_sequence: int, metadata: Mapping[str, Metadata]) -> SentRound:
        """Number a round."""
        number, self._next_round = self._next_round, self._next_round + 1
        self.rounds += 1
        self.samples += len(one.values)
        return SentRound(number, one, first_sequence, metadata)

    def datagrams(self, sent: SentRound, interval_ms: int, now_ms: int) -> list[bytes]:
        """Everything of a round: series that the server may not know, cells, and the stats that end it. Raises WireError
        where packs cannot carry it.
        """
        one, has_parts = sent.round, bool(sent.round.histograms)
        own = self._dictionary(one.layout, has_parts=has_parts)
        sent.columns, sent.values = own.cells(one)
        if len(sent.columns) > pack.CELLS_MAX:
            raise WireError(f"pack: a round has at most {pack.CELLS_MAX} cells")
        kind = PackKind.PARTS if has_parts else PackKind.DICTIONARY
        bodies = [(kind, body.ljust(pack.ANSWER_BODY.size, b"\x00")) for body in self._announcements(own, sent)]
        bodies += [
            (PackKind.HISTOGRAMS if has_parts else PackKind.DATA, body)
            for body in pack.encode_data(
                own.number, sent.number, own.base_round, one.timestamp_ms, sent.first_sequence, sent.columns,
                sent.values, own.base, self._body_bytes_max, replaces=one.replaces,
            )
        ]  # fmt: skip
        datagrams = [self._seal(kind, body) for kind, body in bodies]
        stats = Stats(sent.number, self.packs + 2, self.samples, self.rounds, self.rounds_unsent, interval_ms, now_ms)
        datagrams.append(self._seal(PackKind.STATS, pack.encode_stats(stats)))
        return datagrams

    def take_answer(self, answer: Answer, sent: SentRound) -> None:
        """Learn from what the server says of a round."""
        own = next((one for one in self._dictionaries if one.number == answer.dictionary), None)
        if own is None:
            return
        if answer.series_known < own.known:
            self._dictionaries.remove(own)  # the server has forgotten it: another begins
            return
        own.known = answer.series_known
        if answer.answered & pack.Answered.BASE_UNKNOWN:
            own.base, own.base_round = NO_VALUES, 0
        if answer.answered == pack.Answered.STORED:
            own.base = array("d", pack.spread(sent.columns, sent.values))
            own.base_round = sent.number

    def forget_dictionary(self, sent: SentRound) -> None:
        """Announce a round's series under another number from now on: this one the server does not take."""
        has_parts = bool(sent.round.histograms)
        self._dictionaries.remove(self._dictionary(sent.round.layout, has_parts=has_parts))

    def open_answer(self, datagram: bytes) -> Answer:
        """What the server says. Raises WireError."""
        head, head_bytes, sealed = pack.split(datagram)
        body = self._keys.to_agent.open(pack.nonce_of(head.sequence), sealed, head_bytes)
        return pack.decode_answer(body)

    def _dictionary(self, layout: Layout, *, has_parts: bool) -> SentDictionary:
        """That of a layout. One that goes on where a known one ended has the same; any other begins one."""
        alike = (one for one in reversed(self._dictionaries) if (one.parts is not None) is has_parts)
        own = next((one for one in alike if is_continued(one.layout, layout)), None)
        if own is not None and own.parts is not None and len(own.parts.keys) > PARTS_MAX:
            self._dictionaries.remove(own)
            own = None
        if own is None:
            own = SentDictionary(self._next_dictionary, layout, HistogramParts() if has_parts else None)
            self._next_dictionary += 1
        else:
            self._dictionaries.remove(own)
        own.layout = layout
        self._dictionaries.append(own)
        del self._dictionaries[: -pack.DICTIONARIES_MAX]
        return own

    def _announcements(self, own: SentDictionary, sent: SentRound) -> list[bytes]:
        """Series the server has not said it knows, and metadata."""
        room = self._body_bytes_max
        bodies = list(pack.encode_dictionary(own.number, own.known, own.unknown_keys(), room))
        if sent.metadata:
            bodies += pack.encode_metadata(own.number, sent.metadata, room)
        return bodies

    def _seal(self, kind: PackKind, body: bytes) -> bytes:
        self.packs += 1
        head = PackHead(self._mode, kind, self._keys.id, self.packs)
        head_bytes = head.encode()
        return head_bytes + self._keys.to_server.seal(pack.nonce_of(head.sequence), body, head_bytes)


def is_continued(before: Layout, layout: Layout) -> bool:
    """Whether a layout begins with all columns of the one before."""
    if layout is before:
        return True
    if len(before) > len(layout):
        return False
    known, _ = before.keys_from(0)
    keys, begins = layout.keys_from(0)
    return begins[len(before)] == len(known) and keys[: len(known)] == known
