"""One HTTP/1.1 connection to a target: request bytes out, one bounded response in, kept alive for the next scrape.

Our own protocol on httptools because a scrape is the smallest of HTTP's uses, done a hundred thousand times a minute.
Invariant: after any failure the connection is closed; only one whole, well-formed exchange leaves it open.
"""

import asyncio
from dataclasses import dataclass

import httptools

from nunchi.intake.scrape.errors import ConnectionLostError, ScrapeError, ScrapeLimitError

HEADER_BYTES_MAX = 64 * 1024
INFORMATIONAL_MAX = 8


@dataclass(frozen=True, slots=True)
class Response:
    """What a target answered. Header names are lower-case; of a repeated header the last stands."""

    status: int
    headers: dict[str, str]
    body: bytes


class ScrapeConnection(asyncio.Protocol):
    """At most one exchange at a time."""

    __slots__ = (
        "_body", "_body_bytes", "_body_bytes_max", "_head_bytes", "_header_bytes", "_headers", "_headers_done",
        "_informational", "_loop", "_parser", "_transport", "_waiter", "is_open",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_open = False
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reset(0)

    async def exchange(self, request: bytes, body_bytes_max: int, deadline: float) -> Response:
        """Send a request and wait for its whole answer until `deadline` by the loop's time.

        Raises `ScrapeError` and, after the deadline, TimeoutError. Cancelling closes the connection.
        """
        assert self._waiter is None, "one exchange at a time"
        if self._transport is None or not self.is_open:
            raise ConnectionLostError("the target closed the connection", answered=False)
        self._reset(body_bytes_max)
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._fail, TimeoutError())
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._waiter = None

    def close(self) -> None:
        """Give the connection up. Idempotent."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _reset(self, body_bytes_max: int) -> None:
        self._headers: dict[str, str] = {}
        self._headers_done = False
        self._head_bytes = 0
        self._header_bytes = 0
        self._informational = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_bytes_max = body_bytes_max

    def _fail(self, error: ScrapeError | TimeoutError) -> None:
        waiter = self._waiter
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the stream ends a body without a stated length; anything else it cuts short."""
        self.is_open = False
        self._transport = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        measured = "content-length" in self._headers or "chunked" in self._headers.get("transfer-encoding", "").lower()
        if exc is None and self._headers_done and not measured:
            self._complete()
            return
        answered = bool(self._head_bytes)
        reason = f": {exc}" if exc else ""
        where = "in the middle of its answer" if answered else "without an answer"
        self._fail(ConnectionLostError(f"the target closed the connection {where}{reason}", answered=answered))

    def data_received(self, data: bytes) -> None:
        """Parse what came; nobody waiting means that the target speaks out of turn, which ends the connection."""
        if self._waiter is None or self._waiter.done():
            self.close()
            return
        if not self._headers_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, ScrapeError) else ScrapeError(f"the answer is not HTTP: {error}"))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ScrapeError(f"the answer is not HTTP/1.1: {error}"))
        else:
            if not self._headers_done and self._head_bytes > HEADER_BYTES_MAX:
                self._fail(ScrapeLimitError(f"the answer's headers are larger than {HEADER_BYTES_MAX} bytes"))

    # What httptools calls.

    def on_message_begin(self) -> None:
        """An answer begins; one that nobody asked for ends the connection."""
        if self._waiter is None or self._waiter.done():
            raise ScrapeError("the target answers more than it was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line, whole."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > HEADER_BYTES_MAX:
            raise ScrapeLimitError(f"the answer's headers are larger than {HEADER_BYTES_MAX} bytes")
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body may begin."""
        self._headers_done = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > self._body_bytes_max:
            raise ScrapeLimitError(f"the answer is larger than {self._body_bytes_max} bytes", is_body=True)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole; informational ones (1xx) only announce it."""
        if self._parser.get_status_code() < 200:
            self._informational += 1
            if self._informational > INFORMATIONAL_MAX:
                raise ScrapeError("the target sends informational answers without end")
            self._headers, self._headers_done = {}, False
            return
        if not self._parser.should_keep_alive():
            self.is_open = False
        self._complete()

    def _complete(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        waiter.set_result(Response(self._parser.get_status_code(), self._headers, body))
        self._body = []
        if not self.is_open:
            self.close()
