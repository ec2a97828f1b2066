"""From rounds to the bytes that are spooled and sent, and back where payloads are joined or halved."""

from collections.abc import Sequence
from dataclasses import replace

from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Round
from nunchi.model.metadata import Metadata
from nunchi.wire.payload_encoder import CONTENT_TYPE, PayloadEncoder, Sender
from nunchi.wire.payload_encoder import Round as WrittenRound
from nunchi.wire.payload_rounds import PayloadRounds, WrittenPayload


class PushEncoder:
    """Encodes for one agent. `interval_ms` tells the server when to miss a round."""

    content_type = CONTENT_TYPE

    def __init__(self, identity: Identity, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self._encoder = PayloadEncoder(Sender(identity.id, identity.name, identity.version, identity.epoch))
        self._reader = PayloadRounds()

    def encode(self, first_sequence: int, *rounds: Round) -> bytes:
        """A payload of rounds, whose samples are numbered from `first_sequence`."""
        written = [
            WrittenRound(one.timestamp_ms, one.layout, one.columns, one.values, one.replaces, one.histograms)
            for one in rounds
        ]
        metadata: dict[str, Metadata] = {}
        for one in rounds:
            metadata.update(one.metadata)
        return self._encoder.encode(first_sequence, self.interval_ms, written, metadata)

    def read(self, body: bytes) -> WrittenPayload:
        """What a payload says. Raises WireError."""
        return self._reader.read(body)

    @staticmethod
    def join(payloads: Sequence[WrittenPayload]) -> bytes:
        """One payload of several that follow each other."""
        metadata: dict[str, Metadata] = {}
        for one in payloads:
            metadata.update(one.metadata)
        rounds = [one for payload in payloads for one in payload.rounds]
        first, last = payloads[0], payloads[-1]
        return PayloadEncoder(first.sender).encode(first.first_sequence, last.interval_ms, rounds, metadata)

    @staticmethod
    def halve(payload: WrittenPayload) -> tuple[bytes, bytes]:
        """Two payloads of one of two samples or more; every sample keeps its number."""
        middle = payload.samples // 2
        first, second = [], []
        begin = 0
        for one in payload.rounds:
            cut = min(max(middle - begin, 0), len(one.values))
            begin += len(one.values)
            if cut:
                first.append(one.part(0, cut))
            if cut < len(one.values):
                second.append(one.part(cut, len(one.values)))
        encoder = PayloadEncoder(payload.sender)
        return (
            encoder.encode(payload.first_sequence, payload.interval_ms, first, payload.metadata),
            encoder.encode(payload.first_sequence + middle, payload.interval_ms, second),
        )

    @staticmethod
    def encode_written(payload: WrittenPayload) -> bytes:
        """The bytes of a payload that was read."""
        encoder = PayloadEncoder(payload.sender)
        return encoder.encode(payload.first_sequence, payload.interval_ms, payload.rounds, payload.metadata)

    @staticmethod
    def split_histograms(payload: WrittenPayload) -> tuple[WrittenPayload, WrittenPayload | None]:
        """The numbers of a payload of one round, and its histograms; every sample keeps its number."""
        if len(payload.rounds) != 1 or not payload.rounds[0].histograms:
            return payload, None
        one = payload.rounds[0]
        numbers = replace(payload, rounds=(one.part(0, one.numbers),))
        first_sequence = payload.first_sequence + one.numbers
        histograms = one.part(one.numbers, len(one.values))
        return numbers, replace(payload, first_sequence=first_sequence, rounds=(histograms,))
