"""`--web.config.file`: TLS, security headers and users of a listener, in Prometheus's schema.

Users, headers and renewed certificates are taken up while running; all else of TLS takes a restart, and a changed file says so.
Invariant: a change that cannot be loaded leaves what was loaded before in force.
"""

import re
import ssl
from pathlib import Path
from typing import Annotated

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.passwords import PasswordFile
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError, WithoutEffect, load_file, remarks
from nunchi.kit.tls import TlsServerSettings, certificate_files, load_certificate, server_context

_HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
_BCRYPT_HASH = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")

FileState = tuple[tuple[int, int, int] | None, ...]


class HttpServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`http_server_config`."""

    http2: Annotated[bool, WithoutEffect("connections are HTTP/1.1 either way")] = True
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name in self.headers:
            if name not in _HEADERS:
                raise FieldError(f'header "{name}" cannot be set: use one of {", ".join(_HEADERS)}', "headers", name)
            if not self.headers[name].isprintable():
                raise FieldError("a header is one line of printable text", "headers", name)


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tls_server_config: TlsServerSettings | None = None
    http_server_config: HttpServerSettings = HttpServerSettings()
    basic_auth_users: dict[str, Secret] = {}

    def __post_init__(self) -> None:
        for name, hashed in self.basic_auth_users.items():
            if not name:
                raise FieldError("a user needs a name", "basic_auth_users")
            if not _BCRYPT_HASH.fullmatch(hashed.reveal()):
                cure = "make one with `htpasswd -nBC 10 user`"
                raise FieldError(f"the password of {name} is not a bcrypt hash: {cure}", "basic_auth_users", name)


class WebConfig:
    """What a listener takes from the file now; without a file: no TLS, no users, no headers."""

    def __init__(self, path: Path | None) -> None:
        """Load the file. Raises InputError."""
        self._path = path
        self._settings = WebSettings() if path is None else load_file(WebSettings, path)
        self._state = self._file_state()
        self.users = PasswordFile(self._settings.basic_auth_users)
        self.ssl_context = self._server_context()

    @property
    def headers(self) -> dict[str, str]:
        """Response headers in place of our own."""
        return self._settings.http_server_config.headers

    @property
    def requires_client_certificate(self) -> bool:
        """Whether whoever connected has proven to be known by certificate."""
        tls = self._settings.tls_server_config
        return tls is not None and tls.requires_client_certificate

    @property
    def client_allowed_sans(self) -> list[str]:
        """Names of which a client certificate must have one; empty where any certificate will do."""
        tls = self._settings.tls_server_config
        return [] if tls is None else tls.client_allowed_sans

    def remarks(self) -> list[str]:
        """Sentences about what the file says without effect."""
        return remarks(self._settings, str(self._path))

    def refresh(self) -> bool:
        """Load again what has changed on disk; True if something did. Raises InputError, and nothing has changed then."""
        state = self._file_state()
        if self._path is None or state == self._state:
            return False
        self._state = state
        settings = load_file(WebSettings, self._path)
        if settings.tls_server_config != self._settings.tls_server_config:
            raise InputError(f"{self._path}: tls_server_config cannot change while running: restart nunchi")
        users = PasswordFile(settings.basic_auth_users)
        if not users and self.users:
            raise InputError(f"{self._path}: users cannot be removed altogether while running: restart nunchi")
        if settings.tls_server_config is not None and self.ssl_context is not None:
            load_certificate(self.ssl_context, settings.tls_server_config, self._path.parent)
        self._settings, self.users = settings, users
        self._state = self._file_state()
        return True

    def _server_context(self) -> ssl.SSLContext | None:
        tls = self._settings.tls_server_config
        if tls is None or self._path is None:
            return None
        try:
            return server_context(tls, self._path.parent)
        except InputError as error:
            raise InputError(f"{self._path}: {error}") from error

    def _file_state(self) -> FileState:
        if self._path is None:
            return ()
        tls = self._settings.tls_server_config
        files = [self._path, *(certificate_files(tls, self._path.parent) if tls else [])]
        return tuple(_stamp(path) for path in files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
