"""Rounds as Scouter packs, beside the delivery to the server: where to, and as what this host is shown there."""

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.settings import FieldError

DATAGRAM_BYTES = 1232
DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX = 512, 65_507
DEFAULT_PORT = 6100


class ScouterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scouter's format has no acknowledgement, no encryption and no proof of who sends: for networks that are trusted."""

    address: str
    object_type: str = "linux"
    datagram_bytes: int = DATAGRAM_BYTES

    def __post_init__(self) -> None:
        try:
            address = ListenAddress.parse(self.address)
        except InputError as error:
            raise FieldError(f"write host and port, as in scouter.example.org:{DEFAULT_PORT}", "address") from error
        if not address.host or not address.port:
            raise FieldError(f"write host and port, as in scouter.example.org:{DEFAULT_PORT}", "address")
        if not self.object_type:
            raise FieldError("must be one word for the kind of host, as in linux", "object_type")
        if not DATAGRAM_BYTES_MIN <= self.datagram_bytes <= DATAGRAM_BYTES_MAX:
            raise FieldError(f"must be between {DATAGRAM_BYTES_MIN} and {DATAGRAM_BYTES_MAX}", "datagram_bytes")
