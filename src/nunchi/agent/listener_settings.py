"""What every HTTP listener of the agent can be told: where, and with which certificate and users."""

from pathlib import Path

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress, is_loopback
from nunchi.kit.settings import FieldError


class ListenerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`web_config_file` (Prometheus's) is needed beyond loopback."""

    address: str = ""
    web_config_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.address:
            return
        try:
            host = ListenAddress.parse(self.address).host
        except InputError as error:
            raise FieldError(str(error), "address") from error
        if not (host == "localhost" or is_loopback(host)) and self.web_config_file is None:
            cure = "give TLS and users in web_config_file, or write 127.0.0.1"
            raise FieldError(f"{self.address} can be reached from other machines: {cure}", "address")
