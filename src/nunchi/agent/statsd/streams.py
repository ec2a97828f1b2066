"""StatsD over streams: lines over TCP; over Unix sockets frames (four bytes of length, little-endian, then lines) or lines.

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
TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))  # the last byte of a length that may be is none of them


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
        """See `asyncio.Protocol`. Where the connection broke nobody knows whether the last line is whole."""
        if self._rest and exc is None:
            self._take(self._rest)
        elif self._rest:
            self._streams.drop("cut")
        self._rest = b""
        super().connection_lost(exc)


class UnixStream(LineStream):
    """Frames of lines, as DogStatsD clients send them, or lines: the first bytes tell which."""

    def __init__(self, streams: Streams, take: Callable[[bytes], None]) -> None:
        super().__init__(streams, take)
        self._is_framed: bool | None = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._is_framed is None:
            data, self._rest = self._rest + data, b""
            if len(data) < LENGTH_BYTES:
                self._streams.touch(self)
                self._rest = data
                return
            self._is_framed = not TEXT.issuperset(data[:LENGTH_BYTES])
        if self._is_framed:
            self._receive_frames(self._rest + data)
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._is_framed and self._rest:
            self._streams.drop("cut")
            self._rest = b""
        super().connection_lost(exc)

    def _receive_frames(self, data: bytes) -> None:
        self._streams.touch(self)
        at = 0
        while len(data) - at >= LENGTH_BYTES:
            begin = at + LENGTH_BYTES
            length = int.from_bytes(data[at:begin], "little")
            if length > FRAME_BYTES_MAX:
                self._streams.drop("frame_too_long")
                self.abort()
                at = len(data)
                break
            if len(data) - begin < length:
                break
            self._take(data[begin : begin + length])
            at = begin + length
        self._rest = data[at:]
