"""Fetching a target's exposition: our own connection where it does, `kit.http_client` for proxies, OAuth and redirects.

Invariants: a fetch takes no longer than the target's timeout and no more memory than its bound, whatever the target does;
`up` is about this one exchange, so nothing is retried but a kept connection that had grown old.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from nunchi.intake.scrape.connection import Response, ScrapeConnection
from nunchi.intake.scrape.errors import ConnectionLostError, ScrapeError, ScrapeLimitError
from nunchi.intake.scrape.negotiation import DEFAULT_PROTOCOLS, accept_header
from nunchi.intake.scrape.target import Target
from nunchi.kit.clock import Clock
from nunchi.kit.credentials import CredentialsUnreadable, configured_headers
from nunchi.kit.errors import InputError
from nunchi.kit.http_client import HttpClient, HttpClientError, HttpClientSettings
from nunchi.kit.http_errors import HttpBodyTooLargeError, HttpTimeoutError
from nunchi.kit.telemetry import Counter
from nunchi.kit.tls import ClientContext
from nunchi.wire import compression
from nunchi.wire.errors import BodyTooLarge
from nunchi.wire.exposition import ExpositionFormat

BODY_BYTES_MAX = 64 << 20
CONNECTIONS_KEPT_MAX = 8000
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How a job's targets are asked. A decoded body of `body_bytes_max` already fails; 0 stands for our own bound."""

    http: HttpClientSettings = field(default_factory=HttpClientSettings)
    protocols: tuple[str, ...] = DEFAULT_PROTOCOLS
    escaping: str = "allow-utf-8"
    fallback: ExpositionFormat | None = None
    is_compressed: bool = True
    body_bytes_max: int = 0
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Answer:
    """An exposition as it was sent, and how to read it. `body_bytes_max` is the job's own bound, 0 where it has none."""

    encoded: bytes
    encoding: str
    format: ExpositionFormat
    body_bytes_max: int = 0

    def decode(self) -> bytes:
        """The exposition itself; raises `ScrapeLimitError` where it is too large, and errors of input."""
        try:
            return compression.decode(self.encoding, self.encoded, accepted_bytes(self.body_bytes_max))
        except BodyTooLarge:
            raise too_large(self.body_bytes_max) from None


def accepted_bytes(body_bytes_max: int) -> int:
    """The largest body that is taken: a limit that is just reached already fails, as with Prometheus."""
    return body_bytes_max - 1 if body_bytes_max else BODY_BYTES_MAX


def too_large(body_bytes_max: int) -> ScrapeLimitError:
    """The error of a body beyond its bound, with the setting that moves it."""
    said = (
        f"body_size_limit of {body_bytes_max} bytes"
        if body_bytes_max
        else f"bound of {BODY_BYTES_MAX} bytes; set body_size_limit to change it"
    )
    return ScrapeLimitError(f"the exposition exceeds the {said}", is_body=True)


class FetchContext:
    """What the fetchers of one process share: the connections kept between scrapes are counted here."""

    def __init__(
        self,
        clock: Clock,
        user_agent: str,
        connections: Counter,
        environment: Mapping[str, str] = NO_ENVIRONMENT,
    ) -> None:
        self.clock = clock
        self.connections = connections
        self.user_agent = user_agent
        self.environment = environment
        self._kept = 0

    def may_keep(self) -> bool:
        """Whether one more connection may stay open until its next scrape; `release` gives the place back."""
        if self._kept >= CONNECTIONS_KEPT_MAX:
            return False
        self._kept += 1
        return True

    def release(self) -> None:
        """A kept connection was closed."""
        self._kept -= 1


class JobConnections:
    """What the fetchers of one job share: TLS, and the client for what our own connection does not do."""

    def __init__(self, settings: FetchSettings, context: FetchContext) -> None:
        self.settings = settings
        self.context = context
        self.headers: tuple[tuple[str, str], ...] | None = None
        http = settings.http
        self.needs_client = bool(http.proxy_url or http.proxy_from_environment or http.oauth2)
        self._client: HttpClient | None = None
        self.tls = ClientContext(http.tls_config, settings.folder)
        if not _has_secret_files(http):
            self.headers = tuple(configured_headers(http, settings.folder))

    def client(self) -> HttpClient:
        """The client, made when first needed."""
        if self._client is None:
            self._client = HttpClient(
                self.context.clock, self.settings.http, folder=self.settings.folder,
                environment=self.context.environment, user_agent=self.context.user_agent,
            )  # fmt: skip
        return self._client

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()


class Fetcher:
    """Fetches one target, time after time."""

    def __init__(self, target: Target, job: JobConnections) -> None:
        self._target = target
        self._job = job
        self._connection: ScrapeConnection | None = None
        self._needs_client = job.needs_client
        self._timeout_seconds = target.timeout_ms / 1000
        self._request = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._body_bytes_max = job.settings.body_bytes_max

    async def fetch(self) -> Answer:
        """One exposition, not decoded yet; raises `ScrapeError` and other errors of input and world, all about this target."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        try:
            response = await self._response(self._loop, self._loop.time() + self._timeout_seconds)
        except TimeoutError:
            raise ScrapeError(f"no whole answer within the timeout of {self._timeout_seconds:g} s") from None
        if response.status != HTTPStatus.OK:
            raise ScrapeError(f"server returned HTTP status {_status_text(response.status)}")
        return Answer(
            response.body,
            response.headers.get("content-encoding", ""),
            ExpositionFormat.of_content_type(response.headers.get("content-type"), self._job.settings.fallback),
            self._body_bytes_max,
        )

    def close(self) -> None:
        """Close the connection that is kept, if any."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._job.context.release()

    async def _response(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Response:
        if not self._needs_client:
            response = await self._exchange(loop, deadline)
            follows = self._job.settings.http.follow_redirects and "location" in response.headers
            if response.status not in REDIRECTS or not follows:
                return response
            self._needs_client = True
        return await self._ask_client(deadline - loop.time())

    async def _exchange(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Response:
        """Over our own connection, kept or new."""
        request = self._request or self._new_request()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._job.context.release()
            try:
                return await self._converse(connection, request, deadline)
            except ConnectionLostError as error:
                if error.answered:
                    raise
        async with asyncio.timeout_at(deadline):
            connection = await self._connect(loop)
        return await self._converse(connection, request, deadline)

    def _new_request(self) -> bytes:
        """The request's bytes, kept unless files of secrets are part of it: they are read every time."""
        if self._job.headers is not None:
            self._request = self._request_bytes(self._job.headers)
            return self._request
        try:
            headers = configured_headers(self._job.settings.http, self._job.settings.folder)
        except CredentialsUnreadable as error:
            raise ScrapeError(str(error)) from error
        return self._request_bytes(tuple(headers))

    async def _converse(self, connection: ScrapeConnection, request: bytes, deadline: float) -> Response:
        try:
            response = await connection.exchange(request, accepted_bytes(self._body_bytes_max), deadline)
        except ScrapeLimitError as error:
            raise too_large(self._body_bytes_max) if error.is_body else error from None
        if connection.is_open:
            if self._job.context.may_keep():
                self._connection = connection
            else:
                connection.close()
        return response

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> ScrapeConnection:
        target = self._target
        self._job.context.connections.add()

        def protocol() -> ScrapeConnection:
            return ScrapeConnection(loop)

        try:
            if target.unix_socket:
                _, connection = await loop.create_unix_connection(protocol, target.unix_socket)
            elif target.scheme == "https":
                name = self._job.settings.http.tls_config.server_name or target.host
                _, connection = await loop.create_connection(
                    protocol, target.host, target.port, ssl=self._job.tls.context(), server_hostname=name
                )
            else:
                _, connection = await loop.create_connection(protocol, target.host, target.port)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            raise ScrapeError(
                f"cannot connect to {target.unix_socket or target.authority}: {_reason(error)}"
            ) from error
        except InputError as error:
            raise ScrapeError(str(error)) from error
        return connection

    async def _ask_client(self, timeout_seconds: float) -> Response:
        headers = dict(self._own_headers())
        try:
            answer = await self._job.client().request(
                "GET", self._target.url, headers=headers, timeout_seconds=max(timeout_seconds, 0.0),
                body_bytes_max=accepted_bytes(self._body_bytes_max),
            )  # fmt: skip
        except HttpBodyTooLargeError:
            raise too_large(self._body_bytes_max) from None
        except HttpTimeoutError:
            raise TimeoutError from None
        except HttpClientError as error:
            raise ScrapeError(error.reason) from error
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)

    def _own_headers(self) -> list[tuple[str, str]]:
        settings = self._job.settings
        return [
            ("User-Agent", self._job.context.user_agent),
            ("Accept", accept_header(settings.protocols, settings.escaping)),
            ("Accept-Encoding", "gzip" if settings.is_compressed else "identity"),
            ("X-Prometheus-Scrape-Timeout-Seconds", f"{self._timeout_seconds:g}"),
        ]

    def _request_bytes(self, configured: tuple[tuple[str, str], ...]) -> bytes:
        lines = [f"GET {self._target.path_and_query} HTTP/1.1", f"Host: {self._target.authority}"]
        for name, value in (*self._own_headers(), *configured):
            if any(character in name + value for character in "\r\n\0"):
                raise InputError(f"the header {name!r} contains a line break")
            lines.append(f"{name}: {value}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _has_secret_files(http: HttpClientSettings) -> bool:
    return bool(
        http.bearer_token_file
        or (http.basic_auth and (http.basic_auth.username_file or http.basic_auth.password_file))
        or (http.authorization and http.authorization.credentials_file)
        or any(header.files for header in http.http_headers.values())
    )


def _status_text(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if (
        isinstance(error, OSError)
        and error.errno is not None
        and error.strerror
        and "Connect call" not in error.strerror
    ):
        return error.strerror.lower()
    if isinstance(error, ConnectionRefusedError) or "Errno 111" in str(error):
        return "connection refused"
    return str(error)
