"""A server as far as clippers see one: it hands out a configuration and hears reports, or is away."""

import asyncio

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from nunchi.kit.http_client import Response
from nunchi.kit.http_errors import HttpConnectError
from nunchi.kit.waiting import wait_event
from nunchi.testing.clock import VirtualClock
from nunchi.wire.cloud_exchange import CONFIGURATION_PATH, HandedConfiguration


class RecordingLink:
    """Implements `ServerLink`."""

    url = "http://server"

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.asked: list[str] = []
        self.handed: HandedConfiguration | None = None
        self.is_away = False
        self.status = 200
        self.waits_with: VirtualClock | None = None
        self._changed = asyncio.Event()

    def hand(self, handed: HandedConfiguration) -> None:
        """Another configuration from now on; who waits hears of it."""
        self.handed = handed
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", *, body_bytes_max: int,
        wait_seconds: float = 0.0,
    ) -> Response:  # fmt: skip
        if self.is_away:
            raise HttpConnectError("GET", self.url, "nobody answers")
        if method == "POST":
            self.posted.append((path, body))
            return self.answer(self.status, b"{}")
        assert path.startswith(CONFIGURATION_PATH)
        self.asked.append(path)
        if self.handed is None:
            return self.answer(404, b"")
        if f"version={self.handed.version}&" in path and self.waits_with is not None:
            await wait_event(self._changed, wait_seconds, self.waits_with)
        if f"version={self.handed.version}&" in path:
            return self.answer(304, b"")
        return self.answer(self.status, msgspec.json.encode(self.handed))

    def answer(self, status: int, body: bytes) -> Response:
        return Response(status, CIMultiDictProxy(CIMultiDict()), body, self.url)

    async def close(self) -> None:
        """Nothing is open."""
