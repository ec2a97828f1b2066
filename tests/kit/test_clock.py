"""`nunchi.kit.clock`, and that the virtual clock of the test kit keeps the same promises."""

import asyncio
import time

from nunchi.kit.clock import SystemClock
from nunchi.testing.clock import VirtualClock


async def test_system_clock_tells_the_time_of_the_machine() -> None:
    clock = SystemClock()
    before = time.time()
    assert before <= clock.now() <= time.time()
    assert before * 1000 - 1 <= clock.now_ms() <= time.time() * 1000
    began = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() > began


async def test_sleeping_no_time_lets_others_run() -> None:
    for clock in (SystemClock(), VirtualClock()):
        ran = []
        task = asyncio.create_task(asyncio.sleep(0, ran.append(1)))
        await clock.sleep(-1)
        await task
        assert ran == [1]


async def test_virtual_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = VirtualClock(now_seconds=100.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper(name, seconds)) for name, seconds in (("b", 2), ("a", 1), ("c", 5))]
    await clock.advance(3)
    assert woken == [("a", 101.0), ("b", 102.0)]
    assert clock.now() == 103.0
    await clock.advance(2)
    assert woken[-1] == ("c", 105.0)
    await asyncio.gather(*tasks)


async def test_a_jump_of_the_wall_clock_wakes_nobody() -> None:
    clock = VirtualClock(now_seconds=100.0)
    task = asyncio.create_task(clock.sleep(10))
    await clock.advance(0)
    began = clock.monotonic()
    clock.jump(-50)
    await clock.advance(9)
    assert not task.done()
    assert clock.monotonic() - began == 9
    assert clock.now() == 59.0
    await clock.advance(1)
    await task
