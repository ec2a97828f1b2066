"""HTTP requests to peers: bounded in time and size, with Prometheus's `http_config`, failing with one family of errors.

Bodies are not decoded here: an answer has the encoding that the request asked for, none unless it did.
Invariant: credentials of the settings go to the host that was asked, never to one it redirects to.
"""

import asyncio
import io
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from nunchi.kit.clock import Clock
from nunchi.kit.credentials import CredentialsUnreadable, basic, configured_headers
from nunchi.kit.errors import InputError
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.http_errors import (
    HttpBodyTooLargeError,
    HttpClientError,
    HttpConnectError,
    HttpCredentialsError,
    HttpProtocolError,
    HttpRedirectError,
    HttpTimeoutError,
    HttpTlsError,
)
from nunchi.kit.oauth2 import TokenSource
from nunchi.kit.proxy import proxy_of
from nunchi.kit.tls import ClientContext, TlsClientSettings

__all__ = ["HttpClient", "HttpClientError", "HttpClientSettings", "Response"]

TIMEOUT_SECONDS = 10.0
BODY_BYTES_MAX = 16 << 20
CONNECTIONS_MAX = 100
REDIRECTS_MAX = 10
_STREAMED_BYTES_MIN = 1 << 20  # a larger body is written in parts, so that the loop breathes
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_CALLERS_SECRETS = ("Authorization", "Cookie", "Proxy-Authorization")
_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: whatever its status, it is one."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: str


class HttpClient:
    """Connections to peers that share settings; `close` it, or use it as a context. Relative files are below `folder`."""

    def __init__(
        self,
        clock: Clock,
        settings: HttpClientSettings = HttpClientSettings(),  # noqa: B008 - frozen
        *,
        folder: Path = Path(),
        environment: Mapping[str, str] = _NO_ENVIRONMENT,
        connections_max: int = CONNECTIONS_MAX,
        user_agent: str = "nunchi",
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._environment = environment
        self._connections_max = connections_max
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._tls = ClientContext(settings.tls_config, folder)
        self._tokens: TokenSource | None = None
        self._token_client: HttpClient | None = None
        if settings.oauth2 is not None:
            oauth2 = settings.oauth2
            names = ("proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "tls_config")
            plain = HttpClientSettings(**{name: getattr(oauth2, name) for name in names})
            self._token_client = HttpClient(clock, plain, folder=folder, environment=environment, connections_max=1)
            self._tokens = TokenSource(oauth2, folder, clock, self._ask_for_token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._token_client is not None:
            await self._token_client.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> Response:
        """Ask, follow redirects if the settings say so, and read the answer. Raises HttpClientError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._follow(method, url, CIMultiDict(headers or {}), body, body_bytes_max)
        except TimeoutError as error:
            raise HttpTimeoutError(method, url, f"no whole answer within {timeout_seconds:g} s") from error

    async def _follow(
        self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None, body_bytes_max: int
    ) -> Response:
        configured = await self._configured_headers(method, url)
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._exchange(method, url, _merged(headers, configured), body, body_bytes_max)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or not self._settings.follow_redirects:
                return response
            target = _redirect_target(method, url, location)
            if not _is_same_peer(URL(url), target):
                configured = []
                for name in _CALLERS_SECRETS:
                    headers.popall(name, None)
            if response.status not in _KEEP_METHOD and method != "HEAD":
                method, body = "GET", None
                headers.popall("Content-Type", None)
                headers.popall("Content-Encoding", None)
            url = str(target)
        raise HttpRedirectError(method, url, f"more than {REDIRECTS_MAX} redirects")

    async def _configured_headers(self, method: str, url: str) -> list[tuple[str, str]]:
        try:
            headers = configured_headers(self._settings, self._folder)
            if self._tokens is not None:
                headers.append(("Authorization", await self._tokens.header()))
        except CredentialsUnreadable as error:
            raise HttpCredentialsError(method, url, str(error)) from error
        return headers

    async def _exchange(
        self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None, body_bytes_max: int
    ) -> Response:
        """One request and its answer."""
        proxy = proxy_of(url, self._settings, self._environment)
        try:
            target = _without_credentials(url, headers)
            async with self._opened_session().request(
                method,
                target,
                headers=headers,
                data=body if body is None or len(body) < _STREAMED_BYTES_MIN else io.BytesIO(body),
                allow_redirects=False,
                ssl=self._tls_or_default(),
                server_hostname=self._settings.tls_config.server_name or None,
                proxy=proxy,
                proxy_headers=self._proxy_headers() if proxy else None,
            ) as response:
                content = await _read(method, url, response, body_bytes_max)
                return Response(response.status, response.headers, content, str(response.url))
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError, InputError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise _client_error(method, url, error) from error

    def _tls_or_default(self) -> ssl.SSLContext | bool:
        """True stands for the library's own context, which knows the system's authorities."""
        return True if self._settings.tls_config == TlsClientSettings() else self._tls.context()

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections_max),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                skip_auto_headers=("Content-Type",),
            )
        return self._session

    def _proxy_headers(self) -> CIMultiDict[str]:
        pairs = self._settings.proxy_connect_header.items()
        return CIMultiDict([(name, secret.reveal()) for name, secrets in pairs for secret in secrets])

    async def _ask_for_token(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        assert self._token_client is not None
        assert self._settings.oauth2 is not None
        assert self._settings.oauth2.token_url is not None
        url = self._settings.oauth2.token_url.reveal()
        response = await self._token_client.request("POST", url, headers=headers, body=body, body_bytes_max=1 << 20)
        return response.status, response.body


async def _read(method: str, url: str, response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    too_large = HttpBodyTooLargeError(method, url, f"the answer is larger than {bytes_max} bytes")
    if method != "HEAD" and response.content_length is not None and response.content_length > bytes_max:
        raise too_large
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > bytes_max:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _merged(headers: CIMultiDict[str], configured: list[tuple[str, str]]) -> CIMultiDict[str]:
    """The caller's headers, then the settings' for names the caller does not give."""
    merged = headers.copy()
    for name, value in configured:
        if name not in headers:
            merged.add(name, value)
    return merged


def _without_credentials(url: str, headers: CIMultiDict[str]) -> URL:
    """The URL to ask; a user and password in it become a header, unless there is one."""
    target = URL(url)
    if target.user is not None and "Authorization" not in headers:
        headers["Authorization"] = basic(target.user, target.password or "")
    return target.with_user(None) if target.raw_user is not None else target


def _redirect_target(method: str, url: str, location: str) -> URL:
    try:
        target = URL(url).join(URL(location))
    except ValueError as error:
        raise HttpRedirectError(method, url, "redirects to what is no URL") from error
    if target.scheme not in {"http", "https"} or not target.host:
        raise HttpRedirectError(method, url, f"redirects to {target.scheme or 'nothing'}, which is not followed")
    return target


def _is_same_peer(asked: URL, target: URL) -> bool:
    """Whether credentials for one may be sent to the other: the same origin, or its https twin."""
    if asked.host != target.host:
        return False
    is_upgrade = (
        asked.scheme == "http" and target.scheme == "https" and asked.is_default_port() and target.is_default_port()
    )
    return is_upgrade or (asked.scheme, asked.port) == (target.scheme, target.port)


def _tls_words(cause: object) -> str:
    """What went wrong, and the cure where the library's words do not suggest it."""
    words = str(getattr(cause, "verify_message", "") or cause)
    match getattr(cause, "reason", ""):
        case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST":
            return "the other side does not speak it: write http://, or turn it on there"
        case "CERTIFICATE_VERIFY_FAILED" if "self-signed" in words or "issuer" in words:
            return f"{words}: name the authority that signed it in ca_file of tls_config"
        case _:
            return words


def _client_error(method: str, url: str, error: Exception) -> HttpClientError:
    """Our error for one of the library's; its text must not repeat the URL, which may hold a password."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
            return HttpTlsError(method, url, f"TLS: {_tls_words(cause)}")
        case InputError():
            return HttpCredentialsError(method, url, str(error))
        case aiohttp.ClientConnectorDNSError():
            return HttpConnectError(method, url, "no such host")
        case aiohttp.ClientHttpProxyError():
            return HttpConnectError(method, url, f"the proxy answered {error.status}")
        case aiohttp.ServerDisconnectedError():
            return HttpConnectError(method, url, "the connection was closed before an answer came")
        case aiohttp.ClientResponseError():
            return HttpProtocolError(method, url, f"the answer is not HTTP: {error.message}")
        case aiohttp.ClientPayloadError():
            return HttpConnectError(method, url, "the connection broke within the answer")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return HttpProtocolError(method, url, "the URL or a header is not valid")
        case OSError():
            return HttpConnectError(method, url, os.strerror(error.errno).lower() if error.errno else "no connection")
        case _:
            return HttpConnectError(method, url, type(error).__name__)
