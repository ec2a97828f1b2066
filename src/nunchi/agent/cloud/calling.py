"""Blocking calls of cloud clients in a bounded number of threads.

Invariant: at most `calls_max` are under way; one that hangs keeps its place until it ends, and its caller goes on without it.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.schedule import Runner, wait_futures
from nunchi.kit.clock import Clock

CALL_SECONDS_MAX = 120.0

ResultT = TypeVar("ResultT")


class BlockingCalls:
    """Runs calls with a runner (`threads.ThreadRunner`)."""

    def __init__(self, runner: Runner, calls_max: int, clock: Clock) -> None:
        self._runner = runner
        self._places = asyncio.Semaphore(calls_max)
        self._clock = clock
        self.running = 0

    async def run(self, call: Callable[[], ResultT]) -> ResultT:
        """What `call` returns or raises; CloudError where it does not end in time."""
        results: list[ResultT] = []
        await self._places.acquire()
        self.running += 1
        done = self._runner.run(lambda: results.append(call()))
        done.add_done_callback(self._release)
        if not done.done():
            await wait_futures([done], CALL_SECONDS_MAX, self._clock)
        if not done.done():
            raise CloudError(Kind.UNREACHABLE, f"no answer in {CALL_SECONDS_MAX:g} s")
        done.result()
        return results[0]

    def _release(self, done: "asyncio.Future[None]") -> None:
        if not done.cancelled():
            done.exception()  # a caller that was cancelled does not ask any more
        self.running -= 1
        self._places.release()

    def close(self) -> None:
        """Begin no more calls; those under way are left to their threads."""
        self._runner.close()
