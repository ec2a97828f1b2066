"""Lists of targets that are asked for: over HTTP, from DNS, from configuration management."""

import msgspec

from nunchi.intake.discovery.settings.requirements import require, require_address, require_url
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError, Secret

MINUTE = Duration(60_000)


class HttpSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`http_sd_configs`."""

    url: str = ""
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "url")
        require_url(self.url, "url")


class DnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`dns_sd_configs`."""

    names: tuple[str, ...] = ()
    type: str = "SRV"
    port: int = 0
    refresh_interval: Duration = Duration(30_000)

    def __post_init__(self) -> None:
        require(self, "names")
        if self.type.upper() not in {"SRV", "A", "AAAA", "MX", "NS"}:
            raise FieldError(f'"{self.type}" is not known: use one of SRV, A, AAAA, MX, NS', "type")
        if self.type.upper() != "SRV" and not self.port:
            raise FieldError(f"records of type {self.type} carry no port: give port", "port")


class PuppetdbSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`puppetdb_sd_configs`."""

    url: str = ""
    query: str = ""
    include_parameters: bool = False
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "url")
        require_url(self.url, "url")
        require(self, "query")


class UyuniSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`uyuni_sd_configs`."""

    server: str = ""
    username: str = ""
    password: Secret = Secret("")
    entitlement: str = "monitoring_entitled"
    separator: str = ","
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "server", "username", "password")
        require_address(self.server, "server")
