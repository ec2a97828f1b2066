"""The queue between two clippers: bounded, and nobody waits for ever."""

import asyncio

from nunchi.agent.cloud.channel import PUT_SECONDS_MAX, Channel
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock


async def test_who_finds_no_room_waits_a_while_and_then_drops_and_counts() -> None:
    clock, telemetry = VirtualClock(), Telemetry()
    dropped = telemetry.counter("dropped_total", "For the test.", "queue", "reason")
    channel: Channel[int] = Channel("metrics", clock, dropped, items_max=2)
    assert [await channel.put(1), await channel.put(2)] == [True, True]
    waiting = asyncio.create_task(channel.put(3))
    await clock.advance(PUT_SECONDS_MAX + 1)
    assert waiting.done()
    assert not waiting.result()
    assert len(channel) == 2
    assert [(dict(labels), value) for _, labels, value in dropped.samples()] == [
        ({"queue": "metrics", "reason": "queue_full"}, 1)
    ]


async def test_who_finds_room_in_time_is_heard_in_order() -> None:
    clock = VirtualClock()
    channel: Channel[int] = Channel(
        "metrics", clock, Telemetry().counter("d_total", "", "queue", "reason"), items_max=1
    )
    await channel.put(1)
    waiting = asyncio.create_task(channel.put(2))
    await clock.advance(PUT_SECONDS_MAX / 2)
    assert channel.take_all() == [1]
    await clock.advance(PUT_SECONDS_MAX / 2)
    assert waiting.result()
    assert channel.take_all() == [2]
    assert channel.take_all() == []
