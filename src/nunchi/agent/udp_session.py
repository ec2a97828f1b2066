"""One session of packs on the agent's side: what was sent, what the server knows of it. No sockets, no waiting.

Invariant: every pack has a sequence number of its own; a round's differences are to a round that the server has said it stored.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.wire import pack
from nunchi.wire.pack import Answer, PackHead, PackKind, Stats
from nunchi.wire.pack_seal import SEAL_BYTES, PackMode, SessionKeys
from nunchi.wire.payload_encoder import Round

NO_VALUES: "array[float]" = array("d")


@dataclass(slots=True)
class SentRound:
    """A round under way, and what it takes to send it again."""

    number: int
    round: Round
    first_sequence: int
    metadata: Mapping[str, Metadata]


class UdpSession:
    """Makes datagrams of rounds."""

    def __init__(self, keys: SessionKeys, mode: PackMode, datagram_bytes: int) -> None:
        self._keys = keys
        self._mode = mode
        self._body_bytes_max = datagram_bytes - pack.HEAD.size - SEAL_BYTES
        self._layout: Layout | None = None
        self._dictionary = 0
        self._known = 0  # series that the server has said it knows
        self._base: array[float] = NO_VALUES
        self._base_round = 0
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
        self._take_layout(one.layout)
        number, self._next_round = self._next_round, self._next_round + 1
        self.rounds += 1
        self.samples += len(one.values)
        return SentRound(number, one, first_sequence, metadata)

    def datagrams(self, sent: SentRound, interval_ms: int, now_ms: int) -> list[bytes]:
        """Everything of a round: series that the server may not know, cells, and the stats that end it."""
        one = sent.round
        bodies = [
            (PackKind.DICTIONARY, body.ljust(pack.ANSWER_BODY.size, b"\x00")) for body in self._announcements(sent)
        ]
        bodies += [
            (PackKind.DATA, body)
            for body in pack.encode_data(
                self._dictionary, sent.number, self._base_round, one.timestamp_ms, sent.first_sequence, one.columns,
                one.values, self._base, self._body_bytes_max,
            )
        ]  # fmt: skip
        datagrams = [self._seal(kind, body) for kind, body in bodies]
        stats = Stats(sent.number, self.packs + 2, self.samples, self.rounds, self.rounds_unsent, interval_ms, now_ms)
        datagrams.append(self._seal(PackKind.STATS, pack.encode_stats(stats)))
        return datagrams

    def take_answer(self, answer: Answer, sent: SentRound) -> None:
        """Learn from what the server says of a round."""
        if answer.dictionary == self._dictionary:
            self._known = answer.series_known
        if answer.answered & pack.Answered.BASE_UNKNOWN:
            self._base, self._base_round = NO_VALUES, 0
        if answer.answered == pack.Answered.STORED and answer.dictionary == self._dictionary:
            self._base = array("d", pack.spread(sent.round.columns, sent.round.values))
            self._base_round = sent.number

    def open_answer(self, datagram: bytes) -> Answer:
        """What the server says. Raises WireError."""
        head, head_bytes, sealed = pack.split(datagram)
        body = self._keys.to_agent.open(pack.nonce_of(head.sequence), sealed, head_bytes)
        return pack.decode_answer(body)

    def _take_layout(self, layout: Layout) -> None:
        """A layout that goes on where the one before ended belongs to the same dictionary; any other begins one."""
        before = self._layout
        if layout is before:
            return
        self._layout = layout
        if before is not None and len(before) <= len(layout):
            known, _ = before.keys_from(0)
            if layout.keys_from(0)[0][: len(known)] == known and layout.keys_from(0)[1][len(before)] == len(known):
                return
        self._dictionary += 1
        self._known = 0
        self._base, self._base_round = NO_VALUES, 0

    def _announcements(self, sent: SentRound) -> list[bytes]:
        """Series the server has not said it knows, and metadata."""
        layout = sent.round.layout
        room = self._body_bytes_max
        bodies: list[bytes] = []
        if self._known < len(layout):
            keys = [layout.key(column) for column in range(self._known, len(layout))]
            bodies += pack.encode_dictionary(self._dictionary, self._known, keys, room)
        if sent.metadata:
            bodies += pack.encode_metadata(self._dictionary, sent.metadata, room)
        return bodies

    def _seal(self, kind: PackKind, body: bytes) -> bytes:
        self.packs += 1
        head = PackHead(self._mode, kind, self._keys.id, self.packs)
        head_bytes = head.encode()
        return head_bytes + self._keys.to_server.seal(pack.nonce_of(head.sequence), body, head_bytes)
