"""Where a message bus is and how to connect to it. Structs only; no I/O.

Invariant: at most one way of signing in is set, and each secret once, as text or as file.
"""

import re
from urllib.parse import urlsplit

import msgspec

from nunchi.kit.secrets import Secret, redact_url
from nunchi.kit.settings import FieldError
from nunchi.kit.tls import TlsClientSettings

URLS_MAX = 16
SCHEMES = frozenset({"nats", "tls"})
WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`urls` are servers of one NATS cluster; `cluster` tells several installations of nunchi on one bus apart.

    With `tls://`, or with `tls_config`, nothing is sent before the connection is encrypted and its certificate verified.
    """

    urls: list[str]
    cluster: str = "main"
    username: str = ""
    password: Secret = Secret("")
    password_file: str = ""
    token: Secret = Secret("")
    token_file: str = ""
    tls_config: TlsClientSettings | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.urls) <= URLS_MAX:
            raise FieldError(f"1 to {URLS_MAX} addresses, as in [nats://bus.example.org:4222]", "urls")
        for position, url in enumerate(self.urls):
            _check_url(url, position)
        if not WORD.fullmatch(self.cluster):
            raise FieldError(f'"{self.cluster}": letters, digits, "_" and "-"', "cluster")
        for inline, file_name in (("password", "password_file"), ("token", "token_file")):
            if getattr(self, inline) and getattr(self, file_name):
                raise FieldError(f"{inline} and {file_name} exclude each other: keep one", file_name)
        has_password = bool(self.password or self.password_file)
        if bool(self.username) != has_password:
            raise FieldError("username and password belong together: give the other too", "username")
        if self.username and (self.token or self.token_file):
            raise FieldError("username and token exclude each other: keep one", "token")

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing may be sent in the clear."""
        return self.tls_config is not None or any(url.startswith("tls://") for url in self.urls)


def _check_url(url: str, position: int) -> None:
    cure = "write nats://host:port or tls://host:port"
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        raise FieldError(f'"{redact_url(url)}" is not an address: {cure}', "urls", position) from None
    if not is_valid:
        raise FieldError(f'"{redact_url(url)}" is not an address: {cure}', "urls", position)
    if parts.username or parts.password:
        raise FieldError("an address is shown in status and logs: use username and password", "urls", position)
