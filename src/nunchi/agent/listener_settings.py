"""What every HTTP listener of the agent can be told: where, and with which certificate and users."""

from pathlib import Path

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress, is_loopback
from nunchi.kit.settings import FieldError


class ListenerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`web_config_file` (Prometheus's) is needed beyond loopback; a relative one is below the agent's folder."""

    address: str = ""
    web_config_file: str = ""

    def web_config(self, folder: Path) -> Path | None:
        """Where the file is, if one is named."""
        return folder / self.web_config_file if self.web_config_file else None

    def __post_init__(self) -> None:
        if not self.address:
            return
        try:
            host = ListenAddress.parse(self.address).host
        except InputError as error:
            raise FieldError(str(error), "address") from error
        if not (host == "localhost" or is_loopback(host)) and not self.web_config_file:
            cure = "give TLS and users in web_config_file, or write 127.0.0.1"
            raise FieldError(f"{self.address} can be reached from other machines: {cure}", "address")
