"""What the agent can be told about relaying: where it listens, who may hand samples over, what they are labelled with.

Invariant: nobody hands anything over without a token of their own, and beyond loopback only over TLS.
"""

import re

import msgspec

from nunchi.agent.check_settings import label_fault
from nunchi.agent.listener_settings import ListenerSettings
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress, is_loopback
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

TOKEN_CHARACTERS_MIN = 16
SOURCES_MAX = 100
SERIES_MAX_MOST = 1_000_000
BODY_BYTES_MAX_MOST = 32 << 20
SOURCE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class RelaySource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who hands samples over. `job` is the source's name unless set; `labels` are added where a sample has none."""

    token: Secret
    job: str = ""
    labels: dict[str, str] = {}
    series_max: int = 10_000

    def __post_init__(self) -> None:
        if len(self.token.reveal()) < TOKEN_CHARACTERS_MIN:
            cure = "for one, the output of: openssl rand -hex 32"
            raise FieldError(f"a token needs at least {TOKEN_CHARACTERS_MIN} characters; {cure}", "token")
        if fault := label_fault(self.labels):
            raise FieldError(fault, "labels")
        if not 1 <= self.series_max <= SERIES_MAX_MOST:
            raise FieldError(f"1 to {SERIES_MAX_MOST}", "series_max")


class RelaySettings(ListenerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`agents`: other agents deliver through this one, with the keys that the server gave them."""

    address: str = "127.0.0.1:9192"
    sources: dict[str, RelaySource] = msgspec.field(default_factory=dict)
    agents: bool = False
    body_bytes_max: int = 2 << 20

    def __post_init__(self) -> None:
        try:
            host = ListenAddress.parse(self.address).host
        except InputError as error:
            raise FieldError(str(error), "address") from error
        if not (host == "localhost" or is_loopback(host)) and not self.web_config_file:
            cure = "give a certificate in web_config_file, or write 127.0.0.1"
            raise FieldError(
                f"{self.address} can be reached from other machines and tokens are secrets: {cure}", "address"
            )
        if len(self.sources) > SOURCES_MAX:
            raise FieldError(f"at most {SOURCES_MAX} sources", "sources")
        owners: dict[str, str] = {}
        for name, source in self.sources.items():
            if not SOURCE_NAME.fullmatch(name):
                raise FieldError(f'"{name}" is not a valid source name: letters, digits, "_", "-" and "."', "sources")
            other = owners.setdefault(source.token.reveal(), name)
            if other != name:
                raise FieldError(f"{other} and {name} have the same token: give each its own", "sources")
        if not 1024 <= self.body_bytes_max <= BODY_BYTES_MAX_MOST:
            raise FieldError(f"must be between 1024 and {BODY_BYTES_MAX_MOST} bytes", "body_bytes_max")
        if not self.sources and not self.agents:
            raise FieldError("name sources, or set agents: true; as it is, nobody could use the relay", "sources")
