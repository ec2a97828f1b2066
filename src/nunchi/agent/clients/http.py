"""HTTP/1.1 requests from a check's thread, over TCP, TLS or a Unix socket: one request a connection, bounded."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import Address
from nunchi.agent.clients.connection import RECEIVED_BYTES_MAX, Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError
from nunchi.kit.credentials import CredentialsUnreadable, configured_headers
from nunchi.kit.http_client_settings import AuthorizationSettings, BasicAuthSettings, HttpClientSettings
from nunchi.kit.secrets import redact_url
from nunchi.kit.settings import FieldError
from nunchi.kit.tls import ClientContext, TlsClientSettings

NO_HEADERS: Mapping[str, str] = {}
SAID_CHARACTERS_MAX = 80


class HttpCheckSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to ask over HTTP: who we are and what TLS is to be, in Prometheus's words. Files are best given in full."""

    basic_auth: BasicAuthSettings | None = None
    authorization: AuthorizationSettings | None = None
    tls_config: TlsClientSettings = TlsClientSettings()
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    def client_settings(self) -> HttpClientSettings:
        """The same as a whole `http_config`."""
        return HttpClientSettings(
            basic_auth=self.basic_auth, authorization=self.authorization, tls_config=self.tls_config
        )


def require_url(field: str, url: str) -> None:
    """FieldError unless this is an http or https URL."""
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise FieldError(f"{url!r} is not an address: write it in full, as in http://127.0.0.1/status", field)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes


class HttpAsker:
    """Asks one URL, or paths of one Unix socket. The TLS context is made once."""

    def __init__(self, settings: HttpCheckSettings | None = None, socket_path: str = "") -> None:
        self._settings = settings or HttpCheckSettings()
        self._socket_path = socket_path
        self._context = ClientContext(self._settings.tls_config, Path())

    def ask(
        self,
        url: str,
        deadline: Deadline,
        headers: Mapping[str, str] = NO_HEADERS,
        method: str = "GET",
        body_bytes_max: int = RECEIVED_BYTES_MAX,
    ) -> Answer:
        """One request. ServiceError for everything that is not an answer."""
        parts = urlsplit(url)
        shown = redact_url(url)
        is_tls = parts.scheme == "https"
        host = parts.hostname or "localhost"
        address = (
            Address(path=self._socket_path)
            if self._socket_path
            else Address(host, parts.port or (443 if is_tls else 80))
        )
        with Connection.open(address, deadline, body_bytes_max + (64 << 10)) as connection:
            if is_tls:
                connection.wrap_tls(self.tls_context(), self._settings.tls_config.server_name or host)
            connection.send(head_of(self._settings, method, url, headers))
            return read_answer(connection, method, shown, body_bytes_max)

    def ask_for_body(self, url: str, deadline: Deadline, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
        """The body of an answer 200; ServiceError where it is another."""
        answer = self.ask(url, deadline, headers)
        if answer.status != 200:
            raise ServiceError(f"{redact_url(url)}: answers {answer.status} {answer.reason}".rstrip())
        return answer.body

    def tls_context(self) -> ssl.SSLContext:
        """The context of the settings."""
        return self._context.context()


def head_of(
    settings: HttpCheckSettings, method: str, url: str, headers: Mapping[str, str] = NO_HEADERS, body: bytes = b""
) -> bytes:
    """A whole request: what the settings say of headers and credentials, then the caller's headers, then the body."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        configured = configured_headers(settings.client_settings(), Path())
    except CredentialsUnreadable as error:
        raise ServiceError(str(error)) from error
    lines = {
        "host": ("Host", parts.netloc.rpartition("@")[2] or "localhost"),
        "user-agent": ("User-Agent", "nunchi-agent"),
        "connection": ("Connection", "close"),
        "accept-encoding": ("Accept-Encoding", "identity"),
    }
    if body:
        lines["content-length"] = ("Content-Length", str(len(body)))
    for name, value in (*configured, *settings.headers.items(), *headers.items()):
        lines[name.lower()] = (name, value)
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.values())
    return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1", errors="replace") + body


def read_answer(connection: Connection, method: str, shown: str, body_bytes_max: int) -> Answer:
    """The answer that comes over a connection."""
    response = http.client.HTTPResponse(connection.as_socket(), method=method)
    try:
        response.begin()
        body = read_body(response, body_bytes_max, shown)
    except (http.client.HTTPException, ValueError) as error:
        raise ServiceError(f"{shown}: does not speak HTTP: {said_by(error)}") from error
    return Answer(response.status, response.reason, response.headers, body)


def said_by(error: Exception) -> str:
    """What the library says of an answer, in which a peer's bytes may stand: nothing that a terminal would obey."""
    return ascii(str(error) or type(error).__name__).strip("'\"")[:SAID_CHARACTERS_MAX]


def read_body(response: http.client.HTTPResponse, body_bytes_max: int, shown: str) -> bytes:
    """The whole body; ServiceError where it is larger, naming who was asked."""
    body = response.read(body_bytes_max + 1)
    if len(body) > body_bytes_max:
        raise ServiceError(f"{shown}: the answer is larger than {body_bytes_max} bytes")
    return body
