"""Tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): asked for when needed, kept until shortly before they expire.

Invariant: one request for a token at a time, whoever waits for it shares the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from nunchi.kit.clock import Clock
from nunchi.kit.credentials import CredentialsUnreadable, basic, read_secret
from nunchi.kit.http_client_settings import OAuth2Settings

EARLY_SECONDS = 10.0

# (headers, body) to (status, body): one POST to the token URL
TokenRequest = Callable[[dict[str, str], bytes], Awaitable[tuple[int, bytes]]]


class TokenAnswer(msgspec.Struct, frozen=True):
    """What a token endpoint answers."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme
    expires_in: float | None = None


class TokenSource:
    """The Authorization header of one `oauth2` block."""

    def __init__(self, settings: OAuth2Settings, folder: Path, clock: Clock, request: TokenRequest) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._request = request
        self._turn = asyncio.Lock()
        self._header = ""
        self._expires = float("-inf")

    async def header(self) -> str:
        """A valid `Bearer …`. Raises CredentialsUnreadable, and what the request raises."""
        async with self._turn:
            if self._clock.monotonic() >= self._expires:
                await self._renew()
            return self._header

    async def _renew(self) -> None:
        settings = self._settings
        secret = read_secret(settings.client_secret, settings.client_secret_file, self._folder)
        form = {"grant_type": "client_credentials", **settings.endpoint_params}
        if settings.scopes:
            form["scope"] = " ".join(settings.scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        authorization = basic(quote(settings.client_id, safe=""), quote(secret, safe=""))
        status, body = await self._request({**headers, "Authorization": authorization}, urlencode(form).encode())
        if status in {400, 401}:  # some endpoints take the pair in the form only
            form |= {"client_id": settings.client_id, "client_secret": secret}
            status, body = await self._request(headers, urlencode(form).encode())
        if status != 200:
            raise CredentialsUnreadable(f"the token endpoint {settings.token_url} answered {status}")
        try:
            answer = msgspec.json.decode(body, type=TokenAnswer, strict=False)
        except msgspec.DecodeError as error:
            raise CredentialsUnreadable(f"the token endpoint {settings.token_url} answered no token") from error
        token_type = "Bearer" if answer.token_type.lower() == "bearer" else answer.token_type
        self._header = f"{token_type} {answer.access_token}"
        lifetime_seconds = float("inf") if not answer.expires_in else max(0.0, answer.expires_in - EARLY_SECONDS)
        self._expires = self._clock.monotonic() + lifetime_seconds
