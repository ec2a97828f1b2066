"""StatsD over streams: lines over TCP, frames (four bytes of length, little-endian, then lines) over Unix sockets.

Invariant: a stream holds at most one unfinished line or frame, bounded; there are at most `connections_max` streams, and who
was silent longest makes room for who comes.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock

LINE_BYTES_MAX = 65_536
FRAME_BYTES_MAX = 1 << 20
LENGTH_BYTES = 4


class Streams:
    """The streams that are open, of all listeners."""

    def __init__(self, connections_max: int, clock: Clock, telemetry: StatsdTelemetry) -> None:
        self.connections_max = connections_max
        self._clock = clock
        self._telemetry = telemetry
        self._open: dict[Stream, float] = {}
        telemetry.connections.observe_with(lambda: len(self._open))

    def add(self, stream: "Stream") -> None:
        """A stream has begun."""
        while len(self._open) >= self.connections_max:
            silent = min(self._open, key=self._open.__getitem__)
            silent.abort()
            self.remove(silent)
            self.drop("connections_max")
        self.touch(stream)

    def touch(self, stream: "Stream") -> None:
        """It has said something."""
        self._open[stream] = self._clock.monotonic()

    def remove(self, stream: "Stream") -> None:
        """It has ended."""
        self._open.pop(stream, None)

    def drop(self, reason: str) -> None:
        """Something of a stream is lost."""
        self._telemetry.dropped.add(1, reason)

    def abort_all(self) -> None:
        """End every stream."""
        for stream in list(self._open):
            stream.abort()
        self._open.clear()


class Stream(asyncio.Protocol):
    """One connection; what kind of text it carries is its subclass's."""

    def __init__(self, streams: Streams, take: Callable[[bytes], None]) -> None:
        self._streams = streams
        self._take = take
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._streams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._streams.remove(self)

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


class LineStream(Stream):
    """Lines; the last one needs no end."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._streams.touch(self)
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        if end:
            self._take(whole)
        self._rest = rest
        if len(rest) > LINE_BYTES_MAX:
            self._rest = b""
            self._streams.drop("line_too_long")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._rest and exc is None:
            self._take(self._rest)
        self._rest = b""
        super().connection_lost(exc)


class FrameStream(Stream):
    """Frames of lines, as DogStatsD clients send them over Unix stream sockets."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._streams.touch(self)
        rest = self._rest + data
        while len(rest) >= LENGTH_BYTES:
            length = int.from_bytes(rest[:LENGTH_BYTES], "little")
            if length > FRAME_BYTES_MAX:
                self._streams.drop("frame_too_long")
                self.abort()
                rest = b""
                break
            if len(rest) < LENGTH_BYTES + length:
                break
            self._take(rest[LENGTH_BYTES : LENGTH_BYTES + length])
            rest = rest[LENGTH_BYTES + length :]
        self._rest = rest
