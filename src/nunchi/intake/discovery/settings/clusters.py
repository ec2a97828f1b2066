"""Container hosts, schedulers and service registries."""

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from nunchi.intake.discovery.settings.clouds import NamedFilter
from nunchi.intake.discovery.settings.requirements import exclude, require, require_url
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError, Secret
from nunchi.kit.tls import TlsClientSettings

MINUTE = Duration(60_000)
HALF_MINUTE = Duration(30_000)
NO_SECRET = Secret("")


def _require_host(host: str) -> None:
    if not host:
        raise FieldError("host is missing: give one, as in unix:///var/run/docker.sock", "host")
    if not urlsplit(host).scheme:
        raise FieldError(f'"{host}" is not a URL: write unix:///path or tcp://host:port', "host")


class DockerSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`docker_sd_configs`."""

    host: str = ""
    port: int = 80
    filters: tuple[NamedFilter, ...] = ()
    host_networking_host: str = "localhost"
    match_first_network: bool = True
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_host(self.host)


class DockerswarmSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`dockerswarm_sd_configs`."""

    host: str = ""
    role: Literal["services", "tasks", "nodes"] | None = None
    port: int = 80
    filters: tuple[NamedFilter, ...] = ()
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_host(self.host)
        require(self, "role")


class ConsulSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`consul_sd_configs`."""

    server: str = "localhost:8500"
    path_prefix: str = ""
    token: Secret = NO_SECRET
    datacenter: str = ""
    namespace: str = ""
    partition: str = ""
    tag_separator: str = ","
    scheme: str = ""
    username: str = ""
    password: Secret = NO_SECRET
    allow_stale: bool = True
    refresh_interval: Duration = HALF_MINUTE
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    node_meta: dict[str, str] = msgspec.field(default_factory=dict)
    filter: str = ""
    health_filter: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "server")
        exclude(self, "token", "authorization", "oauth2")
        exclude(self, "username", "basic_auth")
        exclude(self, "password", "basic_auth")


class NomadSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`nomad_sd_configs`."""

    allow_stale: bool = True
    namespace: str = "default"
    region: str = "global"
    server: str = "http://localhost:4646"
    tag_separator: str = ","
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "server")


class MarathonSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`marathon_sd_configs`."""

    servers: tuple[str, ...] = ()
    auth_token: Secret = NO_SECRET
    auth_token_file: str = ""
    refresh_interval: Duration = HALF_MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "servers")
        exclude(self, "auth_token", "auth_token_file")
        for name in ("auth_token", "auth_token_file"):
            exclude(self, name, "basic_auth", "authorization", "bearer_token", "bearer_token_file")


class EurekaSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`eureka_sd_configs`."""

    server: str = ""
    refresh_interval: Duration = HALF_MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "server")
        require_url(self.server, "server")


class KumaSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`kuma_sd_configs`."""

    server: str = ""
    client_id: str = ""
    refresh_interval: Duration = HALF_MINUTE
    fetch_timeout: Duration = Duration(120_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "server")
        require_url(self.server, "server")


class ZookeeperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`nerve_sd_configs` and `serverset_sd_configs`."""

    servers: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    timeout: Duration = Duration(10_000)

    def __post_init__(self) -> None:
        require(self, "servers", "paths")
        for position, path in enumerate(self.paths):
            if not path.startswith("/"):
                raise FieldError(f'"{path}" must begin with /', "paths", position)


class TritonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`triton_sd_configs`."""

    account: str = ""
    role: Literal["container", "cn"] = "container"
    dns_suffix: str = ""
    endpoint: str = ""
    groups: tuple[str, ...] = ()
    port: int = 9163
    refresh_interval: Duration = MINUTE
    tls_config: TlsClientSettings = TlsClientSettings()
    version: int = 1

    def __post_init__(self) -> None:
        require(self, "account", "dns_suffix", "endpoint", "refresh_interval")
