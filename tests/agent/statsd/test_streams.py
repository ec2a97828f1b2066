"""Streams: what stands where one piece ends and the next begins."""

import asyncio
import random

import pytest

from nunchi.agent.statsd.streams import FRAME_BYTES_MAX, LINE_BYTES_MAX, LineStream, Streams, UnixStream
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.testing.clock import VirtualClock


class Wire(asyncio.Transport):
    """What a stream's other end is, as far as it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class House:
    def __init__(self, kind: type[LineStream] | type[UnixStream]) -> None:
        clock, self.telemetry = VirtualClock(), Telemetry()
        streams = Streams(5, clock, StatsdTelemetry(self.telemetry, clock, logger("test")))
        self.taken: list[bytes] = []
        self.wire = Wire()
        self.stream = kind(streams, self.taken.append)
        self.stream.connection_made(self.wire)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.stream.data_received(piece)

    def lines(self) -> list[bytes]:
        return [line for text in self.taken for line in text.split(b"\n") if line]

    def dropped(self) -> dict[str, float]:
        counter = self.telemetry.find("agent_statsd_dropped_total")
        assert isinstance(counter, Counter)
        return {labels[0][1]: count for _, labels, count in counter.samples()}


def pieces(body: bytes, seed: int) -> list[bytes]:
    source, found = random.Random(seed), []
    while body:
        size = source.choice([1, 2, 3, 7, 50])
        found.append(body[:size])
        body = body[size:]
    return found


def framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "little") + text


@pytest.mark.parametrize("seed", range(5))
def test_lines_and_frames_are_the_same_wherever_they_are_cut(seed: int) -> None:
    texts = [b"a:%d|c|#t:%d" % (number, number) for number in range(60)]
    for kind, body in (
        (LineStream, b"\n".join(texts) + b"\n"),
        (UnixStream, b"".join(map(framed, texts))),
        (UnixStream, b"\n".join(texts) + b"\n"),
    ):
        house = House(kind)
        house.send(*pieces(body, seed))
        house.stream.connection_lost(None)
        assert house.lines() == texts
        assert not house.dropped()


def test_a_unix_stream_of_plain_lines_is_understood() -> None:
    house = House(UnixStream)
    house.send(b"a:1", b"|c\nb:2|g\nc", b":3|c")
    house.stream.connection_lost(None)
    assert house.lines() == [b"a:1|c", b"b:2|g", b"c:3|c"]


def test_a_length_that_nobody_can_mean_ends_the_stream() -> None:
    for length in (FRAME_BYTES_MAX + 1, 0xFFFFFFFF):
        house = House(UnixStream)
        house.send(length.to_bytes(4, "little") + b"a:1|c")
        assert house.wire.is_aborted
        assert house.dropped() == {"frame_too_long": 1}
        assert house.taken == []


def test_what_is_cut_off_at_the_end_is_counted() -> None:
    house = House(UnixStream)
    house.send(framed(b"a:1|c"), framed(b"b:1|c")[:7])
    house.stream.connection_lost(None)
    assert (house.taken, house.dropped()) == ([b"a:1|c"], {"cut": 1})
    house = House(LineStream)
    house.send(b"a:1|c\nb:1")
    house.stream.connection_lost(ConnectionResetError())
    assert (house.taken, house.dropped()) == ([b"a:1|c"], {"cut": 1}), "half a number is another number"


def test_a_line_without_end_is_dropped_and_what_stands_before_it_is_not() -> None:
    house = House(LineStream)
    house.send(b"a:1|c\n" + b"x" * LINE_BYTES_MAX, b"x")
    assert house.taken == [b"a:1|c"]
    assert house.wire.is_aborted
    assert house.dropped() == {"line_too_long": 1}
