"""A way to a server that is a function."""

from collections.abc import Callable

from multidict import CIMultiDict, CIMultiDictProxy

from nunchi.kit.http_client import Response
from nunchi.kit.http_errors import HttpConnectError

HEADERS = CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})  # as a server's own words have them
Answer = Callable[[str, str, bytes], tuple[int, bytes] | None]


class FakeLink:
    """Implements `ServerLink`; `answer` gives status and body, or None for a server that does not answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.url = "http://server"
        self.asked: list[tuple[str, str, bytes]] = []

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", *, body_bytes_max: int,
        wait_seconds: float = 0.0,
    ) -> Response:  # fmt: skip
        self.asked.append((method, path, body))
        answered = self.answer(method, path, body)
        if answered is None:
            raise HttpConnectError(method, self.url + path, "connection refused")
        return Response(answered[0], CIMultiDictProxy(HEADERS), answered[1], self.url + path)

    async def close(self) -> None:
        pass
