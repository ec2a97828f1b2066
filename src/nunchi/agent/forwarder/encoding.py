"""From payloads of the spool to bytes on the wire: our push payload, which `wire.payload_encoder` writes."""

from nunchi.agent.forwarder.spool import Payload
from nunchi.agent.identity import Identity
from nunchi.model.metadata import Metadata
from nunchi.wire.payload_encoder import CONTENT_TYPE, PayloadEncoder, Round, Sender


class PushEncoder:
    """Encodes for one agent. `interval_ms` tells the server when to miss a round."""

    content_type = CONTENT_TYPE

    def __init__(self, identity: Identity, interval_ms: int) -> None:
        self._encoder = PayloadEncoder(Sender(identity.id, identity.name, identity.version, identity.epoch))
        self._interval_ms = interval_ms

    def encode(self, payload: Payload) -> bytes:
        """See `delivery.Encoder`."""
        metadata: dict[str, Metadata] = {}
        for one in payload.rounds:
            metadata.update(one.metadata)
        rounds = [Round(one.timestamp_ms, one.layout, one.columns, one.values) for one in payload.rounds]
        return self._encoder.encode(payload.first_sequence, self._interval_ms, rounds, metadata)
