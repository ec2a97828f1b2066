"""The way to the server, for everything that the agent sends: payloads, heartbeats, probes.

Invariant: who sends knows a path and bytes, never the address, the key or the connection; these may change between two
requests.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from nunchi.agent.settings import ServerSettings
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClient, Response
from nunchi.kit.secrets import Secret

CONNECTIONS_MAX = 3  # one delivers, one tells that the agent lives, one waits for what the server has to say


class ServerLink(Protocol):
    """One server."""

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        ...

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", *, body_bytes_max: int,
        wait_seconds: float = 0.0,
    ) -> Response:  # fmt: skip
        """Ask it; it may wait so long before it answers. Raises HttpClientError where there is no answer in time."""
        ...

    async def close(self) -> None:
        """Close connections; a later request opens new ones."""
        ...


class HttpLink:
    """A server over HTTP(S). `key` is the agent's own, sent as a bearer token where the settings say nothing else."""

    def __init__(
        self,
        settings: ServerSettings,
        clock: Clock,
        folder: Path,
        environment: Mapping[str, str],
        user_agent: str,
        key: Secret = Secret(""),  # noqa: B008 - immutable
    ) -> None:
        self.key = key
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._environment = environment
        self._user_agent = user_agent
        self._client = self._new_client()

    @property
    def url(self) -> str:
        """See `ServerLink.url`."""
        return self._settings.url.rstrip("/")

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", *, body_bytes_max: int,
        wait_seconds: float = 0.0,
    ) -> Response:  # fmt: skip
        """See `ServerLink.request`."""
        headers = {"Content-Type": content_type} if content_type else {}
        if self.key and not self._has_own_credentials():
            headers["Authorization"] = f"Bearer {self.key.reveal()}"
        return await self._client.request(
            method,
            self.url + path,
            headers=headers,
            body=body or None,
            timeout_seconds=self._settings.timeout.seconds + wait_seconds,
            body_bytes_max=body_bytes_max,
        )

    async def apply(self, settings: ServerSettings) -> None:
        """Go on with other settings; a request that is under way ends as one without an answer."""
        if settings == self._settings:
            return
        self._settings = settings
        before, self._client = self._client, self._new_client()
        await before.close()

    async def close(self) -> None:
        """See `ServerLink.close`."""
        await self._client.close()

    def _has_own_credentials(self) -> bool:
        one = self._settings
        return bool(one.basic_auth or one.authorization or one.bearer_token or one.bearer_token_file or one.oauth2)

    def _new_client(self) -> HttpClient:
        return HttpClient(
            self._clock,
            self._settings,
            folder=self._folder,
            environment=self._environment,
            connections_max=CONNECTIONS_MAX,
            user_agent=self._user_agent,
        )
