"""Waiting for what may happen, and no longer than so long by a clock."""

import asyncio

from nunchi.kit.clock import Clock


async def wait_event(event: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Wait until the event is set, or so long by this clock."""
    if seconds <= 0 or event.is_set():
        await asyncio.sleep(0)
        return
    waiting = (asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds)))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
