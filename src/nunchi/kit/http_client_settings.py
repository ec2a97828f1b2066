"""How to connect to a peer: Prometheus's `http_config` block, for whatever scrapes, sends or asks. Structs only; no I/O.

A struct with fields of its own may inherit from `HttpClientSettings`, as the file has these keys beside others; a
`__post_init__` of its own calls the inherited one.
Invariant: at most one way of authentication is set, and each secret once, as text or as file.
"""

from typing import Annotated, Any, Literal

import msgspec

from nunchi.kit.secrets import Secret, Url
from nunchi.kit.settings import FieldError, WithoutEffect
from nunchi.kit.tls import TlsClientSettings

_RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type", "host",
        "keep-alive", "proxy-authenticate", "proxy-authorization", "transfer-encoding", "user-agent", "www-authenticate",
        "x-prometheus-remote-read-version", "x-prometheus-remote-write-version", "x-prometheus-scrape-timeout-seconds",
    }
)  # fmt: skip


class BasicAuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`basic_auth`."""

    username: str = ""
    username_file: str = ""
    password: Secret = Secret("")
    password_file: str = ""

    def __post_init__(self) -> None:
        _not_both(self, "username", "username_file")
        _not_both(self, "password", "password_file")


class AuthorizationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`authorization`."""

    type: str = "Bearer"
    credentials: Secret = Secret("")
    credentials_file: str = ""

    def __post_init__(self) -> None:
        _not_both(self, "credentials", "credentials_file")
        if self.type.strip().lower() == "basic":
            raise FieldError("Basic takes a user and a password: use basic_auth", "type")


class HeaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `http_headers`."""

    values: list[str] = []
    secrets: list[Secret] = []
    files: list[str] = []


class ProxySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands between us and the peer."""

    proxy_url: Url | None = None
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, list[Secret]] = {}

    def __post_init__(self) -> None:
        if self.proxy_from_environment and self.proxy_url:
            raise FieldError("excludes proxy_url: keep one", "proxy_from_environment")
        if self.proxy_from_environment and self.no_proxy:
            raise FieldError(
                "excludes no_proxy: NO_PROXY of the environment counts, keep one", "proxy_from_environment"
            )
        if self.no_proxy and not self.proxy_url:
            raise FieldError("needs proxy_url: give it, or remove no_proxy", "no_proxy")
        if self.proxy_connect_header and not (self.proxy_url or self.proxy_from_environment):
            raise FieldError("needs proxy_url or proxy_from_environment: give one", "proxy_connect_header")


class OAuth2Settings(ProxySettings, frozen=True, forbid_unknown_fields=True):
    """`oauth2`: a token by client credentials, renewed when it expires."""

    client_id: str = ""
    client_secret: Secret = Secret("")
    client_secret_file: str = ""
    grant_type: Literal["client_credentials", ""] = ""
    scopes: list[str] = []
    token_url: Url | None = None
    endpoint_params: dict[str, str] = {}
    tls_config: TlsClientSettings = TlsClientSettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_both(self, "client_secret", "client_secret_file")
        if not self.client_id:
            raise ValueError("oauth2 needs client_id: add it")
        if self.token_url is None:
            raise ValueError("oauth2 needs token_url: add it")


class HttpClientSettings(ProxySettings, frozen=True, forbid_unknown_fields=True):
    """The whole block."""

    basic_auth: BasicAuthSettings | None = None
    authorization: AuthorizationSettings | None = None
    bearer_token: Secret = Secret("")
    bearer_token_file: str = ""
    oauth2: OAuth2Settings | None = None
    tls_config: TlsClientSettings = TlsClientSettings()
    follow_redirects: bool = True
    enable_http2: Annotated[bool, WithoutEffect("connections are HTTP/1.1 either way")] = True
    http_headers: dict[str, HeaderSettings] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_both(self, "bearer_token", "bearer_token_file")
        bearer = "bearer_token" if self.bearer_token else "bearer_token_file"
        given = {
            "basic_auth": self.basic_auth is not None,
            "authorization": self.authorization is not None,
            bearer: bool(self.bearer_token or self.bearer_token_file),
            "oauth2": self.oauth2 is not None,
        }
        names = [name for name, is_given in given.items() if is_given]
        if len(names) > 1:
            raise FieldError(f"{names[0]} and {names[1]} exclude each other: keep one", names[1])
        for name in self.http_headers:
            if name.lower() in _RESERVED_HEADERS:
                raise FieldError(
                    f"header {name} is set by nunchi itself: use the setting made for it", "http_headers", name
                )


def _not_both(settings: Any, inline: str, file_name: str) -> None:
    if getattr(settings, inline) and getattr(settings, file_name):
        raise FieldError(f"{inline} and {file_name} exclude each other: keep one", file_name)
