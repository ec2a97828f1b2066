"""Rounds over UDP: where to, with which key, how large a datagram may be."""

from typing import Literal

import msgspec

from nunchi.kit.durations import Duration
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError
from nunchi.wire.pack import DATAGRAM_BYTES, DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MIN
from nunchi.wire.pack_seal import KEY_BYTES_MIN


class UdpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Packs go first; what is not acknowledged within `timeout` goes by HTTP, as everything does without this block.

    `key` (or `key_file`) is shared with the server's list of pack keys; without one the agent's own key is used.
    """

    address: str
    key: Secret = Secret("")
    key_file: str = ""
    mode: Literal["aead", "hmac"] = "aead"
    datagram_bytes: int = DATAGRAM_BYTES
    timeout: Duration = Duration(1000)

    def __post_init__(self) -> None:
        try:
            address = ListenAddress.parse(self.address)
        except InputError as error:
            raise FieldError("write the server's host and port, as in metrics.example.org:9191", "address") from error
        if not address.host or not address.port:
            raise FieldError("write the server's host and port, as in metrics.example.org:9191", "address")
        if not DATAGRAM_BYTES_MIN <= self.datagram_bytes <= DATAGRAM_BYTES_MAX:
            raise FieldError(f"must be between {DATAGRAM_BYTES_MIN} and {DATAGRAM_BYTES_MAX}", "datagram_bytes")
        if self.key and len(self.key.reveal().encode()) < KEY_BYTES_MIN:
            raise FieldError(f"a key has at least {KEY_BYTES_MIN} bytes: make one with openssl rand -hex 32", "key")
